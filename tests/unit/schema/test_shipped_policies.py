"""The policy that is shipped: people's releases go by its numbers, so that none changes unnoticed."""

from __future__ import annotations

from reconciler.model.names import PolicyName
from reconciler.model.policy import DriftMode
from reconciler.schema.folder import WORKING_FOLDER, FolderFiles
from reconciler.schema.shipped import builtin_policies, shipped
from reconciler.schema.snapshot import read_snapshot

LINE = {
    "dev": (60, 300, 600, (("dev-1",),)),
    "staging": (300, 900, 600, (("staging-1",),)),
    "prod": (900, 3600, 600, (("prod-1",), ("prod-2",), ("prod-3",))),
}
"""By environment: soak_s, watch_for_s, progress_deadline_s, and the waves of the example's clusters."""


def test_the_line_asks_for_what_it_says() -> None:
    assert set(builtin_policies()) == {"builtin:line"}
    read = read_snapshot(FolderFiles(shipped("example-repo")), WORKING_FOLDER)
    line = read.policies[PolicyName("builtin:line")]
    for environment in read.fleet.environments:
        policy = line.of(environment.name).among(environment.clusters)
        seconds = (policy.soak_s, policy.watch_for_s, policy.progress_deadline_s)
        assert (*seconds, policy.waves) == LINE[environment.name]
        assert policy.drift is DriftMode.REPORT
