"""What a command leaves behind that has looked at the clusters, in a process that goes on."""

from __future__ import annotations

import threading
import time

import pytest

from tests.system.served import ServedFleet

pytestmark = pytest.mark.git_server

SOON_S = 10.0
"""Less than a watch lasts by itself."""


def watching() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("watch ")}


def test_no_watch_goes_on_after_a_look() -> None:
    others = watching()
    with ServedFleet() as fleet:
        assert fleet.cli("status", "-o", "json").document["cells"]
        until = time.monotonic() + SOON_S
        while left := watching() - others:
            assert time.monotonic() < until, left
            time.sleep(0.05)
