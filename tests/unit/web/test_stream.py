"""Open pages are told of a change when a turn has seen one, and of nothing else."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.core.reporting import blank
from reconciler.web import board as board_module
from reconciler.web.board import board
from reconciler.web.serving import Served

WITHIN_S = 10.0


class Watched:
    """A board, and what its daemon has seen."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = blank("status", mode="enforce")
        self.turn = object()

    def turned(self, **changes: Any) -> None:
        """The daemon makes a turn, after which the document may be another one."""
        self.document = {**self.document, **changes}
        self.turn = object()


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def url(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(board_module, "EVENTS_S", 0.02)
    monkeypatch.setattr(board_module, "KEEP_ALIVE_S", 0.2)
    application = board(lambda: watched.document, lambda name: {}, lambda: watched.turn)
    with Served(application, "127.0.0.1:0") as served:
        yield served.url


def line(stream: Any) -> str:
    """Returns the next line that says something."""
    return next(str(text) for text in (raw.decode().strip() for raw in stream) if text)


def test_a_page_is_told_at_once_and_whenever_a_turn_has_seen_something_else(
    watched: Watched, url: str
) -> None:
    with urllib.request.urlopen(f"{url}/events", timeout=WITHIN_S) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        for mode in ("observe", "enforce"):
            assert (line(stream), line(stream)) == ("event: changed", "data: {}")
            # A turn that has seen the same, at a later fetch, is no news.
            watched.turned(head={**watched.document["head"], "fetched_at": "2026-11-25T03:00:00Z"})
            assert line(stream) == ": still here"
            watched.turned(mode=mode)


def test_a_stream_ends_with_the_server_and_nothing_is_told_of_it(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    application = board(lambda: watched.document, lambda name: {}, lambda: watched.turn)
    with Served(application, "127.0.0.1:0") as served:
        stream = urllib.request.urlopen(f"{served.url}/events", timeout=WITHIN_S)
        assert line(stream) == "event: changed"
    assert b"".join(stream).strip() == b"data: {}"
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_a_page_too_many_is_told_so(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "STREAMS_MAX", 1)
    with urllib.request.urlopen(f"{url}/events", timeout=WITHIN_S) as stream:
        assert line(stream) == "event: changed"
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{url}/events", timeout=WITHIN_S)
