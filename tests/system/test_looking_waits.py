"""A command waits for what is rendered: it shows what HEAD asks for, however long that takes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from reconciler.adapters.render.builder import ServiceBuilder
from reconciler.cli.looking import look
from reconciler.config.reading import read_settings
from reconciler.model.env_repo import SourceKind
from reconciler.model.names import CommitId, EnvironmentName, ServiceName
from reconciler.model.objects import KubeObject
from reconciler.model.view import View
from reconciler.schema.snapshot import read_snapshot
from tests.system.envrepo import env_repo
from tests.system.simulated import SERVICE, simulated

pytestmark = pytest.mark.git_server

BUILD_S = 0.5


class SlowBuilder(ServiceBuilder):
    """Takes its time, as a large kustomization does."""

    def build(
        self, kind: SourceKind, files: Mapping[str, bytes], environment: EnvironmentName
    ) -> tuple[KubeObject, ...]:
        time.sleep(BUILD_S)
        return super().build(kind, files, environment)


def wanted(view: View) -> list[str]:
    """Returns the versions that HEAD asks for, environment by environment."""
    cells = view.services[ServiceName(SERVICE)].facts.cells
    return [cell.ask.wanted.release.version if cell.ask.wanted else "" for cell in cells]


def test_a_look_ends_with_everything_rendered_and_so_does_one_at_another_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.cli.opening.ServiceBuilder", SlowBuilder)
    with simulated(tmp_path) as made:
        made.merge({**env_repo([SERVICE], SERVICE), **made.pins("1.0.0")})
        made.daemon.write_settings()
        seen = look(read_settings(made.daemon.settings_file, environment={}, flags={}))
        assert wanted(seen.view) == ["1.0.0"] * 3
        # Nothing is built behind the scenes any more.
        text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n"
        commit = CommitId(made.merge({f"services/{SERVICE}/more.yaml": text, **made.pins("2.0.0")}))
        seen.engine.heads.step()
        snapshot = read_snapshot(seen.engine.history, commit, root="")
        assert wanted(seen.engine.view_at(snapshot)) == ["2.0.0"] * 3
