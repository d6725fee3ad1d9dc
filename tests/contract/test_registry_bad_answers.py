"""What a registry's adapter makes of bad answers: nothing is known, in time, and no password is told to anybody."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.registry.client import MANIFESTS, OciRegistry, RegistryAccess
from reconciler.model.answers import NotKnown
from reconciler.model.registry import TagDigest, Tags
from tests.gitservers.certificates import Authority
from tests.hostile import Answering, Bad, HostileServer, says

PATIENT_S, LIMIT_S, SOON_S = 60.0, 0.6, 20.0
"""An answer may take so long where time is not what is tried, and where it is; it must be given up by then."""
PASSWORD = "canary-registry-password"
PAIR = base64.b64encode(f"puller:{PASSWORD}".encode()).decode()

OCI = "application/vnd.oci.image.manifest.v1+json"
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": OCI}).encode()
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer(says(500)) as made:
        yield made


@pytest.fixture
def registry(server: HostileServer, tmp_path: Path) -> OciRegistry:
    return opened(server, tmp_path)


def opened(server: HostileServer, folder: Path, **changes: Any) -> OciRegistry:
    file = folder / "config.json"
    file.write_text(json.dumps({"auths": {server.host: {"auth": PAIR}}}))
    plain = {"plain_http": frozenset({server.host}), "timeout_s": PATIENT_S, "config_file": file}
    return OciRegistry(RegistryAccess(**{**plain, **changes}))


def not_known(server: HostileServer, registry: OciRegistry) -> NotKnown:
    """Returns what both questions are answered with."""
    name = f"{server.host}/team/web"
    both = (registry.digest(name, "1.0.0"), registry.tags(name))
    for found in both:
        assert isinstance(found, NotKnown), found
        assert PASSWORD not in repr(found) and PAIR not in repr(found) and found.message
    assert isinstance(both[1], NotKnown)
    return both[1]


def listed(*tags: str) -> bytes:
    return json.dumps({"name": "team/web", "tags": list(tags)}).encode()


def challenged(value: str) -> Answering:
    return says(401, WWW_Authenticate=value)


WHOLE: dict[str, tuple[Answering, str]] = {
    "a proxy's page": (says(200, b"<html>Sign in</html>", Content_Type="text/html"), "Unreachable"),
    "an error": (says(500, b"oops"), "Unreachable"),
    "no such page, of a proxy": (says(404, b"<html>"), "Unreachable"),
    "it may not": (says(403), "Denied"),
    "nothing at all": (says(200), "Unreachable"),
    "an empty object": (says(200, b"{}"), "Unreachable"),
    "no list": (says(200, b'{"name": "team/web", "tags": {}}'), "Unreachable"),
    "no names": (says(200, b'{"name": "team/web", "tags": [1]}'), "Unreachable"),
    "another's list": (says(200, b'{"name": "team/other", "tags": []}'), "Unreachable"),
    "a link to nowhere": (says(200, listed("a"), Link="<next"), "Unreachable"),
    "a link to another list": (
        says(200, listed("a"), Link='</v2/team/other/tags/list?last=a>; rel="next"'),
        "Unreachable",
    ),
    "a link to itself": (
        says(200, listed("a"), Link='</v2/team/web/tags/list?last=a>; rel="next"'),
        "Unreachable",
    ),
    "a redirect to another host": (says(307, Location="http://192.0.2.1/"), "Refused"),
    "no challenge": (says(401), "Denied"),
    "a challenge of no sense": (challenged("Bearer realm"), "Denied"),
    "another challenge": (challenged('Digest realm="x", nonce="y"'), "Denied"),
    "a password that is wrong": (challenged('Basic realm="x"'), "Denied"),
    "no token service": (challenged('Bearer service="x"'), "Unreachable"),
    "a token service without TLS": (challenged('Bearer realm="http://192.0.2.1/"'), "Denied"),
    "a token service of a file": (challenged('Bearer realm="file:///etc"'), "Unreachable"),
    "a challenge without an end": (challenged('Bearer realm="' + "a" * 20_000), "Denied"),
}


@pytest.mark.parametrize(("answer", "reason"), WHOLE.values(), ids=WHOLE.keys())
def test_a_bad_answer_is_none(
    answer: Answering, reason: str, server: HostileServer, registry: OciRegistry
) -> None:
    server.answer = answer
    assert not_known(server, registry).reason == reason
    assert len(server.requests) <= 6
    assert all("/team/web/" in request for request in server.requests)


def test_who_asks_for_time_is_given_it(server: HostileServer, registry: OciRegistry) -> None:
    server.answer = says(429, Retry_After="7")
    found = not_known(server, registry)
    assert (found.reason, found.retry_after_s) == ("Throttled", 7.0)
    # A HEAD that is refused is not followed by a GET.
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "bad", [Bad.hangs, Bad.drips_head, Bad.drips_body, Bad.breaks_off, Bad.hangs_up, Bad.floods]
)
def test_an_answer_without_an_end_is_given_up(
    bad: Callable[..., None], server: HostileServer, tmp_path: Path
) -> None:
    server.answer = lambda request: bad(Bad(server), request)
    began_s = time.monotonic()
    found = opened(server, tmp_path, timeout_s=LIMIT_S).tags(f"{server.host}/team/web")
    assert isinstance(found, NotKnown) and found.reason == "Unreachable", found
    assert time.monotonic() - began_s < SOON_S


def test_pages_without_an_end_are_read_up_to_a_limit(
    server: HostileServer, registry: OciRegistry
) -> None:
    def another_page(request: BaseHTTPRequestHandler) -> None:
        page = len(server.requests)
        link = f'</v2/team/web/tags/list?last={page}>; rel="next"'
        says(200, listed(f"v{page}"), Link=link)(request)

    server.answer = another_page
    assert isinstance(registry.tags(f"{server.host}/team/web"), NotKnown)
    assert len(server.requests) == 200


def test_a_next_page_is_asked_of_the_registry_itself(
    server: HostileServer, registry: OciRegistry
) -> None:
    link = '<http://192.0.2.1/v2/team/web/tags/list?last=a>; rel="next"'

    def two_pages(request: BaseHTTPRequestHandler) -> None:
        is_first = "last=" not in request.path
        (says(200, listed("a"), Link=link) if is_first else says(200, listed("b")))(request)

    server.answer = two_pages
    name = f"{server.host}/team/web"
    assert registry.tags(name) == Tags(name, ("a", "b"))


def manifest(head: dict[str, str], get: dict[str, str], body: bytes = MANIFEST) -> Answering:
    """Returns an answer to both, each with headers of its own."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        more = head if request.command == "HEAD" else get
        says(200, body, **more)(request)

    return answer


