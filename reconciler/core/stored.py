"""Rendered objects as bytes: their digest, and the chunks that a cluster keeps for a roll-back."""

from __future__ import annotations

import hashlib
import hmac
import json
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from reconciler.errors import InvalidInput
from reconciler.model.names import RenderDigest
from reconciler.model.objects import KubeObject

CHUNK_BYTES_MAX = 900 * 1024
"""A Secret may hold 1 MiB; what is left is for its name, labels and managed fields."""

UNPACKED_BYTES_MAX = 32 * 1024 * 1024
"""Twice what assembly lets through, so that only a damaged or foreign object can be larger."""

_MAGIC = b"reconciler-objects/v1\n"
_DIGEST_BYTES = hashlib.sha256().digest_size
_FIX = "it cannot be put back; a render of the revision from Git can"


def canonical(obj: KubeObject) -> bytes:
    """Returns one object as JSON that is the same for the same content.

    Raises:
        ValueError: It is no JSON: not a number, not text, or nested too deeply.
    """
    try:
        text = json.dumps(
            obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode()
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def render_digest(objects: Iterable[KubeObject], key: bytes) -> RenderDigest:
    """Returns the digest of objects in their order.

    Args:
        objects: Any.
        key: Hides what Secrets hold: digests are shown, and a short password could be guessed from one.
    """
    hashed = hashlib.sha256()
    for obj in objects:
        octets = keyed(canonical(obj), key) if is_secret(obj) else canonical(obj)
        hashed.update(b"%d:%b," % (len(octets), octets))
    return RenderDigest(f"sha256:{hashed.hexdigest()}")


def is_secret(obj: KubeObject) -> bool:
    """Tells whether an object is a Secret."""
    return (obj.get("apiVersion"), obj.get("kind")) == ("v1", "Secret")


def keyed(octets: bytes, key: bytes) -> bytes:
    """Returns a digest of which nothing can be guessed without the key."""
    return hmac.digest(key, octets, "sha256")


def pack(objects: Sequence[KubeObject]) -> tuple[bytes, ...]:
    """Returns objects as compressed chunks, each small enough for one Secret; never none.

    Raises:
        InvalidInput: Together they are larger than `unpack` would take back.
    """
    octets = b"[" + b",".join(canonical(obj) for obj in objects) + b"]"
    if len(octets) > UNPACKED_BYTES_MAX:
        raise InvalidInput(
            "stored objects",
            "they are too large to keep",
            f"{len(octets)} bytes, and {UNPACKED_BYTES_MAX} are allowed",
            "split the service",
        )
    body = zlib.compress(octets)
    whole = _MAGIC + hashlib.sha256(body).digest() + body
    return tuple(
        whole[start : start + CHUNK_BYTES_MAX] for start in range(0, len(whole), CHUNK_BYTES_MAX)
    )


def unpack(chunks: Iterable[bytes]) -> tuple[KubeObject, ...]:
    """Returns the objects that `pack` was given, from all its chunks in their order.

    Raises:
        InvalidInput: A chunk is missing, changed or out of order, or it is nothing of ours.
    """
    whole = b"".join(chunks)
    header, body = whole[: len(_MAGIC) + _DIGEST_BYTES], whole[len(_MAGIC) + _DIGEST_BYTES :]
    if not header.startswith(_MAGIC):
        raise _torn("it does not begin as stored objects do")
    if header.removeprefix(_MAGIC) != hashlib.sha256(body).digest():
        raise _torn("its digest does not fit: a chunk is missing, changed or out of order")
    decompressor = zlib.decompressobj()
    try:
        octets = decompressor.decompress(body, UNPACKED_BYTES_MAX)
        if not decompressor.eof:
            raise _torn(f"it ends too early, or holds more than {UNPACKED_BYTES_MAX} bytes")
        objects: list[dict[str, Any]] = json.loads(octets)
    except (zlib.error, ValueError, RecursionError) as error:
        raise _torn(f"it cannot be read: {type(error).__name__}") from error
    return tuple(objects)


def _torn(why: str) -> InvalidInput:
    return InvalidInput("stored objects", "they cannot be used", why, _FIX)
