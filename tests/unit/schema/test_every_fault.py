"""No fault of an env repo hides another: of the text, of a field, of what must fit, and of other files."""

from __future__ import annotations

import pytest

from reconciler.model.env_repo import Severity
from reconciler.schema.checks import FAULTS_MAX
from reconciler.schema.snapshot import read_all
from reconciler.shell.runner import VirtualClock
from tests.fakes.memory_git import MemoryGit
from tests.fakes.world import FLEET, POLICY, SERVICE, env_repo, pins

PIN = "environments/dev/web.yaml"
SERVICE_PATH = "services/web/service.yaml"
LINE = "policies/line.yaml"
QUARANTINE = "quarantine/web.yaml"
RULES = POLICY.replace("DRIFT", "report")
PROD_WAVES = "waves: [[prod-1], [prod-2, prod-3]]"
RELEASE = 'release: {version: "1"}\n'

Told = list[tuple[str, str, str]]
"""Path, code and field of each fault, in order."""


def told(edits: dict[str, str | bytes | None]) -> Told:
    git = MemoryGit(VirtualClock())
    commit = git.merge({**env_repo(), **pins("1.0.0"), **edits})
    reading = read_all(git, commit)
    assert all(fault.line > 0 for fault in reading.faults if fault.field)
    return [(fault.path, fault.code, fault.field) for fault in reading.faults]


def rules(old: str, new: str) -> str:
    """Returns the policy with something else in it."""
    assert old in RULES
    return RULES.replace(old, new)


SKIP = 'skip: {gates: [window, soak], revision: "sha256:%s", reason: a hurry, by: kim}\n' % (
    "0" * 64
)

NOT_LET: Told = [(PIN, "NotSkippable", "skip.gates")] * 2
"""The policy lets nobody skip anything."""

