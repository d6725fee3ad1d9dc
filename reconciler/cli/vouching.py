"""Whether a verb's commit will be followed: signed where it must be, and refused here before it is pushed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reconciler.adapters.git.repository import GitRepository
from reconciler.adapters.git.signatures import AllowedSigners
from reconciler.adapters.git.signing import Sign, SigningKey
from reconciler.errors import InvalidInput
from reconciler.model.names import CommitId

WHAT = "nothing is pushed"
_FIX = (
    "give --signing-key, or set `git config --global gpg.format ssh` and `user.signingkey` to the key of one that "
    "repo.allowed_signers_file names"
)


@dataclass(frozen=True, slots=True)
class Vouching:
    """Signs what one person commits, and looks whether that will do.

    Attributes:
        allowed: The list of those whose signatures count; None: this command knows of none.
        key: What the person signs with; None: nothing.
    """

    allowed: Path | None
    key: SigningKey | None

    def sign(self, *, is_guarded: bool) -> Sign | None:
        """Returns what signs a commit, or None where it need not be and its author did not ask for it."""
        if self.key is None:
            return None
        is_needed = is_guarded and self.allowed is not None
        return self.key.sign if is_needed or self.key.is_asked_for else None

    def check(
        self, repo: GitRepository, made: CommitId, paths: list[str], *, is_guarded: bool
    ) -> tuple[str, ...]:
        """Returns as whom a commit is signed, where that is asked at all.

        Args:
            repo: Holds the commit.
            made: The commit.
            paths: What it changes, for the error.
            is_guarded: Whether only some people may change that.

        Raises:
            InvalidInput: The daemon would not follow it.
        """
        if self.allowed is None or not is_guarded:
            return ()
        found = AllowedSigners(self.allowed, repo).signer_of(made)
        if found is not None:
            return tuple(name.strip() for name in found.split(","))
        why = f"only whom {self.allowed} names may change it, and this commit is not signed"
        if self.key is not None:
            why = f"{self.allowed} does not name the key {self.key.key:.100} that this commit is signed with"
        raise InvalidInput(", ".join(paths), WHAT, why, _FIX)
