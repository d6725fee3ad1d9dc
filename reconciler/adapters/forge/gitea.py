"""One repository of a Gitea, over its API (1.26; Forgejo's is the same in what is asked for here)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import orjson

from reconciler.adapters.forge import gitea_answers as said
from reconciler.adapters.http.address import Address, parse
from reconciler.adapters.http.answer import Answer, Doing, not_known, refusal
from reconciler.adapters.http.client import HttpClient
from reconciler.adapters.http.secrets import read_secret
from reconciler.errors import Conflict, InvalidInput, ReconcilerError, Refused
from reconciler.model.answers import NotKnown
from reconciler.model.forge import Protection, PullRequest, PullRequestState, Statuses
from reconciler.model.names import CommitId

PAGE_ITEMS = 50
"""What Gitea gives at most where its owner has not changed it; one that gives fewer is asked more often."""

PAGES_MAX = 20
"""A thousand checks of a commit, or pull requests open at once, are nobody's; more is not read, and not known."""

TITLE_CHARACTERS_MAX = 255
"""Source: `services/forms/repo_form.go` of Gitea 1.26, and its issue table's column."""

BODY_CHARACTERS_MAX = 60_000
"""Its column takes 64 KiB on some databases."""

Found = TypeVar("Found")
Items = list[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class GiteaAccess:
    """Where the repository is and with what it is asked; the token is a file, read at every use.

    Attributes:
        url: The repository's page, `https://git.example.com/team/env`; http to loopback alone.
        token_file: Holds a token that may read the repository, and write its pull requests.
        ca_file: Certificates trusted instead of the system's.
        timeout_s: How long one request may take in all.
    """

    url: str
    token_file: Path
    ca_file: Path | None = None
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Gitea:
    """The Forge port; made by `open_gitea`. Each method is one request after the other, none repeated.

    Attributes:
        root: Where in the API the repository is.
        token_file: Holds the token.
    """

    _client: HttpClient = field(repr=False)
    root: Address
    token_file: Path

    def statuses(self, commit: CommitId) -> Statuses | NotKnown:
        """As the port has it."""
        doing = Doing(f"commit {commit}", "read its statuses")

        def ask() -> Statuses:
            # By commit alone Gitea says of one that it has never seen that it has no statuses; asked
            # for as a ref it must be there.
            path = f"/commits/{quote(commit, safe='')}/status"
            items = self._pages(path, {}, doing, lambda body: said.of_commit(body, commit, doing))
            return said.statuses(commit, items, doing)

        return _known(ask)

    def protection(self, branch: str) -> Protection | NotKnown:
        """As the port has it."""
        doing = Doing(f"branch {branch}", "read what protects it")

        def ask() -> Protection:
            answer = self._ask("GET", f"/branches/{quote(branch, safe='')}", doing)
            return said.protection(branch, self._tree(answer, doing), doing)

        return _known(ask)

    def pull_request_of(self, branch: str, base: str) -> PullRequest | NotKnown | None:
        """As the port has it."""
        return _known(lambda: self._found(branch, base))

    def pull_request(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        """As the port has it."""
        doing = Doing(f"branch {branch}", f"open a pull request into {base}")
        wanted = {
            "head": branch,
            "base": base,
            "title": title[:TITLE_CHARACTERS_MAX],
            "body": body[:BODY_CHARACTERS_MAX],
        }
        answer = self._ask("POST", "/pulls", doing, wanted)
        if answer.status == 201:
            return self._only(self._tree(answer, doing), branch, base, doing)
        if answer.status != 409:
            raise refusal(doing, answer, said=said.words(answer))
        # It is open already: ours from before, or somebody was quicker just now.
        found = self._found(branch, base)
        if found is None or found.state is not PullRequestState.OPEN:
            raise Conflict(doing.subject, doing.what, "it was open, and is not any more")
        return found

    def open_pull_requests(self, base: str) -> tuple[PullRequest, ...] | NotKnown:
        """As the port has it."""
        doing = Doing(f"branch {base}", "list the pull requests into it")
        return _known(lambda: tuple(self._open(None, base, doing)))

    def close_pull_request(self, number: int) -> None:
        """As the port has it."""
        doing = Doing(f"pull request {number}", "close it")
        answer = self._ask("PATCH", f"/pulls/{number}", doing, {"state": "closed"})
        closed = said.pull_request(self._tree(answer, doing), doing)
        if closed.state is not PullRequestState.CLOSED:
            raise Refused(doing.subject, doing.what, f"it is {closed.state}")

    def _found(self, branch: str, base: str) -> PullRequest | None:
        doing = Doing(f"branch {branch}", f"look for its pull request into {base}")
        path = f"/pulls/{quote(base, safe='')}/{quote(branch, safe='')}"
        answer = self._ask("GET", path, doing)
        if answer.status == 404:
            # It says the same of a repository that the token may not see.
            repository = self._tree(self._ask("GET", "", doing), doing)
            said.check_pulls(repository, doing)
            return None
        first = said.pull_request(self._tree(answer, doing), doing)
        if first.state is PullRequestState.OPEN:
            return first
        # Gitea gives one of them, be there several: an open one may be behind one that was closed.
        return next(iter(self._open(branch, base, doing)), first)

    def _only(self, opened: Mapping[str, Any], branch: str, base: str, doing: Doing) -> PullRequest:
        """Returns the oldest of ours that is open; Gitea itself opens several for those who ask at once."""
        poster = said.poster(opened, doing)
        mine = self._open(branch, base, doing, poster=poster)
        if not mine:
            raise Conflict(doing.subject, doing.what, "it was opened, and closed at once")
        for more in mine[1:]:
            closed = self._ask("PATCH", f"/pulls/{more.number}", doing, {"state": "closed"})
            self._tree(closed, doing)
        return mine[0]

    def _open(
        self, branch: str | None, base: str, doing: Doing, *, poster: int | None = None
    ) -> list[PullRequest]:
        """Returns the open pull requests for a branch of this repository, or for all, the oldest first."""
        query = {"state": "open", "base_branch": base}
        items = self._pages("/pulls", query, doing, lambda body: said.items(body, doing))
        mine = [item for item in items if said.is_of(item, branch)]
        found = [i for i in mine if poster is None or said.poster(i, doing) == poster]
        return sorted((said.pull_request(i, doing) for i in found), key=lambda pull: pull.number)

    def _pages(
        self, path: str, query: Mapping[str, str], doing: Doing, read: Callable[[Any], Items]
    ) -> Items:
        """Returns every item of a list, or raises: a list that is cut is no answer."""
        items: Items = []
        for page in range(1, PAGES_MAX + 1):
            asked = urlencode({**query, "page": page, "limit": PAGE_ITEMS})
            answer = self._ask("GET", f"{path}?{asked}", doing)
            found = read(self._json(answer, doing))
            items += found
            total = said.total(answer, doing)
            if len(items) == total:
                return items
            if not found or len(items) > total:
                raise doing.unreachable(f"{len(items)} of {total} were given")
        raise doing.unreachable(f"more than {PAGES_MAX} pages of them are not read")

    def _ask(
        self, method: str, path: str, doing: Doing, body: Mapping[str, Any] | None = None
    ) -> Answer:
        token = read_secret(self.token_file, "token")
        headers = {"Accept": "application/json", "Authorization": f"token {token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        address = Address(self.root.origin, f"{self.root.target}{path}")
        octets = None if body is None else orjson.dumps(body)
        return self._client.request(method, address, doing, headers=headers, body=octets)

    def _json(self, answer: Answer, doing: Doing) -> Any:
        if answer.status not in (200, 201):
            raise refusal(doing, answer, said=said.words(answer))
        return answer.json(doing)

    def _tree(self, answer: Answer, doing: Doing) -> Mapping[str, Any]:
        return said.tree(self._json(answer, doing), doing)


def open_gitea(access: GiteaAccess) -> Gitea:
    """Returns a repository of a Gitea; nothing is asked yet.

    Raises:
        InvalidInput: What `access` names cannot be used.
    """
    address = parse(access.url)
    if isinstance(address, str):
        raise _refused(address)
    origin, path = address.origin, address.target.rstrip("/").removesuffix(".git")
    if origin.scheme == "http" and not origin.is_loopback:
        raise _refused("plain http sends the token in the clear")
    before, _, name = path.rpartition("/")
    before, _, owner = before.rpartition("/")
    if not owner or not name or "?" in path or {"..", "."} & set(path.split("/")):
        raise _refused("it is not the page of a repository, https://host/owner/name")
    client = HttpClient(request_timeout_s=access.timeout_s, ca_file=access.ca_file)
    root = Address(origin, f"{before}/api/v1/repos/{owner}/{name}")
    return Gitea(client, root, access.token_file)


def _refused(why: str) -> InvalidInput:
    fix = "give the repository's page, https://host/owner/name"
    return InvalidInput("forge.url", "this address is refused", why, fix)


def _known(ask: Callable[[], Found]) -> Found | NotKnown:
    try:
        return ask()
    except ReconcilerError as error:
        return not_known(error)
