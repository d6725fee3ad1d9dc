"""What is done about what is not rendered yet: nothing, until it is."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest

from reconciler.errors import InvalidInput, ReconcilerError, Unreachable
from reconciler.model.actions import Deliver, Examine, Hold
from reconciler.model.names import ServiceName
from reconciler.model.reasons import Reason
from reconciler.schema.services import ServiceAt
from reconciler.shell.asking import Asker
from reconciler.shell.building import BuildQueue
from reconciler.shell.executor.orders import Examination, Order
from reconciler.shell.sources import Sources
from tests.fakes.facts import DEV, V1, WEB
from tests.unit.shell.test_acting import DELIVER, EXAMINE, Acting, asker, delivering


@pytest.fixture
def acting() -> Acting:
    return Acting()


def unrendered() -> tuple[Asker, BuildQueue]:
    """Returns the same of a daemon, which waits for no render, and the queue of these."""
    ask = asker()
    return replace(ask, waits=False), ask.renderer.queue


def test_what_is_not_rendered_yet_is_not_asked_for_until_it_is() -> None:
    ask, queue = unrendered()
    pin = ask.snapshot.pins[DEV, WEB]
    noted = replace(pin, paused=True, adopt_overwrite=True)
    ask = replace(ask, snapshot=replace(ask.snapshot, pins={(DEV, WEB): noted}))
    held = ask.ask(WEB, DEV, None, ())
    assert (held.wanted, held.reason) == (None, Reason.RENDERING)
    assert held.paused and held.adopt_overwrite, "what people say in the pin holds all the same"
    queue.step()
    assert ask.ask(WEB, DEV, None, ()).wanted is not None


@pytest.mark.parametrize("action", [DELIVER, EXAMINE], ids=lambda a: type(a).__name__)
def test_nothing_is_ordered_with_what_is_not_rendered_yet(
    action: Deliver | Examine, acting: Acting
) -> None:
    wanted = delivering(asker()).revision
    ask, queue = unrendered()
    ordered = replace(action, revision=wanted)
    acting.act(ordered, asker=ask)
    acting.actor.observe(EXAMINE, ask)
    assert not (acting.ear.orders or acting.ear.examinations or acting.events)
    queue.step()
    acting.act(ordered, asker=ask)
    given: list[Order | Examination] = [*acting.ear.orders, *acting.ear.examinations]
    assert [bool(one.rendered and one.rendered.objects) for one in given] == [True]


def test_what_waits_is_not_carried_out_while_what_takes_its_place_is_rendered(
    acting: Acting,
) -> None:
    wanted = delivering(asker()).revision
    ask, _ = unrendered()
    acting.act(replace(DELIVER, returning=True))
    assert [order.revision for order in acting.ear.orders] == [DELIVER.revision.id]
    acting.act(replace(DELIVER, revision=wanted), asker=ask)
    assert acting.ear.orders == []


def test_nothing_is_ordered_where_what_was_adopted_is_not_rendered_yet(acting: Acting) -> None:
    """Without it an executor would say that what is live differs."""
    ask, queue = unrendered()
    ordered = replace(DELIVER, adopted=delivering(asker()).revision)
    acting.act(ordered, asker=ask)
    assert not acting.ear.orders
    queue.step()
    acting.act(ordered, asker=ask)
    (given,) = acting.ear.orders
    assert given.adopted is not None


@pytest.mark.parametrize(
    ("error", "is_ordered"),
    [
        pytest.param(Unreachable("mirror", "it cannot be read", "busy"), False, id="for a moment"),
        pytest.param(InvalidInput("service.yaml", "it is broken", "so"), True, id="for good"),
        pytest.param(None, True, id="its source is gone"),
    ],
)
def test_what_was_adopted_and_cannot_be_rendered_is_waited_for_only_where_that_helps(
    acting: Acting, error: ReconcilerError | None, is_ordered: bool
) -> None:
    class Failing(Sources):
        def at(self, service: ServiceName, source: str) -> ServiceAt | None:
            if source != V1.release.source:
                return super().at(service, source)
            if error is not None:
                raise error
            return None

    ask = asker()
    ordered = delivering(ask, adopted=V1)
    ask = replace(ask, sources=Failing(ask.sources._history, ""))
    with nullcontext() if is_ordered else pytest.raises(Unreachable):
        acting.act(ordered, asker=ask)
    assert [(bool(o.rendered), o.adopted) for o in acting.ear.orders] == [(True, None)] * is_ordered


def test_a_moment_s_wait_for_a_render_is_no_news(acting: Acting) -> None:
    waits = Hold(WEB, DEV, Reason.RENDERING, "it is being rendered")
    settled = replace(waits, reason=Reason.SETTLED)
    acting.act(settled, waits, settled)
    assert [event.reason for event in acting.events] == ["Settled"]
