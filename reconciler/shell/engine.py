"""The daemon's parts put together over ports: the same for real clusters, simulated ones and tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import structlog

from reconciler.config.settings import Settings
from reconciler.model.env_repo import Snapshot
from reconciler.model.events import Event
from reconciler.model.facts import ServiceFacts
from reconciler.model.fleet import Mode
from reconciler.model.names import ClusterName, CommitId, ServiceName
from reconciler.model.records import PromotionRecord
from reconciler.model.view import Head, View
from reconciler.ports.git import History
from reconciler.ports.kube import KubeApi
from reconciler.schema.snapshot import Parsed, read_snapshot
from reconciler.shell.accepted import AcceptedHead
from reconciler.shell.acting import Actor
from reconciler.shell.announcing import Announcer
from reconciler.shell.asking import Asker
from reconciler.shell.clusters import Clusters, Heard
from reconciler.shell.coordinator import Act, Coordinator, Observe
from reconciler.shell.digest_key import DigestKey
from reconciler.shell.executor.orders import CellKey, Claim, Installation, Leadership, Rights
from reconciler.shell.gathering import Gatherer
from reconciler.shell.git_writes import GitWrites
from reconciler.shell.heads import Heads
from reconciler.shell.lease import Lease
from reconciler.shell.outside import Outsiders
from reconciler.shell.pinning import ClusterPins
from reconciler.shell.promotion_records import PromotionRecords
from reconciler.shell.rendering import Renderer
from reconciler.shell.runner import AtStop, Wake
from reconciler.shell.sources import Sources
from reconciler.shell.vouching import Vouching
from reconciler.shell.world import Ports

HOME_ASKED_S = 0.25
"""How soon what waits for the home's first answer looks for it; it asks the pulse, not the home."""

_log = structlog.get_logger(__name__)