CASES: dict[str, tuple[str, str, Told]] = {
    "a tombstone that skips the soak": (
        PIN,
        f"release: absent\nreason: it is over\n{SKIP}",
        [*NOT_LET, (PIN, "SoakOfTombstone", "skip.gates[1]")],
    ),
    "a release that skips the soak": (PIN, RELEASE + SKIP, NOT_LET),
    "a pin": (
        PIN,
        'release: {version: 1}\nrelease: {version: "2"}\npaused: yes\ncolour: red\n'
        "values: {image: x}\nclusters: {dev-9: {values: {images: x}}, Dev: {}}\napproved: {by: me}\n",
        [
            (PIN, "DuplicateKey", "release"),
            (PIN, "Ambiguous", "paused"),
            (PIN, "UnknownField", "colour"),
            (PIN, "ImageInValues", "values.image"),
            (PIN, "UnknownCluster", "clusters.dev-9"),
            (PIN, "ImageInValues", "clusters.dev-9.values.images"),
            (PIN, "BadFormat", "clusters.Dev"),
            (PIN, "MissingField", "approved.revision"),
        ],
    ),
    "a pin without a release that can be used": (
        PIN,
        "release: {version: 1.10, images: {a: v1}}\nvalues: {clusters: {}}\n",
        [
            (PIN, "WrongType", "release.version"),
            (PIN, "Unpinned", "release.images.a"),
            (PIN, "BadKey", "values.clusters"),
        ],
    ),
    "groups of services": (
        "fleet.yaml",
        FLEET
        + "groups: [{name: a, services: [web, mars]}, {name: b, services: [web, 3]}, {name: c, services: [web]}]\n",
        [
            ("fleet.yaml", "UnknownService", "groups[0].services[1]"),
            ("fleet.yaml", "DuplicateName", "groups[1].services[0]"),
            ("fleet.yaml", "WrongType", "groups[1].services[1]"),
            ("fleet.yaml", "Invalid", "groups[2].services"),
        ],
    ),
    "a service": (
        SERVICE_PATH,
        "source: helm\nsource: manifests\npolicy: nobody\nowners: 3\ndepends_on: [nobody, web, 3]\n"
        "namespaces: {mars: web}\nplacement: {}\nhealth:\n",
        [
            (SERVICE_PATH, "MissingField", "namespace"),
            (SERVICE_PATH, "DuplicateKey", "source"),
            (SERVICE_PATH, "UnknownPolicy", "policy"),
            (SERVICE_PATH, "Invalid", "owners"),
            (SERVICE_PATH, "DependencyCycle", "depends_on"),
            (SERVICE_PATH, "UnknownService", "depends_on[0]"),
            (SERVICE_PATH, "WrongType", "depends_on[2]"),
            (SERVICE_PATH, "UnknownEnvironment", "namespaces.mars"),
            (SERVICE_PATH, "EmptyPlacement", "placement"),
            (SERVICE_PATH, "NotSupported", "health"),
        ],
    ),
    "a fleet": (
        "fleet.yaml",
        FLEET.replace("staging-1", "dev-1").replace(
            "{name: prod-3}", "{name: prod-3, state: joining, labels: 3}"
        )
        + "freezes: [{scope: prod, until: soon}, {scope: environment/mars, reason: x}, {scope: fleet, "
        "reason: x, until: 2026-02-30T00:00:00Z}, {scope: service/api, reason: x}]\nmode: observe\n",
        [
            ("fleet.yaml", "DuplicateName", "environments[1].clusters[0].name"),
            ("fleet.yaml", "Invalid", "environments[2].clusters[2].labels"),
            ("fleet.yaml", "MissingField", "freezes[0].reason"),
            ("fleet.yaml", "BadFormat", "freezes[0].scope"),
            ("fleet.yaml", "BadFormat", "freezes[0].until"),
            ("fleet.yaml", "UnknownEnvironment", "freezes[1].scope"),
            ("fleet.yaml", "Invalid", "freezes[2].until"),
            ("fleet.yaml", "UnknownService", "freezes[3].scope"),
            ("fleet.yaml", "DuplicateKey", "mode"),
        ],
    ),
    "a quarantine": (
        QUARANTINE,
        "entries:\n- {revision: x, part: none, environments: [], colour: red, rejected_at: now}\n"
        "- 7\nlifted: because\n",
        [
            *(
                (QUARANTINE, "MissingField", f"entries[0].{field}")
                for field in ("commit", "identity", "part_digest", "reason", "version")
            ),
            (QUARANTINE, "BadFormat", "entries[0].revision"),
            (QUARANTINE, "UnknownValue", "entries[0].part"),
            (QUARANTINE, "Invalid", "entries[0].environments"),
            (QUARANTINE, "UnknownField", "entries[0].colour"),
            (QUARANTINE, "Invalid", "entries[1]"),
            (QUARANTINE, "UnknownField", "lifted"),
        ],
    ),
    "a policy": (
        LINE,
        rules(
            "  staging: {soak_s: 5,",
            "  staging: {soak_s: soon, after: [prod], windows: {deny: [{zone: UTC, for_s: 60}], "
            "allow: [{zone: Mars, for_s: 5, cron: 7 7}, {zone: UTC, for_s: 60, start: '9', rrule: x}]},",
        )
        .replace(
            PROD_WAVES, "waves: [[prod-1], [prod-1, prod-9]]\n    unreachable: {skip_after_s: 6}"
        )
        .replace("    drift: report", "    drift: no\n    quorum: 0%")
        .replace("path: [dev, staging, prod]", "path: [dev, staging, prod, mars, dev]"),
        [
            (LINE, "UnknownEnvironment", "path[3]"),
            (LINE, "DuplicateName", "path[4]"),
            (LINE, "MissingField", "environments"),
            (LINE, "Invalid", "environments.staging.soak_s"),
            (LINE, "NotBefore", "environments.staging.after[0]"),
            (LINE, "Invalid", "environments.staging.windows.deny[0]"),
            (LINE, "Invalid", "environments.staging.windows.allow[0].zone"),
            (LINE, "Invalid", "environments.staging.windows.allow[0].for_s"),
            (LINE, "Invalid", "environments.staging.windows.allow[0].cron"),
            (LINE, "BadFormat", "environments.staging.windows.allow[1].start"),
            (LINE, "Invalid", "environments.staging.windows.allow[1].rrule"),
            (LINE, "ClusterInNoWave", "environments.prod.waves"),
            (LINE, "ClusterInNoWave", "environments.prod.waves"),
            (LINE, "DuplicateName", "environments.prod.waves"),
            (LINE, "UnknownCluster", "environments.prod.waves"),
            (LINE, "Ambiguous", "environments.prod.drift"),
            (LINE, "BadFormat", "environments.prod.quorum"),
        ],
    ),
}


@pytest.mark.parametrize(("path", "text", "faults"), CASES.values(), ids=CASES.keys())
def test_every_fault_of_a_file_is_told_at_once(path: str, text: str, faults: Told) -> None:
    assert told({path: text}) == faults


ALONE: dict[str, tuple[str, str, Told]] = {
    "a path given twice, of which the rules fit the second": (
        LINE,
        "path: [dev]\n" + RULES,
        [(LINE, "DuplicateKey", "path")],
    ),
    "a quorum that is no share, where some may be skipped": (
        LINE,
        rules(PROD_WAVES, f"{PROD_WAVES}\n    quorum: half\n    unreachable: {{skip_after_s: 6}}"),
        [(LINE, "BadFormat", "environments.prod.quorum")],
    ),
    "a step that nobody can read": (
        LINE,
        rules("path: [dev, staging, prod]", "path: [dev, 3, prod]"),
        [(LINE, "WrongType", "path[1]")],
    ),
    "a wave that is none": (
        LINE,
        rules(PROD_WAVES, "waves: [[prod-1], 0%]"),
        [(LINE, "BadFormat", "environments.prod.waves[1]")],
    ),
    "a mapping with a key that is none": (
        PIN,
        "release:\n  <<: {version: x}\n",
        [(PIN, "BadKey", "release")],
    ),
    "a release given twice, of which the second is whole": (
        PIN,
        f"release: {{}}\n{RELEASE}",
        [(PIN, "DuplicateKey", "release")],
    ),
    "a value that other readers take for a truth": (
        PIN,
        f"{RELEASE}paused: yes\n",
        [(PIN, "Ambiguous", "paused")],
    ),
    "a policy that is broken, and used": (
        LINE,
        "path: 3\n",
        [(LINE, "Invalid", "path"), (LINE, "MissingField", "environments")],
    ),
    "a fleet that is broken, and named": (
        "fleet.yaml",
        FLEET.replace("name: staging\n", "name: Staging\n"),
        [("fleet.yaml", "BadFormat", "environments[1].name")],
    ),
    "a service that is broken, and pinned": (
        SERVICE_PATH,
        SERVICE.replace("manifests", "charts"),
        [(SERVICE_PATH, "UnknownValue", "source")],
    ),
}
"""What a broken part would make a fault elsewhere, if it were guessed."""


