"""People asked to move a pin: one branch for what is asked, and where there is a forge one pull request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from reconciler.core.pin_commits import branch_for, cell_of
from reconciler.core.pin_moves import following
from reconciler.core.view import CellView
from reconciler.errors import ReconcilerError, Unreachable
from reconciler.model.actions import CommitPin
from reconciler.model.answers import NotKnown
from reconciler.model.facts import FleetSummary
from reconciler.model.fleet import Mode
from reconciler.model.forge import PullRequest, PullRequestState
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.promotion import Asked, AskedState, Promotion
from reconciler.model.view import Planned
from reconciler.ports.clock import Clock
from reconciler.ports.forge import Forge

SWEEP_S = 60.0
"""Between two looks for pull requests of ours that ask for what is not the next release any more."""

NOT_OURS_S = 5.0
"""Whoever comes to lead need not know whose pull requests are open at once."""

IDLE_S = 3600.0


class PinRequests:
    """Asks people by pull requests.

    Args:
        clock: Time.
        forge: Serves the env repo; None: there is only the branch.
        base: The branch that people merge into.
    """

    def __init__(self, clock: Clock, forge: Forge | None, base: str) -> None:
        self._clock = clock
        self._forge = forge
        self._base = base
        self._swept_s = float("-inf")

    def branch(self, action: CommitPin) -> str:
        """Returns the branch for what is asked."""
        release = action.revision.release
        return branch_for(action.service, action.environment, release, floats=action.floats)

    def known(self, action: CommitPin) -> Asked | None:
        """Returns what has become of the pull request for it; None: there never was one.

        Raises:
            Unreachable: The forge does not say, so that nothing is opened.
        """
        if self._forge is None:
            return None
        found = self._forge.pull_request_of(self.branch(action), self._base)
        if isinstance(found, NotKnown):
            raise Unreachable(self.branch(action), "its pull request is not known", found.message)
        return _asked(action, found) if found is not None else None

    def open(self, action: CommitPin, title: str, body: str) -> Asked:
        """Opens the pull request for a branch that is there, or returns the one that is open.

        Raises:
            ReconcilerError: The forge does not answer, or refuses it.
        """
        branch = self.branch(action)
        if self._forge is None:
            why = f"merge the branch {branch}; no `forge` is set that could open a pull request"
            return Asked(action.revision.id, AskedState.BRANCH, why)
        return _asked(action, self._forge.pull_request(branch, self._base, title, body))

    def sweep(self, planned: Callable[[ServiceName], Planned | None], *, may_close: bool) -> float:
        """Closes, now and then, what asks for another release than the next; returns seconds until the next time.

        Args:
            planned: A service as it was planned last.
            may_close: Whether writes are ours now.
        """
        if self._forge is None:
            return IDLE_S
        if not may_close:
            return NOT_OURS_S
        now_s = self._clock.monotonic_s()
        if now_s < self._swept_s + SWEEP_S:
            return self._swept_s + SWEEP_S - now_s
        self._swept_s = now_s
        open_ones = self._forge.open_pull_requests(self._base)
        for pull in () if isinstance(open_ones, NotKnown) else open_ones:
            cell = cell_of(pull.branch)
            if cell is not None and _is_stale(planned(cell[0]), cell[1], pull.branch):
                # One that cannot be closed now is met again.
                with suppress(ReconcilerError):
                    self._forge.close_pull_request(pull.number)
        return SWEEP_S


def _asked(action: CommitPin, pull: PullRequest) -> Asked:
    match pull.state:
        case PullRequestState.OPEN:
            return Asked(action.revision.id, AskedState.OPEN, f"merge {pull.url}")
        case PullRequestState.CLOSED:
            why = f"{pull.url} was closed, and is not opened again"
        case PullRequestState.MERGED:
            why = f"{pull.url} was merged, and the pin does not say so"
    return Asked(action.revision.id, AskedState.CLOSED, why)


def _is_stale(planned: Planned | None, environment: EnvironmentName, branch: str) -> bool:
    """Tells whether it is known that the pin is to ask for something else next, or for nothing."""
    cells = planned.facts.cells if planned is not None else ()
    index = next((i for i, cell in enumerate(cells) if cell.environment == environment), None)
    if planned is None or index is None or planned.facts.mode is Mode.OBSERVE:
        return False
    view = CellView(planned.facts, index, FleetSummary(), planned.at)
    ask = view.cell.ask
    is_known = all(cell.record_known for cell in (view.cell, *view.earlier))
    if not is_known or ask.wanted is None or ask.ahead is None or ask.quarantine is None:
        return False
    if ask.promote is Promotion.MANUAL:
        return True
    target = following(view)
    if target is None:
        return True
    floats = ask.source is None
    return branch != branch_for(planned.facts.service, environment, target.release, floats=floats)
