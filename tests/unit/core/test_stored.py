"""Objects that were stored come back whole, or not at all."""

from __future__ import annotations

import hashlib
import random
import zlib
from typing import Any

import pytest

from reconciler.core import stored
from reconciler.errors import InvalidInput

WEB: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "web", "namespace": "web"},
    "data": {"motd": "grüße ☃ \ud7ff"},
}

KEY = b"k" * 32


def sealed(body: bytes) -> bytes:
    """Returns any body with the header that fits it."""
    return stored._MAGIC + hashlib.sha256(body).digest() + body


def incompressible(size: int) -> list[dict[str, Any]]:
    return [WEB | {"data": {"noise": random.Random(7).randbytes(size // 2).hex()}}]


@pytest.mark.parametrize("objects", [[], [WEB], [WEB, WEB | {"data": {}}]])
def test_what_is_packed_comes_back_as_it_was(objects: list[dict[str, Any]]) -> None:
    assert list(stored.unpack(stored.pack(objects))) == objects


def test_the_same_objects_pack_to_the_same_bytes() -> None:
    other_order = dict(reversed(WEB.items()))
    assert stored.pack([WEB]) == stored.pack([other_order])


def test_much_is_split_into_chunks_that_a_secret_can_hold() -> None:
    objects = incompressible(4_000_000)
    chunks = stored.pack(objects)
    assert len(chunks) > 1
    assert max(map(len, chunks)) <= 900 * 1024
    assert list(stored.unpack(chunks)) == objects
    for damaged in (chunks[1:], chunks[:-1], chunks[::-1], (*chunks, b"x")):
        with pytest.raises(InvalidInput, match=r"digest does not fit|does not begin"):
            stored.unpack(damaged)


@pytest.mark.parametrize(
    ("chunks", "why"),
    [
        pytest.param([], "does not begin", id="no chunk at all"),
        pytest.param([b"{}"], "does not begin", id="something of somebody else's"),
        pytest.param([sealed(b"")], "ends too early", id="an empty body"),
        pytest.param([sealed(zlib.compress(b"[]")[:-2])], "ends too early", id="a cut body"),
        pytest.param([sealed(b"not zlib")], "cannot be read", id="a body that is not compressed"),
        pytest.param([sealed(zlib.compress(b"[" * 99_999))], "RecursionError", id="depth"),
        pytest.param([sealed(zlib.compress(b"\xff"))], "cannot be read", id="not text"),
        pytest.param([sealed(zlib.compress(bytes(40_000_000), 9))], "holds more", id="a bomb"),
    ],
)
def test_what_cannot_be_trusted_is_refused(chunks: list[bytes], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        stored.unpack(chunks)


def test_more_than_could_come_back_is_not_packed() -> None:
    with pytest.raises(InvalidInput, match="too large to keep"):
        stored.pack([WEB | {"data": {"x": "x" * stored.UNPACKED_BYTES_MAX}}])


def test_the_digest_follows_content_and_order_but_not_the_order_of_keys() -> None:
    other = WEB | {"data": {}}
    assert stored.render_digest([WEB], KEY) == stored.render_digest(
        [dict(reversed(WEB.items()))], KEY
    )
    assert stored.render_digest([WEB, other], KEY) != stored.render_digest([other, WEB], KEY)
    assert stored.render_digest([WEB], KEY) != stored.render_digest([], KEY)


@pytest.mark.parametrize("content", [float("nan"), object(), "\ud800", {1: 1, "1": 1}])
def test_what_is_no_json_has_no_canonical_form(content: Any) -> None:
    with pytest.raises(ValueError):
        stored.canonical({"data": content})


def test_a_digest_of_a_secret_says_nothing_without_the_key() -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "data": {"pin": "MQ=="},
    }
    other = {**secret, "data": {"pin": "Mg=="}}
    assert stored.render_digest([secret], KEY) == stored.render_digest([dict(secret)], KEY)
    assert stored.render_digest([secret], KEY) != stored.render_digest([other], KEY)
    assert stored.render_digest([secret], KEY) != stored.render_digest([secret], b"x" * 32)


def test_a_digest_without_secrets_is_the_same_for_every_installation() -> None:
    assert stored.render_digest([WEB], KEY) == stored.render_digest([WEB], b"x" * 32)
