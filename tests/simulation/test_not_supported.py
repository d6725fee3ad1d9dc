"""What this version only parses is a fault for `validate` and holds its user in the daemon: never silence."""

from __future__ import annotations

import pytest

from reconciler.adapters.render.builder import ServiceBuilder
from reconciler.model.reasons import Reason
from reconciler.schema.files import (
    EnvironmentPolicyFile,
    PinFile,
    ServiceFile,
)
from reconciler.schema.snapshot import read_all
from reconciler.shell.runner import VirtualClock
from reconciler.shell.trial import Trial
from tests.fakes.memory_git import MemoryGit
from tests.fakes.world import CLUSTERS, POLICY, SERVICE, World, env_repo, pin, pins

PIN = "environments/staging/web.yaml"
LINE = POLICY.replace("DRIFT", "report")
STAGING_RULES = "  staging: {soak_s: 5,"
EVERYWHERE = frozenset(CLUSTERS)
STAGING = frozenset({"staging"})

Case = tuple[str, str, str, frozenset[str]]
"""Path, its text, the field that is named, and where it holds."""


def cases() -> list[Case]:
    found: list[Case] = [
        ("services/web/service.yaml", SERVICE.replace("manifests", "helm"), "source", EVERYWHERE),
    ]
    # A field that stands there with nothing is in use, too.
    found.append(("services/web/service.yaml", SERVICE + "formerly:\n", "formerly", EVERYWHERE))
    found.append((PIN, pin("1.0.0") + "promote: null\n", "promote", STAGING))
    empty = LINE.replace(STAGING_RULES, f"{STAGING_RULES} checks: ,")
    found.append(("policies/line.yaml", empty, "environments.staging.checks", STAGING))
    for field in ServiceFile.LATER:
        text = f"{SERVICE}{field}: {{a: 1}}\n"
        found.append(("services/web/service.yaml", text, field, EVERYWHERE))
    for field in PinFile.LATER:
        found.append((PIN, f"{pin('1.0.0')}{field}: {{a: 1}}\n", field, STAGING))
    for field in EnvironmentPolicyFile.LATER:
        text = LINE.replace(STAGING_RULES, f"{STAGING_RULES} {field}: [dev],")
        found.append(("policies/line.yaml", text, f"environments.staging.{field}", STAGING))
    return found


IDS = [f"{n} {path.partition('/')[0]}-{field}" for n, (path, _, field, _) in enumerate(cases())]


def test_every_field_that_is_only_parsed_has_its_case() -> None:
    named = {field for _, _, field, _ in cases()}
    promised = {"checks"}
    assert {f"environments.staging.{field}" for field in promised} <= named
    assert {"formerly", "promote", "source", "checks"} <= named


@pytest.mark.parametrize(("path", "text", "field", "where"), cases(), ids=IDS)
def test_it_is_a_fault_at_its_place(
    path: str, text: str, field: str, where: frozenset[str]
) -> None:
    git = MemoryGit(VirtualClock())
    commit = git.merge({**env_repo(), **pins("1.0.0"), path: text})
    reading = read_all(git, commit)
    assert [(f.path, f.code, f.field) for f in reading.faults] == [(path, "NotSupported", field)]
    (fault,) = reading.faults
    assert fault.line > 0 and fault.column > 0
    # It is told once, and not again as something that does not render.
    assert Trial(git, reading, ServiceBuilder(), VirtualClock(), "").faults() == []


@pytest.mark.parametrize(("path", "text", "field", "where"), cases(), ids=IDS)
def test_it_holds_whoever_uses_it_and_nobody_else(
    path: str, text: str, field: str, where: frozenset[str]
) -> None:
    world = World()
    world.git.merge({**pins("1.0.0"), path: text})
    settled = EVERYWHERE - where if "dev" not in where else frozenset()
    assert world.until(lambda: world.proven("dev", "1.0.0") or not settled, 30)
    world.pass_(10)
    view = world.engine.view
    assert view is not None
    planned = view.services[next(iter(view.services))]
    for environment in where:
        cell = next(c for c in planned.facts.cells if c.environment == environment)
        (hold,) = planned.of(cell.environment)
        assert hold.reason is Reason.NOT_SUPPORTED, environment
        assert field.rpartition(".")[2].partition("[")[0] in hold.message
        for cluster in CLUSTERS[environment]:
            assert world.image(cluster) is None, "nothing was written there"


def test_what_runs_is_left_alone_when_a_field_comes_to_be_used() -> None:
    world = World()
    world.git.merge(pins("1.0.0"))
    assert world.until(lambda: world.proven("prod", "1.0.0"))
    runs = {name: world.image(name) for names in CLUSTERS.values() for name in names}
    world.git.merge({**pins("2.0.0"), PIN: pin("2.0.0") + "promote: null\n"})
    assert world.until(lambda: world.proven("dev", "2.0.0"))
    world.pass_(20)
    for name in ("staging-1", *CLUSTERS["prod"]):
        assert world.image(name) == runs[name]
