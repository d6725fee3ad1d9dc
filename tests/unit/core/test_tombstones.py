"""A tombstone's gates, its proof, what it deletes, and that no way back leads to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core import rejections
from reconciler.core.fuses import counts_of, plan_fleet
from reconciler.core.gates import admission, next_wave
from reconciler.core.identity import absence
from reconciler.core.phase import Phase, phase_of
from reconciler.core.pin_moves import following
from reconciler.core.promoting import promotable
from reconciler.core.pruning import NUMBER_MAX, PRUNE_ANNOTATION, plan_burial
from reconciler.core.reach import in_force
from reconciler.core.recording import recorded
from reconciler.model.actions import Admit, Deliver, Gate, GateState, Hold, Prove
from reconciler.model.believed import Believed
from reconciler.model.facts import Ask, Cell, FleetSummary, MemberHealth
from reconciler.model.fleet import ClusterState
from reconciler.model.fleet_counts import Going
from reconciler.model.health import HealthStatus
from reconciler.model.names import CommitId, ServiceName
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.promotion import Promotion
from reconciler.model.records import PromotionRecord
from reconciler.model.skips import Hotfix, Skip, Skippable, Vouched
from tests.fakes.facts import (
    CURRENT,
    DEV,
    HEAD,
    NOW,
    PROD,
    STAGING,
    SUSPENDED,
    V1,
    V2,
    WEB,
    ask,
    cell,
    in_line,
    planned,
    policy,
    proof,
    record,
    rollout,
    said,
    states,
    view,
)

GONE = absence(HEAD)
GOING = MemberHealth(HealthStatus.IN_PROGRESS, "Going", "Deployment/web/web is there still")
SHOP = ServiceName("shop")


def buried(environment: Any = DEV) -> PromotionRecord:
    """Returns the record of an environment from which it is proven to be gone."""
    return record(environment, GONE, proofs=(proof(GONE, environment), proof(V1, environment)))


def going(environment: Any = DEV) -> PromotionRecord:
    """Returns the record of an environment from which it goes."""
    return record(environment, GONE, rollout=rollout(GONE, environment))


def shut(gates: tuple[Gate, ...]) -> dict[str, str]:
    return states(gates)


def test_it_is_one_fact_whoever_asks_for_it() -> None:
    other = absence(CommitId("d" * 40))
    assert (other.id, other.identity) == (GONE.id, GONE.identity) and GONE.absent
    assert not {GONE.images_digest, GONE.tree_digest, GONE.values_digest} & {
        V1.images_digest,
        V1.tree_digest,
        V1.values_digest,
    }


def test_it_is_gone_from_an_environment_only_while_it_is_gone_from_those_before() -> None:
    asked = cell(STAGING, record(STAGING), ask(GONE, STAGING))
    there = cell(DEV, record())
    assert shut(admission(view(there, asked), GONE)) == {"ProvenBefore": "closed WaitingForProof"}
    assert shut(admission(view(cell(DEV, going()), asked), GONE)) == {
        "ProvenBefore": "closed WaitingForProof"
    }
    assert shut(admission(view(cell(DEV, buried()), asked), GONE)) == {}
    back = replace(record(), passed=(GONE.identity.partition(":")[2][:16],))
    assert "ProvenBefore" in shut(admission(view(cell(DEV, back), asked), GONE))


def test_what_is_there_again_in_an_environment_before_holds_it() -> None:
    dev = cell(DEV, buried(), members={"dev-1": {"health": GOING}})
    asked = cell(STAGING, record(STAGING), ask(GONE, STAGING))
    assert shut(admission(view(dev, asked), GONE)) == {"ProvenBefore": "closed FailingBefore"}


def test_a_proof_of_it_never_lets_it_skip_a_gate() -> None:
    given = cell(DEV, buried(), replace(ask(GONE), paused=True))
    assert "NotPaused" in shut(admission(view(given), GONE))


@pytest.mark.parametrize(
    ("is_there", "state"), [(True, "closed"), (None, "unknown"), (False, "open")]
)
def test_what_others_depend_on_stays_before_each_wave_too(
    is_there: bool | None, state: str
) -> None:
    given = cell(DEV, record(), ask(GONE), needed_by=((SHOP, is_there),))
    for gates in (admission(view(given), GONE), next_wave(view(given), GONE)):
        (gate,) = [gate for gate in gates if gate.name == "NeededByNobody"]
        assert gate.state == state


def test_a_service_that_fails_there_stops_the_next_wave_and_wakes_a_person() -> None:
    fails = FleetSummary(going={DEV: Going((WEB,), 9, (WEB, SHOP))})
    given = cell(DEV, record(), ask(GONE))
    assert shut(next_wave(view(given, fleet=fails), GONE)) == {
        "NothingFailsBeside": "closed FailingBeside"
    }
    own = FleetSummary(going={DEV: Going((WEB,), 9, (WEB,))})
    assert shut(next_wave(view(given, fleet=own), GONE)) == {}
    actions = planned(given, fleet=fails)
    assert said(actions) == ["Hold FailingBeside"] and actions[0].page  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("count", "there", "is_shut"),
    [(3, 3, False), (4, 7, True), (4, 8, False), (NUMBER_MAX, 99, False), (21, 99, True)],
)
def test_few_may_always_go_and_many_only_as_a_small_share(
    count: int, there: int, is_shut: bool
) -> None:
    names = tuple(ServiceName(f"s{number}") for number in range(count))
    crowd = FleetSummary(going={DEV: Going(names, there)})
    found = shut(admission(view(cell(DEV, record(), ask(GONE)), fleet=crowd), GONE))
    assert ("NotTooManyGo" in found) is is_shut


def test_what_goes_and_what_went_within_the_hour_is_counted() -> None:
    def counted(known: PromotionRecord, *, hours: float = 0) -> Going | None:
        facts = in_line(WEB, (cell(DEV, known, ask(GONE)),))
        others = in_line(SHOP, (cell(DEV, record()),))
        counts = map(counts_of, (facts, others))
        fleet = plan_fleet(counts, NOW + timedelta(hours=hours), believed=Believed(1, 1, 1))
        return fleet.going.get(DEV)

    assert counted(record()) == Going((WEB,), 2)
    assert counted(going()) == Going((WEB,), 2)
    now = replace(buried(), proofs=(replace(proof(GONE), proven_at=NOW),))
    assert counted(now) == Going((WEB,), 2)
    assert counted(now, hours=1) is None


def test_it_needs_every_cluster_whatever_the_quorum() -> None:
    loose = replace(policy(PROD), quorum=50, skip_after_s=9.0)
    given = cell(PROD, going(PROD), replace(ask(GONE, PROD), policy=loose))
    rules = in_force(given, rollout(GONE, PROD, policy=loose)).policy
    assert (rules.quorum, rules.skip_after_s) == (100, None)
    unread = replace(given, ask=replace(given.ask, policy=None))
    rules = in_force(unread, rollout(GONE, PROD, policy=loose)).policy
    assert (rules.quorum, rules.skip_after_s) == (100, None)


def test_no_further_cluster_loses_it_once_it_is_asked_for_again() -> None:
    given = cell(DEV, going(), replace(ask(V2), paused=True))
    assert shut(next_wave(view(given), GONE))["AskedFor"] == "closed NotAskedFor"


def half_gone(wanted: Ask) -> tuple[Cell, ...]:
    """Returns a prod of which the first cluster lost the service, after environments that have it again."""
    members = {"prod-1": {}, "prod-2": {"health": CURRENT}, "prod-3": {"health": CURRENT}}
    on = {"prod-2": V1, "prod-3": V1}
    prod = cell(PROD, going(PROD), wanted, on=on, members=members)
    return cell(DEV, record(DEV, V2)), cell(STAGING, record(STAGING)), prod


def test_what_is_half_gone_while_something_else_is_asked_for_wakes_a_person() -> None:
    actions = planned(*half_gone(ask(V2, PROD)))
    assert said(actions)[-1] == "Hold NotAskedFor"
    hold = actions[-1]
    assert isinstance(hold, Hold) and hold.page
    assert hold.message == (
        "HEAD asks for 2.0.0, which is not let in yet; prod-1 stays without the service meanwhile, and no "
        "further cluster loses it; pin 1.0.0, which is proven here, to have it back at once"
    )
    assert said(planned(*half_gone(ask(V1, PROD))))[-1] == "Admit ProvenHere"


def test_no_way_back_leads_to_it_and_nobody_promotes_it() -> None:
    known = replace(record(DEV, V2), proofs=(proof(GONE), proof(V1)))
    assert rejections.way_back(cell(DEV, known), V2) == V1
    first = cell(DEV, replace(buried(), proofs=(proof(GONE),)))
    assert promotable(view(first, cell(STAGING, record(STAGING)))) == ()


def test_its_proof_lasts_as_long_as_nothing_else_is_admitted() -> None:
    proven = recorded(going(), Prove(WEB, DEV, proof(GONE), "Soaked", ""))
    assert proven.proofs[0].revision == GONE
    assert not any(short == GONE.identity.partition(":")[2][:16] for short in proven.passed)
    back = recorded(proven, Admit(WEB, DEV, V1, None, "ProvenHere", ""))
    assert [p.revision for p in back.proofs] == [V1]
    newer = recorded(proven, Admit(WEB, DEV, V2, rollout(V2), "", ""))
    assert [p.revision for p in newer.proofs] == [V1]


def test_gone_is_told_as_absent_and_only_then() -> None:
    given = cell(DEV, buried())
    assert phase_of(given, planned(given)) is Phase.ABSENT
    asked = cell(DEV, buried(), replace(ask(V2), paused=True))
    assert phase_of(asked, planned(asked)) is Phase.PAUSED
    gone = cell(DEV, going())
    assert phase_of(gone, planned(gone)) is not Phase.ABSENT


def test_it_passes_every_gate_of_a_release_but_those_of_what_it_would_run_on() -> None:
    names = [gate.name for gate in admission(view(cell(DEV, record(), ask(GONE))), GONE)]
    others = {gate.name for gate in admission(view(cell(DEV, record(), ask(V2))), V2)}
    assert len(names) == len(set(names))
    own = {"AskedFor", "NeededByNobody", "NothingFailsBeside", "NotTooManyGo"}
    assert set(names) - own == others - {
        "DependsOn",
        "StillSupported",
        "ReturnTrip",
        "GroupTogether",
    }


# What goes.


def obj(kind: str, name: str = "web", **meta: Any) -> KubeObject:
    api = {"Deployment": "apps/v1", "StatefulSet": "apps/v1"}.get(kind, "v1")
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "namespace": "web", **meta},
    }


def burial(*objects: KubeObject, lost: tuple[ObjectRef, ...] = (), **how: Any) -> Any:
    live = {ObjectRef.of(one): one for one in objects}
    given = {"is_ours": lambda one: True, **how}
    return plan_burial({*live, *lost}, live=live.get, **given)


def test_all_of_a_service_goes_what_leans_on_others_first() -> None:
    found = burial(obj("ConfigMap"), obj("Deployment"), obj("Service"), obj("ServiceAccount"))
    assert [ref.kind for ref in found.delete] == [
        "Deployment",
        "Service",
        "ConfigMap",
        "ServiceAccount",
    ]
    assert not found.is_done and found.kept == ()


def test_what_is_not_there_or_not_ours_is_gone_and_what_waits_for_finalizers_is_not() -> None:
    lost = ObjectRef("v1", "Secret", "web", "lost")
    found = burial(obj("ConfigMap", deletionTimestamp="now"), lost=(lost,))
    assert found.gone == (lost,) and [r.kind for r in found.going] == ["ConfigMap"]
    assert not found.is_done and found.delete == ()
    assert burial(obj("ConfigMap"), is_ours=lambda one: False).is_done
    assert burial(lost=(lost,)).is_done


@pytest.mark.parametrize("kind", ["StatefulSet", "PersistentVolumeClaim"])
def test_a_guarded_kind_stays_unless_it_was_let_go(kind: str) -> None:
    (kept,) = burial(obj(kind)).kept
    assert "or by hand" in kept[1]
    named: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{PRUNE_ANNOTATION}": {}}}}
    ours = [{"manager": "reconciler", "operation": "Apply", "fieldsV1": named}]
    let_go = obj(kind, annotations={PRUNE_ANNOTATION: "true"}, managedFields=ours)
    assert len(burial(let_go).delete) == 1


def test_what_a_person_has_suspended_stays() -> None:
    found = burial(obj("ConfigMap"), suspended=lambda ref: SUSPENDED)
    assert found.delete == () and found.kept[0][1] == SUSPENDED.why


@pytest.mark.parametrize(("already", "count"), [(0, NUMBER_MAX), (15, 5), (NUMBER_MAX, 0)])
def test_no_more_go_in_an_hour_than_are_allowed(already: int, count: int) -> None:
    many = [obj("ConfigMap", f"a{number}") for number in range(NUMBER_MAX + 2)]
    found = burial(*many, already=already)
    assert len(found.delete) == count
    assert len(found.kept) == len(many) - count and "20 are allowed" in found.kept[0][1]


def test_a_cluster_that_joins_meanwhile_is_given_nothing_of_what_goes() -> None:
    joins = {"state": ClusterState.JOINING, "record": None}
    asked = replace(ask(GONE, PROD), policy=policy(PROD))
    given = cell(PROD, going(PROD), asked, members={"prod-3": joins})
    given = replace(
        given,
        members=tuple(
            replace(m, record=None) if m.cluster == "prod-3" else m for m in given.members
        ),
    )
    orders = [a for a in planned(given) if isinstance(a, Deliver)]
    assert not any(order.cluster == "prod-3" for order in orders)


def test_nothing_moves_the_pin_of_what_is_to_go() -> None:
    asked = replace(ask(GONE), promote=Promotion.AUTO, ahead=(V2,))
    assert following(view(cell(DEV, record(), asked))) is None
    assert following(view(cell(DEV, record(), replace(asked, wanted=V1)))) == V2


def test_its_soak_is_not_skipped() -> None:
    hotfix = Hotfix(("ann",), (Skippable.SOAK,))
    skip = Vouched(Skip((Skippable.SOAK,), GONE.id, "a hurry", "ann"), ("ann",))
    rules = replace(policy(STAGING), hotfix=hotfix)
    first = cell(DEV, going())
    asked = replace(ask(GONE, STAGING), skip=skip, policy=rules)
    second = cell(STAGING, record(STAGING), asked)
    (gate,) = [g for g in admission(view(first, second), GONE) if g.name == "ProvenBefore"]
    assert gate.state is GateState.CLOSED
    assert gate.message == "it is not gone from dev; nobody skips the soak of a tombstone"
    other = cell(
        STAGING,
        record(STAGING),
        replace(asked, wanted=V2, skip=replace(skip, skip=replace(skip.skip, revision=V2.id))),
    )
    seen = cell(DEV, record(DEV, V2, rollout=rollout(V2)))
    assert "ProvenBefore" not in shut(admission(view(seen, other), V2))
