"""A repository of a real Gitea as a person has it: cloned, committed to, and pushed back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from reconciler.adapters.git.access import GitAccess
from tests.forges.gitea import BOT, OWNER, PASSWORD, GiteaRepo
from tests.gitservers.repositories import BareRepository
from tests.gitservers.served import Served


class Clone(BareRepository):
    """A person's clone, which is brought up to date before each look.

    Args:
        path: Where to make it.
        repo: What is cloned, by its owner.
    """

    def __init__(self, path: Path, repo: GiteaRepo) -> None:
        super().__init__(path)
        scheme, _, rest = repo.url.partition("://")
        self._url = f"{scheme}://{OWNER}:{quote(PASSWORD)}@{rest}"

    def fetch(self) -> None:
        """Takes over every branch as the server has it."""
        self.git("fetch", "--quiet", "--prune", self._url, "+refs/heads/*:refs/heads/*")

    def tip(self, branch: str = "main") -> str:
        self.fetch()
        return super().tip(branch)

    def read(self, path: str, branch: str = "main") -> str:
        self.fetch()
        return super().read(path, branch)

    def commit(
        self,
        files: Mapping[str, bytes | None],
        *,
        branch: str = "main",
        orphan: bool = False,
        message: str = "A change",
        key: Path | None = None,
    ) -> str:
        made = super().commit(files, branch=branch, orphan=orphan, message=message, key=key)
        self.git("push", "--quiet", self._url, f"{made}:refs/heads/{branch}")
        return made


def served_by(repo: GiteaRepo, folder: Path) -> Served:
    """Returns the repository as the daemon reaches it, as the bot, and people by a clone."""
    folder.mkdir(parents=True)
    token_file = folder / "token"
    token_file.write_text(f"{repo.token}\n")
    access = GitAccess(repo.url, "main", folder / "mirror", token_file=token_file, username=BOT)
    return Served(Clone(folder / "clone.git", repo), access)
