"""The commit that Git is owed: what it changes, how its push may end, and who is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from reconciler.core.reverting import plan_revert
from reconciler.errors import TransientError, Unreachable
from reconciler.model.actions import CommitRevert
from reconciler.model.env_repo import Pin, Snapshot
from reconciler.model.events import EventKind
from reconciler.model.names import CommitId
from reconciler.model.records import RevertProgress
from reconciler.model.release import Revision
from reconciler.schema.edit import add_entry
from reconciler.schema.snapshot import read_snapshot
from reconciler.shell.asking import Asker
from reconciler.shell.executor.orders import CellKey
from reconciler.simulated.behaviour import Fate
from tests.fakes.incident import BAD, DEV, GOOD, PROD, STAGING, WEB, Incident
from tests.fakes.world import env_repo, pin, pins


@pytest.fixture
def incident() -> Incident:
    return Incident()


def test_one_commit_puts_back_the_failing_environment_and_those_after_it(
    incident: Incident,
) -> None:
    incident.step()
    assert [incident.version(e) for e in (DEV, STAGING, PROD)] == [BAD, GOOD, GOOD]
    (commit,) = incident.made("revert")
    assert commit == incident.git.branches["main"] == incident.progress.commit
    facts = incident.git.commit_facts(commit)
    assert facts.parents == (incident.bad_commit,)
    trailers = [line for line in facts.message.splitlines() if line.startswith("Reconciler-")]
    rejection = incident.rejection
    assert rejection.restore_to is not None
    assert trailers == [
        "Reconciler-Action: revert",
        "Reconciler-Service: web",
        "Reconciler-Environments: staging, prod",
        f"Reconciler-From: {rejection.revision.id}",
        f"Reconciler-To: {rejection.restore_to.id}",
        f"Reconciler-Commit: {incident.bad_commit}",
        "Reconciler-Reason: CrashLoopBackOff",
        "Reconciler-Evidence: Pod web-abc on staging-1: CrashLoopBackOff, exit code 1, 4 restarts",
    ]
    assert facts.message.rstrip().endswith(trailers[-1])


def test_everything_else_in_a_pin_stays_as_it_was_written(incident: Incident) -> None:
    incident.step()
    text = incident.git.read("environments/prod/web.yaml").decode()
    good = incident.records[(WEB, PROD)].proofs[0].revision.release
    wanted = pin(GOOD).replace("\n  version", f"\n  source: {good.source}\n  version")
    assert _unquoted(text) == _unquoted(wanted)


def _unquoted(text: str) -> str:
    return text.replace('"', "").replace("'", "")


def test_no_words_of_a_cluster_reach_git(incident: Incident) -> None:
    incident.step()
    head = incident.git.branches["main"]
    assert "canary" not in incident.git.commit_facts(head).message
    assert b"canary" not in incident.git.read("quarantine/web.yaml")


def test_without_evidence_the_reason_stands_and_still_no_words_of_a_cluster() -> None:
    incident = Incident()
    bare = replace(incident.rejection, evidence=())
    record = incident.records[(WEB, STAGING)]
    incident.records[(WEB, STAGING)] = replace(record, rejections=(bare,))
    incident.step()
    message = incident.git.commit_facts(incident.git.branches["main"]).message
    assert "Reconciler-Evidence: CrashLoopBackOff on staging-1\n" in message
    assert "canary" not in message


def test_a_version_cannot_write_trailers_of_its_own() -> None:
    incident = Incident()
    version = "1\n\nReconciler-Action: promote\nReconciler-To: x"
    release = replace(incident.rejection.revision.release, version=version)
    bad = replace(incident.rejection.revision, release=release)
    rejection = replace(incident.rejection, revision=bad, restore_to=None, environments=(STAGING,))
    record = incident.records[(WEB, STAGING)]
    incident.records[(WEB, STAGING)] = replace(record, rejections=(rejection,))
    incident.step()
    message = incident.git.commit_facts(incident.git.branches["main"]).message
    assert "\nReconciler-Action: promote" not in message
    assert message.splitlines()[0].startswith("Quarantine web 1 Reconciler-Action: promote")


def test_the_new_head_is_known_at_once(incident: Incident) -> None:
    incident.step()
    snapshot = incident.heads.head.snapshot
    assert snapshot is not None and snapshot.commit == incident.progress.commit


def test_a_pin_that_was_replaced_is_not_edited(incident: Incident) -> None:
    incident.git.merge({"environments/staging/web.yaml": pin("1.2.0")}, "a newer release")
    incident.step()
    assert [incident.version(e) for e in (STAGING, PROD)] == ["1.2.0", GOOD]
    message = incident.git.commit_facts(incident.made("revert")[0]).message
    assert "Reconciler-Environments: prod\n" in message


def test_with_no_pin_to_put_back_the_rejection_reaches_git_all_the_same(
    incident: Incident,
) -> None:
    newer = {f"environments/{e}/web.yaml": pin("1.2.0") for e in (STAGING, PROD)}
    incident.git.merge(newer, "a newer release")
    incident.step()
    assert incident.made("revert") == []
    (commit,) = incident.made("quarantine")
    assert incident.progress.commit == commit
    assert [incident.version(e) for e in (STAGING, PROD)] == ["1.2.0", "1.2.0"]
    snapshot = read_snapshot(incident.git, commit)
    (entry,) = snapshot.quarantine[WEB]
    assert (entry.version, entry.environments) == (BAD, (STAGING, PROD))


def test_the_rejection_of_a_service_that_is_gone_reaches_git_too(incident: Incident) -> None:
    incident.git.merge({"services/web/service.yaml": None, "services/web/web.yaml": None})
    incident.step()
    assert len(incident.made("quarantine")) == 1


@pytest.mark.parametrize(
    ("case", "edits"),
    [
        ("a pin that is gone", {"environments/staging/web.yaml": None}),
        ("a pin that cannot be read", {"environments/staging/web.yaml": "release: ["}),
    ],
)
def test_what_can_be_put_back_is_put_back_beside(
    case: str, edits: Mapping[str, str | None], incident: Incident
) -> None:
    del case
    incident.git.merge(edits)
    incident.step()
    assert incident.version(PROD) == GOOD
    assert len(incident.made("revert")) == 1


@pytest.mark.parametrize(
    ("case", "edits"),
    [
        ("its service cannot be read", {"services/web/service.yaml": "nonsense"}),
        ("its manifests do not render", {"services/web/web.yaml": "{["}),
        (
            "it uses what is not supported",
            {
                f"environments/{e}/web.yaml": pin(BAD, Fate.CRASH) + "promote: auto\n"
                for e in (STAGING, PROD)
            },
        ),
    ],
)
def test_a_pin_holds_rejected_images_even_when(
    case: str, edits: Mapping[str, str | None], incident: Incident
) -> None:
    del case
    incident.git.merge(edits)
    incident.step()
    assert [incident.version(e) for e in (STAGING, PROD)] == [GOOD, GOOD]
    assert len(incident.made("revert")) == 1


def test_a_pin_that_cannot_be_resolved_now_is_not_taken_for_one_that_holds_nothing(
    incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Asker, of: Pin, source: str) -> Revision | None:
        raise TransientError("mirror", "it cannot be read", "it is being replaced")

    with monkeypatch.context() as broken:
        broken.setattr(Asker, "revision", fails)
        incident.step()
    assert incident.git.branches["main"] == incident.bad_commit
    incident.pass_()
    assert [incident.version(e) for e in (STAGING, PROD)] == [GOOD, GOOD]


def test_a_later_environment_with_nothing_proven_keeps_its_pin(incident: Incident) -> None:
    del incident.records[(WEB, PROD)]
    incident.step()
    assert [incident.version(e) for e in (STAGING, PROD)] == [GOOD, BAD]


def test_a_push_that_others_overtake_is_made_on_the_new_head(incident: Incident) -> None:
    others: list[CommitId] = []

    def race() -> None:
        if len(others) < 3:
            others.append(incident.git.merge({"README.md": f"{len(others)}"}))

    incident.git.before_push = race
    incident.step()
    assert len(others) == 3
    (commit,) = incident.made("revert")
    assert incident.git.commit_facts(commit).parents == (others[-1],)
    assert incident.told(EventKind.REVERT_PUSHED) == 1


def test_a_push_that_others_overtake_without_end_is_left_for_a_while(incident: Incident) -> None:
    others: list[CommitId] = []
    incident.git.before_push = lambda: others.append(incident.git.merge({"x": str(len(others))}))
    incident.step()
    assert len(others) == 10
    incident.git.before_push = lambda: None
    assert incident.made("revert") == []
    incident.pass_()
    assert len(incident.made("revert")) == 1


def test_a_push_that_was_dropped_is_made_again(incident: Incident) -> None:
    incident.git.drops_pushes = True
    incident.step()
    assert incident.progress == RevertProgress()
    assert incident.git.fetches == 1, "a push that is dropped is no race to be run again at once"
    incident.git.drops_pushes = False
    incident.pass_(0.5)
    assert len(incident.made("revert")) == 1
    assert incident.told(EventKind.REVERT_PUSHED) == 1


def test_a_push_whose_answer_was_lost_is_found_on_the_remote(incident: Incident) -> None:
    incident.git.breaks_off = True
    incident.step()
    (commit,) = incident.made("revert")
    assert incident.progress == RevertProgress()
    incident.git.breaks_off = False
    incident.pass_()
    assert incident.made("revert") == [commit]
    assert incident.progress.commit == commit
    assert incident.told(EventKind.REVERT_PUSHED) == 1


def test_a_process_that_dies_after_its_push_leaves_the_telling_to_the_next(
    incident: Incident,
) -> None:
    earlier = replace(incident.rejection, rejected_at=incident.rejection.first_failure_at)
    entry = plan_revert(WEB, earlier, ()).entry
    before = add_entry("quarantine/web.yaml", None, entry)
    incident.git.merge({"quarantine/web.yaml": before}, "an earlier failure's")
    incident.git.breaks_off = True
    incident.step()
    incident.git.breaks_off = False
    entry = replace(entry, rejected_at="2026-01-01T00:59:59Z")
    after = add_entry("quarantine/web.yaml", incident.git.read("quarantine/web.yaml"), entry)
    later = incident.git.merge({"quarantine/web.yaml": after}, "a later failure's")
    incident.restart()
    incident.step()
    assert incident.git.branches["main"] == later
    (commit,) = incident.made("revert")
    assert incident.progress.commit == commit, "the commit that wrote it, not one before or after"
    assert incident.told(EventKind.REVERT_PUSHED) == 1


def test_what_is_recorded_as_done_is_not_told_or_made_again(incident: Incident) -> None:
    incident.step()
    fetches = incident.git.fetches
    action = CommitRevert(WEB, STAGING, incident.rejection, True, "CrashLoopBackOff", "stale")
    incident.reverter.take(action)
    incident.reverter.step()
    assert len(incident.made("revert")) == 1
    assert incident.told(EventKind.REVERT_PUSHED) == 1
    assert incident.git.fetches <= fetches + 1


def test_a_revert_is_never_reverted_nor_made_again(incident: Incident) -> None:
    incident.step()
    undone = {**pins(BAD, Fate.CRASH), "quarantine/web.yaml": None}
    commit = incident.git.merge(undone, 'Revert "Revert web"')
    incident.pass_()
    incident.restart()
    incident.pass_()
    assert incident.git.branches["main"] == commit


def test_a_refused_push_goes_to_one_branch_for_a_person(incident: Incident) -> None:
    incident.refuse_main()
    incident.step()
    for _ in range(3):
        incident.git.merge({"README.md": str(incident.clock.now())})
        incident.pass_()
    (branch,) = incident.own_branches()
    assert branch.startswith("reconciler/revert-web-")
    assert (incident.progress.branch, incident.progress.commit) == (branch, None)
    assert len(incident.made("revert", branch)) == 1
    assert incident.made("revert") == []
    assert incident.told(EventKind.REVERT_REFUSED) == 1
    (event,) = (e for e in incident.events if e.kind is EventKind.REVERT_REFUSED)
    assert "protected branch" in event.message


def test_a_process_that_dies_after_the_branch_leaves_no_second_one(incident: Incident) -> None:
    incident.refuse_main()
    incident.step()
    (branch,) = incident.own_branches()
    first = incident.git.branches[branch]
    # The record was not written: the process died between the push and its note.
    record = incident.records[(WEB, STAGING)]
    incident.records[(WEB, STAGING)] = replace(record, rejections=(incident.rejection,))
    incident.git.merge({"README.md": "somebody goes on"})
    incident.restart()
    incident.pass_()
    assert incident.own_branches() == [branch]
    assert incident.git.branches[branch] == first
    assert incident.progress.branch == branch


def test_a_branch_that_a_person_merged_is_the_revert(incident: Incident) -> None:
    incident.refuse_main()
    incident.step()
    (branch,) = incident.own_branches()
    incident.git.branches["main"] = incident.git.branches[branch]
    incident.pass_()
    assert incident.progress.commit == incident.git.branches[branch]
    assert incident.told(EventKind.REVERT_PUSHED) == 1


def test_a_blown_fuse_asks_a_person_and_leaves_main_alone(incident: Incident) -> None:
    incident.owe(direct=False)
    incident.reverter.step()
    assert incident.git.branches["main"] == incident.bad_commit
    (branch,) = incident.own_branches()
    assert incident.progress.branch == branch


def test_a_remote_that_refuses_every_branch_is_not_asked_without_a_pause(
    incident: Incident,
) -> None:
    incident.git.refuse = lambda branch: "read-only"
    incident.step()
    assert incident.git.fetches == 1
    incident.git.refuse = lambda branch: ""
    incident.pass_()
    assert len(incident.made("revert")) == 1


def test_a_service_that_is_only_observed_is_not_written_for(incident: Incident) -> None:
    service = env_repo()["services/web/service.yaml"] + "mode: observe\n"
    head = incident.git.merge({"services/web/service.yaml": service})
    incident.step()
    assert incident.git.branches["main"] == head


def test_a_rejection_that_is_recorded_no_more_is_not_owed(incident: Incident) -> None:
    incident.owe()
    record = incident.records[(WEB, STAGING)]
    incident.records[(WEB, STAGING)] = replace(record, rejections=())
    incident.reverter.step()
    assert incident.git.branches["main"] == incident.bad_commit


def test_a_broken_head_is_waited_for(incident: Incident) -> None:
    incident.git.merge({"fleet.yaml": "environments: ["})
    incident.step()
    assert incident.made("revert") == []
    assert incident.git.fetches == 1, "it is not taken for a race"
    incident.git.merge(env_repo())
    incident.pass_()
    assert len(incident.made("revert")) == 1


def test_git_that_does_not_answer_is_asked_less_and_less(incident: Incident) -> None:
    incident.git.is_down = True
    incident.owe()
    waits: list[float] = []
    for _ in range(8):
        incident.reverter.step()
        waits.append(incident.reverter.step())
        incident.clock.advance(waits[-1])
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_one_commit_that_fails_does_not_hold_up_another(incident: Incident) -> None:
    calls: list[str] = []

    def crash(snapshot: Snapshot) -> Asker:
        calls.append("asked")
        raise ValueError("our own bug")

    incident.owe()
    asker = incident.reverter._asker
    incident.reverter._asker = crash
    with pytest.raises(ValueError, match="our own bug"):
        incident.reverter.step()
    assert incident.reverter.step() > 0, "the one that failed waits its turn"
    incident.reverter._asker = asker
    incident.pass_()
    assert len(incident.made("revert")) == 1


def test_what_could_not_be_recorded_is_recorded_later_and_not_told_again(
    incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(key: CellKey, change: object) -> None:
        raise Unreachable("home", "it cannot be written", "others write it all the time")

    monkeypatch.setattr(incident.reverter, "_amend", down)
    incident.step()
    (commit,) = incident.made("revert")
    fetches = incident.git.fetches
    incident.pass_()
    assert incident.git.fetches == fetches
    monkeypatch.undo()
    incident.pass_()
    assert incident.made("revert") == [commit]
    assert incident.progress.commit == commit
    assert incident.told(EventKind.REVERT_PUSHED) == 1
