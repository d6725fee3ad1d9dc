"""Whose signature a commit carries: SSH signatures, against a list in OpenSSH's own format.

Source: ssh-keygen(1), ALLOWED SIGNERS; git's `gpg.ssh.allowedSignersFile`.
"""

from __future__ import annotations

from pathlib import Path

from sshsig import InvalidSignature, check_signature
from sshsig.allowed_signers import AllowedSigner
from sshsig.ssh_public_key import PublicKey

from reconciler.adapters.git.history import MirrorHistory
from reconciler.errors import InvalidInput
from reconciler.model.names import CommitId

NAMESPACE = "git"
"""What git signs for; a signature made for a file or a mail is none of a commit."""

LIST_BYTES_MAX = 1024 * 1024

_FIX = "write `PRINCIPAL ssh-ed25519 KEY` on each line, as for git's gpg.ssh.allowedSignersFile"


class AllowedSigners:
    """The port `Signers`: the file is read at every use, so that a change of it counts at once.

    Args:
        file: In the format of ssh-keygen's allowed signers; Ed25519 and RSA keys.
        history: Where commits are.
    """

    def __init__(self, file: Path, history: MirrorHistory) -> None:
        self._file = file
        self._history = history

    def signer_of(self, commit: CommitId) -> str | None:
        """Returns whose signature a commit carries, or None: nobody's, or of nobody in the list.

        Raises:
            InvalidInput: The list cannot be read, or a line of it says what is not supported.
        """
        keys = self._keys()
        signature, signed = self._history.signature(commit)
        if not signature.startswith(b"-----BEGIN SSH SIGNATURE-----"):
            return None
        try:
            key = check_signature(signed, signature, NAMESPACE)
        except (InvalidSignature, NotImplementedError):
            return None
        except Exception:  # noqa: BLE001  # whatever the library trips over in a forged one: it is none
            return None
        return next((principal for principal, known in keys if known == key), None)

    def _keys(self) -> list[tuple[str, PublicKey]]:
        found = []
        for number, line in enumerate(self._lines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                found.append(_parsed(line.strip()))
            except (ValueError, NotImplementedError, IndexError) as error:
                where = f"{self._file}:{number}"
                raise InvalidInput(where, "this signer is refused", str(error), _FIX) from error
        if not found:
            raise InvalidInput(str(self._file), "nobody may sign", "it names no key", _FIX)
        return found

    def _lines(self) -> list[str]:
        try:
            with self._file.open("rb") as file:
                octets = file.read(LIST_BYTES_MAX + 1)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise InvalidInput(str(self._file), "the signers cannot be read", why) from error
        if len(octets) > LIST_BYTES_MAX:
            why = f"it is over {LIST_BYTES_MAX} bytes"
            raise InvalidInput(str(self._file), "the signers cannot be read", why)
        return octets.decode("utf-8", "replace").splitlines()


def _parsed(line: str) -> tuple[str, PublicKey]:
    """Returns a line's principal and key, or raises: an option that is not kept would let in too many."""
    signer = AllowedSigner.parse(line)
    options = dict(signer.options or {})
    namespaces = options.pop("namespaces", NAMESPACE)
    if NAMESPACE not in namespaces.split(","):
        raise ValueError(f"its namespaces are {namespaces!r}, without {NAMESPACE!r}")
    if options:
        raise NotImplementedError(f"the option {min(options)!r} is not supported")
    return signer.principals, PublicKey.from_openssh_str(f"{signer.key_type} {signer.base64_key}")
