"""A settings file that is edited while the daemon runs: it acts on what may be reloaded, and at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.simulated.behaviour import Fate
from tests.cluster.fleet import holds_for
from tests.gitservers.hooks import HangUp
from tests.system.daemon import PATIENCE_S
from tests.system.envrepo import digest, policy
from tests.system.races import PUSH
from tests.system.simulated import SERVICE, Simulated, simulated

pytestmark = [pytest.mark.git_server, pytest.mark.xdist_group("reloading")]

GOOD, NEXT, LATER = "1.0.0", "1.1.0", "1.2.0"
BAD = ("1.0.1", "1.0.2")
QUICK = policy(soak_s=0.3)
NEVER_S = 3_600.0

QUIET_S = 3.0
"""Long enough for a few turns, tries of the lease and fetches."""

AT_ONCE_S = 20.0
"""The file is looked at every two seconds; everything is planned again by time alone only every 30."""


def delivered(made: Simulated, version: str, limit_s: float = PATIENCE_S) -> None:
    """Waits until dev has a version."""
    made.daemon.until(
        lambda: made.image("dev-1") == digest(version), f"{version} is there", limit_s
    )


def test_a_new_log_level_and_a_new_time_between_fetches_count(tmp_path: Path) -> None:
    with simulated(tmp_path, settings={"log_level": "error"}) as made:
        made.daemon.settings["repo"]["poll_s"] = NEVER_S
        made.start_with(GOOD, QUICK)
        assert not made.daemon.logged("Applied")
        made.daemon.settings["log_level"] = "info"
        made.daemon.settings["repo"]["poll_s"] = 0.5
        made.daemon.write_settings()
        # The edit itself has it fetch once; what is merged after that is found by the new time alone.
        for version in (NEXT, LATER):
            made.merge(made.pins(version))
            delivered(made, version)
        made.daemon.until(
            lambda: made.daemon.logged("Applied", version=LATER, cluster="dev-1"), "it is told"
        )
        assert not made.daemon.logged("Applied", version=GOOD)


def test_fuses_that_believe_more_let_the_next_release_through(tmp_path: Path) -> None:
    with simulated(
        tmp_path, settings={"fuses": {"service_an_hour": 1, "fleet_an_hour": 9}}
    ) as made:
        made.start_with(GOOD, QUICK)
        for bad in BAD:
            _rejected(made, bad)
        made.merge(made.pins(NEXT))
        made.daemon.until(
            lambda: made.daemon.reason(SERVICE, "dev") == "FuseBlown", "the fuse is blown"
        )
        assert made.image("dev-1") == digest(GOOD)
        made.daemon.settings["fuses"] = {"service_an_hour": len(BAD), "fleet_an_hour": 9}
        made.daemon.write_settings()
        delivered(made, NEXT, AT_ONCE_S)


def test_a_roll_out_stops_where_it_is_while_only_observed_and_goes_on_after(tmp_path: Path) -> None:
    with simulated(tmp_path) as made:
        made.start_with(GOOD, QUICK)
        made.merge(made.pins(NEXT, fate=Fate.NEVER_READY))
        made.daemon.until(lambda: made.daemon.reason(SERVICE, "dev") == "Progressing", "it is on")
        _switched(made, "observe")
        made.merge(made.pins(LATER))
        would = f"would Admit: {LATER} takes the place of {NEXT}"
        made.daemon.until(lambda: made.daemon.logged("Held", message=would), "it would go on")
        written = _writes(made)
        holds_for(QUIET_S, lambda: written == [])
        _switched(made, "enforce")
        delivered(made, LATER, AT_ONCE_S)


def test_a_revert_that_git_has_not_taken_waits_while_only_observed(tmp_path: Path) -> None:
    with simulated(tmp_path) as made:
        made.start_with(GOOD, QUICK)
        made.served.before_refs(_gone_for_pushes)
        made.merge(made.pins(BAD[0], fate=Fate.CRASH))
        made.daemon.until(lambda: made.daemon.logged("revert-failed"), "it is not taken")
        _switched(made, "observe")
        made.served.before_refs(None)
        # A new HEAD ends every wait for another try.
        head = made.merge({"README.md": b"somebody's own business"})
        made.daemon.until(lambda: made.daemon.status()["head"]["accepted"] == head, "it is seen")
        written = _writes(made)
        holds_for(QUIET_S, lambda: (written, made.head()) == ([], head))
        _switched(made, "enforce")
        made.daemon.until(made.reverts, "it is taken back")


def _gone_for_pushes(service: str) -> None:
    if service == PUSH:
        raise HangUp


def _switched(made: Simulated, mode: str) -> None:
    """Edits the mode, and waits until that is told."""
    told = len(made.daemon.logged("settings-reloaded"))
    made.daemon.settings["mode"] = mode
    made.daemon.write_settings()
    made.daemon.until(
        lambda: len(made.daemon.logged("settings-reloaded")) > told, f"the mode is {mode}"
    )
    made.daemon.until(lambda: made.daemon.status()["mode"] == mode, "a turn was made under it")


def _writes(made: Simulated) -> list[str]:
    """Returns a list that every write to a cluster is added to from now on."""
    written: list[str] = []

    def note(verb: str, steps: list[str]) -> None:
        if verb != "get":
            written.append(f"{verb} {'/'.join(steps)}")

    for faults in made.faults.values():
        faults.rules.append(note)
    return written


def _rejected(made: Simulated, version: str) -> None:
    """Merges a release that crashes, and waits until its commit is made: on the branch, or beside it."""
    before = len(made.reverts()) + len(made.own_branches())
    made.merge(made.pins(version, fate=Fate.CRASH))
    made.daemon.until(
        lambda: len(made.reverts()) + len(made.own_branches()) > before, f"{version} is taken back"
    )
