"""OpenSSH's own sshd on a loopback port, run as the current user, that serves Git and nothing else."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from getpass import getuser
from pathlib import Path
from typing import Self

from tests.gitservers.hooks import Hooks
from tests.ports import free_port
from tests.system.apt import require

_START_S = 10.0
"""sshd listens within a tenth of a second; a busy machine gets a hundred times that."""

# The forced command of the one key: it runs Git's two services on the one repository. It tells the
# test before refs are told, as `at_info_refs` does over http.
_FORCED = """#!{python} -IS
import os, shlex, socket, sys
service, *rest = shlex.split(os.environ.get("SSH_ORIGINAL_COMMAND", ""))
if service not in ("git-upload-pack", "git-receive-pack"):
    sys.exit("only Git is served here")
with socket.create_connection(("127.0.0.1", {port})) as asked:
    asked.sendall(service.encode() + b"\\n")
    words = asked.makefile().read()
if words != "accept\\n":
    sys.exit(words)
os.environ.update(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null")
os.execvp("git", ["git", service.removeprefix("git-"), {repository!r}])
"""

_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
{host_keys}
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
AuthenticationMethods publickey
StrictModes no
UsePAM no
PermitRootLogin forced-commands-only
AllowTcpForwarding no
X11Forwarding no
PermitTTY no
PermitUserRC no
LogLevel ERROR
"""


class GitSshServer:
    """Serves one bare repository over ssh to the holder of one key.

    Attributes:
        hooks: As over http; `hooks.at_service` is called before refs are told.
        user: The account that a client names.
        key_file: The private key that is let in.
        known_hosts_file: Names this server and its key.

    Args:
        repository: A bare repository.
        folder: Where keys and configuration go.
        more_host_keys: Kinds of keys it has beside its ed25519 one.
    """

    def __init__(
        self, repository: Path, folder: Path, *, more_host_keys: tuple[str, ...] = ()
    ) -> None:
        self._sshd = require("openssh-server", "sshd")
        folder.mkdir(parents=True)
        self._folder = folder
        self._repository = repository
        self.hooks = Hooks(repository)
        self.user = getuser()
        self.key_file = make_key(folder / "client_key")
        self.known_hosts_file = folder / "known_hosts"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._host_keys = [make_key(folder / "host_key")]
        self._host_keys += [make_key(folder / f"host_key_{kind}", kind) for kind in more_host_keys]
        self.known_hosts_file.write_text(self.known_hosts_line(folder / "host_key"))

    @property
    def url(self) -> str:
        """The repository's address."""
        return f"ssh://{self.user}@127.0.0.1:{self.port}{self._repository}"

    def known_hosts_line(self, key_file: Path) -> str:
        """Returns the known_hosts line that gives this server a key."""
        public = key_file.with_suffix(".pub").read_text().split()
        return f"[127.0.0.1]:{self.port} {public[0]} {public[1]}\n"

    def __enter__(self) -> Self:
        self.hooks.__enter__()
        forced = self._folder / "forced"
        forced.write_text(
            _FORCED.format(
                python=sys.executable, port=self.hooks.port, repository=str(self._repository)
            )
        )
        forced.chmod(0o755)
        public = self.key_file.with_suffix(".pub").read_text()
        (self._folder / "authorized_keys").write_text(f'restrict,command="{forced}" {public}')
        config = self._folder / "sshd_config"
        config.write_text(
            _CONFIG.format(
                port=self.port,
                folder=self._folder,
                host_keys="\n".join(f"HostKey {key}" for key in self._host_keys),
            )
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd insists on it as root.
        with (self._folder / "sshd.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(self._sshd), "-D", "-e", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=_START_S)
        self.hooks.__exit__()

    def _wait(self) -> None:
        deadline_s = time.monotonic() + _START_S
        while time.monotonic() < deadline_s:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError((self._folder / "sshd.log").read_text())


def make_key(path: Path, kind: str = "ed25519") -> Path:
    """Makes a key pair without a passphrase and returns the private key's path."""
    program = shutil.which("ssh-keygen") or str(require("openssh-client", "ssh-keygen"))
    subprocess.run([program, "-q", "-t", kind, "-N", "", "-f", str(path)], check=True)
    return path
