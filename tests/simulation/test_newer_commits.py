"""Merges that come faster than a soak, in virtual time: who is given what, and that nobody starves on a train."""

from __future__ import annotations

import pytest

from tests.fakes.world import POLICY, World, image, pins

EVERY_S = 3.0
"""Shorter than any soak of the world's policy, which is 5 s."""

MERGES = 60


def world(newer: str) -> World:
    made = World()
    policy = POLICY.replace("DRIFT", "report") + f"newer_commits: {newer}\n"
    made.git.merge({"policies/line.yaml": policy, **pins("1.0.0")})
    assert made.until(lambda: made.proven("prod", "1.0.0"))
    return made


def pushed(made: World) -> None:
    """Merges a release for every environment again and again."""
    for number in range(MERGES):
        made.git.merge(pins(f"2.0.{number}"))
        made.pass_(EVERY_S)


def given(made: World, cluster: str) -> list[str]:
    """Returns the versions that a cluster was given, in order, since the first."""
    found: list[str] = []
    by_image = {image(f"2.0.{n}"): f"2.0.{n}" for n in range(MERGES)}
    for written in made.clusters[cluster].audit:
        if written.kind == "Deployment" and written.verb == "apply":
            container = written.obj["spec"]["template"]["spec"]["containers"][0]
            version = by_image.get(container["image"])
            if version is not None and version not in found[-1:]:
                found.append(version)
    return found


@pytest.mark.parametrize(
    ("newer", "are_served"),
    [
        pytest.param("supersede", set(), id="supersede: nobody proves anything"),
        pytest.param("queue", {"dev"}, id="queue: the first does, and the others starve"),
        pytest.param("{stale_s: 20}", {"dev", "staging", "prod"}, id="a train: all are served"),
    ],
)
def test_while_merges_come_faster_than_a_soak(newer: str, are_served: set[str]) -> None:
    made = world(newer)
    pushed(made)
    served = set()
    for environment in ("dev", "staging", "prod"):
        record = made.record(environment)
        assert record is not None
        if any(p.revision.release.version.startswith("2.") for p in record.proofs):
            served.add(environment)
    assert served == are_served
    # Whatever went where, it went forward, and through what comes before.
    for cluster in ("dev-1", "staging-1", "prod-1", "prod-2", "prod-3"):
        numbers = [int(v.rpartition(".")[2]) for v in given(made, cluster)]
        assert numbers == sorted(numbers)
    assert set(given(made, "prod-1")) <= set(given(made, "staging-1")) <= set(given(made, "dev-1"))
    # Once nobody merges, all come to the last.
    assert made.until(lambda: made.proven("prod", f"2.0.{MERGES - 1}"), 300)


def test_a_train_takes_what_is_merged_by_itself_at_once() -> None:
    made = world("{stale_s: 20}")
    made.git.merge(pins("2.0.0"))
    assert made.until(lambda: made.image("dev-1") == image("2.0.0"), 10)
    made.git.merge(pins("2.0.1"))
    assert made.until(lambda: made.image("dev-1") == image("2.0.1"), 10)


def test_what_waits_in_a_queue_goes_once_the_one_before_it_is_proven() -> None:
    made = world("queue")
    made.git.merge(pins("2.0.0"))
    assert made.until(lambda: made.image("dev-1") == image("2.0.0"), 10)
    made.git.merge(pins("2.0.1"))
    assert made.until(lambda: made.proven("dev", "2.0.0"))
    assert made.image("dev-1") == image("2.0.0")
    assert made.until(lambda: made.image("dev-1") == image("2.0.1"), 10)


def test_a_person_who_goes_back_waits_in_no_queue() -> None:
    made = world("queue")
    made.git.merge(pins("2.0.0"))
    assert made.until(lambda: made.image("dev-1") == image("2.0.0"), 10)
    made.git.merge(pins("1.0.0"))
    assert made.until(lambda: made.image("dev-1") == image("1.0.0"), 4)
