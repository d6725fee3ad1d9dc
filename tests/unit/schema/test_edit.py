"""Edits change what they say and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import yaml

from reconciler.errors import InvalidInput
from reconciler.model.env_repo import QuarantineEntry
from reconciler.model.names import (
    CommitId,
    EnvironmentName,
    Identity,
    PartDigest,
    RevisionId,
    ServiceName,
)
from reconciler.model.release import Part, Release, Values
from reconciler.schema.edit import add_entry, asked, asks_again, set_paused, set_release

SOURCE = CommitId("c" * 40)
GOOD = "sha256:" + "1" * 64
BAD = "sha256:" + "2" * 64
RELEASE = Release("1.0", (("registry.example.com/web", GOOD),), SOURCE)

BLOCK = f"""\
# The web team's pin.
release: # what runs
  version: "1.1" # the tag
  images:
    registry.example.com/web: {BAD} # built by CI
values:
  replicas: 3 # for the sale
paused: false
"""


def edited(text: str, values: Values | None = None) -> str:
    return set_release("pin.yaml", text.encode(), RELEASE, values or Values()).decode()


def test_only_what_differs_is_written() -> None:
    text = edited(BLOCK, Values.of({"replicas": 3}))
    assert text == BLOCK.replace('"1.1"', "'1.0'").replace(BAD, GOOD).replace(
        "  version:", f"  source: {SOURCE}\n  version:"
    )


@pytest.mark.parametrize(
    ("case", "text"),
    [
        (
            "flow style",
            f'release: {{version: "1.1", images: {{registry.example.com/web: {BAD}}}}}\n',
        ),
        ("windows line ends", BLOCK.replace("\n", "\r\n")),
        ("no end of line at the end", BLOCK.rstrip("\n")),
        ("a source that is there", BLOCK.replace("  version", "  source: abcdef1\n  version")),
        ("other images", BLOCK.replace("registry.example.com/web", "registry.example.com/other")),
        ("no images", 'release:\n  version: "1.1"\n'),
        (
            "a deeper indent",
            BLOCK.replace("\n  ", "\n      ").replace("          reg", "            reg"),
        ),
        ("letters beyond ASCII", BLOCK.replace("The web team", "Größe ☃")),
    ],
)
def test_a_pin_comes_out_as_wanted_in(case: str, text: str) -> None:
    # set_release reads back what it wrote and refuses a text that does not say it.
    now = edited(text, Values.of({"replicas": 5}))
    assert "5" in now
    assert [line for line in now.splitlines() if line.startswith("#")] == [
        line for line in text.splitlines() if line.startswith("#")
    ]
    assert case


@pytest.mark.parametrize(
    "source",
    [
        "0bb1dc05f936f5ceb8cd36fbfde95c818ca923e9",
        "0b" + "10" * 19,
        "12345678901234567890123456789012345678e9",
        "0" * 40,
        "1" * 40,
        "1e" + "3" * 38,
    ],
)
def test_a_commit_that_looks_like_a_number_is_written_as_text(source: str) -> None:
    """About one revert in fifty could not be written, for its source was not read back as text."""
    release = Release("1e3", RELEASE.images, CommitId(source))
    text = set_release("pin.yaml", BLOCK.encode(), release, Values.of({"tag": "0x1"})).decode()
    assert f"source: '{source}'" in text and "version: '1e3'" in text
    entry = add_entry("quarantine/web.yaml", None, ENTRY).decode()
    again = replace(ENTRY, commit=CommitId(source), version="0b1")
    both = add_entry("quarantine/web.yaml", entry.encode(), again).decode()
    assert f"commit: '{source}'" in both and "version: '0b1'" in both


def test_values_that_go_are_taken_out_and_those_by_cluster_are_written() -> None:
    text = edited(BLOCK, Values.of({"clusters": {"prod-1": {"replicas": 9}}}))
    assert "replicas: 3" not in text
    assert "prod-1" in text


def test_a_pin_that_is_broken_is_not_edited() -> None:
    with pytest.raises(InvalidInput):
        edited("release: [")
    with pytest.raises(InvalidInput):
        edited("release: absent")


def test_a_pause_is_written_in_place_or_added() -> None:
    text = set_paused("pin.yaml", BLOCK.encode(), paused=True).decode()
    assert text == BLOCK.replace("paused: false", "paused: true")
    short = BLOCK.replace("paused: false\n", "")
    added = set_paused("pin.yaml", short.encode(), paused=True).decode()
    assert added.replace("paused: true\n", "") == short


ENTRY = QuarantineEntry(
    service=ServiceName("web"),
    revision=RevisionId("sha256:" + "a" * 64),
    identity=Identity("sha256:" + "b" * 64),
    version="1.1",
    part=Part.IMAGES,
    part_digest=PartDigest("sha256:" + "d" * 64),
    environments=(EnvironmentName("staging"), EnvironmentName("prod")),
    reason="CrashLoopBackOff",
    evidence=("Pod web-1: exit code 1",),
    commit=SOURCE,
    rejected_at="2026-01-01T00:00:00Z",
    lifted=None,
)


def test_an_entry_begins_a_file_and_is_added_to_one() -> None:
    first = add_entry("q.yaml", None, ENTRY)
    second = add_entry("q.yaml", first, ENTRY)
    assert second.startswith(first)
    assert second.count(b"revision:") == 2


def test_what_a_person_wrote_into_a_quarantine_stays() -> None:
    first = add_entry("q.yaml", None, ENTRY).decode()
    lifted = first + "  lifted: a flaky node # see the incident\n"
    text = add_entry("q.yaml", lifted.encode(), ENTRY).decode()
    assert text.startswith(lifted)


def test_an_entry_added_to_an_empty_list_or_to_another_style_is_read_back() -> None:
    for text in ("entries: []\n", "entries: []"):
        assert b"CrashLoopBackOff" in add_entry("q.yaml", text.encode(), ENTRY)


REVERTED = edited(BLOCK, Values.of({"replicas": 3}))


@pytest.mark.parametrize(
    ("case", "since"),
    [
        ("nothing was changed since", lambda text: text),
        ("a note was added", lambda text: f"# looked at\n{text}"),
        ("it was paused", lambda text: text.replace("paused: false", "paused: true")),
        ("it floats", lambda text: text.replace(f"  source: {SOURCE}\n", "")),
        ("its end of line is gone", lambda text: text.rstrip("\n")),
        ("it is in flow style", lambda text: flow_style(text, source_first=True)),
        ("its source is last", lambda text: flow_style(text, source_first=False)),
    ],
)
def test_a_pin_asks_again_for_what_a_revert_took_out(
    case: str, since: Callable[[str], str]
) -> None:
    now = since(REVERTED)
    again = asks_again("pin.yaml", now.encode(), REVERTED.encode(), BLOCK.encode())
    assert again is not None, case
    assert asked("pin.yaml", again) == asked("pin.yaml", BLOCK.encode())
    assert ("paused: true" in again.decode()) is ("paused: true" in now)
    assert ("# looked at" in again.decode()) is ("# looked at" in now)
    if now == REVERTED:
        assert again.decode() == BLOCK


@pytest.mark.parametrize(
    "change", [("'1.0'", "'0.9'"), (GOOD, "sha256:" + "3" * 64), ("3 #", "4 #")]
)
def test_a_pin_that_a_person_has_changed_since_is_theirs(change: tuple[str, str]) -> None:
    now = REVERTED.replace(*change)
    assert now != REVERTED
    assert asks_again("pin.yaml", now.encode(), REVERTED.encode(), BLOCK.encode()) is None


def test_a_pin_that_asks_for_it_already_stays() -> None:
    now = f"{BLOCK}# as it was\n".encode()
    assert asks_again("pin.yaml", now, REVERTED.encode(), BLOCK.encode()) == now


def flow_style(text: str, *, source_first: bool) -> str:
    """Returns the same pin with its release on one line."""
    assert text
    source, rest = (
        f"source: {SOURCE}",
        f"version: '1.0', images: {{registry.example.com/web: {GOOD}}}",
    )
    inner = f"{source}, {rest}" if source_first else f"{rest}, {source}"
    return f"release: {{{inner}}}\nvalues: {{replicas: 3}}\n"


@pytest.mark.parametrize(
    "text",
    [
        "# Ours.\nrelease: absent # gone\nreason: |-\n  it is\n  over\nvalues: {replicas: 3}\n",
        "reason: it is over\nrelease: absent\nvalues: {replicas: 3} # for the sale\n",
        "{release: absent, reason: it is over, values: {replicas: 3}}\n",
        "release: 'absent'\nreason: it is over\nvalues: {replicas: 3}",
    ],
)
def test_a_release_takes_the_place_of_a_tombstone_only_where_that_is_meant(text: str) -> None:
    values = Values.of({"replicas": 3})
    with pytest.raises(InvalidInput, match="`reconciler rollback`"):
        edited(text, values)
    back = set_release("pin.yaml", text.encode(), RELEASE, values, over_tombstone=True).decode()
    release = {"version": "1.0", "images": dict(RELEASE.images), "source": RELEASE.source}
    assert yaml.safe_load(back) == {"release": release, "values": {"replicas": 3}}
    assert [w for w in ("# Ours.", "# gone", "# for the sale") if w in text and w not in back] == []
