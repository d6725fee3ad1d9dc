"""Which releases a pin may be moved on to: proven in every environment before it, and not asked for here yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from reconciler.core.boarding import FormerPin
from reconciler.core.line import Before, asks_for, line_of, may_follow
from reconciler.core.resolution import is_proven
from reconciler.errors import InvalidInput, ReconcilerError
from reconciler.model.env_repo import Pin
from reconciler.model.facts import Ask
from reconciler.model.names import EnvironmentName
from reconciler.model.path import Path
from reconciler.model.policy import Policy
from reconciler.model.promotion import Promotion
from reconciler.model.records import PromotionRecord
from reconciler.model.release import Release, Revision
from reconciler.shell.asking import Asker
from reconciler.shell.executor.orders import CellKey


def with_ahead(
    ask: Ask,
    asker: Asker,
    key: CellKey,
    own: PromotionRecord | None,
    earlier: Sequence[PromotionRecord | None],
) -> Ask:
    """Returns what is asked for in a cell, with who moves its pin, and to what it may be moved.

    A history that cannot be read leaves that unknown: then nothing moves it.

    Args:
        ask: What HEAD asks for.
        asker: Of the same HEAD.
        key: The cell.
        own: Its promotion record.
        earlier: Those of the environments before it, in order of the path.
    """
    service, environment = key
    declared = asker.snapshot.services.get(service)
    policy = asker.snapshot.policies.get(declared.policy) if declared is not None else None
    pin = asker.snapshot.pins.get((environment, service))
    if policy is None or pin is None or environment not in policy.path.names():
        return ask
    ask = replace(ask, promote=policy.of(environment).promote)
    if ask.promote is Promotion.MANUAL or pin.absent:
        return replace(ask, ahead=())
    if ask.wanted is None or own is None or own.admitted is None:
        return ask
    with suppress(ReconcilerError):
        return replace(ask, ahead=_ahead(asker, pin, policy, own, earlier))
    return ask


def moved(pin: Pin, release: Release) -> Pin:
    """Returns a pin that asks for a release, its source written where one stands."""
    source = release.source if pin.source is not None else None
    return replace(pin, version=release.version, images=release.images, source=source)


def _ahead(
    asker: Asker,
    pin: Pin,
    policy: Policy,
    own: PromotionRecord,
    earlier: Sequence[PromotionRecord | None],
) -> tuple[Revision, ...]:
    """Returns the revisions, what comes last just before first."""
    just_before = policy.path.just_before(pin.environment)
    before = policy.path.before(pin.environment)
    records = dict(zip(before, earlier, strict=False))
    releases = {
        (proof.revision.release.images, proof.revision.release.source): proof.revision.release
        for name in just_before
        if (record := records.get(name)) is not None
        for proof in record.proofs
        if proof.opens_gates and not proof.revision.absent
        if not asks_for(pin, proof.revision.release)
    }
    if not releases:
        return ()
    histories = asker.sources.pin_history
    head = asker.snapshot.commit
    pins = histories.of(head, pin.environment, pin.service)
    lines = tuple(_lines(asker, pin, policy.path))
    found = [
        release
        for release in releases.values()
        if may_follow(release, pins, lines, is_after=histories.is_after)
    ]
    first = next(line.line for line in lines if line.is_just_before)
    found.sort(key=lambda release: _place(first, release), reverse=True)
    revisions: dict[str, Revision] = {}
    for release in found:
        with suppress(InvalidInput):
            revision = asker.resolved(moved(pin, release), own, earlier)
            if revision is not None and is_proven(revision.identity, earlier):
                revisions.setdefault(revision.id, revision)
    return tuple(revisions.values())


def _lines(asker: Asker, pin: Pin, path: Path) -> Iterator[Before]:
    just_before: tuple[EnvironmentName, ...] = path.just_before(pin.environment)
    for name in path.before(pin.environment):
        pins = asker.sources.pin_history.of(asker.snapshot.commit, name, pin.service)
        # A pin that is gone, or broken, asks for nothing that could be followed.
        is_there = (name, pin.service) in asker.snapshot.pins
        yield Before(line_of(pins) if is_there else (), name in just_before)


def _place(line: Sequence[FormerPin], release: Release) -> int:
    return max(i for i, one in enumerate(line) if asks_for(one.pin, release))
