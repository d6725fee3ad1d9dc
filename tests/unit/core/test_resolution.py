"""Which revision a pin asks for, with a source of its own and without."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.core.resolution import resolve
from reconciler.model.env_repo import Pin
from reconciler.model.names import CommitId
from reconciler.model.records import PromotionRecord, in_short
from reconciler.model.release import Revision, Values
from tests.fakes.facts import DEV, HEAD, PROD, STAGING, V1, V2, WEB, proof, record
from tests.fakes.records import revision

OLD, NEW = CommitId("1" * 40), CommitId("2" * 40)
TREES = {OLD: "b" * 40, NEW: "d" * 40, HEAD: "e" * 40}
"""The service's tree by commit; a commit that is not here holds none."""

PIN = Pin(
    service=WEB,
    environment=PROD,
    version="1.0.0",
    images=V1.release.images,
    source=None,
    values=Values(),
    cluster_values=Values(),
    paused=False,
    adopt_overwrite=False,
)


def at(source: str, version: str = "1.0.0") -> Revision | None:
    """Returns version 1 with the tree at a commit."""
    tree = TREES.get(CommitId(source))
    return revision(version, tree=tree, source=CommitId(source)) if tree else None


def known(environment: object, *sources: CommitId, version: str = "1.0.0") -> PromotionRecord:
    """Returns a record in which a version is proven with some sources, the newest first."""
    found = [at(source, version) for source in sources]
    return record(environment, V2, proofs=tuple(proof(r) for r in found if r))  # type: ignore[arg-type]


def asked(
    *earlier: PromotionRecord | None, pin: Pin = PIN, own: PromotionRecord | None = None
) -> CommitId | None:
    """Returns the source that a pin resolves to."""
    found = resolve(pin, head=HEAD, earlier=earlier, own=own, revision_at=at)
    return found.release.source if found else None


def test_a_written_source_is_what_it_says() -> None:
    assert asked(known(DEV, NEW), pin=replace(PIN, source=OLD)) == OLD


def test_a_source_that_is_not_there_asks_for_nothing() -> None:
    assert asked(pin=replace(PIN, source="f" * 40)) is None


def test_the_first_environment_follows_head() -> None:
    assert asked() == HEAD


def test_without_the_service_at_head_nothing_is_asked_for() -> None:
    assert resolve(PIN, head=CommitId("9" * 40), earlier=(), own=None, revision_at=at) is None


@pytest.mark.parametrize(
    ("earlier", "source"),
    [
        pytest.param(
            (known(DEV, HEAD), known(STAGING, HEAD)), HEAD, id="HEAD's, once it is proven"
        ),
        pytest.param(
            (known(DEV, HEAD, NEW, OLD), known(STAGING, NEW, OLD)),
            NEW,
            id="the newest that is proven in all of them",
        ),
        pytest.param(
            (known(DEV, OLD), known(STAGING, NEW, OLD)),
            OLD,
            id="not one that only the last has proven",
        ),
        pytest.param(
            (known(DEV, NEW), known(STAGING, OLD)), HEAD, id="HEAD's, while they agree on none"
        ),
        pytest.param(
            (known(DEV, NEW, version="2.0.0"), known(STAGING, NEW, version="2.0.0")),
            HEAD,
            id="not one that was proven with other images",
        ),
        pytest.param((known(DEV, NEW), None), HEAD, id="HEAD's, where nothing is recorded"),
        pytest.param((None, known(STAGING, NEW)), HEAD, id="HEAD's, where the first knows nothing"),
    ],
)
def test_a_later_pin_floats_to(
    earlier: tuple[PromotionRecord | None, ...], source: CommitId
) -> None:
    assert asked(*earlier) == source


def test_what_was_only_adopted_is_not_followed() -> None:
    found = at(NEW)
    assert found is not None
    adopted = record(DEV, V2, proofs=(proof(found, opens_gates=False),))
    assert asked(adopted) == HEAD


def test_what_others_have_forgotten_they_still_know_to_have_passed() -> None:
    found = at(OLD)
    assert found is not None
    moved_on = record(DEV, V2, proofs=(proof(V2),), passed=(in_short(found.identity),))
    own = record(PROD, found, proofs=(proof(found, PROD),))
    assert asked(moved_on, moved_on, own=own) == OLD
    assert asked(moved_on, moved_on) == HEAD
    assert asked(replace(moved_on, passed=()), moved_on, own=own) == HEAD
