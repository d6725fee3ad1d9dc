"""Requests to registries as whoever each of them wants: nobody, a user, or the bearer of its token service's token."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from reconciler.adapters.http.address import Address, parse
from reconciler.adapters.http.answer import Answer, Doing, refusal
from reconciler.adapters.http.client import HttpClient
from reconciler.adapters.registry.challenge import Challenge, read_challenge
from reconciler.adapters.registry.credentials import basic_of
from reconciler.adapters.registry.names import Repository
from reconciler.errors import Denied

TOKEN_S = 60.0
"""How long a token is good whose service does not say. Source: the distribution's token specification."""

TOKEN_S_MAX = 3600.0
"""One that claims to be good for longer is asked for anew each hour: rights may be taken back."""

TOKEN_CHARACTERS_MAX = 16 * 1024
SPARE_S = 10.0
"""A token is given up so long before its end, so that it does not run out on its way."""

KEPT_MAX = 1000
"""Repositories whose tokens are kept; past it they are asked for anew."""


@dataclass(frozen=True, slots=True)
class _Kept:
    header: str = field(repr=False)
    until_s: float


class Authorizing:
    """Safe to use from several threads.

    Args:
        client: Sends.
        config_file: A docker config; None: we are nobody.
    """

    def __init__(self, client: HttpClient, config_file: Path | None) -> None:
        self._client = client
        self._config_file = config_file
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], _Kept] = {}

    def request(
        self,
        method: str,
        repository: Repository,
        target: str,
        doing: Doing,
        *,
        headers: Mapping[str, str],
    ) -> Answer:
        """Sends a request, and again once where the registry first asks who we are."""
        address = Address(repository.origin, target)
        kept = self._header_of(repository)
        known = {"Authorization": kept} if kept else {}
        answer = self._client.request(method, address, doing, headers={**headers, **known})
        if answer.status != 401:
            return answer
        header = self._authorize(repository, answer, doing)
        again = {**headers, "Authorization": header}
        return self._client.request(method, address, doing, headers=again)

    def _authorize(self, repository: Repository, answer: Answer, doing: Doing) -> str:
        challenge = read_challenge(answer.headers.get("WWW-Authenticate", ""))
        basic = basic_of(self._config_file, repository.host) if self._config_file else None
        match challenge:
            case Challenge("basic") if basic is not None:
                # Not kept: the file may change, and it costs nothing to read.
                return self._keep(repository, f"Basic {basic}", 0.0)
            case Challenge("bearer", parameters):
                token, good_s = self._token(repository, parameters, basic, doing)
                return self._keep(repository, f"Bearer {token}", good_s)
            case _:
                fix = (
                    "" if basic else "give it an entry in the docker config that the settings name"
                )
                why = "HTTP 401, and it is not known how to answer"
                raise Denied(doing.subject, doing.what, why, fix)

    def _token(
        self, repository: Repository, parameters: Mapping[str, str], basic: str | None, doing: Doing
    ) -> tuple[str, float]:
        """Returns a token that may pull from one repository, and for how long it is good."""
        realm = _realm(repository, parameters.get("realm", ""), doing)
        query = {"scope": f"repository:{repository.path}:pull"}
        if "service" in parameters:
            query["service"] = parameters["service"]
        joined = "&" if "?" in realm.target else "?"
        address = Address(
            realm.origin, f"{realm.target}{joined}{urlencode(query, quote_via=quote)}"
        )
        headers = {"Accept": "application/json"}
        if basic is not None:
            headers["Authorization"] = f"Basic {basic}"
        asking = Doing(doing.subject, f"{doing.verb}: its token service does not let us in")
        answer = self._client.request("GET", address, asking, headers=headers)
        if answer.status != 200:
            raise refusal(asking, answer)
        body = answer.json(asking)
        token = (body.get("token") or body.get("access_token")) if isinstance(body, dict) else None
        if not _is_token(token):
            raise asking.unreachable("the answer has no token")
        return str(token), _good_s(body.get("expires_in"))

    def _header_of(self, repository: Repository) -> str | None:
        with self._lock:
            kept = self._kept.get((repository.host, repository.path))
        return kept.header if kept is not None and time.monotonic() < kept.until_s else None

    def _keep(self, repository: Repository, header: str, good_s: float) -> str:
        with self._lock:
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            until_s = time.monotonic() + good_s - SPARE_S
            self._kept[repository.host, repository.path] = _Kept(header, until_s)
        return header


def _realm(repository: Repository, realm: str, doing: Doing) -> Address:
    """Returns the token service that a registry names.

    It may be on another host, as Docker Hub's is: what it is sent is that registry's own credential. It is
    asked without TLS only by a registry that is spoken to without TLS, and on the same host.
    """
    address = parse(realm)
    if isinstance(address, str):
        raise doing.unreachable(f"it names a token service that is no use: {address}")
    is_plain_by_word = (
        repository.origin.scheme == "http" and address.origin.host == repository.origin.host
    )
    if address.origin.scheme != "https" and not is_plain_by_word:
        raise Denied(
            doing.subject, doing.what, "its token service would get a credential in the clear"
        )
    return address


def _is_token(token: Any) -> bool:
    return (
        isinstance(token, str)
        and 0 < len(token) <= TOKEN_CHARACTERS_MAX
        and token.isascii()
        and token.isprintable()
    )


def _good_s(expires_in: Any) -> float:
    if isinstance(expires_in, int) and not isinstance(expires_in, bool) and expires_in > 0:
        return min(float(expires_in), TOKEN_S_MAX)
    return TOKEN_S
