"""The search finds what is broken: a line of the core is taken out, and it tells the shortest way to the damage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reconciler.core import gates, judging, plan, recording, rejections, rolling, settled
from reconciler.core.delivering import deliveries
from reconciler.core.judging import to_go_back
from reconciler.model.actions import Action, Reject
from reconciler.model.facts import Cell, Member
from reconciler.model.records import Rejection
from reconciler.model.release import Revision
from tests.model.search import Search
from tests.model.values import Fleet, fleet

Break = Callable[[pytest.MonkeyPatch], None]

ONE, TWO = fleet("1", "1", "1", begun=True, crashes=0), fleet("1", "2", begun=True)
FRESH = fleet("1", "1", crashes=0)


def without(*names: str) -> Break:
    """Takes gates out."""

    def broken(patch: pytest.MonkeyPatch) -> None:
        for of in ("FORWARD", "BACKWARD", "EACH_WAVE"):
            kept = tuple(gate for gate in getattr(gates, of) if gate.__name__ not in names)
            patch.setattr(gates, of, kept)

    return broken


def instead(module: Any, name: str, what: object) -> Break:
    """Puts something else in the place of a function."""
    return lambda patch: patch.setattr(module, name, what)


def delivers_before_it_rejects(patch: pytest.MonkeyPatch) -> None:
    """Gives the clusters what they go back to, and writes the rejection down once they have it."""
    real = rolling.plan_rollout

    def planned(view: Any, rollout: Any) -> tuple[Action, ...]:
        actions = real(view, rollout)
        first = next((a for a in actions if isinstance(a, Reject)), None)
        target = first.rejection.restore_to if first is not None else None
        orders = deliveries(view, target, view.cell.members) if target is not None else ()
        return orders or actions

    patch.setattr(rolling, "plan_rollout", planned)


def forgets_rejections(patch: pytest.MonkeyPatch) -> None:
    """Admits what is gone back to, and does not write down what was rejected."""
    real = recording._rejected
    patch.setattr(
        recording, "_rejected", lambda was, action: replace(real(was, action), rejections=())
    )
    patch.setattr(recording, "as_tabled", lambda was, action, now: now)


def is_healthy_at_once(patch: pytest.MonkeyPatch) -> None:
    """Takes what is current now for what has soaked."""
    real = judging.is_healthy
    patch.setattr(
        rolling, "is_healthy", lambda member, revision, *, for_s: real(member, revision, for_s=0.0)
    )


def goes_back_to_what_it_leaves(patch: pytest.MonkeyPatch) -> None:
    """What rolls out is its own way back; what is asked for is let in as ever."""
    real = rejections.way_back

    def broken(cell: Cell, leaving: Revision, avoiding: Rejection | None = None) -> Revision | None:
        rollout = cell.record.rollout if cell.record is not None else None
        is_leaving = rollout is not None and rollout.revision.id == leaving.id
        return leaving if is_leaving else real(cell, leaving, avoiding)

    patch.setattr(rejections, "way_back", broken)


def returns_without_waiting(patch: pytest.MonkeyPatch) -> None:
    """Ends a roll-back once it was ordered."""
    patch.setattr(settled, "is_healthy", lambda member, revision, *, for_s: True)
    patch.setattr(rolling, "is_news", lambda view, orders: False)


def is_back_whatever_waits(view: Any, rejection: Any) -> bool:
    """As it was before the search found that a cluster may yet be given what the others went back from."""
    if rejection.restore_to is None or rejection.rolled_back_at is not None:
        return True
    return all(m.is_on(rejection.restore_to.id) for m in to_go_back(view.cell.members))


@pytest.mark.parametrize(
    ("broken", "searched", "told"),
    [
        pytest.param(
            without("_proven_before"),
            ONE,
            "goes on before it was well for a whole soak in every environment before",
            id="a gate is gone: proven before",
        ),
        pytest.param(
            without("_not_rejected", "_not_quarantined"),
            ONE,
            "was rejected, and goes out again",
            id="two gates are gone: not rejected, not quarantined",
        ),
        pytest.param(
            delivers_before_it_rejects,
            ONE,
            "clusters go back to 1.0.0 before the rejection is written",
            id="clusters go back before the rejection is written",
        ),
        pytest.param(
            forgets_rejections,
            ONE,
            "was rejected, and goes out again",
            id="a rejection is not written down",
        ),
        pytest.param(
            goes_back_to_what_it_leaves,
            ONE,
            "the way back from 2.0.0 is not the newest that is proven",
            id="the way back leads to what is rejected",
        ),
        pytest.param(
            instead(plan, "_is_back", lambda view, rejection: True),
            ONE,
            "a commit before every cluster is back",
            id="the commit does not wait for the clusters",
        ),
        pytest.param(
            is_healthy_at_once,
            ONE,
            "is proven, and did not soak on every cluster",
            id="a soak is over at once",
        ),
        pytest.param(
            returns_without_waiting,
            ONE,
            "a roll-back ends before every cluster is back and well",
            id="a roll-back is over once it is ordered",
        ),
        pytest.param(
            instead(rolling, "reject_if_bad", lambda *args, **kwargs: None),
            ONE,
            "it rests without being as HEAD asks",
            id="a failure is not judged",
        ),
        pytest.param(
            instead(settled, "_failing", lambda view, admitted, proof: None),
            ONE,
            "",
            id="a failure within the watch is not judged",
        ),
        pytest.param(
            instead(rejections, "held", lambda view, admitted: None),
            FRESH,
            "",
            id="what failed with nothing to go back to is not stopped",
        ),
        pytest.param(
            instead(plan, "_is_back", is_back_whatever_waits),
            TWO,
            "a pin goes back before the clusters",
            id="the commit does not wait for what is ordered and not begun",
        ),
        pytest.param(
            instead(Member, "known", property(lambda member: member.reachable)),
            TWO,
            "a cluster that was not read is given something else",
            id="a cluster counts that was not read since the crash",
        ),
    ],
)
def test_the_search_finds_a_broken_line(
    broken: Break, searched: Fleet, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    found = Search(searched).run()
    print(found)
    first, *way = found.broken.splitlines() or [""]
    assert told in first
    assert way[-1].endswith("<- here"), "the way there is told"
