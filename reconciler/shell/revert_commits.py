"""What a revert commit is made from: a fresh HEAD, the pins that it names, and what is proven."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.core.rejections import is_written
from reconciler.core.reverting import RevertPlan, commit_message, plan_revert, with_mates
from reconciler.model.actions import CommitRevert
from reconciler.model.env_repo import Snapshot
from reconciler.model.facts import Cell, ServiceFacts
from reconciler.model.fleet import Mode
from reconciler.model.names import CommitId, ServiceName
from reconciler.model.records import PromotionRecord
from reconciler.model.times import rfc3339
from reconciler.ports.git import History, Remote
from reconciler.schema.edit import add_entry, set_release
from reconciler.schema.snapshot import octets_at
from reconciler.shell.asking import Asker
from reconciler.shell.executor.orders import CellKey

ENTRIES_BACK_MAX = 50
"""Commits of a quarantine file looked through for the one that wrote an entry."""


class RevertCommits:
    """Plans and writes revert commits; nothing is pushed.

    Args:
        history: The mirror.
        remote: Writes commits.
        root: The subfolder that is the env repo.
        asker: Makes what turns a snapshot into Asks.
        facts: A service's facts as last gathered.
        record: Returns the record of a cell.
    """

    def __init__(
        self,
        *,
        history: History,
        remote: Remote,
        root: str,
        asker: Callable[[Snapshot], Asker],
        facts: Callable[[ServiceName], ServiceFacts | None],
        record: Callable[[CellKey], PromotionRecord | None],
    ) -> None:
        self._history = history
        self._remote = remote
        self._root = f"{root.strip('/')}/" if root.strip("/") else ""
        self._asker = asker
        self._facts = facts
        self._record = record

    def plan(self, snapshot: Snapshot, action: CommitRevert) -> RevertPlan:
        """Returns what a commit changes on top of this HEAD.

        Raises:
            TransientError: A pin could not be resolved; what is unknown is not left out.
        """
        service, rejection = action.service, action.rejection
        plan = plan_revert(service, rejection, self._cells(snapshot, service))
        mates = {
            mate: self._cells(snapshot, mate)
            for mate in snapshot.fleet.mates(service)
            if self._asker(snapshot).mode(mate, Mode.ENFORCE) is Mode.ENFORCE
        }
        return with_mates(plan, rejection, mates)

    def commit(self, onto: CommitId, action: CommitRevert, plan: RevertPlan) -> CommitId:
        """Writes the commit on top of HEAD, or of commits for other services that are on top of it."""
        edits: dict[str, bytes | None] = {}
        for service, edit in plan.pins():
            path = f"environments/{edit.environment}/{service}.yaml"
            octets = self._blob(onto, path)
            if octets is None:
                continue
            target = edit.restore_to
            edits[self._root + path] = set_release(path, octets, target.release, target.values)
        path = f"quarantine/{action.service}.yaml"
        edits[self._root + path] = add_entry(path, self._blob(onto, path), plan.entry)
        message = commit_message(action.service, action.rejection, plan)
        return self._remote.commit(onto, edits, message)

    def written(self, snapshot: Snapshot, action: CommitRevert) -> CommitId | None:
        """Returns the commit that holds this rejection already, or None."""
        entries = snapshot.quarantine.get(action.service, ())
        if not is_written(action.rejection, entries):
            return None
        path = f"quarantine/{action.service}.yaml"
        entry = rfc3339(action.rejection.rejected_at).encode()
        found = snapshot.commit
        for facts in self._history.log(
            snapshot.commit, path=self._root + path, most=ENTRIES_BACK_MAX
        ):
            if entry not in (self._blob(facts.commit, path) or b""):
                break
            found = facts.commit
        return found

    def _cells(self, snapshot: Snapshot, service: ServiceName) -> tuple[Cell, ...]:
        """Returns the service's cells as this HEAD's pins name them, in order of its path."""
        asker = self._asker(snapshot)
        facts = self._facts(service)
        known = {cell.environment: cell for cell in facts.cells} if facts else {}
        path = asker.path(service, tuple(known))
        records = {name: self._record((service, name)) for name in path.names()}
        cells: list[Cell] = []
        for name, record in records.items():
            ask = asker.pinned(service, name, [records[n] for n in path.before(name)])
            members = known[name].members if name in known else ()
            cells.append(Cell(name, ask, record, record_known=True, members=members))
        return tuple(cells)

    def _blob(self, commit: CommitId, path: str) -> bytes | None:
        return octets_at(self._history, commit, self._root + path)
