"""Entries of lists come and go: freezes of fleet.yaml and what is lifted in a quarantine; all else stays."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.errors import InvalidInput
from reconciler.model.freezes import Freeze, Scope
from reconciler.model.names import CommitId, RevisionId
from reconciler.model.release import Release
from reconciler.schema.edit import add_freeze, end_freezes, lift, promote, set_approved
from tests.fakes.facts import V2, V3, entry, rejection

FLEET = """\
# The fleet.
mode: enforce
environments: # in order
  - name: dev
    clusters: [{name: dev-1}] # one
"""
BLOCK = """\
freezes: # ask the release team
  # The sale.
  - scope: fleet # everything
    until: 2026-01-01T00:00:00Z
    reason: a sale
  - {scope: service/web, reason: an audit} # theirs
  - reason: >-
      a long
      story
    scope: fleet
  # The end.
allow: {namespaces: [web]}
"""
NEW = Freeze(Scope.of("environment/dev"), datetime(2026, 12, 27, 5, tzinfo=UTC), "the holidays: no")
LINE = "{scope: environment/dev, until: '2026-12-27T05:00:00Z', reason: 'the holidays: no'}"


def added(text: str) -> str:
    return add_freeze("fleet.yaml", text.encode(), NEW).decode()


def ended(text: str, scope: str) -> str:
    return end_freezes("fleet.yaml", text.encode(), Scope.of(scope)).decode()


@pytest.mark.parametrize(
    ("text", "now"),
    [
        pytest.param(FLEET, f"{FLEET}freezes:\n  - {LINE}\n", id="none was there"),
        pytest.param(
            FLEET.rstrip("\n"), f"{FLEET}freezes:\n  - {LINE}\n", id="no end of line at the end"
        ),
        pytest.param(
            FLEET + "freezes: [] # none\n", f"{FLEET}freezes: [{LINE}] # none\n", id="an empty list"
        ),
        pytest.param(
            FLEET + "freezes: [{scope: fleet, reason: x}, ] # one\n",
            f"{FLEET}freezes: [{{scope: fleet, reason: x}}, {LINE}, ] # one\n",
            id="in one line",
        ),
        pytest.param(
            FLEET + BLOCK,
            FLEET + BLOCK.replace("  # The end", f"  - {LINE}\n  # The end"),
            id="lines",
        ),
        pytest.param(
            FLEET + "freezes:\n- scope: fleet\n  reason: x # so",
            f"{FLEET}freezes:\n- scope: fleet\n  reason: x # so\n- {LINE}\n",
            id="lines without an indent, and no end of the last one",
        ),
        pytest.param(
            (FLEET + BLOCK).replace("\n", "\r\n"),
            (FLEET + BLOCK.replace("  # The end", f"  - {LINE}\n  # The end")).replace(
                "\n", "\r\n"
            ),
            id="windows line ends",
        ),
        pytest.param(
            "{environments: [{name: dev, clusters: [{name: dev-1}]}]}\n",
            f"{{freezes: [{LINE}], environments: [{{name: dev, clusters: [{{name: dev-1}}]}}]}}\n",
            id="all in one line",
        ),
    ],
)
def test_a_freeze_is_added(text: str, now: str) -> None:
    assert added(text) == now
    assert added(now) == now, "it says so already"
    assert ended(now, "environment/dev").count("environment/dev") == 0


@pytest.mark.parametrize(
    ("text", "scope", "now"),
    [
        pytest.param(
            BLOCK,
            "service/web",
            BLOCK.replace("  - {scope: service/web, reason: an audit} # theirs\n", ""),
            id="one of several",
        ),
        pytest.param(
            BLOCK,
            "fleet",
            "freezes: # ask the release team\n  # The sale.\n"
            "  - {scope: service/web, reason: an audit} # theirs\n  # The end.\n"
            "allow: {namespaces: [web]}\n",
            id="all of a scope",
        ),
        pytest.param(
            "freezes: # why\n  - {scope: fleet, reason: x}\n",
            "fleet",
            "freezes: [] # why\n",
            id="the last one",
        ),
        pytest.param(
            "freezes: [{scope: fleet, reason: x}, {scope: service/a, reason: w}] # why\n",
            "fleet",
            "freezes: [{scope: service/a, reason: w}] # why\n",
            id="the first in a line",
        ),
        pytest.param(
            "freezes: [{scope: service/a, reason: w}, {scope: fleet, reason: x}, {scope: fleet, reason: z}]\n",
            "fleet",
            "freezes: [{scope: service/a, reason: w}]\n",
            id="the last two in a line",
        ),
        pytest.param(
            "freezes: [{scope: fleet, reason: x}, {scope: fleet, reason: z}] # why\n",
            "fleet",
            "freezes: [] # why\n",
            id="all in a line",
        ),
    ],
)
def test_a_scope_is_thawed(text: str, scope: str, now: str) -> None:
    assert ended(FLEET + text, scope) == FLEET + now
    assert ended(FLEET + now, scope) == FLEET + now, "there is none"


def test_a_fleet_that_is_broken_is_not_edited() -> None:
    for text in ("environments: [", FLEET + "freezes: 3\n", FLEET + "...\n"):
        with pytest.raises(InvalidInput, match="cannot be edited"):
            added(text)


def test_only_the_standing_entries_of_a_revision_are_lifted() -> None:
    two, three = (entry(rejection(version)) for version in (V2, V3))
    text = "# theirs\nentries:\n"
    for one in (two, three, two):
        text += (
            f"- revision: {one.revision} # it\n  identity: {one.identity}\n  version: '2'\n  part: images\n"
            f"  part_digest: {one.part_digest}\n  environments: [dev]\n  reason: x\n"
            f"  commit: '{one.commit}'\n  rejected_at: then\n"
        )
    text += "  lifted: long ago\n"
    now = lift("quarantine/web.yaml", text.encode(), {two.revision}, "it was: the disk").decode()
    first = f"- lifted: 'it was: the disk'\n  revision: {two.revision} # it\n"
    assert now == text.replace(f"- revision: {two.revision} # it\n", first, 1)
    assert lift("q.yaml", now.encode(), {RevisionId("x"), two.revision}, "again") == now.encode()


RELEASE = Release("2.0", (("registry.example.com/web", "sha256:" + "2" * 64),), CommitId("c" * 40))
PIN = """\
release: # what runs
  version: "1.0" # the tag
  images: {registry.example.com/web: 'sha256:SUM'} # built by CI
