"""A Pod of several containers, one of which fails: the daemon says the same on simulated clusters and on real ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.simulated.behaviour import Fate
from tests.cluster.fleet import fleet
from tests.conftest import CRASHES_IN_STAGING, PLANES
from tests.system import envrepo
from tests.system.installation import Installation
from tests.system.simulated import simulated

GOOD, BAD = "1.0.0", "1.1.0"
SIDE = "registry.example.com/side"


@pytest.fixture(
    params=[
        "simulated",
        pytest.param("real", marks=[pytest.mark.cluster, pytest.mark.xdist_group("cluster")]),
    ]
)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """An installation whose daemon is not started."""
    if request.param == "real":
        with fleet(request.getfixturevalue(PLANES), tmp_path) as real:
            yield real
        return
    with simulated(tmp_path) as toy:
        yield toy


def test_a_release_whose_sidecar_crashes_beside_a_ready_container_is_rejected(
    made: Installation,
) -> None:
    files = envrepo.env_repo([made.service], made.name)
    path = f"services/{made.service}/{made.service}.yaml"
    text = (files[path] or b"").decode()
    files[path] = text.replace(
        "      containers:\n", f"      containers:\n        - {{name: side, image: {SIDE}}}\n"
    ).encode()
    made.merge({**files, **pins(made, GOOD, "")}, "the env repo")
    made.daemon.start()
    made.wait_proven("prod", GOOD)
    merged = made.merge(pins(made, BAD, CRASHES_IN_STAGING), "a sidecar that crashes in staging")
    made.daemon.until(made.reverts, "the revert is on the branch")
    (revert,) = made.reverts()
    assert revert.trailers["Commit"] == merged
    assert revert.trailers["Reason"] == "CrashLoopBackOff"
    rejection = made.rejection("staging", BAD)
    assert rejection is not None
    assert rejection.environments == ("staging", "prod")
    assert rejection.evidence
    for one in rejection.evidence:
        assert (one.kind, one.reason, one.exit_code) == ("Pod", "CrashLoopBackOff", 1)
        # Of the container beside it nothing is said.
        assert one.message.startswith("container side ended ")
        assert one.message.endswith(" times, last with exit code 1 (Error)")
    assert made.is_proven("dev", BAD)


def pins(made: Installation, version: str, marker: str) -> dict[str, bytes | None]:
    """Returns pins of an image that is well, and of a sidecar's with a marker."""
    own, side = envrepo.digest(version), envrepo.digest(version, Fate.READY, marker=marker)
    both = f"{{{envrepo.image_name(made.service)}: '{own}', {SIDE}: '{side}'}}"
    text = f'release:\n  version: "{version}"\n  images: {both}\n'.encode()
    return {f"environments/{e}/{made.service}.yaml": text for e in envrepo.ENVIRONMENTS}