TYPE = {"Content_Type": OCI}


@pytest.mark.parametrize(
    ("answer", "digest"),
    [
        pytest.param(
            manifest({**TYPE, "Docker_Content_Digest": DIGEST}, {}), DIGEST, id="a HEAD says it"
        ),
        pytest.param(
            manifest(TYPE, TYPE), DIGEST, id="a HEAD says nothing, and the body is counted"
        ),
        pytest.param(
            manifest({}, {**TYPE, "Docker_Content_Digest": DIGEST}),
            DIGEST,
            id="the body is as said",
        ),
        pytest.param(
            manifest({}, {**TYPE, "Docker_Content_Digest": f"sha256:{'0' * 64}"}),
            None,
            id="the body is not as said",
        ),
        pytest.param(
            manifest({**TYPE, "Docker_Content_Digest": "sha256:short"}, TYPE),
            DIGEST,
            id="a HEAD says nonsense",
        ),
        pytest.param(
            manifest({"Content_Type": "text/html", "Docker_Content_Digest": DIGEST}, {}),
            None,
            id="a page is no manifest",
        ),
        pytest.param(manifest(TYPE, TYPE, b"[]"), None, id="a list is no manifest"),
        pytest.param(manifest(TYPE, TYPE, b"{}"), None, id="an object is no manifest"),
        pytest.param(manifest(TYPE, TYPE, MANIFEST[:-1]), None, id="half of one is no manifest"),
    ],
)
def test_a_digest_is_what_it_says_it_is(
    answer: Answering, digest: str | None, server: HostileServer, registry: OciRegistry
) -> None:
    server.answer = answer
    name = f"{server.host}/team/web"
    found = registry.digest(name, "1.0.0")
    if digest is None:
        assert isinstance(found, NotKnown)
    else:
        assert found == TagDigest(name, "1.0.0", digest)


def test_what_a_node_would_pull_is_asked_for(server: HostileServer, registry: OciRegistry) -> None:
    accepted = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        accepted.append(request.headers["Accept"])
        says(200, MANIFEST, **TYPE)(request)

    server.answer = answer
    registry.digest(f"{server.host}/team/web", "1.0.0")
    assert accepted == [MANIFESTS, MANIFESTS]


def bearer(server: HostileServer, *, token: str = '{"token": "t-1"}') -> Answering:
    """Returns a registry with a token service on the same host."""
    realm = f'Bearer realm="{server.url}/token?x=1",service="a, b",scope="repository:team/web:pull,push"'

    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.path.startswith("/token"):
            says(200, token.encode())(request)
        elif request.headers.get("Authorization") == "Bearer t-1":
            says(200, listed("1.0.0"))(request)
        else:
            says(401, WWW_Authenticate=realm)(request)

    return answer


