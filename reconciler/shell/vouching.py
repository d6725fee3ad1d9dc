"""Follows no commit that changes the fleet, a policy or a quarantine without a trusted signature."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.core.vouching import changed, only_stops
from reconciler.errors import InvalidInput
from reconciler.model.env_repo import Snapshot
from reconciler.model.names import CommitId, ServiceName
from reconciler.ports.git import History, Signers

SHOWN_MAX = 5
"""Of files in one refusal."""


class Vouching:
    """Looks for who vouches for what a new HEAD changes.

    A signature vouches for a file as its commit left it. So of each guarded file that differs from the
    last accepted commit, the newest first-parent commit that touched it must be signed.

    Args:
        history: The mirror.
        root: The subfolder that is the env repo, or empty.
        read: Parses a commit.
        signers: Whose signatures count; None: whoever can merge may change anything.
    """

    def __init__(
        self,
        history: History,
        root: str,
        read: Callable[[CommitId], Snapshot],
        signers: Signers | None,
    ) -> None:
        self._history = history
        self._root = root
        self._read = read
        self._signers = signers

    def check(self, accepted: CommitId | None, now: Snapshot) -> None:
        """Checks a new HEAD against what was accepted last; None: nothing ever was, and all of it is new.

        Raises:
            InvalidInput: Names each file for whose change nobody vouches, or why nobody can.
        """
        if self._signers is None:
            return
        # Where the branch was rewritten, by the operator's word, the former commit may be gone: all is new.
        known = accepted if accepted is not None and self._history.resolve(accepted) else None
        before = self._files(known) if known is not None else {}
        paths = changed(before, self._files(now.commit))
        was = self._read(known) if known is not None and any(map(_quarantines, paths)) else None
        newest = {
            path: self._newest(now.commit, path)
            for path in paths
            if not (_quarantines(path) and _only_stops(path, was, now))
        }
        signed = {
            commit
            for commit in set(newest.values())
            if commit is not None and self._signers.signer_of(commit) is not None
        }
        unsigned = [
            f"{path} by {commit or 'a commit too old to be looked for'}"
            for path, commit in newest.items()
            if commit not in signed
        ]
        if not unsigned:
            return
        more = f" and {len(unsigned) - SHOWN_MAX} more" if len(unsigned) > SHOWN_MAX else ""
        raise InvalidInput(
            str(now.commit),
            "it is not followed",
            f"nobody who is allowed to has signed the change of {', '.join(unsigned[:SHOWN_MAX])}{more}",
            "take the change back, or have one of the allowed signers commit the file once more",
        )

    def _files(self, commit: CommitId) -> dict[str, str]:
        tree = self._history.tree(commit, self._root)
        return {entry.path: f"{entry.mode:o} {entry.blob}" for entry in tree}

    def _newest(self, head: CommitId, path: str) -> CommitId | None:
        whole = f"{self._root}/{path}" if self._root else path
        found = self._history.log(head, path=whole, most=1)
        return found[0].commit if found else None


def _quarantines(path: str) -> bool:
    return path.startswith("quarantine/")


def _only_stops(path: str, was: Snapshot | None, now: Snapshot) -> bool:
    name = ServiceName(path.removeprefix("quarantine/").removesuffix(".yaml"))
    if was is not None and path in was.broken:
        # What it held is not known.
        return False
    former = was.quarantine.get(name, ()) if was is not None else ()
    return only_stops(former, now.quarantine.get(name, ()))
