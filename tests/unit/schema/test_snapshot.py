"""Every fault of an env repo is found, placed, and keeps to its own file."""

from __future__ import annotations

import pytest

from reconciler.errors import InvalidInput
from reconciler.model.env_repo import Severity
from reconciler.model.names import EnvironmentName, PolicyName, ServiceName
from reconciler.schema.snapshot import BrokenEnvRepo, Reading, read_all, read_snapshot
from reconciler.shell.runner import VirtualClock
from tests.fakes.memory_git import MemoryGit
from tests.fakes.world import FLEET, env_repo, pins

PIN = "environments/dev/web.yaml"
DEV = EnvironmentName("dev")
WEB = ServiceName("web")
PROD_WAVES = "waves: [[prod-1], [prod-2, prod-3]]"
STAGING, AFTER_PROD = "  staging: {", "  staging: {after: [prod], "


def read(edits: dict[str, str | bytes | None] | None = None, *, root: str = "") -> Reading:
    git = MemoryGit(VirtualClock())
    files: dict[str, str | bytes | None] = {**env_repo(), **pins("1.0.0"), **(edits or {})}
    prefix = f"{root}/" if root else ""
    commit = git.merge({f"{prefix}{path}": text for path, text in files.items()})
    return read_all(git, commit, root=root)


def line(waves: str) -> str:
    """Returns the policy with other waves for prod."""
    text = env_repo()["policies/line.yaml"]
    assert PROD_WAVES in text
    return text.replace(PROD_WAVES, waves)


@pytest.mark.parametrize(
    "waves",
    [
        "[1, 10%, 50%, 100%]",
        "[{match_labels: {tier: one}}, [prod-3], 100%]",
        "each",
        "[[prod-1], all]",
    ],
)
def test_waves_may_be_asked_for_in_every_way(waves: str) -> None:
    reading = read({"policies/line.yaml": line(f"waves: {waves}")})
    assert (reading.faults == []) is (waves != "[[prod-1], all]")


def test_a_whole_env_repo_has_no_faults() -> None:
    reading = read()
    assert reading.faults == []
    assert reading.snapshot is not None
    assert reading.snapshot.pins[(DEV, WEB)].version == "1.0.0"
    assert reading.snapshot.policies[PolicyName("line")].path.names() == ("dev", "staging", "prod")
    assert reading.files == 6


def test_an_env_repo_may_be_a_folder_of_a_repo() -> None:
    assert read(root="deploy/env").faults == []


@pytest.mark.parametrize(
    ("text", "place", "code"),
    [
        ("release: {version: 1.10, images: {}}", (1, 11), "WrongType"),
        ('release: {version: "1"}\nvalus: {}', (2, 1), "UnknownField"),
        ("paused: false", (1, 1), "MissingField"),
        ('release: {version: "1"}\npaused: yes', (2, 9), "Ambiguous"),
        ('release: {version: "1"}\nrelease: {version: "2"}', (2, 1), "DuplicateKey"),
        ('release: {version: "1", source: main}', (1, 25), "BadFormat"),
        (f'release: {{version: "1"}}\nvalues: {{a: "{"x" * 16_384}"}}', (2, 1), "TooLarge"),
        ('release: {version: "1"}\nvalues: {image: x}', (2, 10), "ImageInValues"),
        ('release: {version: "1"}\nvalues: {web: {image: x}}', (2, 16), "ImageInValues"),
        ('release: {version: "1"}\nvalues: {clusters: {}}', (2, 10), "BadKey"),
        ('release: {version: "1"}\nclusters: {dev-9: {values: {}}}', (2, 12), "UnknownCluster"),
        ("release: &a {version: x}", (1, 10), "Anchor"),
        ("release: !!python/object:os.system {}", (1, 10), "Tag"),
        ("a: [", (2, 1), "BadYaml"),
        ("", (0, 0), "EmptyFile"),
        ("release: {}\n---\nrelease: {}", (2, 1), "TooLarge"),
        ("[" * 50_000, (1, 33), "TooLarge"),
        ("just a word", (1, 1), "Invalid"),
    ],
)
def test_a_broken_pin_is_named_with_its_place(text: str, place: tuple[int, int], code: str) -> None:
    reading = read({PIN: text})
    fault = reading.faults[0]
    assert (fault.path, (fault.line, fault.column), fault.code) == (PIN, place, code)
    assert fault.why and fault.fix
    assert reading.snapshot is not None
    assert (DEV, WEB) not in reading.snapshot.pins
    assert PIN in reading.snapshot.broken
    # Its neighbours are not touched.
    assert (EnvironmentName("prod"), WEB) in reading.snapshot.pins


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"release: \xff", "NotUtf8"),
        (b"\xef\xbb\xbfrelease: {version: a}", "ByteOrderMark"),
        (b"version https://git-lfs.github.com/spec/v1\n", "LfsPointer"),
        (b"a: " + b"x" * 300_000, "TooLarge"),
    ],
)
def test_a_file_that_is_no_text_of_ours_is_a_fault(octets: bytes, code: str) -> None:
    assert read({PIN: octets}).faults[0].code == code