values: {replicas: 3}
""".replace("SUM", "1" * 64)


def test_a_promoted_pin_floats_on_and_keeps_its_values() -> None:
    now = promote("pin.yaml", PIN.encode(), RELEASE).decode()
    assert now == PIN.replace('"1.0"', "'2.0'").replace("1" * 64, "2" * 64).replace(
        f"'sha256:{'2' * 64}'", f"sha256:{'2' * 64}"
    )


def test_a_promoted_pin_that_is_fixed_is_fixed_to_what_was_proven() -> None:
    fixed = PIN.replace("  version", "  source: abcdef1\n  version")
    now = promote("pin.yaml", fixed.encode(), RELEASE).decode()
    assert f"  source: {RELEASE.source}\n  version: '2.0' # the tag\n" in now
    with pytest.raises(InvalidInput, match="`reconciler rollback`"):
        promote("pin.yaml", b"release: absent\nreason: x\n", RELEASE)


def test_an_approval_is_written_once_and_in_place_of_another() -> None:
    one, two = (RevisionId("sha256:" + digit * 64) for digit in "12")
    now = set_approved("pin.yaml", PIN.encode(), one, "Ada: L").decode()
    line = f"approved: {{revision: 'sha256:{'1' * 64}', by: 'Ada: L'}}\n"
    assert (
        now.replace(line.replace("'sha256:" + "1" * 64 + "'", "sha256:" + "1" * 64), "").replace(
            line, ""
        )
        == PIN
    )
    assert set_approved("pin.yaml", now.encode(), one, "Bob") == now.encode()
    again = set_approved("pin.yaml", now.encode(), two, "Bob").decode()
    assert "2" * 64 in again and "Ada" not in again and again.startswith(now[:9])
    asked_in = CommitId("d" * 40)
    anew = set_approved("pin.yaml", now.encode(), one, "Ada: L", asked_in=asked_in)
    assert f"by: 'Ada: L', asked_in: {asked_in}" in anew.decode(), "for what asked again since"
    assert set_approved("pin.yaml", anew, one, "Bob", asked_in=asked_in) == anew
    third = set_approved("pin.yaml", anew, one, "Bob", asked_in=CommitId("e" * 40)).decode()
    assert "e" * 40 in third and asked_in not in third
