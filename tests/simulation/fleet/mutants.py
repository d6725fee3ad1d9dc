"""Deliberate bugs: for each invariant one line of the product is broken, in this process alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core import adoption, delivering, fuses, gates, judging, plan, rolling, settled
from reconciler.core.diff import compare
from reconciler.core.judging import Badness
from reconciler.core.return_gate import can_return
from reconciler.core.view import CellView
from reconciler.model.actions import Action, Admit
from reconciler.model.fleet import Mode
from reconciler.model.reasons import Reason
from reconciler.ports.git import PushOutcome
from reconciler.schema.edit import set_release
from reconciler.shell.asking import Asker
from reconciler.shell.executor.orders import Claim
from reconciler.shell.heads import Heads
from reconciler.shell.promotion_records import PromotionRecords
from reconciler.shell.reverting import Reverter

Break = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug.

    Attributes:
        seed: One that finds it.
    """

    break_: Break
    seed: int


def without(*left_out: gates.GateCheck) -> Break:
    """Returns a bug: some gates are never looked at."""

    def broken(patch: pytest.MonkeyPatch) -> None:
        for name in ("FORWARD", "EACH_WAVE", "BACKWARD"):
            checks = [check for check in getattr(gates, name) if check not in left_out]
            patch.setattr(gates, name, tuple(checks))

    return broken


def an_unknown_is_bad(patch: pytest.MonkeyPatch) -> None:
    """A cluster that does not answer speaks against what rolls out there."""
    badness = judging.badness

    def broken(members: Any, revision: Any, **about: Any) -> Any:
        away = next((m for m in members if not m.reachable), None)
        return badness(members, revision, **about) or (
            away and Badness(away, "Away", "away", False)
        )

    patch.setattr(rolling, "badness", broken)


def one_that_is_away_stops_all(patch: pytest.MonkeyPatch) -> None:
    """A service is left alone everywhere while one of its clusters does not answer."""
    plan_cell = plan.plan_cell

    def broken(view: CellView) -> tuple[Action, ...]:
        members = (m for cell in view.facts.cells for m in cell.members)
        return plan_cell(view) if all(m.reachable for m in members) else ()

    patch.setattr(plan, "plan_cell", broken)


