"""What people search for has its place in the docs, and what the docs name is there."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from reconciler.__main__ import reconciler
from reconciler.model.reasons import CHANGES, Reason

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_has_its_heading(reason: Reason) -> None:
    _, _, section = (ROOT / "docs/reasons.md").read_text().partition(f"\n## {reason.value}\n")
    assert section, reason
    assert f"**What changes it:** {CHANGES[reason]}\n" in section.partition("\n## ")[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_path_in_backquotes_is_there(page: Path) -> None:
    found = re.findall(
        r"`((?:core|shell|schema|model|web|config|tests)/[\w./-]+)`", page.read_text()
    )
    for path in found:
        here = ROOT / path if path.startswith("tests/") else ROOT / "reconciler" / path
        assert here.exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_in_a_page_is_one_of_ours(page: Path) -> None:
    commands = re.findall(r"(?:^    |`)reconciler ([a-z]+)", page.read_text(), re.MULTILINE)
    assert set(commands) <= set(reconciler.commands)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_make_target_in_a_page_is_there(page: Path) -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?:^    |`)make (\w+)", page.read_text(), re.MULTILINE)) <= set(targets)


def test_every_command_says_what_it_is_for() -> None:
    for command in reconciler.commands.values():
        assert isinstance(command, click.Command)
        assert command.help
