"""The last look before a push: whether Git writes are still ours."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.errors import TransientError
from reconciler.model.names import CommitId
from reconciler.ports.git import PushResult, Remote


def push_if_ours(
    remote: Remote, commit: CommitId, branch: str, *, may_push: Callable[[], bool]
) -> PushResult:
    """Pushes, unless what came before hung until Git writes were ours no more.

    Raises:
        TransientError: They are not, or there was no answer.
    """
    if not may_push():
        raise TransientError(branch, "nothing is pushed", "this daemon leads or enforces no more")
    return remote.push(commit, branch)
