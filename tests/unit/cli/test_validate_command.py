"""`reconciler validate`: a folder, a commit or a range; every fault at its place, in one order."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from reconciler.core.identity import images_digest
from reconciler.schema.shipped import shipped
from reconciler.simulated.behaviour import Fate, digest_for
from tests.fakes.world import CLUSTERS, MANIFESTS, SERVICE, env_repo, pins
from tests.system.documents import check
from tests.system.served import Told, cli

PIN = "environments/prod/web.yaml"
QUARANTINE = "quarantine/web.yaml"


def write(folder: Path, files: Mapping[str, str | None]) -> Path:
    for path, text in files.items():
        file = folder / path
        file.unlink(missing_ok=True)
        if text is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    return folder


def validate(what: Path | str, *arguments: str) -> Told:
    told = cli("validate", str(what), *arguments, "-o", "json")
    check("validate", told.document)
    return told


def codes(told: Told) -> list[tuple[str, str]]:
    return [(fault["path"], fault["code"]) for fault in told.document["faults"]]


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A folder that holds an env repo without faults."""
    return write(tmp_path / "env", {**env_repo(), **pins("1.0.0")})


def test_an_env_repo_without_faults_is_ok(repo: Path) -> None:
    told = validate(repo)
    assert told.code == 0
    assert told.document["ok"] is True and told.document["faults"] == []
    assert told.document["source"] == str(repo) and told.document["commit"] is None
    assert cli("validate", str(repo)).out == "6 files, no faults\n"


def test_the_example_is_ok() -> None:
    assert validate(shipped("example-repo")).code == 0


def test_a_subfolder_may_be_the_env_repo(repo: Path) -> None:
    assert validate(repo.parent, "--path", "env").code == 0
    told = cli("validate", str(repo.parent), variables={"RECONCILER_PATH": "env"})
    assert told.code == 0
    assert validate(repo.parent).code == 1


@pytest.mark.parametrize("path", ["", "x", "/x/"])
def test_a_folder_without_files_is_named(path: str, tmp_path: Path) -> None:
    folder, asked = tmp_path / path.strip("/"), ("--path", path) if path else ()
    told = validate(tmp_path, *asked)
    assert told.code == 2
    assert [error["object"] for error in told.document["errors"]] == [str(folder)]
    assert cli("validate", str(tmp_path), *asked).err.startswith(f"error: {folder}: ")


