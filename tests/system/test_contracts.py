"""Every command keeps to what scripts may rely on: documents, exit codes, flags, one document on stdout."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import yaml

from reconciler.cli.root import reconciler
from reconciler.model.objects import ObjectRef
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


def test_status_is_a_table_that_says_what_was_taken_back(fleet: ServedFleet) -> None:
    header, *rows = fleet.cli("status").out.splitlines()
    assert header.split() == ["SERVICE", "DEV", "STAGING", "PROD"]
    assert [row.split(maxsplit=1)[0] for row in rows[:4]] == ["api", "store", "web", "worker"]
    assert rows[0].split() == ["api", *["3.4.0", "Proven"] * 3]
    (row,) = (row for row in rows if row.startswith("web 1.10.0 was taken back in staging "))
    assert re.search(r" ago: CrashLoopBackOff, reverted by [0-9a-f]{12}$", row)
    assert re.fullmatch(r"mode observe, main at [0-9a-f]{12}, fetched \d+ s ago", rows[-1])


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
    assert all(re.fullmatch(r"[0-9T:.-]+Z", item["at"]) for item in items)
    rejected, rolled_back, pushed = (
        next(i for i in items if (i["environment"], i["event"]) == ("staging", event))
        for event in ("Rejected", "RolledBack", "RevertPushed")
    )
    assert (rejected["revision"]["version"], rejected["reason"]) == ("1.10.0", "CrashLoopBackOff")
    assert rolled_back["revision"]["version"] == "1.9.0"
    (revert,) = (row for row in fleet.log() if row["subject"].startswith("Revert web"))
    assert pushed["commit"] == revert["commit"]
    header, *rows = fleet.cli("history", "web").out.splitlines()
    assert header.split()[1:] == [
        *("SERVICE", "ENVIRONMENT", "EVENT", "VERSION", "REASON", "COMMIT")
    ]
    told = f"web staging RevertPushed 1.10.0 CrashLoopBackOff {revert['commit'][:12]}"
    assert [row for row in rows if told in " ".join(row.split())]


def test_after_a_revert_explain_says_how_the_pin_floats_again(fleet: ServedFleet) -> None:
    head = fleet.log()[-1]["commit"]
    pin = yaml.safe_load(fleet.git("show", f"{head}:environments/staging/web.yaml"))
    document = fleet.cli("explain", "web", "-o", "json").document
    rows = {row["environment"]: row for row in document["environments"]}
    assert rows["dev"]["fixed_source"] is None, "where it is healthy, the pin was left alone"
    assert rows["staging"]["fixed_source"] == pin["release"]["source"]
    assert "delete that line in environments/staging/web.yaml" in rows["staging"]["next"]["unblock"]


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


def image_of_api(fleet: ServedFleet, environment: str) -> str:
    pin = yaml.safe_load((fleet.work / f"environments/{environment}/api.yaml").read_text())
    ((repository, digest),) = pin["release"]["images"].items()
    return f"{repository}@{digest}"


def rendered_digest(fleet: ServedFleet, cluster: str, record: str) -> str:
    """Returns the digest of what a cluster was in fact given, as its record names it."""
    ref = ObjectRef("reconciler.dev/v1alpha1", "ServiceRecord", "reconciler-system", record)
    found = fleet.clusters[cluster].client().get(ref)
    assert found is not None
    return str(found["status"]["renderDigest"])


@pytest.mark.parametrize(
    ("environment", "clusters", "replicas", "memory", "log_level", "more"),
    [
        pytest.param("dev", ["dev-1"], 1, "256Mi", "debug", [], id="dev"),
        pytest.param(
            "prod",
            ["prod-1", "prod-2", "prod-3"],
            3,
            "512Mi",
            "info",
            [("PodDisruptionBudget", "api")],
            id="prod",
        ),
    ],
)
def test_render_prints_what_the_environments_overlay_and_pin_make(
    fleet: ServedFleet,
    environment: str,
    clusters: list[str],
    replicas: int,
    memory: str,
    log_level: str,
    more: list[tuple[str, str]],
) -> None:
    told = fleet.cli("render", "api", environment, "-o", "json")
    items = told.document["items"]
    assert [item["cluster"] for item in items] == clusters
    for item in items:
        objects = {(obj["kind"], obj["metadata"]["name"]): obj for obj in item["objects"]}
        kinds = [("ConfigMap", "api"), ("Deployment", "api"), ("Namespace", "api")]
        assert sorted(objects) == sorted([*kinds, ("Service", "api"), *more])
        assert objects[("ConfigMap", "api")]["data"]["LOG_LEVEL"] == log_level
        spec = objects[("Deployment", "api")]["spec"]
        (container,) = spec["template"]["spec"]["containers"]
        assert spec["replicas"] == replicas
        assert container["image"] == image_of_api(fleet, environment)
        assert container["resources"]["limits"]["memory"] == memory
        record = rendered_digest(fleet, item["cluster"], f"api.{environment}")
        assert item["render_digest"] == record, "it is what was applied"
    text = fleet.cli("render", "api", environment).out
    assert re.findall(r"(?m)^# (\S+) (\S+)$", text) == [
        (item["cluster"], item["render_digest"]) for item in items
    ]
    printed = [obj for obj in yaml.safe_load_all(text) if obj is not None]
    assert printed == [obj for item in items for obj in item["objects"]]


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


def test_what_is_gone_is_created_and_what_is_rendered_no_more_goes_unless_a_guard_keeps_it(
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
    claims = store.served("v1", "PersistentVolumeClaim")
    assert claims is not None
    claim = {**old, "kind": "PersistentVolumeClaim"}
    try:
        store.delete(kind, "web", "web")
        left = {**mine["metadata"], "name": "old"}
        store.create({**mine, "metadata": left}, "reconciler")
        store.create({"apiVersion": "v1", "kind": claim["kind"], "metadata": left}, "reconciler")
        owned = {"objects": json.dumps([*rows, old, claim])}
        store.replace({**inventory, "data": owned}, "reconciler")
        told = fleet.cli("diff", "web", "dev", "-o", "json")
        check("diff", told.document)
        changes = {
            (o["kind"], o["name"]): o["change"]
            for o in told.document["objects"]
            if o["change"] != "unchanged"
        }
        assert changes == {
            ("ConfigMap", "web"): "created",
            ("ConfigMap", "old"): "deleted",
            ("PersistentVolumeClaim", "old"): "skipped",
        }
        assert told.code == 1
        lines = fleet.cli("diff", "web", "dev").out.splitlines()
        kept = "it is admitted no more, and a guard keeps it"
        assert f"dev-1  PersistentVolumeClaim/web/old: {kept}" in lines
        assert "dev-1  ConfigMap/web/web: it is admitted and not there" in lines
        assert re.fullmatch(r"3 of \d+ objects differ\.", lines[-1])
    finally:
        store.create(mine, "reconciler")
        store.delete(kind, "web", "old")
        store.delete(claims, "web", "old")
        now = store.get(kind, "reconciler-system", "inventory-web.dev")
        store.replace({**now, "data": {"objects": json.dumps(rows)}}, "reconciler")


def test_compared_objects_are_sorted_by_service_environment_cluster_and_name(
    fleet: ServedFleet,
) -> None:
    objects = fleet.cli("diff", "-o", "json").document["objects"]
    keys = ("service", "environment", "cluster", "kind", "namespace", "name")
    found = [tuple(obj[key] or "" for key in keys) for obj in objects]
    assert len(found) > 12 and found == sorted(found)


@pytest.mark.parametrize("command", sorted(DOCUMENTS))
def test_a_failure_keeps_to_the_same_document(command: str) -> None:
    arguments = {
        "demo": None,
        "health": ("health", "-f", "/nowhere/at-all"),
        "explain": ("explain", "web"),
        "lift": ("lift", "web", "--reason", "x"),
        "render": ("render", "web", "prod"),
        "validate": ("validate", "v1.0"),
        **{
            verb: (verb, "web", "prod", "--reason", "x")
            for verb in ("approve", "pause", "promote", "resume", "retry", "rollback")
        },
        **{verb: (verb, "service/web", "--reason", "x") for verb in ("freeze", "thaw")},
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
