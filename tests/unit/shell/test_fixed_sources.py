"""A pin that writes its source out says so whatever else keeps it from being followed."""

from __future__ import annotations

import pytest

from reconciler.adapters.render.builder import ServiceBuilder
from reconciler.model.facts import Ask
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.reasons import Reason
from reconciler.schema.snapshot import read_snapshot
from reconciler.shell.asking import Asker
from reconciler.shell.rendering import Renderer
from reconciler.shell.runner import VirtualClock
from reconciler.shell.sources import Sources
from tests.fakes.memory_git import MemoryGit
from tests.fakes.world import env_repo, pin

WEB, DEV = ServiceName("web"), EnvironmentName("dev")
PIN = "environments/dev/web.yaml"
SERVICE_FILE = "services/web/service.yaml"
NOWHERE = "9f31c02"


def asked(line: str, files: dict[str, str]) -> tuple[Ask, str]:
    """Returns what is asked for by a pin whose release has one more line, and the commit `{base}`."""
    clock = VirtualClock()
    git = MemoryGit(clock)
    base = git.merge(env_repo())
    text = pin("1.0.0") + line.format(base=base)
    head = git.merge({PIN: text + files.pop(PIN, ""), **files})
    renderer = Renderer(git, ServiceBuilder(), clock=clock, key=lambda: b"k" * 32)
    asker = Asker(read_snapshot(git, head), Sources(git, ""), renderer)
    return asker.ask(WEB, DEV, None, ()), base


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        pytest.param({}, None, id="it is followed"),
        pytest.param({PIN: "paused: true\n"}, None, id="it is paused"),
        pytest.param({PIN: "promote: null\n"}, Reason.NOT_SUPPORTED, id="not supported yet"),
        pytest.param({PIN: "values: {replicas: many}\n"}, Reason.RENDER_FAILED, id="a bad value"),
        pytest.param({SERVICE_FILE: "what: ever\n"}, Reason.INVALID_SERVICE, id="a broken service"),
    ],
)
def test_it_is_told(files: dict[str, str], reason: Reason | None) -> None:
    ask, base = asked("  source: {base}\n", dict(files))
    assert (ask.source, ask.reason) == (base, reason)


def test_one_that_names_no_commit_is_told_as_it_stands_there() -> None:
    ask, _ = asked(f"  source: {NOWHERE}\n", {})
    assert (ask.source, ask.reason) == (NOWHERE, Reason.SOURCE_UNKNOWN)


def test_one_that_floats_has_none() -> None:
    ask, _ = asked("", {})
    assert ask.wanted is not None and ask.source is None
