"""What a remote may send: bounded in memory and on disk, and told."""

from __future__ import annotations

import os

import pytest

from reconciler.adapters.git.access import BLOB_BYTES_MAX
from reconciler.errors import InvalidInput, OperatorError, ReconcilerError
from reconciler.model.names import BlobId
from tests.contract.git_ways import ServedWorld
from tests.processes import child_peaks

pytestmark = pytest.mark.git_server


def on_disk_bytes(world: ServedWorld) -> int:
    """Returns what the mirror, and whatever else of ours is beside it, takes on disk."""
    beside = world.served.access.mirror_dir.parent.glob(f"{world.served.access.mirror_dir.name}*")
    files = (file for place in beside for file in (place, *place.rglob("*")) if file.is_file())
    return sum(file.stat().st_size for file in files)


def test_a_fetch_that_brings_too_much_is_ended(pushable: ServedWorld) -> None:
    pushable.people.commit({"large": os.urandom(4 * 1024 * 1024)})
    with pytest.raises(InvalidInput, match="more than 1048576 bytes"):
        pushable.with_access(received_bytes_max=1024 * 1024).fetch()
    assert on_disk_bytes(pushable) < 64 * 1024, "nothing is left of what was received"


def test_a_large_file_is_refused_by_its_size_and_its_neighbours_are_read(
    local: ServedWorld,
) -> None:
    # A zip bomb: a few kilobytes in the pack.
    local.people.commit({"bomb": bytes(BLOB_BYTES_MAX + 1), "pin": b"1"})
    head = local.repo.fetch()
    blobs = {entry.path: BlobId(entry.blob) for entry in local.repo.tree(head, "")}
    with pytest.raises(InvalidInput, match=f"over the limit of {BLOB_BYTES_MAX}"):
        local.repo.blob(blobs["bomb"])
    assert local.repo.blob(blobs["pin"]) == b"1"


def test_an_object_that_swells_past_the_memory_allowed_ends_its_own_process_alone(
    http: ServedWorld,
) -> None:
    """A delta of some bytes on a base of 64 MB, as 10 GB would be where a gigabyte is allowed."""
    base = bytes(64 * 1024 * 1024)
    http.people.commit({"base": base, "bomb": base + b"1"})
    http.served.repository.git("repack", "-a", "-d", "-q")
    limited = http.with_access(memory_bytes_max=100 * 1024 * 1024)
    with (
        child_peaks(os.getpid()) as peaks_kib,
        pytest.raises(OperatorError, match=r"(?i)out of memory; find the object"),
    ):
        limited.fetch()
    # The program itself and its libraries are mapped from files, which no limit counts.
    assert 0 < peaks_kib["reconciler.adapters.git.exchange_process"] < 125 * 1024
    assert on_disk_bytes(http) < 1024 * 1024, "what it swells to is written nowhere"
    assert http.repo.fetch() == http.people.tip()


def test_trees_that_name_each_other_end(local: ServedWorld) -> None:
    """Ten levels of ten: a billion files in a kilobyte."""
    git = local.served.repository.git
    blob = git("hash-object", "-w", "--stdin", stdin=b"x")
    entry = f"100644 blob {blob}"
    for _ in range(10):
        listing = "".join(f"{entry}\tn{i}\n" for i in range(10))
        entry = f"040000 tree {git('mktree', stdin=listing.encode())}"
    git("update-ref", "refs/heads/main", git("commit-tree", entry.split()[2], "-m", "bomb"))
    head = local.repo.fetch()
    with pytest.raises(InvalidInput, match="100000 files"):
        local.repo.tree(head, "")


def test_trees_without_end_end(local: ServedWorld) -> None:
    git = local.served.repository.git
    entry = f"100644 blob {git('hash-object', '-w', '--stdin', stdin=b'x')}"
    for _ in range(100):
        listing = f"{entry}\td\n"
        entry = f"040000 tree {git('mktree', stdin=listing.encode())}"
    git("update-ref", "refs/heads/main", git("commit-tree", entry.split()[2], "-m", "deep"))
    with pytest.raises(InvalidInput, match="64 levels"):
        local.repo.tree(local.repo.fetch(), "")


@pytest.mark.parametrize("name", ["..", ".git", ".GIT", "a\\x"])
def test_an_entry_that_could_not_be_written_out_safely(name: str, local: ServedWorld) -> None:
    git = local.served.repository.git
    blob = git("hash-object", "-w", "--stdin", stdin=b"x")
    raw = f"100644 {name}\0".encode() + bytes.fromhex(blob)
    tree = git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=raw)
    git("update-ref", "refs/heads/main", git("commit-tree", tree, "-m", "x"))
    head = local.repo.fetch()
    if name == "a\\x":
        assert [e.path for e in local.repo.tree(head, "")] == [name]
        return
    with pytest.raises(InvalidInput, match="refused"):
        local.repo.tree(head, "")


def test_a_branch_that_names_no_commit_is_an_operators_error(http: ServedWorld) -> None:
    git = http.served.repository.git
    ref = http.served.repository.path / "refs/heads/main"
    http.repo.fetch()
    ref.write_text(git("rev-parse", "main^{tree}") + "\n")
    with pytest.raises(ReconcilerError):
        http.repo.fetch()


def test_a_commit_in_strange_letters_and_times_is_read(local: ServedWorld) -> None:
    git = local.served.repository.git
    tree = git("rev-parse", "main^{tree}")
    for seconds in (-1, 0, 253402300800, 99999999999999):
        raw = f"tree {tree}\nauthor x <x> {seconds} +9999\ncommitter ".encode()
        raw += b"\xff\xfe <y> " + str(seconds).encode() + b" -0000\n\n\xff words"
        commit = git("hash-object", "-w", "-t", "commit", "--literally", "--stdin", stdin=raw)
        git("update-ref", "refs/heads/main", commit)
        facts = local.repo.commit_facts(local.repo.fetch())
        assert facts.message.endswith("words")
        assert 1970 <= facts.at.year <= 9999
