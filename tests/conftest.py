"""Fixtures that several folders of tests share: the real control plane, started once a test process."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import structlog

from reconciler.simulated.behaviour import Fate
from tests.controlplane.cluster import ControlPlane, control_planes

PLANES = "planes"
"""The fixture of the real clusters; each set of them is two gigabytes."""

RACES = "test_races.py"
"""Takes half as long as all other tests on real clusters together, so it has a test process of its own."""

QUICK = {"unit", "property", "house", "contract"}
"""Folders whose tests take milliseconds, or a second."""

HERE = Path(__file__).parent

_PLANES = ExitStack()
"""What ends the real clusters of this test process."""

CRASHES_IN_STAGING = "5ba90001"
"""The marker of an image that is well in dev and crashes in staging, as a bad configuration there would."""


def pytest_configure() -> None:
    """Ends a run that is terminated as one that is interrupted: what it has started is ended with it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


# Around all others: xdist reads the groups in the same hook, and what shuffles the tests does so in it.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Marks every test that needs the control plane, keeps them in two test processes, and begins with them."""
    for item in items:
        if PLANES in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)
            group = "races" if item.path.name == RACES else "cluster"
            item.add_marker(pytest.mark.xdist_group(group))
    yield
    items.sort(key=turn)


def turn(item: pytest.Item) -> int:
    """Returns when a test begins: the longest group first, and last what fills the gaps between the others."""
    if needs_planes(item):
        return 0
    if item.get_closest_marker("xdist_group") is not None:
        return 1
    return 3 if item.path.relative_to(HERE).parts[0] in QUICK else 2


def needs_planes(item: pytest.Item) -> bool:
    """Whether a test is on the real clusters."""
    return item.get_closest_marker("cluster") is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Ends the real clusters once their group of tests is over: idle ones, too, take a tenth of a core."""
    yield
    # Only then are the tests of a group one behind the other.
    is_grouped = item.config.getoption("loadgroup", default=False)
    if is_grouped and needs_planes(item) and nextitem is not None and not needs_planes(nextitem):
        _PLANES.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """A command that a test ran in its own process has set up the logs of all that come after it.

    By themselves they go to stdout, where a command's document goes as well.
    """
    structlog.reset_defaults()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))


@pytest.fixture(scope="session")
def planes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ControlPlane]]:
    """Four real clusters by name: dev-1, staging-1, prod-1 and prod-2."""
    names: dict[str, dict[str, Fate]] = {"dev-1": {}, "prod-1": {}, "prod-2": {}}
    names["staging-1"] = {CRASHES_IN_STAGING: Fate.CRASH}
    with _PLANES:
        yield _PLANES.enter_context(control_planes(tmp_path_factory.mktemp("planes"), names))
