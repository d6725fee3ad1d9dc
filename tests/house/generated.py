"""Files of this repo that are made from the code; `make docs` writes them, and a test holds them current."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from reconciler.cli.root import reconciler
from reconciler.config.reading import PLACES, variable
from reconciler.config.settings import RELOADABLE, Settings
from reconciler.core.moves import MEANING, TABLE, CellState
from reconciler.core.reporting import blank
from reconciler.schema.condition_files import ConditionFile
from reconciler.schema.files import (
    AllowFile,
    AmongFile,
    ApprovedFile,
    ClusterFile,
    ClusterValuesFile,
    EntryFile,
    EnvironmentFile,
    EnvironmentPolicyFile,
    FleetFile,
    FreezeFile,
    GroupFile,
    PinFile,
    PolicyFile,
    PresenceFile,
    QuarantineFile,
    ReleaseFile,
    SelectorFile,
    ServiceFile,
    SkipFile,
    TrainFile,
)
from reconciler.schema.hotfix_files import HotfixFile, PinSkipFile
from reconciler.schema.image_policy import PatternPolicyFile, SemverPolicyFile
from reconciler.schema.published import FOLDER, KINDS, published
from reconciler.schema.window_files import WindowFile, WindowsFile

ROOT = Path(__file__).resolve().parents[2]

MARK = "<!-- What follows is made from the code by `make docs`. -->\n"

COMMON = frozenset(
    {"config", "repo", "branch", "path", "kubeconfig", "mode", "listen", "probes_listen"}
    | {"state_dir", "home"}
)
"""Flags that most commands have."""

PARTS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("fleet.yaml", FleetFile),
    ("fleet.yaml: environments[]", EnvironmentFile),
    ("fleet.yaml: environments[].clusters[]", ClusterFile),
    ("fleet.yaml: allow", AllowFile),
    ("fleet.yaml: freezes[]", FreezeFile),
    ("fleet.yaml: groups[]", GroupFile),
    ("policies/<name>.yaml", PolicyFile),
    ("policies/<name>.yaml: environments.<environment>", EnvironmentPolicyFile),
    ("policies/<name>.yaml: environments.<environment>.unreachable", SkipFile),
    ("policies/<name>.yaml: environments.<environment>.hotfix", HotfixFile),
    ("policies/<name>.yaml: newer_commits", TrainFile),
    ("policies/<name>.yaml: environments.<environment>.windows", WindowsFile),
    ("policies/<name>.yaml: environments.<environment>.windows.allow[] and deny[]", WindowFile),
    ("policies/<name>.yaml: environments.<environment>.conditions[]", ConditionFile),
    ("services/<service>/service.yaml", ServiceFile),
    ("services/<service>/service.yaml: placement", SelectorFile),
    ("services/<service>/service.yaml: placement.match_expressions[], In or NotIn", AmongFile),
    ("services/<service>/service.yaml: placement.match_expressions[], by presence", PresenceFile),
    ("services/<service>/service.yaml: image_policy, by version", SemverPolicyFile),
    ("services/<service>/service.yaml: image_policy, by pattern", PatternPolicyFile),
    ("environments/<environment>/<service>.yaml", PinFile),
    ("environments/<environment>/<service>.yaml: release", ReleaseFile),
    ("environments/<environment>/<service>.yaml: approved", ApprovedFile),
    ("environments/<environment>/<service>.yaml: skip", PinSkipFile),
    ("environments/<environment>/<service>.yaml: clusters.<cluster>", ClusterValuesFile),
    ("quarantine/<service>.yaml", QuarantineFile),
    ("quarantine/<service>.yaml: entries[]", EntryFile),
)
"""Headings of the env repo's page, in the order in which people read."""


def generated() -> dict[str, str]:
    """Returns every generated file's text by its path."""
    schemas = {
        f"example-repo/{FOLDER}/{kind}.json": json.dumps(published(kind), indent=2) + "\n"
        for kind in KINDS
    }
    pages = {
        "docs/commands.md": _commands(),
        "docs/documents.md": _documents(),
        "docs/env-repo.md": _env_repo(),
        "docs/promotion.md": _promotion(),
        "docs/settings.md": _settings(),
    }
    return {**schemas, **{path: _below(path, lines) for path, lines in pages.items()}}


def _below(path: str, lines: Iterator[str]) -> str:
    """Returns a page: what people wrote, and what is made below the mark."""
    written = (ROOT / path).read_text().partition(MARK)[0].rstrip()
    return f"{written}\n\n{MARK}\n" + "\n".join(lines).rstrip() + "\n"


