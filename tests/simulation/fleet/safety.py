"""What always holds, each seen from outside: one function for each invariant of the design, called after every turn."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reconciler.model.names import CommitId
from reconciler.ports.git import CommitFacts
from tests.simulation.fleet import safety_back as back
from tests.simulation.fleet.book import (
    OBJECTS,
    OBSERVED_AFTER_S,
    OURS,
    RECORDS,
    SEEN_AFTER_S,
    Given,
    Write,
    failure_of,
)
from tests.simulation.fleet.safety_back import told
from tests.simulation.fleet.shape import CANARY
from tests.simulation.fleet.witness import Witness

PLATFORM_S = 30.0
"""For how long after nodes failed what is seen may still be of that."""

_SAID = (CANARY, b64encode(CANARY.encode()).decode())


def says(text: str) -> bool:
    """Whether a text holds the value of a Secret, as it is or as the API has it."""
    return any(said in text for said in _SAID)


@dataclass(frozen=True, slots=True)
class Look:
    """What is new since the last look.

    Attributes:
        commits: Of the branch, oldest first.
    """

    witness: Witness
    now_s: float
    given: tuple[Given, ...]
    writes: tuple[Write, ...]
    commits: tuple[CommitFacts, ...]


def i01_a_release_goes_on_only_after_it_was_well_in_every_environment_before(
    look: Look,
) -> Iterator[str]:
    """Seen from the clusters' own states, and not from what any record says."""
    for given in look.given:
        if given.unproven:
            yield f"{told(given)}, which was not well in {', '.join(given.unproven)}"


def i02_nothing_is_deleted_but_what_the_given_tree_leaves_out(look: Look) -> Iterator[str]:
    """Whatever is broken: no list that failed, and no file that is gone, deletes anything."""
    for write in _deletions(look):
        written = write.written
        tree = (
            look.witness.trees.get((written.namespace, write.newest.tree)) if write.newest else None
        )
        is_extra = written.name == f"{written.namespace}-extra"
        if tree is None or tree.has_extra or not is_extra:
            about = f"{written.kind} {written.namespace}/{written.name} on {write.cluster}"
            yield f"{write.at_s:.2f} s: {write.holder} deleted {about}"


def _deletions(look: Look) -> Iterator[Write]:
    for write in look.writes:
        written = write.written
        if written.verb == "delete" and written.kind in OBJECTS and written.namespace != OURS:
            yield write


def i02_no_release_is_rejected_that_does_not_fail_there(look: Look) -> Iterator[str]:
    """An unknown is not failed: what is good wherever it went is never called bad."""
    yield from (what for what, is_platforms in _wrongly(look) if not is_platforms)


def i08_nothing_is_rejected_for_what_the_platform_does(look: Look) -> Iterator[str]:
    """What fails as all else does on a cluster whose nodes fail is no fault of its own."""
    yield from (what for what, is_platforms in _wrongly(look) if is_platforms)


def _wrongly(look: Look) -> Iterator[tuple[str, bool]]:
    """Yields each rejection of what is good, and whether nodes failed there shortly before."""
    witness = look.witness
    for one in witness.rejections.values():
        if not one.version or witness.is_ever_refused(one.service):
            continue
        where = witness.fleet.environment(one.environments[0]).names()
        if any(witness.is_bad(one.service, c, one.version) for c in where):
            continue
        about = f"{one.service} {one.version} was rejected in {one.environments[0]}"
        is_platforms = any(
            one.at_s - witness.nodes_s.get(c, -PLATFORM_S) < PLATFORM_S for c in where
        )
        yield f"{one.at_s:.2f} s: {about}", is_platforms


def stops_hold(look: Look) -> Iterator[str]:
    """What was never proven goes nowhere past a freeze or a shut window, nor without approval where one is needed."""
    for claim in look.witness.claims:
        if claim.stopped_by and look.witness.quiet_s(claim.cluster, claim.at_s) > SEEN_AFTER_S:
            by = ", ".join(claim.stopped_by)
            about = f"{claim.service} {claim.version} on {claim.cluster}"
            yield f"{claim.at_s:.2f} s: {claim.holder} began {about} past {by}"
    look.witness.claims.clear()


def stops_hold_what_is_suspended(look: Look) -> Iterator[str]:
    """A person has broken the glass: nothing is written below that record for so long."""
    witness = look.witness
    for write in look.writes:
        since_s, until_s = witness.suspended.get(
            (write.written.namespace, write.cluster), (0.0, 0.0)
        )
        is_in_time = since_s + OBSERVED_AFTER_S < write.at_s < until_s and not witness.has_jumped
        is_seen = witness.quiet_s(write.cluster, write.at_s) > SEEN_AFTER_S
        if is_in_time and is_seen and write.written.kind in OBJECTS:
            about = f"{write.written.kind} {write.written.name} on {write.cluster}"
            yield f"{write.at_s:.2f} s: {write.holder} wrote {about}, which is suspended"


