"""Which releases a pin may be moved on to: proven in every environment before it, and not asked for here yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from reconciler.core.boarding import FormerPin
from reconciler.core.image_policy import Outcome, newer
from reconciler.core.line import Before, Story, asks_for, line_of, may_follow
from reconciler.core.resolution import is_proven
from reconciler.errors import InvalidInput, ReconcilerError
from reconciler.model.env_repo import Pin
from reconciler.model.facts import Ask
from reconciler.model.image_policy import ImagePolicy
from reconciler.model.names import CommitId, EnvironmentName
from reconciler.model.path import Path
from reconciler.model.policy import Policy
from reconciler.model.promotion import Followed, FollowState, Promotion
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
    followed: Followed | None,
) -> Ask:
    """Returns what is asked for in a cell, with who moves its pin, and to what it may be moved.

    A history that cannot be read leaves that unknown: then nothing moves it.

    Args:
        ask: What HEAD asks for.
        asker: Of the same HEAD.
        key: The cell.
        own: Its promotion record.
        earlier: Those of the environments before it, in order of the path.
        followed: What a registry has for it, where that is known.
    """
    service, environment = key
    declared = asker.snapshot.services.get(service)
    policy = asker.snapshot.policies.get(declared.policy) if declared is not None else None
    pin = asker.snapshot.pins.get((environment, service))
    if policy is None or pin is None or declared is None or environment not in policy.path.names():
        return ask
    is_first = not policy.path.just_before(environment)
    follows = is_first and declared.image_policy is not None
    ask = replace(ask, promote=policy.of(environment).promote, follows=follows)
    if ask.promote is Promotion.MANUAL or pin.absent:
        return replace(ask, ahead=())
    if ask.wanted is None or own is None or own.admitted is None:
        return ask
    with suppress(ReconcilerError):
        if not is_first:
            return replace(ask, ahead=_ahead(asker, pin, policy, own, earlier))
        if declared.image_policy is None:
            return replace(ask, ahead=())
        images = declared.image_policy
        ahead = _of_a_registry(asker, pin, images, followed) if followed is not None else None
        return replace(ask, ahead=ahead, followed=followed)
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
    here = _by_tree(asker, pin)
    releases = {
        _of_tree(proof.revision): proof.revision.release
        for name in just_before
        if (record := records.get(name)) is not None
        for proof in record.proofs
        if proof.opens_gates and not proof.revision.absent
        if not asks_for(here, _of_tree(proof.revision))
    }
    if not releases:
        return ()
    own_story = _history(asker, pin, pin.environment)
    lines = tuple(_lines(asker, pin, policy.path))
    is_after = asker.sources.pin_history.is_after
    found = [one for one in releases if may_follow(one, own_story, lines, is_after=is_after)]
    first = next(line.line for line in lines if line.is_just_before)
    found.sort(key=lambda one: _place(first, one), reverse=True)
    revisions: dict[str, Revision] = {}
    for one in found:
        with suppress(InvalidInput):
            revision = asker.resolved(moved(pin, releases[one]), own, earlier)
            if revision is not None and is_proven(revision.identity, earlier):
                revisions.setdefault(revision.id, revision)
    return tuple(revisions.values())


def _of_a_registry(
    asker: Asker, pin: Pin, policy: ImagePolicy, followed: Followed
) -> tuple[Revision, ...] | None:
    """Returns what the tags of a registry make of a first environment's pin; None: not known.

    They were asked for some time ago: what is pinned now decides. What it has asked for is not followed
    again, but by the word of a policy that lets it go back to what is older.
    """
    pinned = pinned_tag(pin, policy)
    if followed.state is FollowState.UNKNOWN or pinned is None:
        return None if pinned is not None else ()
    digests = dict(followed.tags)
    outcome, _, tags = newer(policy, digests, pinned=pinned, most=len(digests))
    pins = _history(asker, pin, pin.environment).pins
    found = []
    for tag in tags:
        images = {**dict(pin.images), policy.repository: digests[tag]}
        there = replace(pin, version=tag, images=tuple(sorted(images.items())))
        revision = asker.resolved(there, None, ())
        if revision is None:
            continue
        had_its_turn = any(asks_for(one.pin, _of_tree(revision)) for one in pins)
        if outcome is Outcome.OLDER or not had_its_turn:
            found.append(revision)
    return tuple(found)


def pinned_tag(pin: Pin, policy: ImagePolicy) -> str | None:
    """Returns the tag that a pin names, be it by its version; None: it has no such image."""
    reference = dict(pin.images).get(policy.repository)
    if reference is None:
        return None
    return pin.version if reference.startswith("sha256:") else reference


def _lines(asker: Asker, pin: Pin, path: Path) -> Iterator[Before]:
    just_before: tuple[EnvironmentName, ...] = path.just_before(pin.environment)
    for name in path.before(pin.environment):
        pins = _history(asker, pin, name).pins
        # A pin that is gone, or broken, asks for nothing that could be followed.
        is_there = (name, pin.service) in asker.snapshot.pins
        yield Before(line_of(pins) if is_there else (), name in just_before, pins)


def _history(asker: Asker, pin: Pin, environment: EnvironmentName) -> Story:
    """Returns what a service's pin was in an environment, with trees in place of sources."""
    histories, head = asker.sources.pin_history, asker.snapshot.commit
    story = histories.of(head, environment, pin.service, waits=asker.waits)
    pins = tuple(replace(former, pin=_by_tree(asker, former.pin)) for former in story.pins)
    return replace(story, pins=pins)


def _by_tree(asker: Asker, pin: Pin) -> Pin:
    """Returns a pin whose source is the digest of the tree there: two commits may hold one tree, and mean the same."""
    if pin.source is None:
        return pin
    with suppress(InvalidInput):
        revision = asker.revision(pin, pin.source)
        if revision is not None:
            return replace(pin, source=revision.tree_digest)
    return pin


def _of_tree(revision: Revision) -> Release:
    """Returns a release whose source is the digest of its tree."""
    return replace(revision.release, source=CommitId(revision.tree_digest))


def _place(line: Sequence[FormerPin], release: Release) -> int:
    return max(i for i, one in enumerate(line) if asks_for(one.pin, release))