def test_a_token_is_fetched_for_one_repository_and_kept(
    server: HostileServer, registry: OciRegistry
) -> None:
    server.answer = bearer(server)
    name = f"{server.host}/team/web"
    for _ in range(2):
        assert registry.tags(name) == Tags(name, ("1.0.0",))
    wanted = "/token?x=1&scope=repository%3Ateam%2Fweb%3Apull&service=a%2C%20b"
    listing = "GET /v2/team/web/tags/list?n=1000"
    assert server.requests == [listing, f"GET {wanted}", listing, listing]
    assert server.credentials == [f"Basic {PAIR}", "Bearer t-1", "Bearer t-1"]


@pytest.mark.parametrize(
    "token",
    ["", "[]", "{}", '{"token": 7}', '{"token": ""}', '{"token": "a\\nb"}', '{"token": "wrong"}'],
)
def test_a_token_that_is_none_lets_nobody_in(
    token: str, server: HostileServer, registry: OciRegistry
) -> None:
    server.answer = bearer(server, token=token)
    assert isinstance(registry.tags(f"{server.host}/team/web"), NotKnown)
    assert len(server.requests) <= 3


def test_a_token_that_runs_out_is_fetched_again(
    server: HostileServer, registry: OciRegistry
) -> None:
    server.answer = bearer(server, token='{"access_token": "t-1", "expires_in": 1}')
    name = f"{server.host}/team/web"
    for _ in range(2):
        assert registry.tags(name) == Tags(name, ("1.0.0",))
    assert sum(request.startswith("GET /token") for request in server.requests) == 2


def test_a_password_is_for_its_registry_alone(server: HostileServer, tmp_path: Path) -> None:
    with HostileServer(challenged('Basic realm="x"')) as other:
        plain = frozenset({server.host, other.host})
        registry = opened(server, tmp_path, plain_http=plain)
        assert isinstance(registry.tags(f"{other.host}/team/web"), NotKnown)
        assert other.credentials == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("canary", id="no JSON"),
        pytest.param('{"auths": []}', id="no mapping"),
        pytest.param('{"auths": {"HOST": "canary"}}', id="no entry"),
        pytest.param('{"auths": {"HOST": {"auth": "canary!"}}}', id="no base64"),
        pytest.param('{"auths": {"HOST": {"auth": "Y2FuYXJ5"}}}', id="no password"),
        pytest.param('{"auths": {"HOST": {"username": "canary"}}}', id="half a pair"),
        pytest.param('{"auths": {"HOST": {"identitytoken": "canary"}}}', id="an identity token"),
    ],
)
def test_a_config_that_cannot_be_used_is_named_and_not_quoted(
    text: str, server: HostileServer, registry: OciRegistry, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(text.replace("HOST", server.host))
    server.answer = challenged('Basic realm="x"')
    found = not_known(server, registry)
    assert found.reason == "InvalidInput" and "config.json" in found.message
    assert "canary" not in found.message.lower() and "Y2Fu" not in found.message


def test_a_config_may_name_a_registry_as_docker_does(
    server: HostileServer, registry: OciRegistry, tmp_path: Path
) -> None:
    server.answer = challenged('Basic realm="x"')
    pair = {"username": "puller", "password": PASSWORD}
    for name in (server.host, f"https://{server.host}", f"https://{server.host}/v1/"):
        (tmp_path / "config.json").write_text(json.dumps({"auths": {name: pair}}))
        not_known(server, registry)
    assert set(server.credentials) == {f"Basic {PAIR}"} and len(server.credentials) == 6


def test_only_who_is_trusted_is_asked(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    certificate = authority.server("server")
    with HostileServer(says(200, listed("a")), certificate=certificate) as server:
        name, none = f"{server.host}/team/web", frozenset[str]()
        trusting = opened(server, tmp_path, plain_http=none, ca_file=authority.ca_file)
        assert trusting.tags(name) == Tags(name, ("a",))
        found = opened(server, tmp_path, plain_http=none).tags(name)
        assert isinstance(found, NotKnown) and found.reason == "Denied"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "HOST/",
        "HOST/Team",
        "HOST/../x",
        "HOST/a//b",
        "HOST/a?b",
        "HOST/a#b",
        "HOST/" + "a" * 300,
        "u:p@HOST/a",
        "HOST/a b",
        "HOST/a\r\nX: y",
        "http://HOST/a",
        "HOST/a:tag",
        "HOST/a@sha256:0",
    ],
)
def test_what_is_no_repository_is_not_asked_for(
    name: str, server: HostileServer, registry: OciRegistry
) -> None:
    found = registry.tags(name.replace("HOST", server.host))
    assert isinstance(found, NotKnown) and found.reason == "InvalidInput"
    assert server.requests == []


@pytest.mark.parametrize("tag", ["", "../x", "a/b", "a b", "-a", "a" * 129, "a\n", "sha256:0"])
def test_what_is_no_tag_is_not_asked_for(
    tag: str, server: HostileServer, registry: OciRegistry
) -> None:
    found = registry.digest(f"{server.host}/team/web", tag)
    assert isinstance(found, NotKnown) and found.reason == "InvalidInput"
    assert server.requests == []