def i05_a_revert_touches_only_pins_of_what_failed_and_keeps_the_rest(look: Look) -> Iterator[str]:
    """And each failure is reverted once."""
    witness = look.witness
    for commit in look.commits:
        if "Reconciler-Action:" not in commit.message:
            continue
        about = f"{commit.commit[:7]} {commit.message.splitlines()[0]!r}"
        now, was = witness.repo.git.files(commit.commit), witness.repo.git.files(commit.parents[0])
        for path in sorted(now.keys() | was.keys()):
            if now.get(path) == was.get(path) or path.startswith("quarantine/"):
                continue
            if path not in now or path not in was or not path.startswith("environments/"):
                yield f"{about} changed {path}"
                continue
            old, new = (witness.repo.git.blob(files[path]).decode() for files in (was, now))
            if _comments(old) != _comments(new):
                yield f"{about} changed the comments of {path}"


def _comments(text: str) -> list[str]:
    return [line.partition("#")[2] for line in text.splitlines() if "#" in line]


def i05_each_failure_is_written_to_git_once(look: Look) -> Iterator[str]:
    """One entry for each rejection, however often its push was lost, raced or broken off."""
    for service in {one.name for one in look.witness.fleet.services} if look.commits else ():
        found = [failure_of(entry) for entry in look.witness.repo.quarantine(service)]
        for failure in sorted({one for one in found if found.count(one) > 1}):
            yield f"{service}: the failure {failure} stands {found.count(failure)} times in its quarantine"


def i06_what_is_said_to_be_pushed_is_in_git(look: Look) -> Iterator[str]:
    """No record names the commit of a failure that never was on the branch."""
    for write in look.writes:
        if write.written.kind != "PromotionRecord" or write.written.verb == "delete":
            continue
        for rejection in write.written.obj["spec"].get("rejections") or ():
            commit = (rejection.get("revert") or {}).get("commit")
            if commit is not None and commit not in look.witness.on_branch:
                about = f"{write.written.name}, and {commit[:7]} is not there"
                yield f"{write.at_s:.2f} s: {write.holder} has written of a revert of {about}"


def i11_a_new_record_speaks_of_what_is_live(look: Look) -> Iterator[str]:
    """With no record, or none any more, what runs is taken over as it is: nothing is rolled out over it."""
    for at_s, holder, record, version, live in look.witness.begun:
        others = {cluster: one for cluster, one in live.items() if one != version}
        if others:
            yield f"{at_s:.2f} s: {holder} began {record} with {version}, and there run {others}"
    look.witness.begun.clear()


def i12_no_record_is_set_back_and_each_write_follows_its_claim(look: Look) -> Iterator[str]:
    """Epochs never sink, nor does a holder change within one; who writes objects holds their record."""
    last = look.witness.epochs
    for write in look.writes:
        written = write.written
        if written.kind not in RECORDS or written.verb == "delete":
            continue
        which = (write.cluster, written.kind, written.name)
        epoch, holder = written.obj["spec"]["epoch"], written.obj["spec"]["holder"]
        was_epoch, was_holder = last.get(which, (0, holder))
        if epoch < was_epoch or (epoch == was_epoch and holder != was_holder):
            yield (
                f"{write.at_s:.2f} s: {write.holder} wrote {written.kind} {written.name} on "
                f"{write.cluster} as {holder} in {epoch} after {was_holder} in {was_epoch}"
            )
        last[which] = (epoch, holder)
    for given in look.given:
        if given.record is None or given.record[1] != given.holder:
            yield f"{told(given)} while its record is {given.record}"


def i13_nothing_is_pruned_before_its_release_is_proven(look: Look) -> Iterator[str]:
    """What a release leaves out goes once it was well there for the soak."""
    for write in _deletions(look):
        if not write.is_proven:
            about = f"{write.written.name} on {write.cluster}"
            yield f"{write.at_s:.2f} s: {write.holder} deleted {about} before {write.newest} was proven"


