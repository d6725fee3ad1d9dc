"""Who belongs to the fleet, who drains and who has left it: that outlives the process, too."""

from __future__ import annotations

import pytest

from reconciler.shell.heads import LEFT_MAX, Heads
from tests.unit.shell.test_heads import Home


@pytest.fixture
def home() -> Home:
    return Home()


def fleet(*clusters: str) -> dict[str, str]:
    """Returns a fleet of one environment; `-` before a name: it drains."""
    entries = ", ".join(
        f"{{name: {name.lstrip('-')}, state: {'draining' if name[0] == '-' else 'active'}}}"
        for name in clusters
    )
    text = f"environments:\n  - name: dev\n    clusters: [{entries}]\n"
    policy = (
        "path: [dev]\nenvironments:\n  dev: {soak_s: 5, watch_for_s: 60, "
        "progress_deadline_s: 60, waves: all, drift: report}\n"
    )
    return {"fleet.yaml": text, "policies/line.yaml": policy}


Membership = tuple[list[str], list[str], list[str]]


def membership(heads: Heads) -> Membership:
    heads.step()
    head = heads.head
    return [*head.clusters], [*head.draining], [*head.left]


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("may_write", [False, True])
def test_who_drained_and_is_named_no_more_has_left(
    home: Home, restarts: bool, may_write: bool
) -> None:
    """Also where nothing is remembered, as in observe mode, until the daemon starts again."""
    home.may_write = may_write
    heads = home.daemon()
    steps: list[tuple[list[str], Membership]] = [
        (["a", "b", "-c"], (["a", "b", "c"], ["c"], [])),
        (["a", "b"], (["a", "b"], [], ["c"])),
        (["a"], (["a"], [], ["c"])),
        (["-a", "d"], (["a", "d"], ["a"], ["c"])),
        (["d"], (["d"], [], ["a", "c"])),
        (["c", "d"], (["c", "d"], [], ["a"])),
        (["d"], (["d"], [], ["a"])),
    ]
    for clusters, expected in steps:
        home.git.merge(fleet(*clusters))
        if restarts:
            heads = home.daemon()
        found = membership(heads)
        assert found == (expected if may_write or not restarts else (*expected[:2], []))


def test_no_more_are_remembered_to_have_left_than_is_of_use(home: Home) -> None:
    heads = home.daemon()
    many = [f"c{number}" for number in range(LEFT_MAX + 1)]
    home.git.merge(fleet("a", "-b"))
    heads.step()
    home.git.merge(fleet("a", *(f"-{name}" for name in many)))
    assert membership(heads)[2] == ["b"]
    home.git.merge(fleet("a"))
    assert membership(heads)[2] == many[:LEFT_MAX]
    assert membership(home.daemon())[2] == many[:LEFT_MAX]


def test_what_another_daemon_has_followed_since_counts_before_what_this_one_did(home: Home) -> None:
    late, other = home.daemon(), home.daemon()
    home.git.merge(fleet("a", "-b"))
    for heads in (late, other):
        heads.step()
    home.git.merge(fleet("a", "b"))
    other.step()
    home.git.merge(fleet("a"))
    assert membership(other)[2] == []
    assert membership(late)[2] == [], "it was gone without having drained"


def test_without_git_the_home_says_who_belongs_to_the_fleet(home: Home) -> None:
    heads = home.daemon()
    home.git.merge(fleet("a", "-b"))
    heads.step()
    home.git.merge(fleet("a", "-c"))
    heads.step()
    home.git.is_down = True
    assert membership(home.daemon()) == (["a", "c"], ["c"], ["b"])
    home.git.is_down = False
    home.rewrite()
    assert membership(home.daemon()) == (["a", "c"], ["c"], ["b"])
