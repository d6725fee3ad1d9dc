"""A daemon that follows changes of the fleet, policies and quarantine only from those who may make them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.conftest import CRASHES_IN_STAGING
from tests.gitservers.ssh import make_key
from tests.system.envrepo import digest, env_repo, policy
from tests.system.simulated import SERVICE, Simulated, simulated

pytestmark = [pytest.mark.git_server]

GOOD, BAD = "1.0.0", "1.1.0"
ROBOT = {"author_name": "Röbot of the shop", "author_email": "robot@shop.example.com"}
QUICK = policy(soak_s=0.3)


def test_only_who_may_sign_changes_the_rules_and_the_daemon_may_still_quarantine(
    tmp_path: Path,
) -> None:
    key = make_key(tmp_path / "key")
    allowed = tmp_path / "allowed_signers"
    allowed.write_text(f"kim@example.com {key.with_suffix('.pub').read_text()}")
    with simulated(tmp_path / "daemon") as made:
        made.daemon.settings["repo"] |= {"allowed_signers_file": str(allowed), **ROBOT}
        repository = made.served.repository
        files = {**env_repo([SERVICE], SERVICE, policy_text=QUICK), **made.pins(GOOD)}
        repository.commit(files)
        made.daemon.start()
        made.daemon.until(lambda: "fleet.yaml by " in head_error(made), "the fleet is refused")
        assert made.image("dev-1") is None

        signed = repository.commit(
            {
                "fleet.yaml": more(files, "fleet.yaml"),
                "policies/line.yaml": more(files, "policies/line.yaml"),
            },
            key=key,
        )
        made.wait_proven("prod", GOOD)
        unsigned = repository.commit({"policies/line.yaml": policy(soak_s=0.1).encode()})
        made.daemon.until(
            lambda: f"policies/line.yaml by {unsigned}" in head_error(made), "the policy is refused"
        )
        assert made.daemon.status()["head"]["accepted"] == signed
        repository.commit({"policies/line.yaml": more(files, "policies/line.yaml")})

        repository.commit(made.pins(BAD, marker=CRASHES_IN_STAGING))
        made.daemon.until(made.reverts, "the revert is on the branch")
        made.daemon.until(
            lambda: made.daemon.status()["head"]["accepted"] == made.head(),
            "the revert is followed",
        )
        who = repository.git("log", "-1", "--format=%an <%ae>, %cn <%ce>", made.reverts()[0].commit)
        robot = "{author_name} <{author_email}>".format_map(ROBOT)
        assert who == f"{robot}, {robot}", "it is by the author in the settings"
        assert repository.read(f"quarantine/{SERVICE}.yaml")
        assert digest(GOOD) in repository.read(f"environments/prod/{SERVICE}.yaml")

        quarantine = repository.read(f"quarantine/{SERVICE}.yaml")
        lifted = re.sub(
            r"^( +)(rejected_at:.*)$", r"\1\2\n\1lifted: a storm", quarantine, flags=re.M
        )
        assert yaml.safe_load(lifted)["entries"][0]["lifted"] == "a storm"
        by_anybody = repository.commit({f"quarantine/{SERVICE}.yaml": lifted.encode()})
        made.daemon.until(
            lambda: f"quarantine/{SERVICE}.yaml by {by_anybody}" in head_error(made),
            "the lift is refused",
        )


def more(files: dict[str, bytes | None], path: str) -> bytes:
    """Returns a file with one more line, that means nothing."""
    octets = files[path]
    assert octets is not None
    return octets + b"\n# looked at\n"


def head_error(made: Simulated) -> str:
    """Returns why HEAD is not followed, as status says."""
    status = made.daemon.status()
    return " ".join(str(error) for error in status["errors"])
