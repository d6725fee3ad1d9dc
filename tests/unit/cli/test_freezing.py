"""What freeze, thaw and lift refuse before anything is fetched, and which entry a person means."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from reconciler.cli.freezing import freeze, thaw
from reconciler.cli.verbs import _chosen
from reconciler.errors import InvalidInput
from reconciler.model.names import RevisionId

SEVERAL = {RevisionId("sha256:aa1"): "1.0", RevisionId("sha256:ab2"): "2.0"}


@pytest.mark.parametrize(
    ("command", "arguments", "why"),
    [
        (freeze, ["prod"], "environment/<name>"),
        (thaw, ["fleet/x"], "environment/<name>"),
        (freeze, ["fleet", "--until", "tomorrow"], "no RFC 3339 time"),
        (freeze, ["fleet", "--until", "2030-01-01T00:00:00"], "no RFC 3339 time"),
        (freeze, ["fleet", "--until", "2020-01-01T00:00:00Z"], "is over already"),
        (freeze, ["fleet", "--for", "0h"], "such as 90m"),
        (freeze, ["fleet", "--for", "367d"], "such as 90m"),
        (freeze, ["fleet", "--for", "1 day"], "such as 90m"),
        (freeze, ["fleet", "--for", "1h", "--until", "2030-01-01T00:00:00Z"], "not both"),
    ],
)
def test_what_makes_no_sense_is_wrong_use(
    command: click.Command, arguments: list[str], why: str
) -> None:
    told = CliRunner().invoke(command, [*arguments, "--reason", "x"])
    assert told.exit_code == 2
    assert why in told.output


def chosen(*asked: str, there: dict[RevisionId, str] = SEVERAL) -> Any:
    return _chosen("quarantine/web.yaml", there, asked)


def test_the_only_entry_needs_no_name_and_several_do() -> None:
    assert chosen(there={RevisionId("sha256:aa1"): "1.0"}) == ("sha256:aa1",)
    assert chosen("aa") == chosen("sha256:aa1") == ("sha256:aa1",)
    assert chosen("ab", "aa") == ("sha256:ab2", "sha256:aa1")
    for asked, why in [
        ((), "several entries stand: 1.0"),
        (("a",), "several entries that stand"),
        (("",), "several entries"),
        (("c",), "no entries"),
    ]:
        with pytest.raises(InvalidInput, match=why):
            chosen(*asked)
    with pytest.raises(InvalidInput, match="none of its entries stands"):
        chosen(there={})
