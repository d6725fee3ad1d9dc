"""Logs are lines of JSON where nobody sits at a terminal, whoever writes them."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

import pytest
import structlog

from reconciler.cli import logs
from reconciler.model.events import WARNINGS, Event, EventKind
from reconciler.model.names import ClusterName

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    told = capsys.readouterr()
    assert told.out == "", "stdout holds the one document"
    return [json.loads(line) for line in told.err.splitlines()]


def test_an_event_is_one_line_with_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("auto", "info")
    cluster = ClusterName("dev-1")
    logs.log_event(Event(AT, EventKind.CLUSTER_REACHABLE, "Answers", "a\nb", cluster=cluster))
    (line,) = lines(capsys)
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {
        "event": "ClusterReachable",
        "level": "info",
        "reason": "Answers",
        "message": "a\nb",
        "cluster": "dev-1",
    }


@pytest.mark.parametrize("kind", EventKind)
def test_what_a_person_should_see_is_a_warning(
    kind: EventKind, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("json", "warning")
    logs.log_event(Event(AT, kind))
    assert [line["level"] for line in lines(capsys)] == (["warning"] if kind in WARNINGS else [])


def test_what_a_library_warns_of_is_a_line_like_ours(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    logging.getLogger("urllib3").info("nobody asked")
    try:
        raise ValueError("x")
    except ValueError:
        structlog.get_logger("ours").exception("step-crashed")
    library, ours = lines(capsys)
    assert (library["event"], library["level"]) == ("Invalid HTTP request received.", "warning")
    assert "ValueError" in str(ours["exception"])


def test_at_a_terminal_it_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text", "info")
    logs.log_event(Event(AT, EventKind.LEADING, message="one leads"))
    assert "one leads" in capsys.readouterr().err
