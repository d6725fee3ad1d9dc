"""Commands that are asked wrongly, and bugs of ours: each is told in the command's document, too."""

from __future__ import annotations

import json

import pytest

from reconciler.cli.root import main
from tests.system.documents import check
from tests.system.served import process


def test_wrong_use_ends_with_two() -> None:
    assert process("no-such-command").code == 2
    assert process("status", "--no-such-flag").code == 2
    assert process("status", "--mode", "sometimes", "--repo", "/x").code == 2


def wrongly(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[str, str]:
    """Runs a command as its user does, in this process; returns stdout and stderr of wrong use."""
    monkeypatch.setattr("sys.argv", ["reconciler", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr()
    return told.out, told.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param(("status", "--no-such-flag"), "--no-such-flag", id="a flag"),
        pytest.param(("explain",), "SERVICE", id="a missing argument"),
        pytest.param(("render", "web"), "ENVIRONMENT", id="one of two"),
        pytest.param(("diff", "web", "prod", "more"), "more", id="an argument too many"),
        pytest.param(("pause", "web", "prod"), "--reason", id="a missing option"),
        pytest.param(("demo", "--script", "x"), "good-release", id="a choice of the demo"),
        pytest.param(("run", "--timeout-s", "soon"), "soon", id="a number"),
        pytest.param(("history", "--config"), "--config", id="a flag without its value"),
        pytest.param(("status", "x\udcff"), "x\\udcff", id="bytes that are no text"),
    ],
)
def test_wrong_use_is_told_in_the_commands_document(
    arguments: tuple[str, ...],
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command, *rest = arguments
    out, err = wrongly((command, "-o", "json", *rest), monkeypatch, capsys)
    document = json.loads(out)
    check(command, document)
    (error,) = document["errors"]
    assert error["object"] == f"reconciler {command}"
    assert why in error["why"]
    assert all(error.values())
    assert "Error: " in err


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("status", "--no-such-flag"), id="text is asked for"),
        pytest.param(("no-such-command", "-o", "json"), id="no command"),
        pytest.param(("schema", "no-such-kind", "-o", "json"), id="a command without a document"),
    ],
)
def test_wrong_use_has_no_document_where_none_was_asked_for(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = wrongly(arguments, monkeypatch, capsys)
    assert out == "" and "Error: " in err


def test_a_bug_of_ours_ends_with_seventy_and_quotes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bug(kind: str) -> None:
        raise KeyError(f"hunter2 {kind}")

    monkeypatch.setattr("reconciler.cli.validating.published", bug)
    monkeypatch.setattr("sys.argv", ["reconciler", "schema", "pin"])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert ended.value.code == 70
    assert told.out == "" and "bug" in told.err and "hunter2" not in told.err


@pytest.mark.parametrize("form", [("-o", "json"), ("-ojson",), ("--output=json",)])
def test_a_bug_of_ours_is_in_the_document_too(
    form: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bug(*_: object) -> None:
        raise KeyError("hunter2")

    monkeypatch.setattr("reconciler.cli.asking.settings_from", bug)
    monkeypatch.setattr("sys.argv", ["reconciler", "status", *form])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert ended.value.code == 70
    document = json.loads(told.out)
    check("status", document)
    (error,) = document["errors"]
    assert error["object"] == "reconciler status" and "hunter2" not in told.out
