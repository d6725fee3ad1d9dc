"""One repository served in each of the ways that the reconciler reads, with the access that fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from reconciler.adapters.git.access import GitAccess
from tests.gitservers.certificates import Authority
from tests.gitservers.hooks import Hooks
from tests.gitservers.http import GitHttpServer
from tests.gitservers.repositories import BareRepository
from tests.gitservers.ssh import GitSshServer

TOKEN = "canary-token-of-the-tests"


class Way(StrEnum):
    """How a repository is reached."""

    HTTP = "http"
    HTTPS = "https"
    SSH = "ssh"
    LOCAL = "local"


PUSHABLE = (Way.HTTP, Way.HTTPS, Way.SSH)


@dataclass(frozen=True, slots=True)
class Served:
    """A repository, how to reach it, and where a test's code can step in.

    Attributes:
        hooks: None for a local path, where no hook runs.
        http: The server itself, over http and https.
    """

    repository: BareRepository
    access: GitAccess
    hooks: Hooks | None = None
    http: GitHttpServer | None = None

    def before_refs(self, code: Callable[[str], None] | None) -> None:
        """Sets what runs with the service's name before a server tells its refs."""
        if self.http is not None:
            self.http.at_info_refs = code
        elif self.hooks is not None:
            self.hooks.at_service = code


@contextmanager
def serve(way: Way, folder: Path, *, expired: bool = False) -> Iterator[Served]:
    """Makes an empty repository in a folder and serves it.

    Args:
        way: How.
        folder: Where everything goes.
        expired: Over https, by a certificate whose time is over.
    """
    repository = BareRepository(folder / "env.git")
    mirror = folder / "state" / "mirror"
    match way:
        case Way.LOCAL:
            yield Served(repository, GitAccess(str(repository.path), "main", mirror))
        case Way.HTTP | Way.HTTPS:
            certificate = None
            if way is Way.HTTPS:
                certificate = Authority(folder / "ca").server("server", expired=expired)
            token_file = folder / "token"
            token_file.write_text(f"{TOKEN}\n")
            with GitHttpServer(repository.path, token=TOKEN, certificate=certificate) as http:
                access = GitAccess(
                    http.url,
                    "main",
                    mirror,
                    token_file=token_file,
                    ca_file=certificate.ca_file if certificate else None,
                )
                yield Served(repository, access, http.hooks, http)
        case Way.SSH:
            with GitSshServer(repository.path, folder / "ssh") as ssh:
                access = GitAccess(
                    ssh.url,
                    "main",
                    mirror,
                    ssh_key_file=ssh.key_file,
                    ssh_known_hosts_file=ssh.known_hosts_file,
                )
                yield Served(repository, access, ssh.hooks)