def test_every_fault_of_a_file_is_told_at_once() -> None:
    text = "release: {version: 1, colour: red}\npaused: 3\nwhat: 1"
    assert [f.code for f in read({PIN: text}).faults] == [
        "WrongType",
        "UnknownField",
        "Invalid",
        "UnknownField",
    ]


@pytest.mark.parametrize(
    ("edits", "code", "path"),
    [
        ({"fleet.yaml": None}, "MissingFile", "fleet.yaml"),
        ({"fleet.yaml": FLEET.replace("staging-1", "dev-1")}, "DuplicateName", "fleet.yaml"),
        (
            {"fleet.yaml": FLEET.replace("name: staging", "name: dev")},
            "DuplicateName",
            "fleet.yaml",
        ),
        (
            {"fleet.yaml": FLEET.replace("{name: prod-2}, ", "")},
            "UnknownCluster",
            "policies/line.yaml",
        ),
        (
            {"fleet.yaml": FLEET.replace("{name: prod-3}", "{name: prod-3}, {name: prod-4}")},
            "ClusterInNoWave",
            "policies/line.yaml",
        ),
        (
            {"policies/line.yaml": line(f"{PROD_WAVES}\n    unreachable: {{skip_after_s: 600}}")},
            "NothingToSkip",
            "policies/line.yaml",
        ),
        (
            {"policies/line.yaml": line("waves: [[prod-1], 60%]")},
            "ClusterInNoWave",
            "policies/line.yaml",
        ),
        (
            {"policies/line.yaml": env_repo()["policies/line.yaml"] + "newer_commits: finish\n"},
            "UnknownValue",
            "policies/line.yaml",
        ),
        (
            {"policies/line.yaml": env_repo()["policies/line.yaml"] + "newer_commits: ~\n"},
            "Invalid",
            "policies/line.yaml",
        ),
        (
            {
                "policies/line.yaml": env_repo()["policies/line.yaml"]
                + "newer_commits: {stale_s: -1}\n"
            },
            "Invalid",
            "policies/line.yaml",
        ),
        (
            {"policies/line.yaml": line("waves: [[prod-1], 0%, 100%]")},
            "BadFormat",
            "policies/line.yaml",
        ),
        (
            {"policies/line.yaml": env_repo()["policies/line.yaml"].replace(STAGING, AFTER_PROD)},
            "NotBefore",
            "policies/line.yaml",
        ),
    ],
)
def test_a_broken_fleet_or_policy_leaves_nothing_to_read(
    edits: dict[str, str | bytes | None], code: str, path: str
) -> None:
    reading = read(edits)
    assert reading.snapshot is None
    assert (code, path) in {(f.code, f.path) for f in reading.faults}


@pytest.mark.parametrize(
    ("edits", "code", "path"),
    [
        ({"services/web/service.yaml": None}, "MissingFile", "services/web/service.yaml"),
        (
            {"services/web/service.yaml": "source: manifests\npolicy: none\nnamespace: web"},
            "UnknownPolicy",
            "services/web/service.yaml",
        ),
        (
            {
                "services/web/service.yaml": "source: manifests\npolicy: line\nnamespace: web\n"
                "depends_on: [nobody]"
            },
            "UnknownService",
            "services/web/service.yaml",
        ),
        (
            {
                "services/web/service.yaml": "source: manifests\npolicy: line\nnamespace: web\n"
                "depends_on: [web]"
            },
            "DependencyCycle",
            "services/web/service.yaml",
        ),
        (
            {"environments/mars/web.yaml": 'release: {version: "1"}'},
            "UnknownEnvironment",
            "environments/mars/web.yaml",
        ),
        (
            {"environments/dev/api.yaml": 'release: {version: "1"}'},
            "UnknownService",
            "environments/dev/api.yaml",
        ),
        ({"quarantine/web.yaml": "entries: 3"}, "Invalid", "quarantine/web.yaml"),
    ],
)
def test_names_that_do_not_fit_each_other_are_faults(
    edits: dict[str, str | bytes | None], code: str, path: str
) -> None:
    reading = read(edits)
    assert (code, path) in {(f.code, f.path) for f in reading.faults}
    assert reading.snapshot is not None
    assert path in reading.snapshot.broken


