"""How a container runtime names what it runs, and its words for why an image could not be pulled.

Source: containerd v2.3.4, `internal/cri/server/container_status.go` for names, `images/image_pull.go` beside it,
`core/transfer/local/pull.go` and `core/remotes/docker/resolver.go` for errors; gRPC's code goes in front unless it
is unknown, by `PullImage` of k8s.io/cri-client v0.37.2.
"""

from __future__ import annotations

import hashlib
import re

from reconciler.simulated.behaviour import Fate

_RESOLVES = 'failed to pull and unpack image "{image}": failed to resolve image: '

PULL_ERRORS = {
    Fate.NO_IMAGE: "rpc error: code = NotFound desc = " + _RESOLVES + "{image}: not found",
    Fate.DENIED: _RESOLVES + "pull access denied, repository does not exist or may require"
    " authorization: authorization failed: no basic auth credentials",
    Fate.THROTTLED: _RESOLVES + "unexpected status from HEAD request to {manifest}: 429 Too Many"
    " Requests",
    Fate.PULL_TIMEOUT: "rpc error: code = DeadlineExceeded desc = " + _RESOLVES + "failed to do"
    ' request: Head "{manifest}": dial tcp 192.0.2.10:443: i/o timeout',
}
"""By what becomes of the pull, with `{image}` and `{manifest}` (its URL) to be filled in."""

REFERENCE = r"^([^/]+)/([^@]+?)(?::[^/:@]+)?(?:@|:)([^@/]+)$"
"""An image's registry, repository, and digest or tag; written for Go's regular expressions, too."""

ROOT = {"linux": {"gid": 0, "supplementalGroups": [0], "uid": 0}}
"""Whom a container runs as whose image and Pod name nobody."""


def pull_error(image: str, fate: Fate) -> str:
    """Returns why an image could not be pulled."""
    manifest = re.sub(REFERENCE, r"https://\1/v2/\2/manifests/\3", image)
    return PULL_ERRORS[fate].format(image=image, manifest=manifest)


def container_id(pod_uid: str, name: str, start: int) -> str:
    """Returns the name of a Pod's container that was started after so many others of it."""
    return f"containerd://{_digest(f'{pod_uid}/{name}/{start}')}"


def image_name(image: str) -> str:
    """Returns what a running container's image is called: by its tag, or else by its configuration's digest."""
    return f"sha256:{_digest(image)}" if "@" in image else image


def image_ref(image: str) -> str:
    """Returns the digest that an image was pulled by, after its repository."""
    found = re.match(REFERENCE, image)
    if found is None:
        return image
    digest = found[3] if "@" in image else f"sha256:{_digest(image)}"
    return f"{found[1]}/{found[2]}@{digest}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
