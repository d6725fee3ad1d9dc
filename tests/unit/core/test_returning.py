"""How many clusters are put back at once, and who is the first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.actions import Deliver
from reconciler.model.facts import Cell, Ordered
from reconciler.model.policy import AtOnce
from tests.fakes.facts import (
    AWAY,
    CRASHING,
    NOW,
    PROD,
    STARTING,
    V1,
    V2,
    ask,
    cell,
    planned,
    policy,
    record,
    rejection,
)

ONE = AtOnce(1, is_share=False)
BACK = rejection(V2, PROD, rolled_back_at=None, rejected_at=NOW)


def returning(
    most: AtOnce = ONE, on: dict[str, Any] | None = None, **members: dict[str, Any]
) -> Cell:
    """Returns a cell on its way back to version 1, whose clusters run version 2 unless said otherwise."""
    known = record(PROD, V1, rejections=(BACK,))
    rules = replace(policy(PROD), return_at_once=most)
    runs = dict.fromkeys(("prod-1", "prod-2", "prod-3"), V2) | (on or {})
    named = {name.replace("_", "-"): changes for name, changes in members.items()}
    return cell(PROD, known, replace(ask(V1, PROD), policy=rules), on=runs, members=named)


def put_back(given: Cell) -> list[str]:
    return [a.cluster for a in planned(given) if isinstance(a, Deliver) and a.revision == V1]


@pytest.mark.parametrize(
    ("most", "clusters", "count"),
    [
        (AtOnce(100, is_share=True), 7, 7),
        (AtOnce(10, is_share=True), 7, 1),
        (AtOnce(50, is_share=True), 3, 2),
        (AtOnce(1, is_share=True), 3, 1),
        (AtOnce(4, is_share=False), 3, 4),
        (AtOnce(50, is_share=True), 0, 1),
    ],
)
def test_a_share_is_rounded_up_and_is_never_none(most: AtOnce, clusters: int, count: int) -> None:
    assert most.of(clusters) == count


def test_all_go_at_once_where_nothing_is_said_and_where_the_policy_cannot_be_read() -> None:
    every = ["prod-1", "prod-2", "prod-3"]
    assert put_back(returning(policy(PROD).return_at_once)) == every
    given = returning()
    unread = replace(given, ask=replace(given.ask, policy=None))
    assert put_back(unread) == every


def test_as_many_change_at_once_as_the_policy_says_whatever_the_waves() -> None:
    assert put_back(returning()) == ["prod-1"]
    assert put_back(returning(AtOnce(50, is_share=True))) == ["prod-1", "prod-2"]


def test_who_fails_goes_first() -> None:
    assert put_back(returning(prod_3={"health": CRASHING})) == ["prod-3"]


def test_the_next_goes_once_one_is_back_and_not_before() -> None:
    assert put_back(returning(on={"prod-1": V1}, prod_1={"health": STARTING})) == []
    assert put_back(returning(on={"prod-1": V1})) == ["prod-2"]


def test_what_was_ordered_and_waits_is_ordered_on_and_counts() -> None:
    waits = {"order": Ordered(V1.id, 3.0)}
    assert put_back(returning(prod_2=waits)) == ["prod-2"]


@pytest.mark.parametrize(
    "stuck",
    [{"health": STARTING, "waiting_s": 600.0}, AWAY],
    ids=["late", "away"],
)
def test_one_that_is_stuck_keeps_no_other_waiting(stuck: dict[str, Any]) -> None:
    assert put_back(returning(on={"prod-1": V1}, prod_1=stuck)) == ["prod-2"]


def test_one_that_cannot_be_given_it_keeps_no_other_waiting() -> None:
    tried = {"order": Ordered(V1.id, 3.0, why="403")}
    assert put_back(returning(prod_1=tried)) == ["prod-1", "prod-2"]


def test_a_pin_that_goes_back_has_the_same_limit() -> None:
    rules = replace(policy(PROD), return_at_once=ONE)
    known = record(PROD, V1)
    runs = dict.fromkeys(("prod-1", "prod-2", "prod-3"), V2)
    given = cell(PROD, known, replace(ask(V1, PROD), policy=rules), on=runs)
    assert put_back(given) == ["prod-1"]
