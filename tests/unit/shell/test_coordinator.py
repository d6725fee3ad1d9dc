"""One turn of the coordinator: a request that hung past the lease's deadline ends what was planned while it led."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from reconciler.core.fuses import Counts, counts_of
from reconciler.core.phase import Phase, phase_of
from reconciler.core.plan import plan_service
from reconciler.core.reporting import status
from reconciler.errors import Denied, ReconcilerError, TransientError, Unreachable
from reconciler.model.actions import Action, Admit, Deliver, Hold
from reconciler.model.believed import Believed
from reconciler.model.facts import ServiceFacts
from reconciler.model.fleet import Mode
from reconciler.model.names import ClusterName, ServiceName
from reconciler.model.reasons import Reason
from reconciler.model.view import Head, View
from reconciler.shell.asking import Asker
from reconciler.shell.coordinator import AGAIN_S, PATIENCE_S, SWEEP_S, Coordinator
from reconciler.shell.executor.orders import Claim, Leadership
from reconciler.shell.runner import VirtualClock
from tests.fakes.facts import (
    DEV,
    NOW,
    PROD,
    STAGING,
    V1,
    V2,
    V3,
    WEB,
    ask,
    cell,
    in_line,
    planned,
    proof,
    record,
    rollout,
    said,
)

DEADLINE_S = 10.0

LAST = ServiceName("worker")
"""Has its turn after the other service."""

CELLS = (
    cell(DEV, record(DEV, V2), ask(V3)),
    cell(STAGING, record(STAGING, V2)),
    cell(
        PROD,
        record(PROD, V2, rollout=rollout(V2, PROD), proofs=(proof(V1, PROD),)),
        on={"prod-2": V1, "prod-3": V1},
    ),
)
"""Version 3 may come into dev, and the last wave of prod may be given version 2."""


class Gathered:
    """What is seen, which an action does not change."""

    def __init__(self, mode: Mode) -> None:
        self.unseen: set[ServiceName] = set()
        self.follow(mode)

    def follow(self, mode: Mode) -> None:
        self.facts = {WEB: replace(in_line(WEB, CELLS), mode=mode)}

    def use(self, asker: Asker | None) -> None:
        del asker

    def services(self) -> set[ServiceName]:
        return set(self.facts)

    def gather(self, services: Iterable[ServiceName]) -> None:
        del services

    def seen(self, service: ServiceName) -> ServiceFacts:
        if service in self.unseen:
            raise TransientError(f"service {service}", "it cannot be gathered", "a bug of ours")
        return self.facts[service]

    def dependents(self, of: ServiceName) -> set[ServiceName]:
        del of
        return set()


class Saved:
    """Whether nothing is left to be written down."""

    def __init__(self, is_saved: bool) -> None:
        self._is_saved = is_saved

    def retry(self) -> bool:
        return self._is_saved


class Turning:
    """A coordinator whose lease is not renewed any more, and whose home answers late, or refuses."""

    def __init__(
        self,
        answers_in_s: float,
        refuses: Exception | None = None,
        *,
        is_saved: bool = True,
        mode: Mode = Mode.ENFORCE,
    ) -> None:
        self.clock = VirtualClock()
        self.acted: list[Action] = []
        self.views: list[View] = []
        self.gathered = Gathered(mode)
        self._answers_in_s = answers_in_s
        self.refuses = refuses
        self.leads_for_s = DEADLINE_S
        self.coordinator = Coordinator(
            clock=self.clock,
            daemon_mode=lambda: Mode.ENFORCE,
            head=Head,
            asker=lambda head: None,
            records=Saved(is_saved),
            gather=self.gathered,  # type: ignore[arg-type]
            leadership=self._leadership,
            fuses=lambda: Believed(100, 100, 100),
            act=self._act,
            observe=lambda action, asker: self.acted.append(action),
            unreachable=dict,
            denied=dict,
            home=ClusterName("dev-1"),
            publish=self.views.append,
        )

    def _leadership(self) -> Leadership:
        return Leadership(
            Claim(1, "me", "default"), leads=self.clock.monotonic_s() < self.leads_for_s
        )

    def _act(self, action: Action, asker: Asker | None) -> bool:
        del asker
        self.acted.append(action)
        if isinstance(action, Admit):
            self.clock.advance(self._answers_in_s)
            if self.refuses is not None:
                raise self.refuses
        return False

    def forward(self) -> list[str]:
        """Returns what was done that needs the lease, in short."""
        return said(tuple(a for a in self.acted if isinstance(a, Admit | Deliver)))


def test_what_is_planned_while_it_leads_is_done_as_one() -> None:
    turning = Turning(answers_in_s=1.0)
    turning.coordinator.step()
    assert turning.forward() == ["Admit GatesOpen", "Deliver prod-2 2.0.0", "Deliver prod-3 2.0.0"]


def test_nothing_of_a_plan_follows_an_admission_that_hung_past_the_deadline() -> None:
    turning = Turning(answers_in_s=DEADLINE_S)
    turning.coordinator.step()
    assert turning.forward() == ["Admit GatesOpen"]
    reasons = {a.environment: a.reason for a in turning.acted if isinstance(a, Hold)}
    assert {reasons[DEV], reasons[PROD]} == {"NotLeading"}, "planned again, by what holds now"


def test_the_view_says_that_it_leads_no_more() -> None:
    turning = Turning(answers_in_s=DEADLINE_S)
    turning.coordinator.step()
    assert turning.views[-1].fleet.halted


def test_what_could_not_be_done_is_told_where_it_was_to_be_done_and_the_rest_is_done() -> None:
    refusal = Denied("PromotionRecord/web.dev on dev-1", "cannot be replaced", "HTTP 403")
    turning = Turning(answers_in_s=0.0, refuses=refusal)
    assert turning.coordinator.step() <= AGAIN_S, "and tried again"
    assert turning.forward() == ["Admit GatesOpen", "Deliver prod-2 2.0.0", "Deliver prod-3 2.0.0"]
    found = turning.views[-1].services[WEB]
    (hold,) = (a for a in found.of(DEV) if isinstance(a, Hold))
    assert (hold.reason, hold.message) == ("ActionFailed", str(refusal))
    assert hold in turning.acted, "it is an event, too"
    assert not any("ActionFailed" in str(a.reason) for a in found.of(PROD))
    assert phase_of(CELLS[0], found.of(DEV)) is Phase.HELD


FORBIDDEN = Denied("PromotionRecord", "cannot be replaced", "HTTP 403")
BROKEN = Unreachable("PromotionRecord", "cannot be replaced", "HTTP 500")


@pytest.mark.parametrize(
    ("error", "after_s", "leads", "page"),
    [
        (FORBIDDEN, 0.0, True, False),
        (FORBIDDEN, AGAIN_S, True, True),
        (FORBIDDEN, AGAIN_S, False, False),
        (BROKEN, 0.0, True, False),
        (BROKEN, 599.0, True, False),
        (BROKEN, 600.0, True, True),
    ],
)
def test_what_only_a_person_can_help_with_pages_at_once_and_the_rest_in_time(
    error: ReconcilerError,
    after_s: float,
    leads: bool,
    page: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turning = Turning(answers_in_s=0.0, refuses=error)
    turning.leads_for_s = 1e6 if leads else 0.0
    (admission, *_) = planned(*CELLS, at=0)
    monkeypatch.setattr("reconciler.shell.coordinator.plan_service", lambda *seen: (admission,))

    def paged() -> list[bool]:
        turning.coordinator.touch(WEB)
        turning.coordinator.step()
        actions = turning.views[-1].services[WEB].of(DEV)
        return [a.page for a in actions if isinstance(a, Hold) and a.reason is Reason.ACTION_FAILED]

    paged()
    turning.clock.advance(after_s)
    assert paged() == [page]
    turning.refuses = None
    assert paged() == []
    turning.refuses = BROKEN
    assert paged() == [False], "its time begins anew once it has worked"
    turning.gathered.follow(Mode.OBSERVE)
    assert paged() == []
    turning.clock.advance(2 * PATIENCE_S)
    turning.gathered.follow(Mode.ENFORCE)
    assert paged() == [False], "and once it was only looked on at"


@pytest.mark.parametrize(
    ("reason", "page"), [(Reason.ADOPTION_DIFFERS, True), (Reason.ADOPTION_PENDING, False)]
)
def test_of_one_cell_one_hold_is_told_and_first_what_a_person_must_hear(
    reason: Reason, page: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    turning = Turning(
        answers_in_s=0.0, refuses=Unreachable("Deployment", "cannot be read", "HTTP 500")
    )
    (admission, *_) = planned(*CELLS, at=0)
    held = Hold(WEB, DEV, reason, "it differs", page=page)
    monkeypatch.setattr(
        "reconciler.shell.coordinator.plan_service", lambda *seen: (admission, held)
    )
    for _ in range(3):
        turning.coordinator.touch(WEB)
        turning.coordinator.step()
    wanted = reason if page else Reason.ACTION_FAILED
    assert [a.reason for a in turning.acted if isinstance(a, Hold)] == [wanted] * 3
    (row,) = (
        r for r in status(turning.views[-1], NOW, branch="main")["cells"] if r["environment"] == DEV
    )
    assert row["reason"] == wanted
    reasons = {a.reason for a in turning.views[-1].services[WEB].of(DEV) if isinstance(a, Hold)}
    assert reasons == {reason, Reason.ACTION_FAILED}, "and nothing is lost"


def test_what_is_only_observed_has_one_reason_too(monkeypatch: pytest.MonkeyPatch) -> None:
    turning = Turning(answers_in_s=0.0, mode=Mode.OBSERVE)
    held = Hold(WEB, DEV, Reason.PAUSED, "it is paused")
    others = replace(held, reason=Reason.OTHER_INSTALLATION, page=True)
    monkeypatch.setattr("reconciler.shell.coordinator.plan_service", lambda *seen: (held, others))
    turning.coordinator.step()
    assert turning.acted == [others]


def test_what_is_due_now_is_waited_for_as_an_event_is(monkeypatch: pytest.MonkeyPatch) -> None:
    turning = Turning(answers_in_s=0.0)
    hold = Hold(WEB, DEV, Reason.WAITING_FOR_PROOF, "its soak is over", due_in_s=0.0)
    monkeypatch.setattr("reconciler.shell.coordinator.plan_service", lambda *seen: (hold,))
    assert turning.coordinator.step() > 1


@pytest.mark.parametrize("is_saved", [True, False])
def test_what_the_home_has_not_taken_is_not_left_until_something_else_happens(
    is_saved: bool,
) -> None:
    turning = Turning(answers_in_s=0.0, is_saved=is_saved)
    assert (turning.coordinator.step() <= AGAIN_S) == (not is_saved)


def test_a_bug_met_at_one_action_holds_its_cell_and_the_rest_is_done() -> None:
    turning = Turning(answers_in_s=0.0, refuses=ZeroDivisionError("division by zero"))
    with capture_logs():
        assert turning.coordinator.step() <= AGAIN_S, "and tried again"
    assert turning.forward() == ["Admit GatesOpen", "Deliver prod-2 2.0.0", "Deliver prod-3 2.0.0"]
    found = turning.views[-1].services[WEB]
    (hold,) = (a for a in found.of(DEV) if isinstance(a, Hold))
    assert (hold.reason, hold.page) == (Reason.ACTION_FAILED, True)
    assert "a bug of ours: ZeroDivisionError" in hold.message


@pytest.mark.parametrize("met_in", ["gathering", "planning"])
@pytest.mark.parametrize("mode", list(Mode))
def test_a_bug_met_at_one_service_holds_and_tells_it_and_the_others_move(
    met_in: str, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    turning = Turning(answers_in_s=0.0, mode=mode)
    turning.gathered.facts[LAST] = replace(in_line(LAST, CELLS), mode=mode)

    def plan(facts: ServiceFacts, *rest: Any) -> tuple[Action, ...]:
        if facts.service == WEB:
            raise ZeroDivisionError("division by zero")
        return plan_service(facts, *rest)

    with monkeypatch.context() as patched, capture_logs():
        if met_in == "gathering":
            turning.gathered.unseen.add(WEB)
        else:
            patched.setattr("reconciler.shell.coordinator.plan_service", plan)
        turning.coordinator.step()
    assert {a.service for a in turning.acted if not isinstance(a, Hold)} == {LAST}
    found = [a for a in turning.acted if isinstance(a, Hold) and a.service == WEB]
    assert {(a.environment, a.reason, a.page) for a in found} == {
        (name, Reason.ACTION_FAILED, True) for name in (DEV, STAGING, PROD)
    }
    assert turning.views[-1].services[WEB].actions == tuple(found)
    assert "a bug of ours" in found[0].message
    turning.gathered.unseen.clear()
    turning.clock.advance(SWEEP_S)
    turning.coordinator.step()
    assert not {
        h.reason for h in turning.views[-1].services[WEB].of(DEV) if isinstance(h, Hold)
    } & {Reason.ACTION_FAILED}


def test_what_is_counted_of_a_service_is_counted_again_only_when_its_facts_are_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A turn costs what has changed, and not what the fleet is."""
    seen: list[ServiceFacts] = []

    def counted(facts: ServiceFacts) -> Counts:
        seen.append(facts)
        return counts_of(facts)

    monkeypatch.setattr("reconciler.shell.coordinator.counts_of", counted)
    turning = Turning(0.0)
    turning.coordinator.step()
    turning.coordinator.step()
    assert seen == [turning.gathered.facts[WEB]]
    turning.gathered.follow(Mode.OBSERVE)
    turning.coordinator.step()
    assert [facts.mode for facts in seen] == [Mode.ENFORCE, Mode.OBSERVE]
