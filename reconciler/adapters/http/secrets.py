"""Secrets from files, read at every use, that nothing shows."""

from __future__ import annotations

from pathlib import Path

from reconciler.errors import InvalidInput

SECRET_BYTES_MAX = 64 * 1024
"""A token has a few hundred bytes, and a docker config of every registry there is a few thousand."""


def read_secret(path: Path, what: str) -> str:
    """Returns a secret file's text, without white space at its ends.

    Raises:
        InvalidInput: It cannot be read, or holds nothing or what no header can carry.
    """
    text = read_file(path, what).strip()
    if not text or not text.isascii() or not text.isprintable():
        why = "it holds nothing" if not text else "it holds a line break or another character"
        raise InvalidInput(str(path), f"the {what} cannot be used", why, "write the file again")
    return text


def read_file(path: Path, what: str) -> str:
    """Returns a small file's text.

    Raises:
        InvalidInput: It cannot be read, or is no small file of text.
    """
    try:
        with path.open("rb") as file:
            octets = file.read(SECRET_BYTES_MAX + 1)
        text = octets.decode()
    except (OSError, ValueError) as error:
        # A decoding error quotes what it cannot decode.
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is no text"
        raise InvalidInput(str(path), f"the {what} cannot be read", why) from None
    if len(octets) > SECRET_BYTES_MAX:
        why = f"it is over {SECRET_BYTES_MAX} bytes"
        raise InvalidInput(str(path), f"the {what} cannot be read", why)
    return text
