"""What a revision renders to on all clusters of an environment, as one digest that can be compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from reconciler.model.facts import Member
from reconciler.model.names import ClusterName, RenderDigest


def together(renders: Iterable[tuple[ClusterName, RenderDigest]]) -> RenderDigest:
    """Returns one digest for what is rendered on each of some clusters."""
    text = "".join(f"{cluster}={digest}\n" for cluster, digest in sorted(renders))
    return RenderDigest(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}")


def applied_everywhere(members: Iterable[Member]) -> RenderDigest | None:
    """Returns the digest of what was in fact applied on every cluster; None where one is not known."""
    applied = []
    for member in members:
        record = member.record
        if record is None or record.render_digest is None or not member.is_on(record.revision.id):
            return None
        applied.append((member.cluster, record.render_digest))
    return together(applied) if applied else None
