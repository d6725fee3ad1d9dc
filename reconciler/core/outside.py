"""The gates that others hold: what a forge says of a revision's commits, HTTP gates, conditions."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core.commit_checks import Passage, passage
from reconciler.core.gate import closed, opened, unknown
from reconciler.core.view import CellView
from reconciler.model.actions import Gate, GateState
from reconciler.model.answers import NotKnown
from reconciler.model.names import CommitId
from reconciler.model.outside import AskedGate, CheckedCommit, Condition, GateWord
from reconciler.model.reasons import CHANGES, Reason
from reconciler.model.release import Revision

FRESH_S = 60.0
"""An answer that lets something through is asked for anew when it is older: a check may be run again, and fail."""

_WORST_FIRST = (GateState.CLOSED, GateState.UNKNOWN, GateState.OPEN)


def checks_passed(view: CellView, wanted: Revision) -> Gate:
    """Every check that the policy names has passed on each commit that the revision comes from."""
    name = "ChecksPassed"
    outside = view.cell.outside
    required = outside.rules.commit_statuses
    if not required:
        return opened(name)
    if not outside.has_forge:
        message = "the policy names `commit_statuses`, and the daemon's settings name no `forge`"
        return closed(name, Reason.NOT_CONFIGURED, message, CHANGES[Reason.NOT_CONFIGURED])
    commits = outside.commits_of(wanted.id)
    unblock = f"on the commit itself, {' and '.join(required)} must pass"
    if not commits:
        message = "the commit that it comes from is not known"
        return unknown(name, Reason.CHECKS_UNKNOWN, message, "the env repo's history can be read")
    found = [(commit, _passage(commit, outside.checked, required)) for commit in commits]
    commit, worst = min(found, key=lambda pair: _WORST_FIRST.index(pair[1].state))
    message = f"{commit[:12]}: {worst.message}"
    match worst.state:
        case GateState.OPEN:
            return opened(name)
        case GateState.CLOSED:
            return closed(name, Reason.WAITING_FOR_CHECKS, message, unblock)
        case GateState.UNKNOWN:
            gate = unknown(name, Reason.CHECKS_UNKNOWN, message, "the forge answers")
            return replace(gate, due_in_s=worst.retry_after_s)


def _passage(
    commit: CommitId, checked: tuple[CheckedCommit, ...], required: tuple[str, ...]
) -> Passage:
    found = next((one for one in checked if one.commit == commit), None)
    if found is None or found.seen is None:
        return Passage(GateState.UNKNOWN, "what its checks say is being asked for")
    told = passage(found.seen, required)
    if told.state is GateState.OPEN and found.age_s > FRESH_S:
        message = f"its checks had passed {found.age_s:.0f} s ago, and are asked for again"
        return Passage(GateState.UNKNOWN, message)
    return told


def by_name(view: CellView, wanted: Revision) -> tuple[Gate, ...]:
    """Returns the gates of which a policy names any number."""
    return (*http_gates(view, wanted), *conditions_met(view, wanted))


def http_gates(view: CellView, wanted: Revision) -> tuple[Gate, ...]:
    """Every HTTP gate that the policy names has said that it is open, for exactly this revision."""
    outside = view.cell.outside
    said = {asked.gate: asked for asked in outside.gates if asked.revision == wanted.id}
    return tuple(_http_gate(gate, said.get(gate)) for gate in outside.rules.http_gates)


def _http_gate(gate: str, asked: AskedGate | None) -> Gate:
    name = "HttpGate"
    name = f"{name}/{gate}"
    if asked is not None and not asked.is_named:
        message = f"the policy names the gate {gate}, and the daemon's settings name none such under `gates`"
        return closed(name, Reason.NOT_CONFIGURED, message, CHANGES[Reason.NOT_CONFIGURED])
    if asked is None or asked.said is None:
        message = f"{gate} has not answered yet; it is asked once the release is proven before"
        return unknown(name, Reason.GATE_UNKNOWN, message, f"{gate} answers")
    if isinstance(asked.said, NotKnown):
        gate_away = unknown(name, Reason.GATE_UNKNOWN, asked.said.message, f"{gate} answers")
        return replace(gate_away, due_in_s=asked.said.retry_after_s)
    words = f": {asked.said.message}" if asked.said.message else ""
    match asked.said.word:
        case GateWord.CLOSED:
            return closed(name, Reason.GATE_CLOSED, f"{gate} is closed{words}", f"{gate} opens it")
        case GateWord.UNKNOWN:
            message = f"{gate} does not know yet{words}"
            return unknown(name, Reason.GATE_UNKNOWN, message, f"{gate} says open or closed")
        case GateWord.OPEN if asked.age_s > FRESH_S:
            message = f"{gate} was open {asked.age_s:.0f} s ago, and is asked again"
            return unknown(name, Reason.GATE_UNKNOWN, message, f"{gate} answers")
        case GateWord.OPEN:
            return opened(name)


def conditions_met(view: CellView, wanted: Revision) -> tuple[Gate, ...]:
    """Every condition of the policy holds of the facts of now."""
    outside = view.cell.outside
    said = {asked.name: asked.said for asked in outside.conditions if asked.revision == wanted.id}
    return tuple(_condition(one, said=said.get(one.name)) for one in outside.rules.conditions)


def _condition(condition: Condition, *, said: bool | NotKnown | None) -> Gate:
    name = "Condition"
    name = f"{name}/{condition.name}"
    if isinstance(said, NotKnown):
        message = f"{condition.message}: {said.message}"
        return unknown(name, Reason.CONDITION_UNKNOWN, message, "correct it in the policy")
    if said is None:
        message = f"{condition.message}: it has not been evaluated yet"
        return unknown(name, Reason.CONDITION_UNKNOWN, message, "a moment's wait")
    if not said:
        unblock = f"`{condition.expression}` comes true"
        return closed(name, Reason.CONDITION_NOT_MET, condition.message, unblock)
    return opened(name)
