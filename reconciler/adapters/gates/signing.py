"""Signatures of what we send, as Standard Webhooks has them, so that any of its libraries can verify them.

Source: https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md, symmetric signatures.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from pathlib import Path

from reconciler.adapters.http.secrets import read_secret
from reconciler.errors import InvalidInput

PREFIX = "whsec_"

KEY_BYTES_MIN, KEY_BYTES_MAX = 24, 64
"""As the specification has it."""


def read_key(path: Path) -> bytes:
    """Returns the key in a secret's file.

    Raises:
        InvalidInput: It cannot be read, or holds no such secret.
    """
    text = read_secret(path, "secret")
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise _refused(path, "it is not base64") from None
    if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise _refused(path, f"it is not of {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes")
    return key


def headers(key: bytes, *, message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """Returns the headers that say who sends a message, and when.

    Args:
        key: Shared with whoever receives it.
        message_id: Told apart by it from every other message.
        at_s: Seconds since 1970, UTC.
        body: What is sent.
    """
    signed = b"%s.%d.%s" % (message_id.encode(), at_s, body)
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _refused(path: Path, why: str) -> InvalidInput:
    fix = f'write the file again, as `echo "{PREFIX}$(openssl rand -base64 32)"` makes it'
    return InvalidInput(str(path), "the secret cannot be used", why, fix)
