"""A release that failed, as the reverter finds it: its rejection is recorded, and Git is owed a commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from reconciler.adapters.render.builder import ServiceBuilder
from reconciler.core.recording import empty
from reconciler.model.actions import CommitRevert
from reconciler.model.env_repo import Snapshot
from reconciler.model.events import Event, EventKind
from reconciler.model.health import Evidence
from reconciler.model.names import ClusterName, CommitId, EnvironmentName, ServiceName
from reconciler.model.records import Origin, PromotionRecord, Proof, Rejection, RevertProgress
from reconciler.model.release import Part, Revision
from reconciler.schema.snapshot import read_snapshot
from reconciler.shell.asking import Asker
from reconciler.shell.executor.orders import CellKey
from reconciler.shell.heads import Heads, LastAccepted
from reconciler.shell.rendering import Renderer
from reconciler.shell.reverting import RETRY_MAX_S, Reverter
from reconciler.shell.runner import VirtualClock
from reconciler.shell.sources import Sources
from reconciler.simulated.behaviour import Fate
from tests.fakes.memory_forge import MemoryForge
from tests.fakes.memory_git import MemoryGit
from tests.fakes.world import env_repo, pins

WEB = ServiceName("web")
DEV, STAGING, PROD = (EnvironmentName(e) for e in ("dev", "staging", "prod"))
GOOD, BAD = "1.0.0", "1.1.0"


class Memory:
    """What was accepted, in this process alone."""

    def __init__(self) -> None:
        self.last: LastAccepted | None = None

    def load(self) -> LastAccepted | None:
        return self.last

    def save(self, accepted: LastAccepted) -> None:
        self.last = accepted


class Incident:
    """BAD is pinned everywhere, failed in staging, and the clusters are back on GOOD."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.git = MemoryGit(self.clock)
        self.events: list[Event] = []
        self.records: dict[CellKey, PromotionRecord] = {}
        self.may_push = True
        self.clock.advance(10)
        self.git.merge({**env_repo(), **pins(GOOD)}, "good")
        good = {e: self.revision(e) for e in (DEV, STAGING, PROD)}
        for environment, revision in good.items():
            self.records[(WEB, environment)] = self._proven(environment, revision)
        self.bad_commit = self.git.merge(pins(BAD, Fate.CRASH), "bad")
        bad = self.revision(STAGING)
        now = self.clock.now()
        self.rejection = Rejection(
            revision=bad,
            part=Part.IMAGES,
            part_digest=bad.images_digest,
            environments=(STAGING, PROD),
            reason="CrashLoopBackOff",
            message="staging-1: Pod web-abc: password=canary-in-a-message",
            cluster=ClusterName("staging-1"),
            evidence=(Evidence("Pod", "web-abc", "CrashLoopBackOff", "canary-in-a-message", 1, 4),),
            restore_to=good[STAGING],
            commit=self.bad_commit,
            first_failure_at=now - timedelta(seconds=3),
            rejected_at=now,
        )
        self.records[(WEB, STAGING)] = replace(
            self.records[(WEB, STAGING)], rejections=(self.rejection,)
        )
        self.forge: MemoryForge | None = None
        self.reverter = self.process()

    def serve(self) -> MemoryForge:
        """Has a forge serve the repository from now on; the process that uses it is a new one."""
        self.forge = MemoryForge()
        self.forge.serve(self.git.branches)
        self.restart()
        return self.forge

    def process(self) -> Reverter:
        """Starts a process, which knows nothing but what Git and the records hold."""
        self.heads = Heads(
            self.git,
            self.git,
            read=lambda commit: read_snapshot(self.git, commit),
            vouch=lambda accepted, now: None,
            accepted=Memory(),
            accept_history=lambda: None,
            poll_s=lambda: 15.0,
            clock=self.clock,
            on_change=self._head_changed,
            on_event=lambda event: None,
        )
        return Reverter(
            clock=self.clock,
            heads=self.heads,
            history=self.git,
            remote=self.git,
            branch="main",
            root="",
            forge=self.forge,
            asker=self.asker,
            facts=lambda service: None,
            record=self.records.get,
            amend=self._amend,
            may_push=lambda: self.may_push,
            on_event=self.events.append,
            on_change=lambda service: None,
        )

    def _head_changed(self) -> None:
        if not self.heads.head.error:
            self.reverter.look_again()

    def asker(self, snapshot: Snapshot) -> Asker:
        renderer = Renderer(self.git, ServiceBuilder(), clock=self.clock, key=lambda: b"k" * 32)
        return Asker(snapshot, Sources(self.git, ""), renderer)

    def owe(self, *, direct: bool = True) -> None:
        """Tells the reverter what the plan says is owed, as every turn does."""
        record = self.records[(WEB, STAGING)]
        for rejection in record.rejections:
            if rejection.revert.commit is None:
                self.reverter.take(
                    CommitRevert(WEB, STAGING, rejection, direct, rejection.reason, "take it back")
                )

    def step(self) -> None:
        self.owe()
        self.reverter.step()

    def refuse_main(self) -> None:
        """Protects the branch that people merge into."""
        self.git.refuse = lambda branch: "protected branch" if branch == "main" else ""

    def pass_(self, seconds: float = RETRY_MAX_S) -> None:
        self.clock.advance(seconds)
        self.step()

    def restart(self) -> None:
        """A new process; what the old one had in mind is gone."""
        self.reverter = self.process()

    def revision(self, environment: EnvironmentName) -> Revision:
        """Returns what HEAD's pin names."""
        asker = self.asker(read_snapshot(self.git, self.git.branches["main"]))
        wanted = asker.pinned(WEB, environment, ()).wanted
        assert wanted is not None
        return wanted

    def version(self, environment: EnvironmentName) -> str:
        snapshot = read_snapshot(self.git, self.git.branches["main"])
        return snapshot.pins[(environment, WEB)].version

    @property
    def progress(self) -> RevertProgress:
        return self.records[(WEB, STAGING)].rejections[0].revert

    def made(self, action: str, branch: str = "main") -> list[CommitId]:
        """Returns the daemon's commits of a kind on a branch, newest first."""
        log = self.git.log(self.git.branches[branch], path=None, most=100)
        return [f.commit for f in log if f"Reconciler-Action: {action}\n" in f.message]

    def own_branches(self) -> list[str]:
        return [name for name in self.git.branches if name.startswith("reconciler/")]

    def told(self, kind: EventKind) -> int:
        return sum(event.kind is kind for event in self.events)

    def _proven(self, environment: EnvironmentName, revision: Revision) -> PromotionRecord:
        proof = Proof(revision, Origin.SOAKED, (), True, "", self.clock.now())
        return replace(empty(WEB, environment), admitted=revision, proofs=(proof,))

    def _amend(self, key: CellKey, change: Callable[[PromotionRecord], PromotionRecord]) -> None:
        self.records[key] = change(self.records[key])
