"""Everything that moves pins: what takes releases back, what moves them on, and what registries have for them."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.config.settings import RepoSettings
from reconciler.model.env_repo import Snapshot
from reconciler.model.events import Event
from reconciler.model.facts import ServiceFacts
from reconciler.model.names import ServiceName
from reconciler.model.records import PromotionRecord
from reconciler.model.view import Planned
from reconciler.shell.asking import Asker
from reconciler.shell.executor.orders import CellKey
from reconciler.shell.following import Follower
from reconciler.shell.heads import Heads
from reconciler.shell.pin_requests import PinRequests
from reconciler.shell.promoting import Promoter
from reconciler.shell.reverting import Change, Reverter
from reconciler.shell.runner import AtStop, Runner
from reconciler.shell.world import Ports


class GitWrites:
    """The tasks that write to Git.

    Attributes:
        reverter: Takes releases back.
        promoter: Moves pins on.
        follower: Asks registries, where there are some to be asked.

    Args:
        ports: The world.
        repo: Where the env repo is in it.
        heads: Fetches and accepts.
        asker: Makes what turns a snapshot into Asks.
        facts: A service's facts as last gathered.
        planned: A service as it was planned last.
        record: Returns the record of a cell.
        amend: Changes the record of a cell as it stands then, now or later.
        may_push: Whether Git writes are ours now.
        leads: Whether it is this daemon that decides, be it in observe mode.
        poll_s: Seconds between two looks at an image repository.
        on_event: Told of pushes.
        on_change: Told of a service of which there is news.
    """

    def __init__(
        self,
        ports: Ports,
        repo: RepoSettings,
        heads: Heads,
        *,
        asker: Callable[[Snapshot], Asker],
        facts: Callable[[ServiceName], ServiceFacts | None],
        planned: Callable[[ServiceName], Planned | None],
        record: Callable[[CellKey], PromotionRecord | None],
        amend: Callable[[CellKey, Change], None],
        may_push: Callable[[], bool],
        leads: Callable[[], bool],
        poll_s: Callable[[str], float],
        on_event: Callable[[Event], None],
        on_change: Callable[[ServiceName], None],
    ) -> None:
        self.reverter = Reverter(
            clock=ports.clock,
            heads=heads,
            history=ports.history,
            remote=ports.remote,
            branch=repo.branch,
            root=repo.path,
            forge=ports.forge,
            asker=asker,
            facts=facts,
            record=record,
            amend=amend,
            may_push=may_push,
            on_event=on_event,
            on_change=on_change,
        )
        self.promoter = Promoter(
            clock=ports.clock,
            heads=heads,
            history=ports.history,
            remote=ports.remote,
            branch=repo.branch,
            root=repo.path,
            requests=PinRequests(ports.clock, ports.forge, repo.branch),
            planned=planned,
            may_push=may_push,
            on_event=on_event,
            on_change=on_change,
        )

        self._asks_registries = ports.registry is not None
        self.follower = Follower(
            clock=ports.clock,
            registry=ports.registry,
            snapshot=lambda: heads.head.snapshot,
            may_ask=leads,
            poll_s=poll_s,
            on_change=on_change,
        )

    def start(self, runner: Runner) -> None:
        """Hands the tasks to the runner."""
        runner.spawn("revert", self.reverter.step, on_wake=self.reverter.on_wake)
        runner.spawn("promote", self.promoter.step, on_wake=self.promoter.on_wake)
        if self._asks_registries:
            runner.spawn("registries", self.follower.step, at_stop=AtStop.LEAVE)