@pytest.mark.parametrize(("path", "text", "faults"), ALONE.values(), ids=ALONE.keys())
def test_no_fault_follows_from_another(path: str, text: str, faults: Told) -> None:
    assert told({path: text}) == faults


def test_a_broken_fleet_hides_no_fault_of_other_files() -> None:
    assert told(
        {
            "fleet.yaml": "environments: 3\n",
            LINE: rules("  dev: {soak_s: 5,", "  dev: {soak_s: 5, quorum: all, after: [prod],"),
            "policies/other.yaml": "path: [dev, dev]\nenvironments: {}\n",
            SERVICE_PATH: SERVICE + "depends_on: [nobody]\n",
            # Whether a shipped policy fits is not known without the fleet.
            "services/store/service.yaml": SERVICE.replace(
                "policy: line", "policy: builtin:careful"
            ),
            "services/worker/service.yaml": SERVICE.replace("policy: line", "policy: nobody"),
            "environments/dev/api.yaml": RELEASE + "paused: 3\n",
        }
    ) == [
        ("environments/dev/api.yaml", "UnknownService", ""),
        ("environments/dev/api.yaml", "Invalid", "paused"),
        ("fleet.yaml", "Invalid", "environments"),
        (LINE, "BadFormat", "environments.dev.quorum"),
        (LINE, "NotBefore", "environments.dev.after[0]"),
        ("policies/other.yaml", "DuplicateName", "path[1]"),
        ("policies/other.yaml", "MissingField", "environments"),
        ("policies/other.yaml", "MissingField", "environments"),
        (SERVICE_PATH, "UnknownService", "depends_on[0]"),
        ("services/worker/service.yaml", "UnknownPolicy", "policy"),
    ]


def test_a_broken_file_is_told_to_stand_in_the_wrong_place_all_the_same() -> None:
    broken = "release: [\n"
    assert told(
        {
            "environments/mars/web.yaml": broken,
            "environments/dev/api.yaml": "paused: 3\n",
            "environments/dev/WEB.yaml": broken,
            "quarantine/api.yaml": "entries: 3\n",
        }
    ) == [
        ("environments/dev/WEB.yaml", "BadName", ""),
        ("environments/dev/WEB.yaml", "UnknownService", ""),
        ("environments/dev/WEB.yaml", "BadYaml", ""),
        ("environments/dev/api.yaml", "UnknownService", ""),
        ("environments/dev/api.yaml", "Invalid", "paused"),
        ("environments/dev/api.yaml", "MissingField", "release"),
        ("environments/mars/web.yaml", "UnknownEnvironment", ""),
        ("environments/mars/web.yaml", "BadYaml", ""),
        ("quarantine/api.yaml", "UnknownService", ""),
        ("quarantine/api.yaml", "Invalid", "entries"),
    ]


def test_of_very_many_faults_the_first_are_told_and_how_many_more_there_are() -> None:
    unknown = "".join(f"unknown{number}: 1\n" for number in range(FAULTS_MAX + 7))
    images = ", ".join(f"a{number}: v1" for number in range(9))
    git = MemoryGit(VirtualClock())
    text = f'release: {{version: "1", images: {{{images}}}}}\n{unknown}'
    reading = read_all(git, git.merge({**env_repo(), **pins("1.0.0"), PIN: text}))
    codes = [fault.code for fault in reading.faults]
    assert codes == ["UnknownField"] * FAULTS_MAX + ["MoreFaults"]
    assert reading.faults[-1].line == FAULTS_MAX + 2, "it stands where the rest begins"
    assert reading.faults[-1].severity is Severity.ERROR
    assert "16 more" in reading.faults[-1].why and reading.faults[-1].fix


def test_a_service_that_depends_on_its_group_would_wait_for_itself() -> None:
    groups = "groups: [{name: shop, services: [web, api]}]\n"
    edits: dict[str, str | bytes | None] = {
        "fleet.yaml": FLEET + groups,
        "services/api/service.yaml": SERVICE,
        SERVICE_PATH: f"{SERVICE}depends_on: [api]\n",
    }
    assert told(edits) == [(SERVICE_PATH, "DependsOnItsGroup", "depends_on[0]")]
    assert told({**edits, "fleet.yaml": FLEET}) == []
