"""What people search for has its place in the docs, and what the docs name is there."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from reconciler.cli.output import Exit
from reconciler.cli.root import reconciler
from reconciler.config.reading import PLACES, read_settings, variable
from reconciler.core.gates import FORWARD
from reconciler.core.phase import Phase
from reconciler.model.events import WARNINGS, EventKind
from reconciler.model.health import HealthStatus
from reconciler.model.reasons import CHANGES, Reason
from reconciler.model.records import ApplyState
from reconciler.schema.published import KINDS, published
from tests.house.generated import PARTS, settings_fields

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_has_its_heading(reason: Reason) -> None:
    _, _, section = (ROOT / "docs/reasons.md").read_text().partition(f"\n## {reason.value}\n")
    assert section, reason
    assert f"**What changes it:** {CHANGES[reason]}\n" in section.partition("\n## ")[0]


def headings(page: str) -> list[str]:
    return re.findall(r"^## (.+)$", (ROOT / page).read_text(), re.MULTILINE)


def test_each_event_has_its_heading_and_no_other_has() -> None:
    assert sorted(headings("docs/events.md")) == sorted(kind.value for kind in EventKind)


def test_a_warning_is_called_one() -> None:
    text = (ROOT / "docs/events.md").read_text()
    called = set(re.findall(r"## (\w+)\n\n\*Warning\.\*", text))
    assert called == {kind.value for kind in WARNINGS}


def test_each_phase_gate_health_and_state_has_its_heading() -> None:
    found = set(headings("docs/conditions.md"))
    modules = (
        ROOT / f"reconciler/core/{name}.py"
        for name in ("gates", "permission", "outside", "places", "return_gate", "tombstones")
    )
    source = "".join(module.read_text() for module in modules)
    gates = set(re.findall(r'name(?:, (?:file|reason))? = "(\w+)"', source))
    assert len(gates) >= len(FORWARD)
    assert found >= {phase.value for phase in Phase} | gates
    health = {status.value for status in HealthStatus}
    assert found >= health - {"Unknown"} | {"Unknown health"}
    assert found >= {state.value for state in ApplyState} - {"Failed"} | {"Failed to apply"}


def test_each_setting_and_each_command_has_its_heading() -> None:
    assert set(headings("docs/settings.md")) == {name for name, _ in settings_fields()}
    assert set(headings("docs/commands.md")) >= set(reconciler.commands)


@pytest.mark.parametrize("name", sorted(reconciler.commands))
def test_each_flag_has_its_line_with_its_command(name: str) -> None:
    text = (ROOT / "docs/commands.md").read_text()
    _, _, section = text.partition(f"\n## {name}\n")
    own = section.partition("\n## ")[0]
    if "* The flags of the settings." in own:
        own += text.partition("\n## The flags of the settings\n")[2].partition("\n## ")[0]
    for param in reconciler.commands[name].params:
        for flag in param.opts if isinstance(param, click.Option) else ():
            assert re.search(rf"^\* `[^`]*{flag}\b", own, re.MULTILINE), flag


def test_each_variable_is_in_the_docs_and_they_name_no_other() -> None:
    """Of those that are put together from a flag, the flags are asked; the others stand in the code."""
    known = {variable(flag) for flag in PLACES}
    for command in reconciler.commands.values():
        known |= {str(param.envvar) for param in command.params if param.envvar}
    for path in (ROOT / "reconciler").rglob("*.py"):
        known |= set(re.findall(r"RECONCILER_[A-Z_]*[A-Z]", path.read_text()))
    told = [(ROOT / page).read_text() for page in ("docs/settings.md", "docs/commands.md")]
    assert set(re.findall(r"RECONCILER_[A-Z_]*[A-Z]", "".join(told))) == known


def test_each_exit_code_has_its_row() -> None:
    rows = re.findall(r"^\| (\d+) \|", (ROOT / "docs/documents.md").read_text(), re.MULTILINE)
    assert sorted(map(int, rows)) == sorted(Exit)


def test_every_setting_says_what_it_is() -> None:
    for name, field in settings_fields():
        assert field.description, name


def test_each_part_of_a_file_of_the_env_repo_has_its_table() -> None:
    schemas = {kind: published(kind) for kind in KINDS}
    parts = {
        name
        for schema in schemas.values()
        for name, part in schema.get("$defs", {}).items()
        if "properties" in part
    }
    assert parts | {model.__name__ for model in KINDS.values()} == {m.__name__ for _, m in PARTS}


def test_the_settings_of_the_page_are_settings(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/settings.md").read_text(), re.DOTALL)
    file = tmp_path / "settings.yaml"
    file.write_text(block)
    assert read_settings(file, environment={}, flags={}).repo.branch == "main"


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
