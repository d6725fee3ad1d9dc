"""A bare repository on disk that a test writes to with the real git, as another person would."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "A Person",
    "GIT_AUTHOR_EMAIL": "person@example.com",
    "GIT_COMMITTER_NAME": "A Person",
    "GIT_COMMITTER_EMAIL": "person@example.com",
    "LC_ALL": "C",
}


class BareRepository:
    """A bare repository and the ways in which people change it.

    Args:
        path: Where to make it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--bare", "--initial-branch=main", ".")

    def git(self, *arguments: str, stdin: bytes = b"", **environment: str) -> str:
        """Runs git in the repository and returns what it prints."""
        run = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            input=stdin,
            capture_output=True,
            env={**os.environ, **_ENVIRONMENT, **environment},
            check=False,
        )
        assert run.returncode == 0, (arguments, run.stderr.decode(errors="replace"))
        return run.stdout.decode(errors="replace").strip()

    def tip(self, branch: str = "main") -> str:
        """Returns a branch's commit, or "" where it is not there."""
        return self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")

    def commit(
        self,
        files: Mapping[str, bytes | None],
        *,
        branch: str = "main",
        orphan: bool = False,
        message: str = "A change",
        key: Path | None = None,
    ) -> str:
        """Puts a commit on a branch without hooks, as a merge on the server does.

        Args:
            files: Content by path; None deletes.
            branch: Made when it is missing.
            orphan: Start anew, with no parent and no other file.
            message: The commit's message.
            key: Signs it, with ssh.

        Returns:
            The commit.
        """
        parent = "" if orphan else self.tip(branch)
        index = str(self.path / "index.of.a.person")
        self.git("read-tree", *([parent] if parent else ["--empty"]), GIT_INDEX_FILE=index)
        for path, content in files.items():
            if content is None:
                gone = f"0 {'0' * 40}\t{path}\n".encode()
                self.git("update-index", "--index-info", stdin=gone, GIT_INDEX_FILE=index)
            else:
                blob = self.git("hash-object", "-w", "--stdin", stdin=content)
                entry = f"100644,{blob},{path}"
                self.git("update-index", "--add", "--cacheinfo", entry, GIT_INDEX_FILE=index)
        tree = self.git("write-tree", GIT_INDEX_FILE=index)
        parents = ["-p", parent] if parent else []
        sign = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={key}"] if key else []
        flag = ["-S"] if key else []
        commit = self.git(*sign, "commit-tree", tree, *flag, *parents, "-m", message)
        self.git("update-ref", f"refs/heads/{branch}", commit)
        return commit

    def read(self, path: str, branch: str = "main") -> str:
        """Returns a file's content on a branch."""
        return self.git("cat-file", "blob", f"refs/heads/{branch}:{path}")
