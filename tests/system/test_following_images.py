"""A real registry that the first environment's pin follows, and that then is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registries.distribution import PASSWORD, Distribution, serve_registry
from tests.system import envrepo
from tests.system.simulated import SERVICE, Simulated, simulated

pytestmark = [pytest.mark.git_server, pytest.mark.xdist_group("registry")]

GOOD, NEXT = "1.0.0", "1.1.0"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Distribution]:
    folder = tmp_path / "registry"
    folder.mkdir()
    with serve_registry(folder) as server:
        yield server


@pytest.fixture
def made(registry: Distribution, tmp_path: Path) -> Iterator[Simulated]:
    asked = {"config_file": str(registry.config_file(tmp_path)), "plain_http": True, "poll_s": 1}
    with simulated(tmp_path, settings={"registries": {registry.host: asked}}) as fleet:
        yield fleet


def files(registry: Distribution, version: str, digest: str) -> dict[str, bytes | None]:
    """Returns an env repo whose service comes from the registry, and follows it in dev."""
    ours = envrepo.image_name(SERVICE)
    there = f"{registry.host}/web"
    rules = envrepo.policy().replace(": {", ": {promote: auto, ")
    every = envrepo.env_repo([SERVICE], SERVICE, policy_text=rules)
    pin = envrepo.pin(SERVICE, version, digest)
    pins = {f"environments/{e}/{SERVICE}.yaml": pin.encode() for e in envrepo.ENVIRONMENTS}
    text = {
        path: (octets or b"").replace(ours.encode(), there.encode())
        for path, octets in {**every, **pins}.items()
    }
    service = f"services/{SERVICE}/service.yaml"
    follows = f"image_policy: {{repository: '{there}', semver: '>=1.0 <2'}}\n"
    return {**text, service: text[service] + follows.encode()}


def test_a_tag_that_is_pushed_goes_everywhere_and_a_registry_that_is_gone_moves_nothing(
    made: Simulated, registry: Distribution
) -> None:
    first = registry.push_image("web", [GOOD, "latest"], of="first")
    made.merge(files(registry, GOOD, first), "the env repo")
    made.daemon.start()
    made.wait_proven("prod", GOOD)
    assert made.reverts() == []
    second = registry.push_image("web", [NEXT], of="second")
    registry.push_image("web", ["2.0.0"], of="another")
    made.daemon.until(lambda: made.pinned("dev") == second, "it is pinned in dev")
    made.daemon.kill()
    made.daemon.start()
    made.wait_proven("prod", NEXT)
    assert made.image("prod-2") == second
    assert [one.trailers["Environments"] for one in made.reverts()] == ["prod", "staging", "dev"]
    assert made.reverts()[-1].trailers["Reason"] == "ImagePolicy"
    registry.end()
    made.daemon.until(lambda: made.daemon.reason(SERVICE, "dev") == "RegistryUnknown", "it says so")
    assert made.pinned("dev") == second and len(made.reverts()) == 3
    assert PASSWORD not in made.daemon.log.read_text()
