"""kwok is told what to do without a Go toolchain: its own stages are here, as its module has them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from reconciler.simulated.behaviour import FATES
from tests.controlplane.requiring import require_module
from tests.controlplane.stages import KWOKS_OWN, stages

FOLDERS = ("node/fast", "pod/fast")


def test_the_stages_are_made_without_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    made = {stage["metadata"]["name"]: str(stage) for stage in yaml.safe_load_all(stages())}
    assert made.keys() >= {"node-initialize", "pod-ready", "pod-complete", "pod-delete"}
    assert any(marker in made["pod-fails"] for marker in FATES)


@pytest.mark.slow
@pytest.mark.cluster
def test_the_copies_are_what_the_module_has() -> None:
    module = require_module("kwok", "sigs.k8s.io/kwok") / "kustomize" / "stage"
    theirs = {
        file.name: file.read_bytes()
        for folder in FOLDERS
        for file in (module / folder).glob("*.yaml")
        if file.name != "kustomization.yaml"
    }
    assert theirs == {file.name: file.read_bytes() for file in KWOKS_OWN.glob("*.yaml")}
