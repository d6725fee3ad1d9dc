"""The child process of exchanges: reads a request a line, fetches or pushes, and prints its answer as JSON.

It ends after the first one that brought something, and with the process that started it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
from base64 import b64encode
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.parse import quote

import pygit2
from pygit2.enums import ObjectType
from pygit2.remotes import PushUpdate

from reconciler.adapters.git.access import BRANCH_PREFIX
from reconciler.adapters.git.addresses import RemoteAddress, Transport, parse_address
from reconciler.adapters.git.callbacks import ExchangeCallbacks, read_token
from reconciler.adapters.git.errors import (
    LIBRARY_ERRORS,
    MirrorBroken,
    clean,
    translate,
    translated,
)
from reconciler.adapters.git.exchange import Operation, Request, told
from reconciler.adapters.git.host_keys import HostKeys, read_host_keys
from reconciler.adapters.git.mirror import confine_libgit2, holds, remote_ref
from reconciler.errors import Denied, InvalidInput, ReconcilerError, TransientError
from reconciler.ports.git import PushOutcome

_BRANCHES_SHOWN = 5
"""Branches named in an error; a repo may have thousands."""


class _Moved(Exception):
    """The remote's branch is not where a plain push could start from."""


class Exchange:
    """One exchange over one mirror.

    Args:
        request: What to do.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._address: RemoteAddress = parse_address(request.url)
        self._object = f"repo {self._address.text}"
        self._host_keys = HostKeys(())
        if self._address.transport is Transport.SSH:
            self._host_keys = read_host_keys(
                Path(request.known_hosts_file) if request.known_hosts_file else None
            )
            self._host_keys.write_into(Path(request.home))
        with translated(object=f"mirror {request.mirror}", what="the mirror cannot be opened"):
            self._repo = pygit2.Repository(request.mirror)

    def fetch(self) -> dict[str, Any]:
        """Brings the branch and the daemon's own branches into the mirror; returns the branch's tip."""
        with translated(object=self._object, what="the fetch failed"):
            remote = self._repo.remotes.create_anonymous(self._request.url)
            heads = self._heads(remote)
        wanted = self._wanted(heads)
        have = self._our_refs()
        self._check_held(have)
        if have != wanted:
            with translated(object=self._object, what="the fetch failed"):
                remote.fetch(
                    [f"+{name}:{remote_ref(name)}" for name in wanted], callbacks=self._ask()
                )
                for name in have.keys() - wanted.keys():
                    self._repo.references.delete(remote_ref(name))
        tip = self._our_refs().get(f"refs/heads/{self._request.branch}")
        if tip is None:
            raise TransientError(
                self._object, "the fetch failed", "the branch went away as it was fetched"
            )
        with translated(object=self._object, what="the branch's commit cannot be read"):
            kind, _ = self._repo.odb.read_header(tip)
        if kind != ObjectType.COMMIT:
            raise InvalidInput(
                self._object, "the branch names no commit", f"{tip} is something else"
            )
        return {"commit": tip, "waits": have == wanted}

    def push(self) -> dict[str, Any]:
        """Pushes without force, then asks the remote again what its ref shows."""
        expected: list[str | None] = []

        def before_push(update: PushUpdate) -> None:
            at = None if update.src == pygit2.Oid(hex="0" * 40) else str(update.src)
            expected.append(at)
            if at is None and self._request.must_exist:
                raise _Moved
            if at is not None and not self._contains(self._request.commit, at):
                raise _Moved

        ask = self._ask(before_push)
        failure: Exception | None = None
        try:
            remote = self._repo.remotes.create_anonymous(self._request.url)
            remote.push(
                [f"{self._request.commit}:refs/heads/{self._request.branch}"], callbacks=ask
            )
        except _Moved:
            pass
        except (*LIBRARY_ERRORS, ReconcilerError) as error:
            failure = error
        if not expected and failure is not None:
            raise translate(failure, object=self._object, what="the push failed") from failure
        return self._read_back(expected[0] if expected else None, ask, failure)

    def _read_back(
        self, expected: str | None, ask: ExchangeCallbacks, failure: Exception | None
    ) -> dict[str, Any]:
        with translated(object=self._object, what="the push could not be read back"):
            remote = self._repo.remotes.create_anonymous(self._request.url)
            tip = self._heads(remote).get(f"refs/heads/{self._request.branch}")
            if tip is not None and not holds(self._repo, tip):
                remote.fetch([f"refs/heads/{self._request.branch}"], callbacks=self._ask())
        if tip is not None and self._contains(tip, self._request.commit):
            return _pushed(PushOutcome.LANDED, ask.remote_words)
        if tip != expected or (tip is None and self._request.must_exist):
            return _pushed(
                PushOutcome.MOVED, f"the branch is now at {tip or 'nothing: it is gone'}"
            )
        if tip is not None and not self._contains(self._request.commit, tip):
            return _pushed(PushOutcome.MOVED, f"the branch is at {tip}, which the commit lacks")
        if ask.rejection is not None:
            return _pushed(PushOutcome.REFUSED, ask.remote_words)
        if failure is None:
            return _pushed(PushOutcome.LOST, ask.remote_words)
        error = translate(failure, object=self._object, what="the push broke off")
        if isinstance(error, Denied):
            raise error from failure
        # The server may still be at it: whether the commit lands is not known yet.
        raise TransientError(error.object, error.what, error.why) from failure

    def _ask(self, before_push: Any = None) -> ExchangeCallbacks:
        return ExchangeCallbacks(
            self._request,
            address=self._address,
            host_keys=self._host_keys,
            before_push=before_push,
        )

    def _heads(self, remote: pygit2.Remote) -> dict[str, str]:
        heads = remote.list_heads(callbacks=self._ask())
        return {head.name: str(head.oid) for head in heads if head.name}

    def _wanted(self, heads: dict[str, str]) -> dict[str, str]:
        branches = {name: at for name, at in heads.items() if name.startswith("refs/heads/")}
        ours = f"refs/heads/{self._request.branch}"
        if not branches:
            raise InvalidInput(
                self._object, "the repo is empty", "it has no branch", "push the env repo to it"
            )
        if ours not in branches:
            names = sorted(name.removeprefix("refs/heads/") for name in branches)
            raise InvalidInput(
                self._object,
                f"branch {self._request.branch} is not there",
                f"it has {clean(', '.join(names[:_BRANCHES_SHOWN]))}",
                "set repo.branch, or put the branch back",
            )
        own = f"refs/heads/{BRANCH_PREFIX}"
        return {name: at for name, at in branches.items() if name == ours or name.startswith(own)}

    def _our_refs(self) -> dict[str, str]:
        prefix = remote_ref("refs/heads/")
        return {
            f"refs/heads/{name.removeprefix(prefix)}": str(self._repo.references[name].target)
            for name in self._repo.references
            if name.startswith(prefix)
        }

    def _check_held(self, have: dict[str, str]) -> None:
        """Sees that the mirror holds what its refs name: a remote sends nothing that we say we have."""
        for at in have.values():
            try:
                self._repo.odb.read_header(at)
            except LIBRARY_ERRORS as error:
                what, why = "it cannot be fetched into", f"{at} is missing or garbled"
                raise MirrorBroken(f"mirror {self._request.mirror}", what, why) from error

    def _contains(self, descendant: str, ancestor: str) -> bool:
        if descendant == ancestor:
            return True
        if not (holds(self._repo, ancestor) and holds(self._repo, descendant)):
            return False
        return bool(self._repo.descendant_of(descendant, ancestor))


def main() -> None:
    """Answers requests until one has brought something."""
    requests = _requests()
    waits = True
    while waits:
        request = Request.parse(requests.get().decode())
        answer = _answer(request)
        waits = bool(answer.get("waits"))
        sys.stdout.write(_without_token(json.dumps(answer), request) + "\n")
        sys.stdout.flush()


def _answer(request: Request) -> dict[str, Any]:
    memory = request.memory_bytes_max
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # A core would hold the token.
    confine_libgit2(home=Path(request.home))
    try:
        exchange = Exchange(request)
        match request.operation:
            case Operation.FETCH:
                return exchange.fetch()
            case Operation.PUSH:
                return exchange.push()
    except ReconcilerError as error:
        return told(error)


def _pushed(outcome: PushOutcome, message: str) -> dict[str, Any]:
    return {"outcome": outcome.value, "message": message}


def _requests() -> SimpleQueue[bytes]:
    """Returns what is asked, as it comes; when the asking end is gone, so is this process."""
    requests: SimpleQueue[bytes] = SimpleQueue()
    # Without a buffer: its lock would be held while the process ends.
    asked = open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)  # noqa: SIM115

    def read() -> None:
        while line := asked.readline():
            requests.put(line)
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    return requests


def _without_token(text: str, request: Request) -> str:
    # A remote may print back what it was sent.
    try:
        token = read_token(request.token_file)
    except InvalidInput:
        return text
    if token is None:
        return text
    sent = b64encode(f"{request.username}:{token}".encode()).decode()
    for form in (token, sent, quote(token, safe=""), json.dumps(token)[1:-1]):
        text = text.replace(form, "***")
    return text


if __name__ == "__main__":
    main()
