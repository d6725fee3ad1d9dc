"""Freeze, thaw, promote and lift as commits, and the files that they edit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.simulated.behaviour import Fate
from tests.system.documents import check
from tests.system.served import ServedFleet, Told

pytestmark = pytest.mark.xdist_group("verbs")

WEB_IN_PROD = "environments/prod/web.yaml"


@pytest.fixture(scope="module")
def fleet() -> Iterator[ServedFleet]:
    """A fleet on which a release is proven everywhere, and a bad one was rejected in staging."""
    with ServedFleet() as served:
        assert served.settle().code == 0
        served.merge("1.9.0", Fate.CRASH, "bad")
        assert served.settle().code == 0
        yield served


def verb(fleet: ServedFleet, *arguments: str, reason: str = "a sale") -> Told:
    """Runs a verb, whose document keeps to what was promised."""
    told = fleet.cli(*arguments, "--reason", reason, "-o", "json")
    check(arguments[0], told.document)
    return told


def text(fleet: ServedFleet, commit: str, path: str) -> str:
    fleet.log()
    return fleet.git("show", f"{commit}:{path}")


def test_a_scope_is_frozen_and_thawed_and_all_else_stays(fleet: ServedFleet) -> None:
    before = text(fleet, "origin/main", "fleet.yaml")
    told = verb(fleet, "freeze", "environment/prod", "--until", "2099-01-01T00:00:00+01:00")
    assert (told.code, told.document["branch"], told.document["pushed"]) == (0, "main", True)
    assert told.document["paths"] == ["fleet.yaml"]
    line = "  - {scope: environment/prod, until: '2098-12-31T23:00:00Z', reason: a sale}\n"
    now = text(fleet, told.document["commit"], "fleet.yaml")
    assert now == f"{before}freezes:\n{line}"
    row = fleet.log()[-1]
    assert row["subject"] == "Freeze environment/prod"
    for trailer in ("Action: freeze", "Scope: environment/prod", "Environments: prod"):
        assert f"\nReconciler-{trailer}\n" in row["body"]
    again = verb(fleet, "freeze", "environment/prod", "--until", "2098-12-31T23:00:00Z")
    assert (again.code, again.document["commit"]) == (0, None), "it says so already"
    told = verb(fleet, "thaw", "environment/prod", reason="it is over")
    assert (told.code, told.document["pushed"]) == (0, True)
    assert text(fleet, told.document["commit"], "fleet.yaml") == f"{before}freezes: []\n"


@pytest.mark.parametrize(
    ("arguments", "what", "why"),
    [
        (("freeze", "environment/mars"), "it would be broken", "no environment mars"),
        (("freeze", "service/nobody"), "it would be broken", "no service nobody"),
        (("thaw", "fleet"), "nothing is thawed", "no freeze of fleet"),
        (("promote", "web", "dev"), "nothing is promoted", "no environment comes before it"),
        (("promote", "web", "prod", "--to", "9.9"), "nothing is promoted", "'9.9' is proven"),
        (("promote", "nobody", "prod"), "it cannot be changed", "no such pin"),
        (("approve", "web", "prod"), "nothing is approved", "asks for no approval"),
        (("lift", "store"), "it cannot be changed", "no such quarantine"),
        (("lift", "web", "--entry", "ffff"), "nothing is lifted", "stand"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    fleet: ServedFleet, arguments: tuple[str, ...], what: str, why: str
) -> None:
    head = fleet.log()[-1]["commit"]
    told = verb(fleet, *arguments)
    (error,) = told.document["errors"]
    assert (told.code, error["what"]) == (2, what)
    assert why in error["why"]
    assert fleet.log()[-1]["commit"] == head


def test_what_the_environment_before_has_proven_is_promoted(fleet: ServedFleet) -> None:
    before = text(fleet, "origin/main", WEB_IN_PROD)
    old = before.replace("1.8.2", "1.0.0")
    assert old != before
    fleet.change({WEB_IN_PROD: old}, "prod stays behind")
    told = verb(fleet, "promote", "web", "prod", reason="staging had it for a day")
    assert (told.code, told.document["paths"]) == (0, [WEB_IN_PROD])
    now = text(fleet, told.document["commit"], WEB_IN_PROD)
    assert now.replace("'", "").replace('"', "") == before.replace("'", "").replace('"', "")
    again = verb(fleet, "promote", "web", "prod", "--to", "1.8.2")
    assert (again.code, again.document["commit"]) == (0, None)


def test_an_entry_is_lifted_with_the_reason_and_once(fleet: ServedFleet) -> None:
    path = "quarantine/web.yaml"
    told = verb(fleet, "lift", "web", reason="it was\nthe disk")
    assert (told.code, told.document["paths"]) == (0, [path])
    assert text(fleet, told.document["commit"], path).count("lifted: it was the disk\n") == 1
    told = verb(fleet, "lift", "web", reason="again")
    assert (told.code, told.document["errors"][0]["why"]) == (2, "none of its entries stands")
