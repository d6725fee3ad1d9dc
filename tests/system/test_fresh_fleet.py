"""Commands on clusters that nothing of the reconciler's is on yet."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.documents import check
from tests.system.served import ServedFleet, Told

pytestmark = pytest.mark.xdist_group("fresh-fleet")

RECORDS = "reconciler.dev/v1alpha1"
NAMESPACE = "reconciler-system"
END_S = 40
"""A stop waits for work under way."""


@pytest.fixture
def fleet() -> Iterator[ServedFleet]:
    with ServedFleet() as served:
        yield served


def made(fleet: ServedFleet) -> dict[str, list[dict[str, Any]]]:
    """Returns each cluster's namespaces and definitions, with all that changes when one is written."""
    return {
        name: [
            dict(obj)
            for kind in (
                ("v1", "Namespace"),
                ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            )
            for obj in cluster.client().list(*kind, namespace=None, label_selector="").items
        ]
        for name, cluster in fleet.clusters.items()
    }


def test_bootstrap_makes_what_is_needed_everywhere_and_nothing_when_it_is_there(
    fleet: ServedFleet,
) -> None:
    told = fleet.cli("bootstrap", "-o", "json")
    check("bootstrap", told.document)
    assert (told.code, told.document["errors"]) == (0, [])
    ready = {row["name"]: row["ready"] for row in told.document["clusters"]}
    assert ready == dict.fromkeys(fleet.clusters, True)
    for cluster in fleet.clusters.values():
        assert cluster.client().kind(RECORDS, "PromotionRecord") is not None
        assert cluster.client().kind(RECORDS, "ServiceRecord") is not None
    before = made(fleet)
    assert all(NAMESPACE in str(objects) for objects in before.values())
    assert fleet.cli("bootstrap", "-o", "json").document == told.document
    assert made(fleet) == before


def test_run_once_that_is_asked_to_stop_ends_with_130_and_its_document(fleet: ServedFleet) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RECONCILER_")}
    flags = "--once --mode enforce -o json --listen 127.0.0.1:0 --probes-listen 127.0.0.1:0"
    with subprocess.Popen(
        [sys.executable, "-m", "reconciler", "run", *flags.split()],
        env={**kept, **fleet.variables()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert any('"Applied"' in line for line in process.stderr), "a delivery is under way"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=END_S)
    told = Told(process.returncode, out, err)
    check("run", told.document)
    assert told.code == 130
    (error,) = (e for e in told.document["errors"] if e["object"] == "fleet")
    assert "asked to stop" in error["why"]
    assert told.err.splitlines()[-1].startswith("error: the fleet did not settle")
