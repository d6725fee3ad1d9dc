"""What people do to a fleet, on real clusters: nothing that is bad comes back, nothing is deleted, and it says why.

The row *people*: a bad pull request merged twice, its release pinned again, its revert merged by hand while ours is on
its way; an environment and a cluster taken out and put in while it rolls out, a service renamed; two services that
depend on each other, and everything changed in one commit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.fleet import Fleet, fleet, holds_for
from tests.conftest import CRASHES_IN_STAGING
from tests.controlplane.cluster import ControlPlane
from tests.gitservers.hooks import Hooks
from tests.system import envrepo
from tests.system.envrepo import digest

GOOD, BAD, NEXT, LAST = "1.0.0", "1.1.0", "1.2.0", "1.3.0"
QUIET_S = 3.0
QUICK = envrepo.policy(soak_s=0.5)
WITHOUT_PROD = "path: [dev, staging]\n" + "".join(QUICK.partition("\n")[2].splitlines(True)[:-1])
FLEET = envrepo.fleet()


@pytest.fixture
def made(planes: dict[str, ControlPlane], tmp_path: Path) -> Iterator[Fleet]:
    with fleet(planes, tmp_path) as it:
        yield it


def test_what_is_bad_does_not_come_back_however_often_it_is_merged(made: Fleet) -> None:
    made.start_with(GOOD, QUICK)
    daemon, good, bad = made.daemon, digest(GOOD), digest(BAD, marker=CRASHES_IN_STAGING)
    pins = made.pins(BAD, marker=CRASHES_IN_STAGING)
    made.merge(pins, "release 1.1.0")
    daemon.until(made.reverts, "the revert is on the branch")
    (revert,) = made.reverts()
    # The same pull request, once more; and after that its release for prod alone.
    for again in (pins, {pin_of(made, "prod"): pins[pin_of(made, "prod")]}):
        made.merge({pin_of(made, "prod"): made.pins(GOOD)[pin_of(made, "prod")]}, "prod as it was")
        merged = made.merge(again, "release 1.1.0, again")
        daemon.until(lambda c=merged: followed(made) == c, "it is followed")  # type: ignore[misc]
        daemon.until(lambda: phase(made, "prod") == "Rejected", "it is held")
        holds_for(QUIET_S, lambda: made.image("staging-1") == good)
        assert [one.commit for one in made.reverts()] == [revert.commit], "it is held, not reverted"
        assert made.pinned("prod") == bad, "a person's pin stays"
    for cluster in ("prod-1", "prod-2"):
        assert bad not in json.dumps(made.writes(cluster))

    # A person is quicker: their own revert is on the branch as ours arrives.
    other = "1.1.1"
    worse = made.pins(other, marker=CRASHES_IN_STAGING)
    by_hand: list[str] = []

    def once() -> None:
        if not by_hand:
            back = {path: text for path, text in made.pins(GOOD).items() if "/dev/" not in path}
            by_hand.append(made.merge(back, "Revert by hand"))

    with Hooks(made.served.repository.path) as hooks:
        hooks.pre_receive = once
        since = made.merge(worse, "release 1.1.1")
        daemon.until(lambda: made.made_since(since), "ours is on the branch")
    (ours,) = made.made_since(since)
    assert by_hand and ours.trailers["Action"] == "quarantine"
    changed = made.served.repository.git("show", "--format=", "--name-only", ours.commit).split()
    assert changed == [f"quarantine/{made.service}.yaml"], "their pins are left alone"
    daemon.until(lambda: made.runs("staging-1", good), "staging is back")
    assert made.pinned("staging") == made.pinned("prod") == good


def test_an_environment_a_cluster_and_a_service_that_go_while_it_rolls_out_lose_nothing(
    made: Fleet,
) -> None:
    made.start_with(GOOD, QUICK)
    daemon, planes = made.daemon, made.planes
    planes["prod-1"].freeze_pods()
    try:
        made.merge(made.pins(NEXT), "release 1.2.0")
        daemon.until(lambda: made.image("prod-1") == digest(NEXT), "the first wave has it")
        uids = {name: uid(made, name) for name in planes}
        # The whole environment is taken out, and put back.
        head = made.merge(
            {
                "fleet.yaml": FLEET.partition("  - name: prod\n")[0].encode(),
                "policies/line.yaml": WITHOUT_PROD.encode(),
            },
            "No prod any more",
        )
        daemon.until(lambda: followed(made) == head, "it is followed")
        daemon.until(lambda: phase(made, "prod") == "Orphaned", "it is told")
        holds_for(QUIET_S, lambda: made.image("prod-2") == digest(GOOD))
        made.merge({"fleet.yaml": FLEET.encode(), "policies/line.yaml": QUICK.encode()}, "Prod")
        # In the middle of the wave the cluster of the next one goes, and comes back as one that joins.
        gone = FLEET.replace("[{name: prod-1}, {name: prod-2}]", "[{name: prod-1}]")
        rules = QUICK.replace("[[prod-1], [prod-2]]", "[[prod-1]]")
        head = made.merge({"fleet.yaml": gone.encode(), "policies/line.yaml": rules.encode()}, "-2")
        daemon.until(lambda: followed(made) == head, "it is followed")
        holds_for(QUIET_S, lambda: made.image("prod-2") == digest(GOOD))
        joins = FLEET.replace("{name: prod-2}", "{name: prod-2, state: joining}")
        both = {"fleet.yaml": joins.encode(), "policies/line.yaml": QUICK.encode()}
        head = made.merge(both, "prod-2 joins")
        daemon.until(lambda: followed(made) == head, "it is followed")
        holds_for(QUIET_S, lambda: made.image("prod-2") == digest(GOOD))
    finally:
        planes["prod-1"].thaw_pods()
    daemon.until(lambda: made.runs("prod-1", digest(NEXT)), "the wave goes on")
    made.merge({"fleet.yaml": FLEET.encode()}, "As it was")
    made.wait_proven("prod", NEXT)
    daemon.until(lambda: made.runs("prod-2", digest(NEXT)), "the one that came back has it")

    # Renamed without a word: what runs stays, under whose name it was; the new name takes nothing over.
    renamed = rename(made, f"{made.service}-2")
    head = made.merge(renamed, "Another name")
    daemon.until(lambda: followed(made) == head, "it is followed")
    daemon.until(lambda: phase(made, "prod") == "Orphaned", "the old name is told")
    daemon.until(
        lambda: daemon.reason(f"{made.service}-2", "dev") not in (None, "Rendering"), "the new too"
    )
    holds_for(QUIET_S, lambda: all(made.runs(name, digest(NEXT)) for name in planes))
    assert {name: uid(made, name) for name in planes} == uids
    assert made.reverts() == []


def test_services_that_wait_for_each_other_and_everything_in_one_commit(made: Fleet) -> None:
    other = f"{made.service}-2"
    both = (made.service, other)
    files = envrepo.env_repo(both, made.name, policy_text=QUICK)
    made.merge({**files, **pins(both, GOOD)}, "the env repo")
    daemon = made.daemon
    daemon.start()
    daemon.until(lambda: all_proven(daemon, both, GOOD), "both are proven")

    # Each waits for the other: neither moves, each says so, and what runs goes on.
    depends = {
        f"services/{one}/service.yaml": f"{envrepo.service(made.name)}depends_on: [{two}]\n".encode()
        for one, two in (both, both[::-1])
    }
    head = made.merge({**depends, **pins(both, NEXT)}, "They need each other")
    daemon.until(lambda: followed(made) == head, "it is followed")
    for one in both:
        daemon.until(lambda s=one: daemon.reason(s, "dev") == "InvalidService", "it is told")  # type: ignore[misc]
        cell = daemon.cell(one, "dev")
        assert cell is not None and "services wait for each other" in cell["message"]
    holds_for(QUIET_S, lambda: made.image("dev-1") == digest(GOOD))

    # All at once: the fleet, the rules, both services, and every pin; it goes in order, as any release.
    every = {
        "fleet.yaml": FLEET.replace("{name: prod-1}", "{name: prod-1, labels: {tier: one}}"),
        "policies/line.yaml": envrepo.policy(soak_s=0.6, watch_for_s=300),
        **{f"services/{one}/service.yaml": envrepo.service(made.name) for one in both},
        **{f"services/{one}/{one}.yaml": envrepo.manifests(one, replicas=1) for one in both},
    }
    octets = {path: text.encode() for path, text in every.items()}
    made.merge({**octets, **pins(both, LAST)}, "Everything")
    daemon.until(lambda: all_proven(daemon, both, LAST), "both are proven")
    admitted = daemon.logged("Admitted", service=other, version=LAST)
    assert [entry["environment"] for entry in admitted] == ["dev", "staging", "prod"]
    assert made.reverts() == []


def pin_of(made: Fleet, environment: str) -> str:
    return f"environments/{environment}/{made.service}.yaml"


def followed(made: Fleet) -> str | None:
    """Returns the commit that is followed."""
    found = made.daemon.status()["head"]["accepted"]
    return None if found is None else str(found)


def phase(made: Fleet, environment: str) -> str | None:
    cell = made.daemon.cell(made.service, environment)
    return None if cell is None else str(cell["phase"])


def uid(made: Fleet, cluster: str) -> str:
    """Returns which Deployment it is that runs: one of its name that was made anew is another."""
    found = made.deployment(cluster)
    assert found is not None
    return str(found["metadata"]["uid"])


def rename(made: Fleet, name: str) -> dict[str, bytes | None]:
    """Returns what a person changes who calls a service by another name, and its objects as before."""
    read, was = made.served.repository.read, made.service
    moved = {
        f"services/{was}/service.yaml": f"services/{name}/service.yaml",
        f"services/{was}/{was}.yaml": f"services/{name}/{was}.yaml",
        **{pin_of(made, e): f"environments/{e}/{name}.yaml" for e in envrepo.ENVIRONMENTS},
    }
    new = {to: read(path).encode() for path, to in moved.items()}
    return {**dict.fromkeys(moved), **new}


def pins(services: tuple[str, ...], version: str) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    for service in services:
        found |= envrepo.pins(service, version)
    return found


def all_proven(daemon: Any, services: tuple[str, ...], version: str) -> bool:
    return all(
        daemon.is_proven(service, environment, version)
        for service in services
        for environment in envrepo.ENVIRONMENTS
    )