def test_a_folder_with_too_many_files_is_named(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.schema.snapshot.FILES_MAX", 5)
    told = validate(repo)
    assert told.code == 2
    assert [error["object"] for error in told.document["errors"]] == [str(repo)]


def test_every_fault_is_told_errors_first_then_by_place(repo: Path) -> None:
    write(
        repo,
        {
            "environments/stray.yaml": "a: 1",
            PIN: "release: {version: 1, colour: red}\npaused: 3\n",
            "services/web/service.yaml": "source: manifests\npolicy: nope\nnamespace: web\n",
        },
    )
    told = validate(repo)
    assert told.code == 1 and told.document["ok"] is False
    assert codes(told) == [
        (PIN, "WrongType"),
        (PIN, "UnknownField"),
        (PIN, "Invalid"),
        ("services/web/service.yaml", "UnknownPolicy"),
        ("environments/stray.yaml", "StrayFile"),
    ]
    fault = told.document["faults"][0]
    assert (fault["line"], fault["column"], fault["field"]) == (1, 11, "release.version")
    lines = cli("validate", str(repo)).out.splitlines()
    assert len(lines) == 6 and lines[-1] == "6 files, 5 faults"
    assert lines[0].startswith(f"{PIN}:1:11: release.version is wrong: ")
    assert lines[4].startswith("environments/stray.yaml:1:1: warning: ")
    for line in lines[:-1]:
        assert re.fullmatch(r"[^:]+:\d+:\d+: .+: .+; .+", line)


def test_a_warning_alone_is_no_fault_of_the_repo(repo: Path) -> None:
    told = validate(write(repo, {"environments/stray.yaml": "a: 1"}))
    assert told.code == 0 and told.document["ok"] is True
    assert codes(told) == [("environments/stray.yaml", "StrayFile")]


def test_a_manifest_that_cannot_be_read_is_named_with_its_line(repo: Path) -> None:
    told = validate(write(repo, {"services/web/more.yaml": "a: 1\nb: [\n"}))
    (fault,) = told.document["faults"]
    assert (fault["path"], fault["line"]) == ("services/web/more.yaml", 3)
    assert fault["code"] == "DoesNotRender" and fault["fix"]


def test_faults_of_one_kind_in_one_file_are_all_told_and_each_once(repo: Path) -> None:
    kustomized = {
        "services/web/service.yaml": env_repo()["services/web/service.yaml"].replace(
            "manifests", "kustomize"
        ),
        "services/web/kustomization.yaml": "resources: [web.yaml, a.yaml]\ncrds: [a.yaml]\n",
    }
    faults = validate(write(repo, kustomized)).document["faults"]
    assert {fault["path"] for fault in faults} == {"services/web/kustomization.yaml"}
    assert {fault["why"] for fault in faults} == {"'a.yaml' is not there"}
    assert [fault["what"] for fault in faults] == ["crds[0]", "resources[1]"]


@pytest.mark.parametrize(
    ("edits", "what"),
    [
        (
            {"services/web/web.yaml": MANIFESTS.replace("registry.example.com/web", "other/web")},
            "image",
        ),
        ({"services/web/more.yaml": MANIFESTS}, "twice"),
        ({"services/web/more.yaml": "kind: ConfigMap\nmetadata: {name: a}\n"}, "apiVersion"),
        (
            {"services/web/more.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n"},
            "cluster_scoped",
        ),
    ],
    ids=["an image that no pin names", "an object twice", "no object", "outside its namespace"],
)
def test_what_only_a_render_tells_is_a_fault(
    repo: Path, edits: dict[str, str | None], what: str
) -> None:
    told = validate(write(repo, edits))
    assert told.code == 1
    faults = told.document["faults"]
    assert {fault["code"] for fault in faults} == {"DoesNotRender"}
    assert any(what in str(fault) for fault in faults), faults


def test_a_value_that_only_a_render_tells_of_is_found_in_each_pin(repo: Path) -> None:
    pins = [f"environments/{environment}/web.yaml" for environment in ("dev", "prod")]
    many = {path: (repo / path).read_text() + "values:\n  replicas: many\n" for path in pins}
    told = validate(write(repo, many))
    found = [(f["path"], f["line"], f["column"], f["field"]) for f in told.document["faults"]]
    lines = {path: text.count("\n") for path, text in many.items()}
    assert found == [(path, lines[path], 3, "values.replicas") for path in pins]


def test_two_services_that_render_one_object_are_a_fault(repo: Path) -> None:
    other = {
        path.replace("web", "api", 1) if path.startswith("services/") else path: text
        for path, text in env_repo().items()
        if path.startswith("services/")
    }
    also = {path.replace("web.yaml", "api.yaml"): text for path, text in pins("1.0.0").items()}
    told = validate(write(repo, {**other, **also}))
    assert told.code == 1
    assert {code for _, code in codes(told)} == {"TwoOwners"}
    claimed = {fault["what"] for fault in told.document["faults"]}
    assert claimed == {
        f"{kind}/web/web is claimed twice" for kind in ("ConfigMap", "Deployment", "Service")
    }


SET = """\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: db, image: registry.example.com/web}]
  updateStrategy:
    rollingUpdate: {partition: 2}
"""

BASE, OVERLAYS = "services/web/base", "services/web/overlays"
KUSTOMIZED: dict[str, str | None] = {
    "services/web/service.yaml": SERVICE.replace("manifests", "kustomize"),
    "services/web/web.yaml": None,
    f"{BASE}/kustomization.yaml": "resources: [web.yaml, set.yaml]\n",
    f"{BASE}/web.yaml": MANIFESTS,
    f"{BASE}/set.yaml": SET.replace("rollingUpdate: {partition: 2}", "type: RollingUpdate"),
    **{
        f"{OVERLAYS}/{environment}/kustomization.yaml": "resources: [../../base]\n"
        for environment in CLUSTERS
    },
    f"{OVERLAYS}/prod/kustomization.yaml": (
        "resources: [../../base]\nnamePrefix: our-\npatches: [{path: set.yaml}]\n"
    ),
    f"{OVERLAYS}/prod/set.yaml": SET.partition("  selector")[0]
    + "  updateStrategy:\n    type: OnDelete\n    rollingUpdate: null\n",
}


@pytest.mark.parametrize(
    ("edits", "place", "code", "what"),
    [
        (
            {"services/web/set.yaml": f"---\n{SET}"},
            ("services/web/set.yaml", 12, 32),
            "Partitioned",
            "StatefulSet/db",
        ),
        (
            KUSTOMIZED,
            ("services/web/overlays/prod/set.yaml", 6, 11),
            "OnDelete",
            "StatefulSet/our-db",
        ),
    ],
    ids=["plain", "in one environment's overlay"],
)
def test_a_set_that_keeps_pods_of_an_older_template_is_warned_of_once_and_where_it_says_so(
    repo: Path, edits: dict[str, str | None], place: tuple[str, int, int], code: str, what: str
) -> None:
    told = validate(write(repo, edits))
    assert told.code == 0 and told.document["ok"] is True
    (fault,) = told.document["faults"]
    assert (fault["path"], fault["line"], fault["column"]) == place
    assert (fault["severity"], fault["code"]) == ("warning", code)
    assert fault["what"] == f"{what} may never be proven" and fault["fix"]


# Commits.


def git(folder: Path, *arguments: str) -> str:
    who = {
        f"GIT_{w}_{k}": "a@example.com" for w in ("AUTHOR", "COMMITTER") for k in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", **who},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.strip()


def commit(folder: Path, edits: Mapping[str, str | None]) -> str:
    write(folder, edits)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "a change")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def checkout(repo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same env repo in a repository, which is the working folder."""
    git(repo, "init", "--quiet", "--initial-branch=main")
    commit(repo, {})
    monkeypatch.chdir(repo)
    return repo


def test_a_commit_is_checked_as_it_was_committed(checkout: Path) -> None:
    good = git(checkout, "rev-parse", "HEAD")
    bad = commit(checkout, {PIN: "release: 3"})
    write(checkout, {PIN: None})
    told = validate("HEAD")
    assert (told.code, told.document["commit"], told.document["source"]) == (1, bad, "HEAD")
    assert validate(good[:10]).document["commit"] == good
    assert validate("main~1").code == 0


def test_the_configured_repo_comes_before_the_folder(checkout: Path, tmp_path: Path) -> None:
    variables = {"RECONCILER_STATE_DIR": str(tmp_path / "state"), "RECONCILER_REPO": str(checkout)}
    head = git(checkout, "rev-parse", "HEAD")
    git(checkout, "checkout", "--quiet", "-b", "other")
    other = commit(checkout, {PIN: "release: 3"})
    told = cli("validate", "HEAD", "-o", "json", variables=variables)
    assert told.document["commit"] == head, "HEAD is the branch's, not the folder's"
    assert cli("validate", "other", variables=variables).code == 1
    assert cli("validate", other[:12], variables=variables).code == 1


@pytest.mark.parametrize(
    "what",
    [
        "nowhere",
        "a..b..c",
        "..main",
        "-x",
        "../nowhere",
        "/nowhere",
        "x\0y",
        "a\nb",
        "",
        "x" * 5000,
    ],
)
def test_what_is_neither_a_folder_nor_a_commit_ends_with_two(checkout: Path, what: str) -> None:
    assert validate("main..").code == 0, "HEAD is meant"
    told = cli("validate", "-o", "json", "--", what)
    check("validate", told.document)
    assert told.code == 2
    (error,) = told.document["errors"]
    assert error["fix"]


def entry(**more: object) -> str:
    images = (("registry.example.com/web", digest_for(Fate.CRASH, "2.0.0")),)
    lines = {
        "revision": f"sha256:{'1' * 64}",
        "identity": f"sha256:{'2' * 64}",
        "version": '"2.0.0"',
        "part": "images",
        "part_digest": images_digest(images),
        "environments": "[staging, prod]",
        "reason": "CrashLoopBackOff",
        "commit": "a" * 40,
        "rejected_at": '"2026-01-31T12:00:00Z"',
        **more,
    }
    rows = [f"{key}: {value}" for key, value in lines.items()]
    return "entries:\n  - " + "\n    ".join(rows) + "\n"


def test_a_set_of_another_commit_that_keeps_pods_is_warned_of_where_the_pin_names_it(
    checkout: Path,
) -> None:
    source = commit(checkout, {"services/web/set.yaml": SET})
    text = (checkout / PIN).read_text()
    commit(checkout, {"services/web/set.yaml": None, PIN: f"{text}  source: {source}\n"})
    (fault,) = validate("HEAD").document["faults"]
    assert (fault["path"], fault["line"]) == (PIN, text.count("\n") + 1)
    assert (fault["severity"], fault["code"]) == ("warning", "Partitioned")


def test_a_range_refuses_a_new_pin_of_what_is_quarantined_there(checkout: Path) -> None:
    base = commit(checkout, {QUARANTINE: entry()})
    bad = pins("2.0.0", Fate.CRASH)
    # Another version by name, and the same images: what was rejected is in it all the same.
    renamed = {PIN: bad[PIN].replace("2.0.0", "2.0.1")}
    commit(checkout, {**renamed, "environments/dev/web.yaml": bad["environments/dev/web.yaml"]})
    assert validate("HEAD").code == 0, "only a range says what is new"
    told = validate(f"{base}..HEAD")
    assert told.code == 1
    (fault,) = told.document["faults"]
    assert (fault["path"], fault["code"], fault["field"]) == (PIN, "Quarantined", "release")
    assert (fault["line"], fault["column"]) == (2, 1)
    assert "CrashLoopBackOff" in fault["why"] and "quarantine/web.yaml" in fault["fix"]


def test_a_range_leaves_a_pin_that_asked_for_it_before(checkout: Path) -> None:
    commit(checkout, pins("2.0.0", Fate.CRASH))
    base = commit(checkout, {QUARANTINE: entry()})
    commit(checkout, {"README.md": "words", PIN: (checkout / PIN).read_text() + "# words\n"})
    assert validate(f"{base}..HEAD").code == 0


def test_deleting_the_entry_in_the_same_change_lifts_nothing(checkout: Path) -> None:
    base = commit(checkout, {QUARANTINE: entry()})
    commit(checkout, {QUARANTINE: None, **pins("2.0.0", Fate.CRASH)})
    assert {path for path, _ in codes(validate(f"{base}..HEAD"))} == {
        "environments/staging/web.yaml",
        PIN,
    }


def test_a_lifted_entry_holds_nothing(checkout: Path) -> None:
    base = commit(checkout, {QUARANTINE: entry()})
    commit(checkout, {QUARANTINE: entry(lifted="it was the node"), **pins("2.0.0", Fate.CRASH)})
    assert validate(f"{base}..HEAD").code == 0
