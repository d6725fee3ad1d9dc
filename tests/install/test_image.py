"""The image: its steps are run here, and what they make runs as the image says it is run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from reconciler.cli.demo_fleet import DemoFleet
from reconciler.simulated.behaviour import Fate
from tests.install import dockerfile
from tests.install.conftest import Installed
from tests.install.contained import ContainedDaemon, Container
from tests.install.fleet import settings_for
from tests.kernel import require_containers

ROOT = dockerfile.ROOT
LIMIT_S = 120
"""The demo's steps take seconds; the machine may be busy."""

_WRITABLE = """\
import os
found = []
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", *VOLUMES)]
    for path in [folder, *(os.path.join(folder, name) for name in files)]:
        if not os.path.islink(path) and os.access(path, os.W_OK):
            found.append(path)
print(sorted(found))
"""


# What the file says.


def test_each_step_of_the_build_is_one_call_of_a_script_that_is_there() -> None:
    steps = [i for stage in dockerfile.stages() for i in stage if i.name == "RUN"]
    assert steps
    for step in steps:
        assert re.fullmatch(r"docker/[a-z]+\.sh( /[\w/.-]+)*", step.text), step.text
        script = ROOT / step.words()[0]
        assert os.access(script, os.X_OK), script
        assert "\nset -eu\n" in script.read_text(), script


def test_what_is_copied_is_there_and_not_ignored() -> None:
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    for instruction in dockerfile.stages()[0]:
        if instruction.name == "COPY":
            for name in instruction.words()[:-1]:
                assert (ROOT / name).exists(), name
                assert f"!{name.rstrip('/')}" in allowed, name


def test_it_runs_as_a_number_that_is_not_root() -> None:
    uid, gid = dockerfile.user()
    assert uid > 10_000 and gid > 10_000
    copies = [i.words() for i in dockerfile.stages()[-1] if i.name == "COPY"]
    (state,) = [words for words in copies if words[-1] == "/var/lib/reconciler"]
    assert f"--chown={uid}:{gid}" in state


def test_what_was_installed_is_where_it_was_installed_to() -> None:
    built, last = dockerfile.stages()
    (installed,) = [i.words()[1] for i in built if i.text.startswith("docker/install.sh ")]
    copies = [i.words() for i in last if i.name == "COPY"]
    assert ["--from=build", installed, installed] in copies
    assert installed == dockerfile.PREFIX


def test_every_stage_has_the_same_base_so_that_the_prefix_finds_its_python() -> None:
    bases = {stage[0].words()[0] for stage in dockerfile.stages()}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", bases.pop())


def test_nothing_is_installed_beside_the_steps() -> None:
    for stage in dockerfile.stages():
        assert not [i for i in stage if i.name in ("ADD", "SHELL", "ONBUILD")]


def test_an_install_into_a_place_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "docker" / "install.sh", tmp_path, tmp_path], capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"there already" in done.stderr


# What it makes.


@pytest.fixture(name="container")
def fixture_container(installed: Installed) -> Iterator[Container]:
    """A container over the installed prefix, as restricted as the chart asks for."""
    require_containers()
    uid, gid = dockerfile.user()
    root, settings = installed.folder / "root", installed.folder / "settings"
    for folder in (root, settings):
        folder.mkdir()
    shown = {str(folder): folder for folder in (installed.prefix, settings)}
    yield Container(root, shown, tuple(dockerfile.volumes()), uid, gid)
    shutil.rmtree(root)
    shutil.rmtree(settings)


@pytest.mark.slow
@pytest.mark.xdist_group("install")
def test_nothing_can_be_written_to_but_the_volumes(
    container: Container, installed: Installed
) -> None:
    python = str(installed.prefix / "bin" / "python")
    code = _WRITABLE.replace("VOLUMES", repr(container.volumes))
    done = subprocess.run(
        container.command(python, "-c", code),
        env=dockerfile.environment(installed.prefix),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Devices take what is written to them and keep nothing.
    assert done.stdout.strip() == "['/dev/null', '/dev/random', '/dev/urandom', '/dev/zero']"


@pytest.mark.slow
@pytest.mark.xdist_group("install")
def test_the_daemon_does_its_main_job_from_a_root_that_nobody_can_write_to(
    container: Container, installed: Installed
) -> None:
    folder = installed.folder / "settings"
    with DemoFleet() as fleet:
        kubeconfig = folder / "kubeconfig"
        shutil.copyfile(fleet.kubeconfig, kubeconfig)
        kubeconfig.chmod(0o444)
        settings = settings_for(fleet) | {"state_dir": "/var/lib/reconciler"}
        for cluster in settings["clusters"].values():
            cluster["kubeconfig"] = str(kubeconfig)
        program = dockerfile.command(installed.prefix)
        with ContainedDaemon(
            folder,
            container,
            (*program, "--config", str(folder / "settings.yaml")),
            dockerfile.environment(installed.prefix),
            settings,
        ) as daemon:
            daemon.wait_ready()
            status = Path(f"/proc/{daemon.pid}/status").read_text()
            assert re.search(rf"^Uid:(\s+{container.uid}){{4}}$", status, re.MULTILINE), status
            assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
            assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE)
            assert "NoNewPrivs:\t1" in status
            assert httpx.get(f"{daemon.probes_url}/healthz").text == "ok\n"
            # One of these is a kustomization, so that kubectl has run, in a folder of its own.
            for service in ("api", "store", "web", "worker"):
                where = {"service": service, "environment": "prod", "step": "Proven"}
                daemon.until(
                    lambda where=where: daemon.metric("reconciler_promotions_total", **where),  # type: ignore[misc]
                    f"{service} is proven in prod",
                    LIMIT_S,
                )
            fleet.merge("1.10.0", Fate.CRASH, "bad")
            daemon.until(lambda: daemon.logged("RevertPushed"), "the revert is pushed", LIMIT_S)
            (pushed,) = daemon.logged("RevertPushed")
            assert pushed["environment"] == "staging"
            assert daemon.stop() == 0