PLACEHOLDERS = {"clusters": "<cluster>.", "gates": "<gate>.", "registries": "<registry>."}
"""What stands in a setting's name for what people name themselves."""


def settings_fields(
    model: type[BaseModel] = Settings, at: str = ""
) -> Iterator[tuple[str, FieldInfo]]:
    """Yields every setting by its dotted name."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        arguments = [a for a in get_args(inner) if isinstance(a, type) and issubclass(a, BaseModel)]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from settings_fields(inner, f"{at}{name}.")
        elif arguments:
            named = PLACEHOLDERS[name] if get_origin(inner) is dict else ""
            yield f"{at}{name}", field
            yield from settings_fields(arguments[0], f"{at}{name}.{named}")
        else:
            yield f"{at}{name}", field


def _settings() -> Iterator[str]:
    ways = {".".join(place): _ways(flag) for flag, place in PLACES.items()}
    for name, field in settings_fields():
        yield f"## {name}\n"
        reloads = " Taken over while it runs." if name in RELOADABLE else ""
        yield f"{field.description} {_default(field)}{reloads}{ways.get(name, '')}\n"


def _ways(flag: str) -> str:
    """Says how a setting is given beside the file."""
    flags = [opt for param in reconciler.commands["run"].params for opt in param.opts]
    options = [f"`{opt}`" for opt in flags if opt == f"--{flag.replace('_', '-')}"]
    return f" Also {' or '.join([*options, f'`{variable(flag)}`'])}."


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "Required."
    value = field.default
    if value is PydanticUndefined or value is None:
        return "None by default."
    shown = value.value if isinstance(value, Enum) else value
    text = str(shown).lower() if isinstance(shown, bool) else str(shown)
    return f"`{text}` by default." if text else "Empty by default."


def _commands() -> Iterator[str]:
    status = reconciler.commands["status"]
    context = click.Context(status, info_name="reconciler status")
    yield "## The flags of the settings\n"
    for param in status.params:
        if isinstance(param, click.Option) and param.name in COMMON:
            record = param.get_help_record(context)
            assert record is not None
            yield f"* `{record[0]}`: {record[1]}"
    yield ""
    for name, command in sorted(reconciler.commands.items()):
        context = click.Context(command, info_name=f"reconciler {name}")
        yield f"## {name}\n"
        yield f"    {command.get_usage(context).removeprefix('Usage: ')}\n"
        yield " ".join((command.help or "").split()) + "\n"
        named = {param.name for param in command.params}
        told = COMMON if named >= COMMON else frozenset()
        if told:
            yield "* The flags of the settings."
        for param in command.params:
            if not isinstance(param, click.Option) or param.name in told:
                continue
            record = param.get_help_record(context)
            if record is not None:
                yield f"* `{record[0]}`: {' '.join(record[1].split())}"
        yield ""


def _documents() -> Iterator[str]:
    for name in sorted(set(reconciler.commands) - {"run", "schema"}):
        yield f"## reconciler.{name}/v1\n"
        yield f"```json\n{json.dumps(blank(name), indent=1)}\n```\n"


def _env_repo() -> Iterator[str]:
    for heading, model in PARTS:
        yield f"## {heading}\n"
        yield f"{' '.join((model.__doc__ or '').split())}\n"
        yield "| field | | what it is |\n|---|---|---|"
        later = getattr(model, "LATER", ())
        for name, field in model.model_fields.items():
            needed = "required" if field.is_required() else ""
            if name in later:
                needed = "not supported yet"
            yield f"| `{name}` | {needed} | {_cell(field)} |"
        yield ""


def _promotion() -> Iterator[str]:
    yield "## The states\n"
    for state in CellState:
        yield f"* **{state}**: {MEANING[state]}"
    yield "\n## The moves as a diagram\n"
    yield "```mermaid\nstateDiagram-v2"
    yield f"    [*] --> {CellState.NOTHING_ADMITTED}"
    for was in CellState:
        for becomes in CellState:
            moves = (r.move for r in TABLE if (r.was, r.becomes) == (was, becomes))
            told = "<br/>".join(dict.fromkeys(moves))
            if told:
                yield f"    {was} --> {becomes}: {told}"
    yield "```\n"
    yield "## The moves in words\n"
    yield "| from | move | to | when |\n|---|---|---|---|"
    for row in TABLE:
        yield f"| {row.was} | {row.move} | {row.becomes} | {row.when} |"


def _cell(field: Any) -> str:
    return str(field.description or "").replace("|", "\\|")


def main() -> None:
    """Writes what is not current."""
    for path, text in generated().items():
        file = ROOT / path
        if not file.exists() or file.read_text() != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
