"""A page of the docs, read: its blocks of commands and of files, by heading, and whether a command is one."""

from __future__ import annotations

import re
from pathlib import Path

import click

from reconciler.cli.root import reconciler

ROOT = Path(__file__).resolve().parents[2]


def blocks(page: str, heading: str, language: str) -> list[str]:
    """Returns the fenced blocks below a heading of the second level, in order."""
    text = (ROOT / page).read_text()
    _, _, section = text.partition(f"\n## {heading}\n")
    section = re.split(r"^## ", section, maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def parses(arguments: list[str]) -> None:
    """Fails unless our command line understands some arguments."""
    command = reconciler.commands[arguments[0]]
    command.make_context(arguments[0], arguments[1:], parent=click.Context(reconciler))
