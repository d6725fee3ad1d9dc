"""What a policy says of those whose word it wants: read, or found fault with at its place."""

from __future__ import annotations

import pytest

from reconciler.model.names import EnvironmentName, PolicyName
from reconciler.model.outside import NOBODY, Condition, OutsideRules
from reconciler.schema.snapshot import read_all, read_snapshot
from reconciler.shell.runner import VirtualClock
from tests.fakes.memory_git import MemoryGit
from tests.fakes.world import POLICY, env_repo, pins

LINE = "policies/line.yaml"
NAMES = ", ".join(f"c{number}" for number in range(21))


def files(rule: str) -> dict[str, str]:
    """Returns an env repo whose prod has one more rule."""
    text = POLICY.replace("DRIFT", "report").replace("  prod:\n", f"  prod:\n    {rule}\n")
    return {**env_repo(), **pins("1.0.0"), LINE: text}


@pytest.mark.parametrize(
    ("rule", "rules"),
    [
        (
            "commit_statuses: ['CI / unit (push)', ci/lint, ci/lint]",
            OutsideRules(commit_statuses=("CI / unit (push)", "ci/lint")),
        ),
        ("http_gates: [board, a, board]", OutsideRules(http_gates=("a", "board"))),
    ],
)
def test_a_rule_is_of_its_environment_alone(rule: str, rules: OutsideRules) -> None:
    git = MemoryGit(VirtualClock())
    snapshot = read_snapshot(git, git.merge(files(rule)))
    line = snapshot.policies[PolicyName("line")]
    assert line.of(EnvironmentName("prod")).outside == rules
    assert line.of(EnvironmentName("dev")).outside == NOBODY


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ("commit_statuses: []", "commit_statuses"),
        ("commit_statuses: ci/unit", "commit_statuses"),
        ("commit_statuses: [7]", "commit_statuses[0]"),
        ("commit_statuses: ['']", "commit_statuses[0]"),
        (r'commit_statuses: ["a\nb"]', "commit_statuses[0]"),
        (r'commit_statuses: ["\u202eb"]', "commit_statuses[0]"),
        (f"commit_statuses: [{'x' * 201}]", "commit_statuses[0]"),
        (f"commit_statuses: [{NAMES}]", "commit_statuses"),
        ("http_gates: []", "http_gates"),
        ("http_gates: {board: 1}", "http_gates.board"),
        ("http_gates: [https://gates.example.com]", "http_gates[0]"),
        ("http_gates: [../../etc]", "http_gates[0]"),
        ("http_gates: [Board]", "http_gates[0]"),
    ],
)
def test_what_is_no_rule_is_found_fault_with_at_its_place(rule: str, field: str) -> None:
    git = MemoryGit(VirtualClock())
    found = read_all(git, git.merge(files(rule))).faults
    assert [fault.path for fault in found] == [LINE]
    assert found[0].field.startswith(f"environments.prod.{field.partition('.')[0]}")
    assert found[0].line == 6


ONE = "name: a, message: b, expression"


def test_conditions_are_read_in_their_order() -> None:
    rule = (
        f"conditions: [{{{ONE}: 'unpinned == false'}}, {{name: b, message: c, expression: 'true'}}]"
    )
    git = MemoryGit(VirtualClock())
    snapshot = read_snapshot(git, git.merge(files(rule)))
    found = snapshot.policies[PolicyName("line")].of(EnvironmentName("prod")).outside
    assert [c.name for c in found.conditions] == ["a", "b"]
    assert found.conditions[0] == Condition("a", "unpinned == false", "b")


@pytest.mark.parametrize(
    ("conditions", "field", "why"),
    [
        ("[]", "", "at least 1"),
        ("true", "", "list"),
        (f"[{{{ONE}: '1 +'}}]", "[0].expression", "1:4: Syntax error"),
        (f"[{{{ONE}: 'colour == 1'}}]", "[0].expression", "1:1: undeclared reference to 'colour'"),
        (f"[{{{ONE}: 'version == 1'}}]", "[0].expression", "no matching overload"),
        (f"[{{{ONE}: 'fetch(version) == 1'}}]", "[0].expression", "undeclared reference"),
        (f"[{{{ONE}: 'version'}}]", "[0].expression", "it comes to string, and not to bool"),
        (f"[{{{ONE}: 'values.beta'}}]", "[0].expression", "it comes to dyn"),
        (f"[{{{ONE}: '{'(' * 60}true{')' * 60}'}}]", "[0].expression", "recursion limit"),
        (f"[{{{ONE}: '{'[' * 400}'}}]", "[0].expression", "recursion"),
        (f"[{{{ONE}: '{'true && ' * 125}true'}}]", "[0].expression", "1000"),
        (f"[{{{ONE}: ''}}]", "[0].expression", "at least 1"),
        (f"[{{{ONE}: 7}}]", "[0].expression", "string"),
        (f'[{{{ONE}: "true\\0"}}]', "[0].expression", "pattern"),
        (f"[{{{ONE}: 'true'}}, {{{ONE}: 'true'}}]", "", "two of them have one name"),
        ("[{name: A b, message: b, expression: 'true'}]", "[0].name", "pattern"),
        ("[{name: a, expression: 'true'}]", "[0].message", "required"),
        (f"[{{{ONE}: 'true', timeout_s: 9}}]", "[0].timeout_s", "no such field"),
    ],
)
def test_what_is_no_condition_is_found_fault_with_at_its_place(
    conditions: str, field: str, why: str
) -> None:
    git = MemoryGit(VirtualClock())
    (found,) = read_all(git, git.merge(files(f"conditions: {conditions}"))).faults
    assert (found.path, found.line) == (LINE, 6)
    assert found.field == f"environments.prod.conditions{field}"
    assert why in f"{found.what} {found.why} {found.fix}", found
