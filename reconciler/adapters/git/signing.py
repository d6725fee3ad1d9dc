"""Signs a person's commits with their SSH key, by OpenSSH's own program, as git does.

Source: git-config(1), `gpg.format`, `user.signingKey`, `commit.gpgSign`; ssh-keygen(1), `-Y sign`.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reconciler.adapters.git.local import person_setting
from reconciler.adapters.git.signatures import NAMESPACE
from reconciler.errors import InvalidInput

TIMEOUT_S = 120.0
"""Long enough for a passphrase to be typed, or a key to be touched."""

ERROR_CHARACTERS_MAX = 300

Sign = Callable[[bytes], bytes]
"""Given what a commit says, returns a signature over it."""

_LITERAL = ("key::", "ssh-", "ecdsa-", "sk-")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key to sign commits with.

    Attributes:
        key: A file of the key or of its public half, or a public key itself, whose other half an agent holds.
        is_asked_for: Whether every commit is to be signed, and not only where it must be.
    """

    key: str
    is_asked_for: bool

    def sign(self, octets: bytes) -> bytes:
        """Returns an armored signature.

        Raises:
            InvalidInput: ssh-keygen is not there, or does not sign with it.
        """
        program = shutil.which("ssh-keygen")
        if program is None:
            raise _cannot(self.key, "ssh-keygen is not installed")
        with self._file() as (file, agent):
            command = [program, "-Y", "sign", "-n", NAMESPACE, *agent, "-f", file]
            try:
                done = subprocess.run(
                    command, input=octets, capture_output=True, timeout=TIMEOUT_S, check=False
                )
            except (OSError, ValueError) as error:
                raise _cannot(self.key, str(error)) from error
            except subprocess.TimeoutExpired as error:
                raise _cannot(self.key, f"no answer within {TIMEOUT_S:g} s") from error
        if done.returncode != 0 or not done.stdout:
            said = " ".join(done.stderr.decode("utf-8", "replace").split())
            raise _cannot(self.key, said[-ERROR_CHARACTERS_MAX:] or "ssh-keygen said nothing")
        return done.stdout

    @contextmanager
    def _file(self) -> Iterator[tuple[str, list[str]]]:
        """Yields a file that names the key, and the flags that go with it."""
        if not self.key.startswith(_LITERAL):
            path = Path(self.key).expanduser()
            yield str(path), []
            return
        with tempfile.NamedTemporaryFile("w", prefix="reconciler-", suffix=".pub") as file:
            file.write(self.key.removeprefix("key::") + "\n")
            file.flush()
            yield file.name, ["-U"]


def signing_key(given: str | None) -> SigningKey | None:
    """Returns the key that a person signs with: the one given, or that of their Git config; None: there is none.

    Raises:
        InvalidInput: What is given is empty or a flag.
    """
    if given is not None:
        if not given.strip() or given.startswith("-"):
            raise InvalidInput("--signing-key", "this key is refused", "it names no key")
        return SigningKey(given, is_asked_for=True)
    key = person_setting("user.signingkey")
    if not key or key.startswith("-") or person_setting("gpg.format") != "ssh":
        return None
    wish = (person_setting("commit.gpgsign") or "").casefold()
    return SigningKey(key, is_asked_for=wish in ("true", "yes", "on", "1"))


def _cannot(key: str, why: str) -> InvalidInput:
    what = "the commit cannot be signed"
    return InvalidInput(f"key {key:.100}", what, why, "check user.signingkey, or --signing-key")
