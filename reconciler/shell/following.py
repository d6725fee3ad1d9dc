"""What registries have for the services whose pins follow them: asked one after the other, now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reconciler.core.image_policy import Outcome, newer
from reconciler.model.answers import NotKnown
from reconciler.model.env_repo import Pin, Service, Snapshot
from reconciler.model.image_policy import ImagePolicy
from reconciler.model.names import ServiceName
from reconciler.model.promotion import Followed, FollowState, Promotion
from reconciler.ports.clock import Clock
from reconciler.ports.registry import Registry
from reconciler.shell.ahead import pinned_tag
from reconciler.shell.executor.orders import CellKey

TAGS_MAX = 3
"""Newer tags of which the digest is asked for: the newest, and what comes next where that is quarantined."""

LOOK_S = 5.0
"""Between two looks whether a repository is due: one that HEAD has just begun to name is asked so soon."""

BACK_OFF_MAX = 6
"""A repository that cannot be read is asked at most 2**6 times less often than one that can."""

WAIT_MAX_S = 3600.0


@dataclass(slots=True)
class _Turn:
    due_s: float = float("-inf")
    failures: int = 0


class Follower:
    """Asks registries. Its `step` is one task, and asks one repository at a time; `of` may be called from any thread.

    Args:
        clock: Time.
        registry: Every registry that may be asked; None: none is, and nothing is said of any.
        snapshot: The accepted HEAD, or None.
        may_ask: Whether it is this daemon that decides.
        poll_s: Seconds between two looks at a repository.
        on_change: Told of a service of which there is news.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        registry: Registry | None,
        snapshot: Callable[[], Snapshot | None],
        may_ask: Callable[[], bool],
        poll_s: Callable[[str], float],
        on_change: Callable[[ServiceName], None],
    ) -> None:
        self._clock = clock
        self._registry = registry
        self._snapshot = snapshot
        self._may_ask = may_ask
        self._poll_s = poll_s
        self._on_change = on_change
        self._turns: dict[str, _Turn] = {}
        self._found: dict[CellKey, Followed] = {}

    def of(self, key: CellKey) -> Followed | None:
        """Returns what there is for a cell to follow; None: nothing is known yet."""
        return self._found.get(key)

    def step(self) -> float:
        """Asks one repository that is due; returns seconds until the next look."""
        snapshot = self._snapshot()
        if self._registry is None or snapshot is None or not self._may_ask():
            return LOOK_S
        following = list(_following(snapshot))
        named = {policy.repository for _, policy, _ in following}
        self._turns = {name: self._turns.get(name, _Turn()) for name in sorted(named)}
        keys = {(pin.service, pin.environment) for _, _, pin in following}
        self._found = {key: found for key, found in self._found.items() if key in keys}
        name = min(self._turns, key=lambda one: self._turns[one].due_s, default=None)
        now_s = self._clock.monotonic_s()
        if name is None or self._turns[name].due_s > now_s:
            return min(LOOK_S, self._turns[name].due_s - now_s) if name is not None else LOOK_S
        own = [(pin, policy) for _, policy, pin in following if policy.repository == name]
        self._ask(self._registry, name, own)
        return 0.0

    def _ask(self, registry: Registry, repository: str, own: list[tuple[Pin, ImagePolicy]]) -> None:
        turn = self._turns[repository]
        tags = registry.tags(repository)
        is_whole, retry_after_s = True, 0.0
        for pin, policy in own:
            if isinstance(tags, NotKnown):
                found = Followed((), FollowState.UNKNOWN, tags.message)
                retry_after_s = tags.retry_after_s or 0.0
            else:
                found = self._chosen(registry, pin, policy, tags.names)
            is_whole = is_whole and found.state is not FollowState.UNKNOWN
            key = (pin.service, pin.environment)
            if self._found.get(key) != found:
                self._found[key] = found
                self._on_change(pin.service)
        turn.failures = 0 if is_whole else turn.failures + 1
        wait_s = self._poll_s(repository) * 2.0 ** min(turn.failures, BACK_OFF_MAX)
        wait_s = max(min(wait_s, WAIT_MAX_S), self._poll_s(repository), retry_after_s)
        turn.due_s = self._clock.monotonic_s() + wait_s

    def _chosen(
        self, registry: Registry, pin: Pin, policy: ImagePolicy, tags: tuple[str, ...]
    ) -> Followed:
        pinned = pinned_tag(pin, policy)
        if pinned is None:
            why = f"the pin has no image {policy.repository}"
            return Followed((), FollowState.NOTHING, why)
        outcome, newest, found = newer(policy, tags, pinned=pinned, most=TAGS_MAX)
        why = _why(outcome, policy.repository, pinned, newest)
        if why and not found:
            return Followed((), FollowState.NOTHING, why)
        named: list[tuple[str, str]] = []
        for tag in found:
            answer = registry.digest(policy.repository, tag)
            if isinstance(answer, NotKnown):
                return Followed(tuple(named), FollowState.UNKNOWN, answer.message)
            if answer.digest is not None:
                named.append((tag, answer.digest))
        return Followed(tuple(named), FollowState.KNOWN, "")


def _following(snapshot: Snapshot) -> Iterator[tuple[Service, ImagePolicy, Pin]]:
    """Yields every pin that follows a registry: in the first environments, where people alone do not pin."""
    for service in snapshot.services.values():
        policy = snapshot.policies.get(service.policy)
        if service.image_policy is None or policy is None:
            continue
        for environment in policy.path.names():
            pin = snapshot.pins.get((environment, service.name))
            is_first = not policy.path.just_before(environment)
            if pin is None or pin.absent or not is_first:
                continue
            if policy.of(environment).promote is not Promotion.MANUAL:
                yield service, service.image_policy, pin


def _why(outcome: Outcome, repository: str, pinned: str, newest: str | None) -> str:
    """Returns why nothing is followed, in words; nothing where something is, or what is pinned is the newest."""
    match outcome:
        case Outcome.NONE:
            return f"{repository} has no tag that its image policy takes"
        case Outcome.OLDER:
            return f"{newest} is the newest that its image policy takes, and older than {pinned}"
        case Outcome.INCOMPARABLE:
            return (
                f"{pinned}, which is pinned, cannot be compared with {newest} by its image policy"
            )
        case Outcome.FIRST | Outcome.NEWER | Outcome.SAME:
            return ""
