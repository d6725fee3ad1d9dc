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
        paths = changed(self._files(accepted), self._files(now.commit))
        was = self._snapshot(accepted) if any(map(_quarantines, paths)) else None
        unsigned = []
        for path in paths:
            if _quarantines(path) and _only_stops(path, was, now):
                continue
            newest = self._newest(now.commit, path)
            if newest is None or self._signers.signer_of(newest) is None:
                unsigned.append(f"{path} by {newest or 'a commit too old to be looked for'}")
        if not unsigned:
            return
        more = f" and {len(unsigned) - SHOWN_MAX} more" if len(unsigned) > SHOWN_MAX else ""
        raise InvalidInput(
            str(now.commit),
            "it is not followed",
            f"nobody who is allowed to has signed the change of {', '.join(unsigned[:SHOWN_MAX])}{more}",
            "take the change back, or have one of the allowed signers commit the file once more",
        )

    # Where the branch was rewritten, by the operator's word, the former commit may be gone: all is new.

    def _files(self, commit: CommitId | None) -> dict[str, str]:
        if commit is None or self._history.resolve(commit) is None:
            return {}
        tree = self._history.tree(commit, self._root)
        return {entry.path: f"{entry.mode:o} {entry.blob}" for entry in tree}

    def _snapshot(self, commit: CommitId | None) -> Snapshot | None:
        if commit is None or self._history.resolve(commit) is None:
            return None
        return self._read(commit)

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
