"""A freeze that starts in mid-roll-out, a hotfix past it, and a way back through it, on real clusters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.fleet import Fleet, fleet, holds_for
from tests.conftest import CRASHES_IN_STAGING
from tests.controlplane.cluster import ControlPlane
from tests.gitservers.ssh import make_key
from tests.system.envrepo import digest, env_repo, policy
from tests.system.served import cli

pytestmark = [pytest.mark.git_server]

GOOD, NEXT, FIX, BAD = "1.0.0", "1.1.0", "1.1.1", "1.2.0"
QUIET_S = 3.0
KIM = "kim@example.com"
HOTFIX = f"hotfix: {{by: [{KIM}], gates: [soak, freeze]}}"


@dataclass(frozen=True, slots=True)
class Guarded:
    """An installation whose rules only Kim may change, and Kim."""

    fleet: Fleet
    key: Path
    folder: Path

    def verb(self, *arguments: str) -> str:
        """Runs a verb as Kim and waits until its commit is followed; returns the commit."""
        variables = {
            "RECONCILER_CONFIG": str(self.fleet.daemon.settings_file),
            "RECONCILER_STATE_DIR": str(self.folder / "looking"),
            "RECONCILER_SIGNING_KEY": str(self.key),
        }
        told = cli(*arguments, "--reason", "checkout is down", "-o", "json", variables=variables)
        assert told.code == 0, told.out
        commit, daemon = str(told.document["commit"]), self.fleet.daemon
        daemon.until(lambda: daemon.status()["head"]["accepted"] == commit, "it is followed")
        return commit


@pytest.fixture
def guarded(planes: dict[str, ControlPlane], tmp_path: Path) -> Iterator[Guarded]:
    """A fleet on which a first release is proven everywhere."""
    key = make_key(tmp_path / "key")
    allowed = tmp_path / "allowed_signers"
    allowed.write_text(f"{KIM} {key.with_suffix('.pub').read_text()}")
    with fleet(planes, tmp_path) as made:
        made.daemon.settings["repo"] |= {"allowed_signers_file": str(allowed)}
        rules = policy(soak_s=1).replace("waves: [[prod-1]", f"{HOTFIX}, waves: [[prod-1]")
        files = {**env_repo([made.service], made.name, policy_text=rules), **made.pins(GOOD)}
        made.served.repository.commit(files, key=key)
        made.daemon.start()
        made.wait_proven("prod", GOOD)
        yield Guarded(made, key, tmp_path)


def test_a_freeze_in_mid_roll_out_holds_the_next_wave_and_a_hotfix_and_a_way_back_pass(
    guarded: Guarded,
) -> None:
    made, planes, daemon = guarded.fleet, guarded.fleet.planes, guarded.fleet.daemon
    planes["prod-1"].freeze_pods()
    try:
        made.merge(made.pins(NEXT), "release 1.1.0")
        daemon.until(lambda: made.image("prod-1") == digest(NEXT), "the first wave has it")
        guarded.verb("freeze", "environment/prod")
    finally:
        planes["prod-1"].thaw_pods()
    daemon.until(lambda: made.runs("prod-1", digest(NEXT)), "the first wave is well")
    daemon.until(lambda: daemon.reason(made.service, "prod") == "Frozen", "it is told")
    holds_for(QUIET_S, lambda: made.image("prod-2") == digest(GOOD))

    guarded.verb("promote", made.service, "prod", "--skip", "freeze")
    made.wait_proven("prod", NEXT)
    assert made.runs("prod-2", digest(NEXT))

    # Another release gets no further, until somebody skips the freeze, and the soak in staging, for it.
    made.served.repository.commit({"policies/line.yaml": slow_staging()}, key=guarded.key)
    made.merge(made.pins(FIX), "release 1.1.1")
    daemon.until(lambda: made.runs("staging-1", digest(FIX)), "staging has it")
    holds_for(QUIET_S, lambda: made.image("prod-1") == digest(NEXT))
    guarded.verb("promote", made.service, "prod", "--skip", "soak,freeze")
    made.wait_proven("prod", FIX)
    assert not made.is_proven("staging", FIX)
    assert made.runs("prod-1", digest(FIX)) and made.runs("prod-2", digest(FIX))
    logged = daemon.logged("Admitted", environment="prod", reason="Skipped")
    assert logged[-1]["message"] == f"{KIM} skips soak, freeze: checkout is down"

    bad = digest(BAD, marker=CRASHES_IN_STAGING)
    planes["staging-1"].freeze_pods()
    try:
        made.merge(made.pins(BAD, marker=CRASHES_IN_STAGING), "release 1.2.0")
        daemon.until(lambda: made.image("staging-1") == bad, "staging is given a bad one")
        guarded.verb("freeze", "fleet")
    finally:
        planes["staging-1"].thaw_pods()
    daemon.until(lambda: actions(made)[0] == "revert", "the revert is on the branch")
    daemon.until(lambda: made.runs("staging-1", digest(NEXT)), "staging is back")
    assert made.image("prod-1") == made.image("prod-2") == digest(FIX)


def actions(made: Fleet) -> list[str]:
    """Returns what the commits of the branch did that say so, newest first: verbs', and the daemon's."""
    return [commit.trailers["Action"] for commit in made.reverts()]


def slow_staging() -> bytes:
    """Returns the policy with a soak in staging that no test lives to see the end of."""
    rules = policy(soak_s=1).replace("waves: [[prod-1]", f"{HOTFIX}, waves: [[prod-1]")
    return rules.replace("staging: {soak_s: 1,", "staging: {soak_s: 100000,").encode()
