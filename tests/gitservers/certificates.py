"""A test CA and the server certificates it signs, by the `openssl` program."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "IP:127.0.0.1,DNS:localhost"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A server's certificate and key, and the CA file that makes it trusted."""

    certificate_file: Path
    key_file: Path
    ca_file: Path


class Authority:
    """A CA in a folder of its own.

    Args:
        folder: Where its files go.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self.ca_file = folder / "ca.pem"
        self._ca_key = folder / "ca.key"
        self._openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", "/CN=test CA", "-days", "2"),
            *("-keyout", str(self._ca_key), "-out", str(self.ca_file)),
        )

    def server(self, file: str, *, expired: bool = False, name: str = LOOPBACK) -> Certificate:
        """Signs a certificate.

        Args:
            file: Names its files.
            expired: Its last day was years ago.
            name: Whom it is for, as subjectAltName has it.
        """
        request, key = self._folder / f"{file}.csr", self._folder / f"{file}.key"
        certificate = self._folder / f"{file}.pem"
        extensions = self._folder / f"{file}.ext"
        extensions.write_text(f"subjectAltName={name}")
        self._openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", "/CN=localhost", "-keyout", str(key), "-out", str(request)),
        )
        if expired:
            self._sign_in_the_past(request, certificate, extensions)
        else:
            self._openssl(
                *("x509", "-req", "-in", str(request), "-days", "2", "-out", str(certificate)),
                *("-CA", str(self.ca_file), "-CAkey", str(self._ca_key), "-CAcreateserial"),
                *("-extfile", str(extensions)),
            )
        return Certificate(certificate, key, self.ca_file)

    def _sign_in_the_past(self, request: Path, certificate: Path, extensions: Path) -> None:
        # `openssl x509` has no start date in OpenSSL 3.0; `openssl ca` has one, and wants a database.
        (self._folder / "index.txt").touch()
        (self._folder / "serial").write_text("1000\n")
        config = self._folder / "ca.cnf"
        config.write_text(
            "[ca]\ndefault_ca=d\n[p]\ncommonName=supplied\n[d]\ndefault_md=sha256\npolicy=p\n"
            f"database={self._folder}/index.txt\nserial={self._folder}/serial\n"
            f"new_certs_dir={self._folder}\n"
        )
        self._openssl(
            *("ca", "-batch", "-config", str(config), "-in", str(request), "-notext"),
            *("-cert", str(self.ca_file), "-keyfile", str(self._ca_key), "-out", str(certificate)),
            *("-startdate", "20200101000000Z", "-enddate", "20200102000000Z"),
            *("-extfile", str(extensions)),
        )

    def _openssl(self, *arguments: str) -> None:
        run = subprocess.run(["openssl", *arguments], capture_output=True, check=False)
        assert run.returncode == 0, run.stderr.decode(errors="replace")