class Engine:
    """One daemon.

    Args:
        settings: As read at the start; what may be reloaded is asked of `current` each time.
        current: The settings of now.
        ports: The world.
        holder: This process's own name.
        on_event: Told of everything that happens.
        on_view: Given what every turn has seen and decided.
        waits: For all that is asked for to be rendered; a daemon has others to look after meanwhile.
    """

    def __init__(
        self,
        settings: Settings,
        current: Callable[[], Settings],
        ports: Ports,
        *,
        holder: str,
        on_event: Callable[[Event], None],
        on_view: Callable[[View], None] = lambda view: None,
        waits: bool = False,
    ) -> None:
        self._settings = settings
        self._current = current
        self._ports = ports
        self._outer = on_event
        self._installation = Installation(settings.installation, settings.installation_formerly)
        self._on_view = on_view
        self._waits = waits
        self._coordinator: Coordinator | None = None
        self.view: View | None = None
        self.announcer = self._announcer(holder)
        self.clusters = Clusters(
            settings,
            ports.reach,
            clock=ports.clock,
            runner=ports.runner,
            heard=Heard(self._touch, self._touch_all, self._on_event),
            rights=Rights(self._may_write_cell, self._leadership, self._installation),
            may_install=self._may_write,
        )
        self.clusters.add(ports.home)
        home = self.clusters.api(ports.home)
        self.clusters.pin_by(
            ClusterPins(home, self.namespace, may_write=self._may_write, told=self._told_uid)
        )
        self.clusters.join(ports.named)
        self.lease = self._lease(home, holder)
        self.records = PromotionRecords(
            home,
            self.namespace,
            partial(self.clusters.watch, ports.home),
            on_change=self._touch,
            on_fresh=self._touch_all,
            answers=lambda: self.home_answers,
            may_write=self._may_write_cell,
            clock=ports.clock,
            installation=self._installation,
        )
        self._sources = Sources(ports.history, settings.repo.path, ports.signers)
        self.outside = Outsiders.over(ports, self._sources, self._touch_service)
        self.digest_key = self._digest_key(home)
        self._renderer = self._rendering()
        self._parsed = Parsed()
        self.heads = self._heads(home)
        self.git = self._git_writes()
        actor = Actor(
            clock=ports.clock,
            records=self.records,
            executors=lambda: self.clusters.executors,
            leadership=self._leadership,
            revert=self.git.reverter.take,
            move_pin=self.git.promoter.take,
            on_event=self._on_event,
        )
        self._coordinator = self._coordinating(
            lambda: self.heads.head, actor.act, actor.observe, self._publish
        )

    # The parts that take the most words to put together.

    def _lease(self, home: KubeApi, holder: str) -> Lease:
        settings = self._settings
        return Lease(
            home,
            settings.namespace,
            holder,
            clock=self._ports.clock,
            duration_s=settings.lease.duration_s,
            renew_deadline_s=settings.lease.renew_deadline_s,
            retry_s=settings.lease.retry_s,
            on_change=self._touch_all,
            on_event=self._on_event,
        )

    def _announcer(self, holder: str) -> Announcer:
        return Announcer(
            lambda: self.clusters.api(self._ports.home),
            holder,
            may_write=lambda key: self.lease.leads and self._may_write_cell(key),
            about=lambda key: self.records.reference(key),  # noqa: PLW0108  # it is made later
        )

    def _digest_key(self, home: KubeApi) -> DigestKey:
        return DigestKey(
            home,
            self._settings.namespace,
            may_write=self._may_write,
            entropy=self._ports.entropy,
            on_known=self._touch_all,
        )

    def _rendering(self) -> Renderer:
        return Renderer(
            self._ports.history,
            self._ports.builder,
            clock=self._ports.clock,
            key=self.digest_key.get,
            on_built=self._touch_service,
        )

    def _heads(self, home: KubeApi) -> Heads:
        ports, root = self._ports, self._settings.repo.path
        return Heads(
            ports.remote,
            ports.history,
            read=self._read,
            vouch=Vouching(ports.history, root, self._read, ports.signers).check,
            accepted=AcceptedHead(home, self.namespace, may_write=self._may_write),
            accept_history=lambda: self._current().repo.accept_history,
            poll_s=lambda: self._current().repo.poll_s,
            clock=ports.clock,
            on_change=self._head_changed,
            on_event=self._on_event,
        )

    def _git_writes(self) -> GitWrites:
        return GitWrites(
            self._ports,
            self._settings.repo,
            self.heads,
            asker=self.asker_of,
            facts=self._facts,
            planned=lambda service: (
                self._coordinator.planned(service) if self._coordinator else None
            ),
            record=self.records.get,
            amend=self._amend,
            may_push=lambda: self.lease.leads and self._may_write(),
            leads=lambda: self._leadership().leads,
            poll_s=self._settings.registry_poll_s,
            on_event=self._on_event,
            on_change=self._touch_service,
        )

    # What it does.

    def start(self) -> Wake:
        """Hands every task to the runner; returns what makes it fetch at once."""
        runner = self._ports.runner
        assert self._coordinator is not None
        self._could_write = self._may_write()
        runner.spawn("lease", self._lease_step)
        runner.spawn("digest key", self._digest_key_step, at_stop=AtStop.LEAVE)
        wake_fetch = runner.spawn("fetch", self.heads.step)
        self.git.start(runner)
        announcer = self.announcer
        runner.spawn("events", announcer.step, at_stop=AtStop.LEAVE, on_wake=announcer.on_wake)
        self.clusters.start()
        self._renderer.queue.start(runner)
        self.outside.start(runner)
        self._sources.pin_history.start(runner, self._touch_service)
        runner.spawn("coordinator", self._coordinator.step, on_wake=self._coordinator.on_wake)
        return wake_fetch

    def api(self, cluster: str) -> KubeApi:
        """Returns a cluster's API."""
        return self.clusters.api(ClusterName(cluster))

    @property
    def history(self) -> History:
        """The env repo's history."""
        return self._ports.history

    @property
    def namespace(self) -> str:
        """Ours, in every cluster."""
        return self._settings.namespace

    @property
    def home_answers(self) -> bool:
        """Whether the home cluster answers."""
        return self.clusters.pulses[self._ports.home].is_reachable

    def turn(self) -> None:
        """Makes one more turn over everything, in the caller's own thread."""
        assert self._coordinator is not None
        self._coordinator.touch()
        self._coordinator.step()

    def look_again(self) -> None:
        """Has the next turn look at everything: something that it goes by has changed."""
        self._touch_all()

    def view_at(self, snapshot: Snapshot) -> View:
        """Returns what would be seen and decided if HEAD were another commit; nothing is done about it."""
        head = replace(self.heads.head, commit=snapshot.commit, snapshot=snapshot)
        seen: list[View] = []
        looking = self._coordinating(
            lambda: head, lambda action, asker: False, lambda action, asker: None, seen.append
        )
        looking.step()
        if self.outside.catch_up():
            looking.touch()
            looking.step()
        return seen[-1]

    def stop(self) -> None:
        """Writes down what only this process knows, and gives the lease up; tasks must have ended."""
        for executor in self.clusters.executors.values():
            executor.flush()
        if self._may_write():
            self.lease.release()

    # What the parts ask of each other.

    def _coordinating(
        self, head: Callable[[], Head], act: Act, observe: Observe, publish: Callable[[View], None]
    ) -> Coordinator:
        return Coordinator(
            clock=self._ports.clock,
            daemon_mode=lambda: self._current().mode,
            head=head,
            asker=self._next_asker,
            records=self.records,
            gather=Gatherer(
                daemon_mode=lambda: self._current().mode,
                head=head,
                records=self.records,
                executors=lambda: self.clusters.executors,
                outside=self.outside.see,
                asked=self.git.promoter.asked,
                followed=self.git.follower.of,
            ),
            leadership=self._leadership,
            fuses=lambda: self._current().fuses.an_hour,
            act=act,
            observe=observe,
            unreachable=lambda: self.clusters.missed(self.heads.head, self._ports.home),
            denied=self.clusters.denied,
            home=self._ports.home,
            publish=publish,
        )

    def _lease_step(self) -> float:
        """Keeps the lease while anything may be written: the mode may change while the daemon runs."""
        may_write = self._may_write()
        if may_write != self._could_write:
            self._could_write = may_write
            if may_write:
                # What we need in the clusters could not be made while they were only observed.
                self.clusters.prepare_again()
            self._touch_all()
        return self.lease.step() if may_write else self._settings.lease.retry_s

    def _digest_key_step(self) -> float:
        # Its namespace is made when the home first answers.
        return self.digest_key.step() if self.home_answers else HOME_ASKED_S

    def _told_uid(self, cluster: ClusterName) -> str | None:
        chosen = self._settings.clusters.get(cluster)
        return chosen.uid if chosen is not None else None

    def _may_write_cell(self, key: CellKey) -> bool:
        """Tells whether anything may be written for a cell: not if it is only observed, suspended or another's.

        Until Git has been read, a service's own mode is not known, and what is proven may go back.
        """
        if not self._may_write() or self.records.suspended(key) or self.records.other(key):
            return False
        snapshot = self.heads.head.snapshot
        asker = self.asker_of(snapshot) if snapshot is not None else None
        return asker is None or asker.mode(key[0], Mode.ENFORCE) is Mode.ENFORCE

    def _may_write(self) -> bool:
        return self._current().mode is Mode.ENFORCE

    def _leadership(self) -> Leadership:
        if not self._may_write():
            return Leadership(None, leads=True)
        epoch, own = self.lease.epoch, (self.lease.holder, self._installation.name)
        claim = None if epoch is None else Claim(epoch, *own)
        return Leadership(claim, self.lease.leads, self.lease.message)

    def _amend(self, key: CellKey, change: Callable[[PromotionRecord], PromotionRecord]) -> None:
        """Changes a record in our own name, so that a later coordinator's is refused to us."""
        claim = self._leadership().claim

        def ours(record: PromotionRecord) -> PromotionRecord:
            changed = change(record)
            return record if claim is None or changed == record else claim.on(changed)

        self.records.amend(key, ours)

    def _read(self, commit: CommitId) -> Snapshot:
        return read_snapshot(
            self._ports.history, commit, root=self._settings.repo.path, parsed=self._parsed
        )

    def _next_asker(self, head: Head) -> Asker | None:
        """What still counts of what was to be built for the snapshot before is asked for again."""
        self._renderer.queue.clear()
        return self.asker_of(head.snapshot) if head.snapshot is not None else None

    def asker_of(self, snapshot: Snapshot) -> Asker:
        """Returns what turns a snapshot into Asks and renders."""
        return Asker(snapshot, self._sources, self._renderer, self._waits)

    def _facts(self, service: ServiceName) -> ServiceFacts | None:
        planned = self.view.services.get(service) if self.view else None
        return planned.facts if planned else None

    def _publish(self, view: View) -> None:
        self.view = view
        self._on_view(view)

    def _on_event(self, event: Event) -> None:
        self._outer(event)
        self.announcer.take(event)

    def _touch(self, key: CellKey) -> None:
        self._touch_service(key[0])

    def _touch_service(self, service: ServiceName) -> None:
        if self._coordinator is not None:
            self._coordinator.touch(service)

    def _touch_all(self) -> None:
        # Watches begin before the coordinator does, and its first turn looks at everything anyway.
        if self._coordinator is not None:
            self._coordinator.touch()

    def _head_changed(self) -> None:
        self.clusters.join(self.heads.head.clusters)
        if not self.heads.head.error:
            self.git.reverter.look_again()
        self._touch_all()