def i14_no_secret_is_said(look: Look) -> Iterator[str]:
    """Not in a record, an Event, a ConfigMap of ours, or a commit."""
    for write in look.writes:
        written = write.written
        if written.kind not in (*RECORDS, "Event", "ConfigMap"):
            continue
        if says(json.dumps(written.obj, default=str)):
            yield f"{write.at_s:.2f} s: {written.kind} {written.name} on {write.cluster} says it"
    for commit in look.commits:
        if says(commit.message):
            yield f"the commit {commit.commit[:7]} says it"


def i16_what_is_accepted_descends_from_what_was(look: Look) -> Iterator[str]:
    """Or from what the operator has named."""
    witness = look.witness
    for write in look.writes:
        if (write.written.kind, write.written.name) != ("ConfigMap", "reconciler-head"):
            continue
        commit = write.written.obj["data"]["commit"]
        former, witness.head = witness.head, commit
        if former is None or witness.repo.git.is_ancestor(former, commit):
            continue
        if not any(witness.repo.git.is_ancestor(one, commit) for one in witness.allowed):
            yield f"{write.at_s:.2f} s: {write.holder} accepted {commit[:7]} after {former[:7]}"


def i17_another_renderer_goes_in_order(look: Look) -> Iterator[str]:
    """What is rendered otherwise than before goes on only once that was well in every environment before."""
    for given in look.given:
        if given.not_rendered:
            yield f"{told(given)}, rendered otherwise, which was not well in {', '.join(given.not_rendered)}"


def i18_what_cannot_come_back_is_given_to_nobody(look: Look) -> Iterator[str]:
    """No policy accepts it, and no person does: a Job goes nowhere where there was anything before it."""
    for write in look.writes:
        written = write.written
        if written.kind == "Job" and written.verb != "delete" and write.is_after_another:
            yield f"{write.at_s:.2f} s: {write.holder} gave {write.cluster} the Job {written.name}"


INVARIANTS: tuple[Callable[[Look], Iterator[str]], ...] = (
    i01_a_release_goes_on_only_after_it_was_well_in_every_environment_before,
    i02_nothing_is_deleted_but_what_the_given_tree_leaves_out,
    i02_no_release_is_rejected_that_does_not_fail_there,
    i08_nothing_is_rejected_for_what_the_platform_does,
    stops_hold,
    stops_hold_what_is_suspended,
    i05_a_revert_touches_only_pins_of_what_failed_and_keeps_the_rest,
    i05_each_failure_is_written_to_git_once,
    back.i04_clusters_go_back_before_their_revert_is_committed,
    back.i05_a_revert_takes_back_what_failed_for_what_was_well_there,
    i06_what_is_said_to_be_pushed_is_in_git,
    back.i07_a_rejection_is_written_before_anything_goes_back,
    back.i07_what_is_rejected_stays_out_until_a_person_lifts_it,
    back.i03_what_fails_goes_back_whatever_befalls_other_clusters,
    back.i09_what_fails_goes_back_in_a_short_time,
    back.i10_nothing_new_comes_before_a_way_back_is_complete,
    back.i15_what_is_only_observed_is_not_written,
    i11_a_new_record_speaks_of_what_is_live,
    i12_no_record_is_set_back_and_each_write_follows_its_claim,
    i13_nothing_is_pruned_before_its_release_is_proven,
    i14_no_secret_is_said,
    i16_what_is_accepted_descends_from_what_was,
    i17_another_renderer_goes_in_order,
    i18_what_cannot_come_back_is_given_to_nobody,
)


class Safety:
    """Looks after every turn at what is new."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._given = self._writes = 0
        self._known: set[str] = set()

    def broken(self, now_s: float) -> list[str]:
        """Returns each invariant that is broken, and how."""
        witness = self._witness
        look = Look(
            witness,
            now_s,
            tuple(witness.given[self._given :]),
            tuple(witness.writes[self._writes :]),
            tuple(self._commits()),
        )
        self._given, self._writes = len(witness.given), len(witness.writes)
        return [f"{check.__name__}: {what}" for check in INVARIANTS for what in check(look)]

    def _commits(self) -> list[CommitFacts]:
        witness = self._witness
        git = witness.repo.git
        found: list[CommitFacts] = []
        at = git.branches["main"] if git.branches else None
        while at is not None and at not in self._known:
            facts = git.commit_facts(at)
            found.append(facts)
            self._known.add(at)
            witness.on_branch.add(at)
            self._note_lifted(at)
            at = facts.parents[0] if facts.parents else None
        return found[::-1]

    def _note_lifted(self, commit: CommitId) -> None:
        witness = self._witness
        for service in witness.fleet.services:
            for entry in witness.repo.quarantine(service.name, commit):
                if entry.get("lifted"):
                    witness.lifted.add((service.name, failure_of(entry)))
