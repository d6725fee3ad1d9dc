"""From which commits a revision comes: whatever its checks are asked of must hold all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from reconciler.model.names import CommitId, EnvironmentName, ServiceName
from reconciler.model.release import Revision, Values
from reconciler.schema.snapshot import read_snapshot
from reconciler.shell.origins import Origins
from reconciler.shell.runner import VirtualClock
from reconciler.shell.sources import Sources
from reconciler.simulated.behaviour import Fate, digest_for
from tests.fakes.memory_git import MemoryGit
from tests.fakes.records import revision
from tests.fakes.world import MANIFESTS, env_repo, pin

WEB, PROD = ServiceName("web"), EnvironmentName("prod")
PIN, FILES = "environments/prod/web.yaml", "services/web/web.yaml"
NONE, THREE = Values(), Values.of({"replicas": 3})
OTHER = MANIFESTS.replace("hello", "good day")


class Branch:
    """A branch that is merged into, and what was merged under a name."""

    def __init__(self, root: str = "") -> None:
        self.root = root
        self.git = MemoryGit(VirtualClock())
        self.merged: dict[str, CommitId] = {}
        self.merge("repo", env_repo())

    def merge(self, name: str, files: Mapping[str, str]) -> CommitId:
        below = {f"{self.root}/{path}".lstrip("/"): text for path, text in files.items()}
        self.merged[name] = self.git.merge(below)
        return self.merged[name]

    def origins(
        self, source: str, version: str = "1.0.0", values: Values = NONE
    ) -> tuple[str, ...]:
        """Returns the names of the commits of a revision with the files of one of them."""
        snapshot = read_snapshot(self.git, self.git.fetch(), root=self.root)
        wanted = replace(self.revision(version, source), values=values)
        found = Origins(Sources(self.git, self.root)).of(snapshot, WEB, PROD, wanted)
        names = {commit: name for name, commit in self.merged.items()}
        return tuple(names[commit] for commit in found)

    def revision(self, version: str, source: str) -> Revision:
        """Returns a revision as the pin of a version asks for it."""
        given = revision(version)
        pairs = (("registry.example.com/web", digest_for(Fate.READY, version)),)
        release = replace(given.release, images=pairs, source=self.merged[source])
        return replace(given, release=release)


@pytest.fixture(params=["", "env"])
def branch(request: pytest.FixtureRequest) -> Branch:
    made = Branch(request.param)
    made.merge("pinned", {PIN: pin("1.0.0")})
    return made


def test_it_is_the_commit_that_pinned_it_where_the_files_are_the_same_there(branch: Branch) -> None:
    branch.merge("else", {"services/api/x.yaml": "a: 1"})
    assert branch.origins("else") == ("pinned",)


def test_who_pauses_it_or_writes_a_note_does_not_ask_for_it_anew(branch: Branch) -> None:
    branch.merge("note", {PIN: pin("1.0.0", note="!") + "paused: true\n"})
    assert branch.origins("note") == ("pinned",)


def test_whoever_pins_it_again_after_another_does(branch: Branch) -> None:
    branch.merge("other", {PIN: pin("2.0.0")})
    branch.merge("again", {PIN: pin("1.0.0")})
    assert branch.origins("again") == ("again",)


def test_values_are_asked_for_as_a_release_is(branch: Branch) -> None:
    branch.merge("values", {PIN: pin("1.0.0") + "values: {replicas: 3}\n"})
    assert branch.origins("values", values=THREE) == ("values",)


def test_values_that_go_ahead_of_their_release_are_asked_for_where_they_were_merged(
    branch: Branch,
) -> None:
    branch.merge("newer", {PIN: pin("2.0.0") + "values: {replicas: 3}\n"})
    assert branch.origins("newer", "1.0.0", THREE) == ("newer",)


def test_files_that_were_changed_later_stand_alone_since_they_hold_the_pin_too(
    branch: Branch,
) -> None:
    branch.merge("files", {FILES: OTHER})
    branch.merge("else", {"services/api/x.yaml": "a: 1"})
    assert branch.origins("else") == ("files",)


def test_files_of_before_are_asked_for_beside_the_pin(branch: Branch) -> None:
    branch.merge("files", {FILES: OTHER})
    branch.merge("newer", {PIN: pin("2.0.0")})
    # It floats, and follows what was proven with the files of before.
    assert branch.origins("repo", "2.0.0") == ("newer", "repo")


def test_a_source_that_is_written_out_is_asked_for_beside_the_pin(branch: Branch) -> None:
    source = branch.merge("else", {"services/api/x.yaml": "a: 1"})
    branch.merge("files", {FILES: OTHER})
    fixed = pin("2.0.0").replace("release:\n", f"release:\n  source: {source}\n")
    branch.merge("fixed", {PIN: fixed})
    assert branch.origins("else", "2.0.0") == ("fixed", "else")


def test_what_was_asked_for_before_comes_from_the_commit_that_asked(branch: Branch) -> None:
    branch.merge("newer", {PIN: pin("2.0.0")})
    assert branch.origins("newer", "1.0.0") == ("pinned",)


def test_files_that_came_after_it_was_asked_for_do_not_hold_its_pin(branch: Branch) -> None:
    branch.merge("newer", {PIN: pin("2.0.0")})
    branch.merge("files", {FILES: OTHER})
    assert branch.origins("files", "1.0.0") == ("pinned", "files")


def test_what_no_pin_asks_for_in_whole_comes_from_the_newest(branch: Branch) -> None:
    branch.merge("newer", {PIN: pin("2.0.0")})
    branch.merge("note", {PIN: pin("2.0.0", note="!")})
    assert branch.origins("note", "3.0.0") == ("newer",)


def test_a_commit_that_is_larger_than_is_read_leaves_it_unknown(branch: Branch) -> None:
    branch.merge("files", {FILES: OTHER})
    head = branch.git.fetch()
    snapshot = read_snapshot(branch.git, head, root=branch.root)
    wanted = branch.revision("1.0.0", "files")
    branch.git.unreadable.add(branch.merged["pinned"])
    assert Origins(Sources(branch.git, branch.root)).of(snapshot, WEB, PROD, wanted) == ()
