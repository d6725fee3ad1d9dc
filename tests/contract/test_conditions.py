"""Conditions by the fake and by the real process: the same answers, and an end to whatever would not end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.cel.conditions import FACTS_BYTES_MAX, CelConditions
from reconciler.adapters.cel.worker import MEMORY_BYTES_MAX
from reconciler.core.condition_facts import condition_facts
from reconciler.model.answers import NotKnown
from reconciler.model.fleet import Cluster, ClusterState
from reconciler.model.names import ClusterName
from reconciler.model.outside import ConditionQuestion
from reconciler.model.release import Values
from reconciler.ports.conditions import Conditions
from reconciler.schema.conditions import VARIABLES, condition_fault
from tests.fakes.facts import AWAY, PROD, V1, V2, WEB, ask, cell, record
from tests.fakes.memory_conditions import MemoryConditions
from tests.fakes.records import revision

ROOT = Path(__file__).resolve().parents[2]

SOON_S = 20.0
"""Limits are seconds; whatever comes later than this was not ended by them."""

NOW = datetime(2026, 3, 6, 17, 30, 59, tzinfo=UTC)
"""A Friday."""

CLUSTERS = tuple(
    Cluster(ClusterName(f"prod-{number}"), PROD, (("tier", tier),), ClusterState.ACTIVE)
    for number, tier in ((1, "canary"), (2, "rest"), (3, "rest"))
)


@pytest.fixture(scope="module", params=["memory", "process"])
def conditions(request: pytest.FixtureRequest) -> Iterator[Conditions]:
    yield MemoryConditions() if request.param == "memory" else CelConditions(evaluate_s=SOON_S)


def facts(**changes: Any) -> str:
    """Returns the facts of version 2 before prod, one of whose clusters is away."""
    values = Values.of({"replicas": 3, "beta": True, "share": 0.5, "nothing": None})
    here = cell(PROD, record(PROD, V1), ask(V2, PROD), members={"prod-3": AWAY})
    told = condition_facts(WEB, here, revision("2.0.0", values=values), CLUSTERS, NOW)
    return json.dumps({**json.loads(told), **changes}, sort_keys=True)


FACTS = facts()


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ('service == "web" && environment == "prod"', True),
        ('version == "2.0.0" && admitted == "1.0.0"', True),
        ('version.startsWith("1.")', False),
        ('"registry.example.com/web" in images', True),
        ("unpinned", True),
        ("values.replicas == 3 && values.share < 1.0 && values.beta == true", True),
        ("has(values.canary)", False),
        ("values.nothing == null", True),
        ('now.getDayOfWeek("Europe/Berlin") == 5 && now.getHours("Europe/Berlin") == 18', True),
        ("now.getSeconds() == 0", True),
        ('now < timestamp("2026-03-06T17:31:00Z")', True),
        ("clusters.size() == 3", True),
        ('clusters.all(c, c.health == "Current")', False),
        ('clusters.exists(c, c.health == "Unknown" && c.name == "prod-3")', True),
        ("clusters.filter(c, c.reachable == true).size() == 2", True),
        ('clusters.exists_one(c, c.labels.tier == "canary")', True),
        ('clusters.all(c, c.state == "active" && c.drift == 0)', True),
        ('clusters.filter(c, c.version == "1.0.0").size() == 2', True),
        ('matches(version, "^[0-9.]+$")', True),
    ],
)
def test_a_condition_looks_at_the_facts(
    expression: str, answer: object, conditions: Conditions
) -> None:
    assert condition_fault(expression) == ""
    assert conditions.holds(ConditionQuestion(expression, FACTS)) is answer
    assert conditions.holds(ConditionQuestion(expression, FACTS)) is answer


def test_every_fact_is_a_variable_and_every_variable_is_a_fact() -> None:
    assert set(json.loads(FACTS)) == set(VARIABLES)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ('values.canary == "yes"', "canary"),
        ("1 / (clusters.size() - 3) == 1", "divide by zero"),
        ("clusters[7].drift == 0", "index=7"),
        ('now.getHours("Mars") < 12', "Invalid timezone"),
        ('version.matches("(") || false', "regular expression"),
        ("clusters.all(a, clusters[0].nothing == 1)", "nothing"),
        ("values.beta", "it comes to"),
        ("9223372036854775807 + values.replicas > 0", "integer overflow"),
    ],
)
def test_what_comes_to_nothing_is_not_known(
    expression: str, why: str, conditions: Conditions
) -> None:
    found = conditions.holds(ConditionQuestion(expression, FACTS))
    if expression == "values.beta":
        assert found is True, "a bool whose type is not known before is one"
        assert "it comes to dyn" in condition_fault(expression)
        return
    assert isinstance(found, NotKnown) and why in found.message


def test_an_iteration_has_an_end(conditions: Conditions) -> None:
    number = f"[{', '.join(map(str, range(30)))}]"
    endless = f"{number}.all(a, L.all(b, L.all(c, a + b + c >= 0)))".replace("L", number)
    assert condition_fault(endless) == ""
    found = conditions.holds(ConditionQuestion(endless, FACTS))
    assert isinstance(found, NotKnown) and "Iteration budget exceeded" in found.message


LONG = facts(values={"xs": list(range(9_000)), "s": "a" * 400})
HEAVY = f"values.xs.map(a, {'+'.join(['values.s'] * 25)}).size() > 0"
"""Under a thousand characters, and three gigabytes in seven seconds where nothing limits it."""


def test_one_that_takes_too_much_memory_is_ended_and_the_next_is_evaluated() -> None:
    conditions = CelConditions(evaluate_s=SOON_S)
    found = conditions.holds(ConditionQuestion(HEAVY, LONG))
    assert isinstance(found, NotKnown)
    assert f"{MEMORY_BYTES_MAX >> 20} MiB" in found.message or "has ended" in found.message
    assert conditions.holds(ConditionQuestion("true", FACTS)) is True


def test_one_that_takes_too_long_is_ended_and_holds_up_no_other_thread() -> None:
    conditions = CelConditions(evaluate_s=0.1)
    assert conditions.holds(ConditionQuestion("true", FACTS)) in (True, _late())
    slow = facts(values={"xs": list(range(9_000))})
    ticks, ended = [0], threading.Event()

    def tick() -> None:
        while not ended.wait(0.005):
            ticks[0] += 1

    thread = threading.Thread(target=tick)
    thread.start()
    began_s = time.monotonic()
    found = conditions.holds(ConditionQuestion("values.xs.all(a, a in values.xs)", slow))
    assert time.monotonic() - began_s < SOON_S
    ended.set()
    thread.join()
    assert found == _late() and ticks[0] >= 5


def _late() -> NotKnown:
    return NotKnown("ConditionUnknown", "it could not be evaluated: it takes longer than 0.1 s")


def test_facts_that_are_too_long_are_not_looked_at() -> None:
    found = CelConditions().holds(ConditionQuestion("true", "x" * (FACTS_BYTES_MAX + 1)))
    assert isinstance(found, NotKnown) and "bytes" in found.message


def test_a_process_that_is_killed_is_started_again() -> None:
    conditions = CelConditions(evaluate_s=SOON_S)
    assert conditions.holds(ConditionQuestion("true", FACTS)) is True
    assert conditions._worker is not None
    os.kill(conditions._worker._process.pid, signal.SIGKILL)
    conditions._worker._process.wait(SOON_S)
    assert conditions.holds(ConditionQuestion("false", FACTS)) is False


def test_a_daemon_that_is_killed_takes_its_process_along() -> None:
    text = (
        "from reconciler.adapters.cel.conditions import CelConditions\n"
        "from reconciler.model.outside import ConditionQuestion\n"
        "made = CelConditions(evaluate_s=20)\n"
        f"assert made.holds(ConditionQuestion('true', {FACTS!r})) is True\n"
        "print(made._worker._process.pid, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as daemon:
        assert daemon.stdout is not None
        pid = int(daemon.stdout.readline())
        daemon.kill()
    until_s = time.monotonic() + SOON_S
    while _lives(pid):
        assert time.monotonic() < until_s
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