def commits_first(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(plan, "_is_back", lambda view, rejection: True)


def drops_comments(patch: pytest.MonkeyPatch) -> None:
    def dropped(*about: Any) -> bytes:
        lines = set_release(*about).split(b"\n")
        return b"\n".join(line.partition(b" #")[0] for line in lines)

    patch.setattr("reconciler.shell.revert_commits.set_release", dropped)


def believes_a_push(patch: pytest.MonkeyPatch) -> None:
    """What the remote took is never looked for."""
    send = Reverter._send

    def broken(self: Reverter, *about: Any) -> Any:
        result = send(self, *about)
        taken = PushOutcome.LANDED if result.outcome is PushOutcome.LOST else result.outcome
        return replace(result, outcome=taken)

    patch.setattr(Reverter, "_send", broken)


def rejects_in_its_head(patch: pytest.MonkeyPatch) -> None:
    """A rejection is only remembered, and written when somebody comes round to it."""

    def broken(self: PromotionRecords, record: Any) -> None:
        self._unsaved[(record.service, record.environment)] = record

    patch.setattr(PromotionRecords, "keep", broken)
    order = delivering._order
    patch.setattr(delivering, "_order", lambda *about: replace(order(*about), rejection=None))


def believes_each_failure(patch: pytest.MonkeyPatch) -> None:
    """That several services turn bad together is not looked at."""
    patch.setattr(fuses, "_together", lambda *about: frozenset())


def waits_a_soak_to_go_back(patch: pytest.MonkeyPatch) -> None:
    reject_if_bad = rolling.reject_if_bad

    def broken(view: CellView, *about: Any, **more: Any) -> Any:
        found = reject_if_bad(view, *about, **more)
        rejection = getattr(found, "rejection", None)
        is_young = rejection and view.now - rejection.first_failure_at < timedelta(seconds=60)
        return None if is_young else found

    patch.setattr(rolling, "reject_if_bad", broken)


def leaves_a_way_back_half_gone(patch: pytest.MonkeyPatch) -> None:
    """What is newer is let in while clusters go back."""
    without(gates._roll_back_complete)(patch)
    go_back = settled._return

    def broken(view: CellView, record: Any, target: Any) -> tuple[Action, ...]:
        forward = settled._forward(view, target, gates.proof_of(view.cell, target))
        is_open = any(isinstance(action, Admit) for action in forward)
        return forward if is_open else go_back(view, record, target)

    patch.setattr(settled, "_return", broken)


def overwrites_what_it_finds(patch: pytest.MonkeyPatch) -> None:
    """Where no record is, what HEAD asks for is rolled out over whatever runs."""

    def broken(view: CellView, recorded: Any) -> tuple[Action, ...]:
        wanted = view.cell.ask.wanted
        return adoption._admit(view, wanted) if wanted is not None else ()

    patch.setattr(adoption, "_from_clusters", broken)


def writes_in_anothers_name(patch: pytest.MonkeyPatch) -> None:
    """A record goes on in the name of who wrote it first, whoever writes now."""
    on = Claim.on
    patch.setattr(Claim, "on", lambda self, record: record if record.holder else on(self, record))


def prunes_at_once(patch: pytest.MonkeyPatch) -> None:
    order = delivering._order
    patch.setattr(delivering, "_order", lambda *about: replace(order(*about), proven=True))


def tells_secrets(patch: pytest.MonkeyPatch) -> None:
    """What differs in a Secret is said as it is."""
    difference = compare._difference

    def broken(*about: Any, is_secret: bool) -> Any:
        return difference(*about, is_secret=False)

    patch.setattr(compare, "_difference", broken)


def renders_anew_everywhere(patch: pytest.MonkeyPatch) -> None:
    """What was proven is taken for proven by whatever renderer."""
    not_proven_in = gates._not_proven_in

    def broken(*about: Any) -> Any:
        held = not_proven_in(*about)
        return None if held is not None and held.reason is Reason.RENDER_CHANGED else held

    patch.setattr(gates, "_not_proven_in", broken)


def enforces_always(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Asker, "mode", lambda self, service, daemon: Mode.ENFORCE)


def follows_any_history(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Heads, "_refusal", lambda *about: None)


MUTANTS: dict[str, Mutant] = {
    "01 not proven before": Mutant(without(gates._proven_before), 1),
    "02 an unknown is bad": Mutant(an_unknown_is_bad, 389),
    "04 commits first": Mutant(commits_first, 1),
    "05 comments are dropped": Mutant(drops_comments, 1),
    "06 believes a push": Mutant(believes_a_push, 340),
    "07 rejects in its head": Mutant(rejects_in_its_head, 1),
    "08 believes each failure": Mutant(believes_each_failure, 2),
    "09 waits a soak to go back": Mutant(waits_a_soak_to_go_back, 1),
    "11 overwrites what it finds": Mutant(overwrites_what_it_finds, 336),
    "12 writes in another's name": Mutant(writes_in_anothers_name, 1),
    "13 prunes at once": Mutant(prunes_at_once, 1),
    "14 tells secrets": Mutant(tells_secrets, 1),
    "15 enforces always": Mutant(enforces_always, 7),
    "16 follows any history": Mutant(follows_any_history, 1),
    "17 renders anew everywhere": Mutant(renders_anew_everywhere, 224),
    "18 goes one way": Mutant(without(can_return), 116),
}
"""By invariant."""

NOT_FOUND: dict[str, Break] = {
    "03 one that is away stops all": one_that_is_away_stops_all,
    "10 leaves a way back half gone": leaves_a_way_back_half_gone,
}
"""Bugs that no seed has found yet: what they break is seen where faults meet that seldom do."""
