"""Every command keeps to what scripts may rely on: documents, exit codes, flags, one document on stdout."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from reconciler.__main__ import main, reconciler
from reconciler.simulated.behaviour import Fate, digest_for
from tests.system.documents import DOCUMENTS, check
from tests.system.served import ServedFleet, cli, process

pytestmark = pytest.mark.xdist_group("contracts")

LOOKING = ("status", "explain web", "plan", "history", "diff", "render web prod")


@pytest.fixture(scope="module")
def fleet() -> Iterator[ServedFleet]:
    """A fleet on which a good release went out and a bad one was taken back."""
    with ServedFleet() as served:
        assert served.settle().code == 0
        served.merge("1.9.0", Fate.READY, "good")
        assert served.settle().code == 0
        served.merge("1.10.0", Fate.CRASH, "bad")
        told = served.settle()
        assert told.code == 0, told.err
        check("run", told.document)
        versions = {
            (cell["service"], cell["environment"]): cell["admitted"]["version"]
            for cell in told.document["cells"]
        }
        assert versions[("web", "dev")] == "1.10.0"
        assert versions[("web", "staging")] == versions[("web", "prod")] == "1.9.0"
        yield served


@pytest.mark.parametrize("command", LOOKING)
def test_a_command_that_looks_answers_with_one_document(fleet: ServedFleet, command: str) -> None:
    told = fleet.cli(*command.split(), "-o", "json")
    check(command.split()[0], told.document)
    assert (told.code, told.document["errors"]) == (0, [])
    assert told.err == ""


@pytest.mark.parametrize("command", LOOKING)
def test_a_command_that_looks_tells_people_the_same(fleet: ServedFleet, command: str) -> None:
    told = fleet.cli(*command.split())
    assert told.code == 0
    assert told.out.endswith("\n") and not told.out.startswith("{")


def test_status_names_every_cell_and_the_mode_of_the_settings(fleet: ServedFleet) -> None:
    document = fleet.cli("status", "-o", "json").document
    assert len(document["cells"]) == 12
    assert all(cell["admitted"] and cell["last_proven"] for cell in document["cells"])
    assert document["mode"] == "observe", "as the settings say"
    assert fleet.cli("status", "-o", "json", "--mode", "enforce").document["mode"] == "enforce"


def test_history_tells_the_whole_incident_by_time(fleet: ServedFleet) -> None:
    items = fleet.cli("history", "web", "-o", "json").document["items"]
    assert {item["service"] for item in items} == {"web"}
    staging = [
        item["event"]
        for item in items
        # Another test may have released a newer one meanwhile.
        if item["environment"] == "staging" and item["revision"]["version"] != "1.11.0"
    ]
    assert staging == ["Proven", "Proven", "Rejected", "RolledBack", "RevertPushed"]


def test_explain_may_be_asked_of_one_environment(fleet: ServedFleet) -> None:
    document = fleet.cli("explain", "web", "prod", "-o", "json").document
    assert [row["environment"] for row in document["environments"]] == ["prod"]


def test_closed_gates_are_found_only_where_that_is_asked_for(fleet: ServedFleet) -> None:
    assert fleet.cli("explain", "web", "--exit-code").code == 0
    fleet.merge("1.11.0", Fate.READY, "good")
    try:
        assert fleet.cli("explain", "web", "prod").code == 0
        assert fleet.cli("explain", "web", "prod", "--exit-code").code == 1
        assert fleet.cli("status").code == 0
        assert fleet.cli("status", "--exit-code").code == 1
        assert fleet.cli("plan").code == 0
        told = fleet.cli("plan", "--exit-code", "-o", "json")
        doing = [a for a in told.document["actions"] if a["kind"] != "Hold"]
        assert [(a["kind"], a["service"], a["environment"]) for a in doing] == [
            ("Admit", "web", "dev")
        ]
        assert told.code == 1
        (row,) = fleet.cli("explain", "web", "prod", "-o", "json").document["environments"]
        shut = {gate["name"]: gate["unblock"] for gate in row["gates"] if gate["state"] != "open"}
        assert set(shut) == {"ProvenBefore"} and shut["ProvenBefore"]
        assert row["next"]["reason"] == "WaitingForProof"
    finally:
        assert fleet.settle().code == 0


def test_a_plan_may_be_asked_of_a_commit_that_is_not_merged(fleet: ServedFleet) -> None:
    head = fleet.cli("plan", "-o", "json").document["commit"]
    fleet.git("checkout", "--quiet", "-b", "proposal")
    pin = fleet.work / "environments/dev/api.yaml"
    pin.write_text(pin.read_text().replace("3.4.0", "3.5.0"))
    fleet.git("commit", "--quiet", "--all", "--message", "a proposal")
    commit = fleet.git("rev-parse", "HEAD").strip()
    fleet.git("checkout", "--quiet", "main")
    for name in (commit, "proposal"):
        told = process("plan", name, "-o", "json", variables=fleet.variables(), folder=fleet.work)
        check("plan", told.document)
        assert told.code == 0, told.err
        assert told.document["commit"] == commit != head
        doing = [a for a in told.document["actions"] if a["kind"] != "Hold"]
        # A new name for the same image is the same release: nothing would be done.
        assert doing == []
    assert fleet.cli("plan", "nowhere").code == 2


def test_a_plan_of_another_image_admits_it_where_it_begins(fleet: ServedFleet) -> None:
    fleet.git("checkout", "--quiet", "-b", "another-image")
    pin = fleet.work / "environments/dev/api.yaml"
    other = digest_for(Fate.READY, "another")
    pin.write_text(re.sub(r"sha256:[0-9a-f]{64}", other, pin.read_text()))
    fleet.git("commit", "--quiet", "--all", "--message", "another image")
    fleet.git("checkout", "--quiet", "main")
    told = process(
        "plan", "another-image", "-o", "json", variables=fleet.variables(), folder=fleet.work
    )
    check("plan", told.document)
    assert told.code == 0, told.err
    doing = [
        (a["kind"], a["service"], a["environment"])
        for a in told.document["actions"]
        if a["kind"] != "Hold"
    ]
    assert doing == [("Admit", "api", "dev")]


def edited(fleet: ServedFleet, cluster: str, replicas: int) -> None:
    """Scales web by hand, as `kubectl scale` does."""
    store = fleet.clusters[cluster].store
    kind = store.served("apps/v1", "Deployment")
    assert kind is not None
    live = store.get(kind, "web", "web")
    live["spec"]["replicas"] = replicas
    store.replace(live, "kubectl-scale")


def test_a_difference_is_told_with_its_manager_and_ends_with_one(fleet: ServedFleet) -> None:
    edited(fleet, "prod-2", 7)
    try:
        told = fleet.cli("diff", "web", "prod", "-o", "json")
        check("diff", told.document)
        assert told.code == 1
        (obj,) = [o for o in told.document["objects"] if o["change"] != "unchanged"]
        assert (obj["cluster"], obj["kind"], obj["change"]) == (
            "prod-2",
            "Deployment",
            "configured",
        )
        (field,) = obj["fields"]
        assert field["first_seen_at"]
        assert {**field, "first_seen_at": None} == {
            "path": "spec.replicas",
            "live": 7,
            "desired": 3,
            "manager": "kubectl-scale",
            "first_seen_at": None,
        }
        text = fleet.cli("diff", "web", "prod").out
        assert "prod-2  Deployment/web/web: it differs" in text
        assert "spec.replicas: live 7, admitted 3, by kubectl-scale at " in text
        assert fleet.cli("diff", "api").code == 0
    finally:
        edited(fleet, "prod-2", 3)


def test_an_object_that_is_gone_is_created_and_one_rendered_no_more_is_deleted(
    fleet: ServedFleet,
) -> None:
    store = fleet.clusters["dev-1"].store
    kind = store.served("v1", "ConfigMap")
    assert kind is not None
    mine = store.get(kind, "web", "web")
    for key in ("uid", "resourceVersion", "managedFields"):
        mine["metadata"].pop(key, None)
    inventory = store.get(kind, "reconciler-system", "inventory-web.dev")
    rows = json.loads(inventory["data"]["objects"])
    old = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "web", "name": "old"}
    try:
        store.delete(kind, "web", "web")
        store.create({**mine, "metadata": {**mine["metadata"], "name": "old"}}, "reconciler")
        store.replace({**inventory, "data": {"objects": json.dumps([*rows, old])}}, "reconciler")
        told = fleet.cli("diff", "web", "dev", "-o", "json")
        check("diff", told.document)
        changes = {
            o["name"]: o["change"] for o in told.document["objects"] if o["kind"] == "ConfigMap"
        }
        assert changes == {"web": "created", "old": "deleted"}
        assert told.code == 1
    finally:
        store.create(mine, "reconciler")
        store.delete(kind, "web", "old")
        now = store.get(kind, "reconciler-system", "inventory-web.dev")
        store.replace({**now, "data": {"objects": json.dumps(rows)}}, "reconciler")


def test_one_cluster_that_does_not_answer_is_told_and_hides_nothing(fleet: ServedFleet) -> None:
    fleet.faults["prod-2"].is_down = True
    try:
        for command in ("status", "explain web prod", "plan", "history", "diff"):
            told = fleet.cli(*command.split(), "-o", "json")
            check(command.split()[0], told.document)
            assert told.code == 3
            (error,) = told.document["errors"]
            assert error["object"] == "cluster prod-2" and error["why"]
        assert len(fleet.cli("status", "-o", "json").document["cells"]) == 12
        assert fleet.cli("explain", "web", "dev").code == 0, "it does not matter there"
        assert "prod-2" in fleet.cli("status").err
    finally:
        fleet.faults["prod-2"].is_down = False


def test_a_verb_is_a_commit_under_the_persons_own_name(fleet: ServedFleet) -> None:
    who = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.com"}
    path = "environments/prod/store.yaml"
    told = fleet.cli("pause", "store", "prod", "--reason", "a\nsale", "-o", "json", variables=who)
    check("pause", told.document)
    assert told.code == 0
    commit = told.document["commit"]
    assert told.document == {
        "schema": "reconciler.pause/v1",
        "commit": commit,
        "branch": "main",
        "paths": [path],
        "pushed": True,
        "errors": [],
    }
    row = fleet.log()[-1]
    assert (row["commit"], row["author"]) == (commit, "Ada")
    assert row["subject"] == "Pause store in prod"
    for line in ("Action: pause", "Service: store", "Environments: prod", "Reason: a sale"):
        assert f"\nReconciler-{line}\n" in row["body"] + "\n"
    assert fleet.git("show", f"{commit}:{path}").count("paused: true") == 1
    again = fleet.cli("pause", "store", "prod", "--reason", "a sale", "-o", "json")
    assert (again.code, again.document["commit"], again.document["pushed"]) == (0, None, False)
    assert "Nothing to change" in fleet.cli("pause", "store", "prod", "--reason", "x").out
    told = fleet.cli("resume", "store", "prod", "--reason", "it is over", "-o", "json")
    check("resume", told.document)
    assert told.document["pushed"] is True


def test_a_roll_back_pins_what_was_proven_before(fleet: ServedFleet) -> None:
    told = fleet.cli("rollback", "web", "dev", "--reason", "it is slow", "-o", "json")
    check("rollback", told.document)
    assert told.code == 0
    fleet.git("fetch", "--quiet", "origin", "main")
    now = fleet.git("show", f"{told.document['commit']}:environments/dev/web.yaml")
    assert "version: 1.9.0" in now or "version: 1.10.0" in now, "another test may have released"
    assert "source:" in now
    none = fleet.cli("rollback", "store", "dev", "--reason", "x", "-o", "json")
    check("rollback", none.document)
    assert none.code == 2 and "proven" in none.document["errors"][0]["why"]


@pytest.mark.parametrize("service", ["nobody", "../web", "web.yaml", "a b", "-x"])
def test_a_verb_on_a_pin_that_is_not_there_ends_with_two(fleet: ServedFleet, service: str) -> None:
    head = fleet.log()[-1]["commit"]
    told = fleet.cli("pause", "--reason", "x", "-o", "json", "--", service, "prod")
    check("pause", told.document)
    assert told.code == 2 and told.document["pushed"] is False
    assert fleet.log()[-1]["commit"] == head


@pytest.mark.parametrize("command", sorted(DOCUMENTS))
def test_a_failure_keeps_to_the_same_document(command: str) -> None:
    arguments = {
        "demo": None,
        "health": ("health", "-f", "/nowhere/at-all"),
        "explain": ("explain", "web"),
        "render": ("render", "web", "prod"),
        "validate": ("validate", "v1.0"),
        **{
            verb: (verb, "web", "prod", "--reason", "x") for verb in ("pause", "resume", "rollback")
        },
    }.get(command, (command,))
    if arguments is None:
        return
    told = cli(*arguments, "-o", "json", variables={"RECONCILER_REPO": "ext::sh -c id"})
    assert told.code == 2
    check(command, told.document)
    (error,) = told.document["errors"]
    assert all(error[key] for key in ("object", "what", "why", "fix"))
    assert told.err == "error: {object}: {what}: {why}; {fix}\n".format(**error)


@pytest.mark.parametrize("command", [c for c in sorted(DOCUMENTS) if c not in ("demo", "health")])
def test_every_command_knows_the_common_flags(command: str) -> None:
    flags = {name for param in reconciler.commands[command].params for name in param.opts}
    assert flags >= {
        *("--config", "--repo", "--branch", "--path", "--kubeconfig", "--mode", "--listen"),
        *("-o", "--output"),
    }
    variables = {
        param.envvar
        for param in reconciler.commands[command].params
        if param.name in ("config", "repo", "branch", "path", "kubeconfig", "mode", "listen")
    }
    assert variables == {
        f"RECONCILER_{name}"
        for name in ("CONFIG", "REPO", "BRANCH", "PATH", "KUBECONFIG", "MODE", "LISTEN")
    }


def test_a_git_that_does_not_answer_could_not_be_looked_at() -> None:
    variables = {"RECONCILER_REPO": "http://127.0.0.1:9/env.git", "RECONCILER_HOME": "dev-1"}
    told = cli("validate", "HEAD", "-o", "json", variables=variables)
    check("validate", told.document)
    assert told.code == 3


def test_wrong_use_ends_with_two() -> None:
    assert process("no-such-command").code == 2
    assert process("status", "--no-such-flag").code == 2
    assert process("status", "--mode", "sometimes", "--repo", "/x").code == 2


def test_run_once_that_does_not_settle_ends_with_four_and_its_document(fleet: ServedFleet) -> None:
    fleet.faults["dev-1"].is_down = True
    try:
        told = fleet.settle(timeout_s=2)
    finally:
        fleet.faults["dev-1"].is_down = False
    check("run", told.document)
    assert told.code == 4
    assert "fleet" in {error["object"] for error in told.document["errors"]}
    for line in told.err.splitlines():
        if not line.startswith("error: "):
            assert set(json.loads(line)) >= {"event", "level", "timestamp"}, "a structured log"


def test_a_bug_of_ours_ends_with_seventy_and_quotes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bug(kind: str) -> None:
        raise KeyError(f"hunter2 {kind}")

    monkeypatch.setattr("reconciler.cli.validating.published", bug)
    monkeypatch.setattr("sys.argv", ["reconciler", "schema", "pin"])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert ended.value.code == 70
    assert told.out == "" and "bug" in told.err and "hunter2" not in told.err


@pytest.mark.parametrize("form", [("-o", "json"), ("-ojson",), ("--output=json",)])
def test_a_bug_of_ours_is_in_the_document_too(
    form: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bug(*_: object) -> None:
        raise KeyError("hunter2")

    monkeypatch.setattr("reconciler.cli.asking.settings_from", bug)
    monkeypatch.setattr("sys.argv", ["reconciler", "status", *form])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert ended.value.code == 70
    document = json.loads(told.out)
    check("status", document)
    (error,) = document["errors"]
    assert error["object"] == "reconciler status" and "hunter2" not in told.out
