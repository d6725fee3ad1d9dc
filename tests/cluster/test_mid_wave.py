"""In mid-wave on real clusters: a newer commit overtakes, and a daemon is killed and another one started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cluster.fleet import Fleet
from tests.controlplane.cluster import DAEMON
from tests.system.daemon import DaemonProcess
from tests.system.envrepo import digest

GOOD, OLDER, NEWER, LAST = "1.0.0", "1.1.0", "1.2.0", "1.3.0"


def test_a_newer_commit_overtakes_and_another_daemon_finishes_what_was_begun(
    proven: Fleet, tmp_path: Path
) -> None:
    daemon, planes = proven.daemon, proven.planes
    # Overtaken: the older one never becomes well in staging, and comes no further.
    planes["staging-1"].freeze_pods()
    try:
        proven.merge(proven.pins(OLDER), "release 1.1.0")
        daemon.until(lambda: proven.image("staging-1") == digest(OLDER), "staging is given it")
        proven.merge(proven.pins(NEWER), "release 1.2.0")
        daemon.until(lambda: proven.image("staging-1") == digest(NEWER), "a newer one overtakes")
    finally:
        planes["staging-1"].thaw_pods()
    proven.wait_proven("prod", NEWER)
    assert proven.is_proven("dev", OLDER) and not proven.is_proven("staging", OLDER)
    for cluster in ("prod-1", "prod-2"):
        assert digest(OLDER) not in json.dumps(proven.writes(cluster))
    assert proven.reverts() == [], "what is overtaken was not bad"

    # Replaced: what another process finds is the same roll-out, in the same wave.
    planes["prod-1"].freeze_pods()
    try:
        proven.merge(proven.pins(LAST), "release 1.3.0")
        daemon.until(lambda: proven.image("prod-1") == digest(LAST), "the first wave is given it")
        begun = rollout(proven)
        daemon.kill()
        written = {name: len(deployments(proven, name)) for name in planes}
        with proven.another_daemon(tmp_path / "second", DAEMON) as second:
            second.until(lambda: leads(second, proven), "it leads, and has looked")
            assert proven.image("prod-2") == digest(NEWER)
            planes["prod-1"].thaw_pods()
            second.until(lambda: proven.is_proven("prod", LAST), "it is finished")
            assert proven.runs("prod-1", digest(LAST)) and proven.runs("prod-2", digest(LAST))
            (proof,) = (p for p in spec(proven)["proofs"] if version(p) == LAST)
            assert proof["members"] == ["prod-1", "prod-2"]
            assert begun["revision"]["id"] == proof["revision"]["id"]
            # What was done is not done again: only the second wave was given anything.
            since = {name: len(deployments(proven, name)) - written[name] for name in planes}
            assert {name for name, count in since.items() if count} == {"prod-2"}
    finally:
        planes["prod-1"].thaw_pods()


def leads(daemon: DaemonProcess, made: Fleet) -> bool:
    """Whether a daemon leads, and has seen prod rolling out."""
    cell = daemon.cell(made.service, "prod")
    return daemon.status()["halted"] is None and cell is not None and cell["phase"] == "RollingOut"


def spec(made: Fleet) -> dict[str, Any]:
    """Returns prod's record as the home holds it."""
    record = made.record_object("prod")
    assert record is not None
    found: dict[str, Any] = record["spec"]
    return found


def rollout(made: Fleet) -> dict[str, Any]:
    found = spec(made)["rollout"]
    assert isinstance(found, dict)
    return found


def version(proof: dict[str, Any]) -> str:
    return str(proof["revision"]["release"]["version"])


def deployments(made: Fleet, cluster: str) -> list[dict[str, Any]]:
    """Returns the writes of the service's Deployment on a cluster, by any daemon of this installation."""
    return [w for w in made.writes(cluster) if w["objectRef"]["resource"] == "deployments"]
