"""A Git remote that is a folder of the machine: what is merged there is seen at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gitservers.served import Way
from tests.system.envrepo import digest, policy
from tests.system.simulated import simulated

pytestmark = [pytest.mark.git_server, pytest.mark.xdist_group("local-remote")]

GOOD, NEXT = "1.0.0", "1.1.0"
NEVER_S = 3600.0


@pytest.mark.parametrize("kind", ["bare", "checkout"])
def test_a_merge_into_a_folder_is_fetched_without_waiting_for_the_next_poll(
    kind: str, tmp_path: Path
) -> None:
    with simulated(tmp_path, way=Way.LOCAL) as made:
        bare = Path(made.daemon.settings["repo"]["url"])
        if kind == "checkout":
            # As somebody's clone has it: the branch moves in a folder of the checkout's own.
            checkout = tmp_path / "checkout"
            checkout.mkdir()
            (checkout / ".git").symlink_to(bare)
            # Whoever works there may have been killed at it.
            (bare / "index.lock").write_text("")
            made.daemon.settings["repo"]["url"] = str(checkout)
        made.daemon.settings["repo"]["poll_s"] = NEVER_S
        made.start_with(GOOD, policy(soak_s=0.3))
        commit = made.merge(made.pins(NEXT))
        made.daemon.until(lambda: made.image("dev-1") == digest(NEXT), "it is delivered")
        made.daemon.until(
            lambda: made.daemon.status()["head"]["accepted"] == commit, "status says so"
        )
