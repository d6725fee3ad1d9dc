"""A program that a test needs is found, installed, or named: then the test is skipped, and in CI it fails."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from tests import kernel
from tests.system import apt

APT = """\
#!/bin/sh
PATH=/usr/bin:/bin
echo "$@" >> "{calls}"
case "$*" in *install*sshd-package) printf '#!/bin/sh\\n' > "{bin}/sshd"; chmod +x "{bin}/sshd" ;; esac
"""
"""An apt that has one package, and writes down what it was asked for."""

ENDED = (pytest.skip.Exception, pytest.fail.Exception)
"""Both are caught: a skip that is not would skip the test that looks for a failure."""

ENDS = pytest.mark.parametrize(
    ("ci", "ended"),
    [
        pytest.param("", pytest.skip.Exception, id="it skips"),
        pytest.param("true", pytest.fail.Exception, id="in CI it fails"),
    ],
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any program; returns where it looks for them."""
    made = tmp_path / "bin"
    made.mkdir()
    monkeypatch.setenv("PATH", str(made))
    for module in (apt, kernel):
        monkeypatch.setattr(module, "SYSTEM_PATH", str(made))
    monkeypatch.setattr(apt, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return made


def put(folder: Path, name: str, text: str = "#!/bin/sh\n") -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def put_apt(folder: Path) -> Path:
    """Gives the machine an apt; returns the file with what it was asked for."""
    calls = folder.parent / "calls"
    calls.touch()
    put(folder, "apt-get", APT.format(bin=folder, calls=calls))
    return calls


def be(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)


def test_a_program_that_is_there_is_used_and_nothing_installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    be(monkeypatch, 0)
    calls = put_apt(folder)
    put(folder, "sshd")
    assert apt.require("sshd-package", "sshd") == folder / "sshd"
    assert calls.read_text() == ""


def test_root_installs_what_is_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, 0)
    calls = put_apt(folder)
    assert apt.require("sshd-package", "sshd") == folder / "sshd"
    assert calls.read_text().splitlines() == [
        "-qq update",
        "-qq install -y --no-install-recommends sshd-package",
    ]


@ENDS
def test_an_apt_that_hangs_is_given_up_and_what_is_missing_is_named(
    ci: str, ended: type[BaseException], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(apt, "APT_TIMEOUT_S", 0.1)
    be(monkeypatch, 0)
    put(folder, "apt-get", "#!/bin/sh\nexec /bin/sleep 60\n")
    with pytest.raises(ENDED, match=r"^nginx is missing: install the package nginx-light$") as told:
        apt.require("nginx-light", "nginx")
    assert told.type is ended


@ENDS
@pytest.mark.parametrize(
    ("uid", "has_apt"),
    [
        pytest.param(1000, True, id="not root"),
        pytest.param(0, False, id="no apt"),
        pytest.param(0, True, id="no such package"),
    ],
)
def test_what_cannot_be_installed_is_named_with_its_package(
    uid: int,
    has_apt: bool,
    ci: str,
    ended: type[BaseException],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CI", ci)
    be(monkeypatch, uid)
    calls = put_apt(folder) if has_apt else None
    with pytest.raises(ENDED, match=r"^nginx is missing: install the package nginx-light$") as told:
        apt.require("nginx-light", "nginx")
    assert told.type is ended
    if calls is not None:
        assert bool(calls.read_text()) == (uid == 0), "apt is asked by root alone"


@ENDS
@pytest.mark.parametrize(
    ("missing", "uid", "unshares", "why"),
    [
        pytest.param(("chroot", "mount"), 0, True, "chroot, mount is missing", id="no programs"),
        pytest.param((), 1000, True, "can be made by root alone", id="not root"),
        pytest.param((), 0, False, "the kernel makes no mount namespace", id="no namespaces"),
    ],
)
def test_where_no_container_can_be_made_it_is_said_why(
    missing: tuple[str, ...],
    uid: int,
    unshares: bool,
    why: str,
    ci: str,
    ended: type[BaseException],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CI", ci)
    be(monkeypatch, uid)
    put_namespaces(folder, missing, unshares=unshares)
    with pytest.raises(ENDED, match=why) as told:
        kernel.require_containers()
    assert told.type is ended


def test_where_a_container_can_be_made_nothing_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    be(monkeypatch, 0)
    put_namespaces(folder, (), unshares=True)
    kernel.require_containers()


def put_namespaces(folder: Path, missing: tuple[str, ...], *, unshares: bool) -> None:
    """Gives the machine what makes containers, but for some programs."""
    for name in {"unshare", "setpriv", "chroot", "mount"} - set(missing):
        put(folder, name, "#!/bin/sh\n" if unshares else "#!/bin/sh\nexit 1\n")
