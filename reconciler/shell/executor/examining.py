"""Before anything was ever delivered: how what is live compares with a render. Writes nothing."""

from __future__ import annotations

from datetime import datetime

from reconciler.core.health import assess
from reconciler.errors import ReconcilerError
from reconciler.model.facts import LiveState, MemberHealth
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.ports.kube import KubeReader
from reconciler.shell.executor.cells import Examined, member_health
from reconciler.shell.executor.foreign import fields_that_differ
from reconciler.shell.executor.live import LOOKED_THROUGH, LiveObjects
from reconciler.shell.executor.orders import Examination


def examine(
    api: KubeReader, examination: Examination, live: LiveObjects, *, now: datetime, now_s: float
) -> Examined:
    """Reads every object of a render from the server; any that cannot be read leaves it unknown."""

    def answer(state: LiveState, health: MemberHealth | None = None) -> Examined:
        return Examined(examination.revision, state, health or MemberHealth(), now_s)

    live.watch(LOOKED_THROUGH)
    if not live.is_fresh(LOOKED_THROUGH):
        return answer(LiveState.UNKNOWN)
    found: list[tuple[KubeObject, KubeObject | None]] = []
    for desired in examination.rendered.objects:
        ref = ObjectRef.of(desired)
        try:
            served = api.kind(ref.api_version, ref.kind)
            found.append((desired, api.get(ref) if served is not None else None))
        except ReconcilerError as error:
            return answer(LiveState.UNKNOWN, MemberHealth(reason="Unread", message=str(error)))
    there = [(desired, seen) for desired, seen in found if seen is not None]
    if not _own(there, found):
        return answer(LiveState.ABSENT)
    if len(there) < len(found) or any(fields_that_differ(desired, seen) for desired, seen in there):
        return answer(LiveState.DIFFERS)
    healths = [assess(seen, live.family(seen)) for _, seen in there]
    return answer(LiveState.EQUAL, member_health(healths, now=now, former=MemberHealth()))


def _own(
    there: list[tuple[KubeObject, KubeObject]],
    found: list[tuple[KubeObject, KubeObject | None]],
) -> list[tuple[KubeObject, KubeObject]]:
    """A Namespace that is there already does not make a service present: people make them ahead."""
    if all(desired["kind"] == "Namespace" for desired, _ in found):
        return there
    return [(desired, seen) for desired, seen in there if desired["kind"] != "Namespace"]