@pytest.mark.parametrize(
    ("edits", "field"),
    [
        ({PIN: 'release: {version: "1"}\npromote: auto'}, "promote"),
        (
            {"services/web/service.yaml": "source: helm\npolicy: line\nnamespace: web"},
            "source",
        ),
    ],
)
def test_what_is_only_parsed_yet_is_a_fault_and_holds_its_user(
    edits: dict[str, str | bytes | None], field: str
) -> None:
    reading = read(edits)
    assert [(f.code, f.field) for f in reading.faults] == [("NotSupported", field)]
    snapshot = reading.snapshot
    assert snapshot is not None
    held = (
        *snapshot.fleet.unsupported,
        *snapshot.services[WEB].unsupported,
        *snapshot.pins[(DEV, WEB)].unsupported,
    )
    assert held


def test_an_empty_commit_is_no_env_repo() -> None:
    git = MemoryGit(VirtualClock())
    commit = git.merge({"README.md": "x"})
    with pytest.raises(BrokenEnvRepo):
        read_snapshot(git, commit)
    empty = git.merge({"README.md": None})
    with pytest.raises(InvalidInput, match="holds no files"):
        read_snapshot(git, empty)


def test_an_image_by_tag_is_warned_of_and_used() -> None:
    text = 'release: {version: "1", images: {registry.example.com/web: v1}}\n'
    reading = read({PIN: text})
    (fault,) = reading.faults
    assert (fault.code, fault.severity, fault.line) == ("Unpinned", Severity.WARNING, 1)
    assert fault.field == "release.images.registry.example.com/web"
    assert reading.snapshot is not None and (DEV, WEB) in reading.snapshot.pins


@pytest.mark.parametrize(
    ("waves", "states", "warns"),
    [
        ("[[prod-1], [prod-2, prod-3]]", {"prod-1": "draining"}, True),
        ("[[prod-1], [prod-2, prod-3]]", {"prod-1": "joining"}, True),
        ("[[prod-1, prod-2], [prod-3]]", {"prod-1": "draining"}, False),
        ("[[prod-1], [prod-2, prod-3]]", {"prod-2": "draining"}, False),
        ("[[prod-1], [prod-2, prod-3]]", {}, False),
        ("[1, 100%]", {"prod-1": "draining"}, False),
        ("each", {"prod-1": "draining"}, False),
        ("[{match_labels: {tier: canary}}, 100%]", {"prod-1": "draining"}, True),
    ],
)
def test_a_first_wave_that_is_passed_over_is_warned_of(
    waves: str, states: dict[str, str], warns: bool
) -> None:
    """Whoever named a canary counts on it."""
    fleet = FLEET.replace("{name: prod-1}", "{name: prod-1, labels: {tier: canary}}")
    for name, state in states.items():
        fleet = fleet.replace(f"name: {name}", f"name: {name}, state: {state}")
    policy = env_repo()["policies/line.yaml"].replace("[[prod-1], [prod-2, prod-3]]", waves)
    reading = read({"fleet.yaml": fleet, "policies/line.yaml": policy})
    assert reading.snapshot is not None
    found = [(f.code, f.severity, f.field) for f in reading.faults]
    expected = ("FirstWaveAway", Severity.WARNING, "environments.prod.waves")
    assert (expected in found) is warns


@pytest.mark.parametrize(
    ("hotfix", "warned"),
    [
        ("", ["soak", "window"]),
        ("hotfix: {by: [kim@example.com], gates: [window]}, ", ["soak"]),
        ("hotfix: {by: [kim@example.com], gates: [freeze, window, soak]}, ", []),
    ],
)
def test_a_skip_of_what_the_policy_lets_nobody_skip_is_warned_of(
    hotfix: str, warned: list[str]
) -> None:
    skip = f"skip: {{gates: [soak, window], revision: 'sha256:{'1' * 64}', reason: x, by: Kim}}\n"
    policy = env_repo()["policies/line.yaml"]
    assert "  dev: {" in policy
    path = "environments/dev/web.yaml"
    edits = {
        path: skip + pins("1.0.0")[path],
        "policies/line.yaml": policy.replace("  dev: {", "  dev: {" + hotfix),
    }
    reading = read(dict(edits))
    assert [(f.code, f.severity, f.what.split()[0], f.line) for f in reading.faults] == [
        ("NotSkippable", Severity.WARNING, gate, 1) for gate in warned
    ]
    assert reading.snapshot is not None and (DEV, WEB) in reading.snapshot.pins
