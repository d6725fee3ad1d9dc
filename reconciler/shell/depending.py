"""Which services depend on which: whether what one needs is proven, and whether one that goes is still needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from reconciler.core import leaning
from reconciler.model.facts import Cell, ServiceFacts, Support
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.records import in_short
from reconciler.shell.asking import Asker

Facts = Mapping[ServiceName, ServiceFacts]
"""Of each service, as gathered last."""


def dependents(asker: Asker | None, of: ServiceName) -> set[ServiceName]:
    """Returns the services that depend on one, as HEAD says, and those it needs that are asked to go."""
    if asker is None:
        return set()
    snapshot = asker.snapshot
    found = snapshot.services.get(of)
    needs = found.depends_on if found is not None else ()
    going = {name for (_, name), pin in snapshot.pins.items() if pin.absent} if needs else set()
    declared = snapshot.services.values()
    return {s.name for s in declared if of in s.depends_on} | going.intersection(needs)


def with_depends(asker: Asker | None, facts: ServiceFacts, others: Facts) -> ServiceFacts:
    """Returns a service's facts with what others say of what it needs, and of who needs it where it goes."""
    needs = _needs(asker, facts.service)
    is_going = any(cell.ask.wanted is not None and cell.ask.wanted.absent for cell in facts.cells)
    leans = any(cell.record.leans for cell in facts.cells if cell.record is not None)
    if not needs and not is_going and not leans:
        return facts
    cells = tuple(
        replace(
            cell,
            supports=_supports(asker, cell, needs, others),
            depends=tuple((other, _is_proven(others.get(other), cell)) for other in needs),
            needed_by=tuple(_needed_by(asker, facts.service, cell, others))
            if asker is not None and is_going
            else (),
        )
        for cell in facts.cells
    )
    return replace(facts, cells=cells)


def _needs(asker: Asker | None, service: ServiceName) -> tuple[ServiceName, ...]:
    found = asker.snapshot.services.get(service) if asker is not None else None
    return found.depends_on if found is not None else ()


def _supports(
    asker: Asker | None,
    here: Cell,
    needs: tuple[ServiceName, ...],
    others: Facts,
    above: frozenset[ServiceName] = frozenset(),
) -> tuple[Support, ...]:
    """Returns what the services are on that a cell's depends on, or leaned on when it was let in.

    What those lean on counts as well, as far down as it goes; nothing leans on itself.
    """
    leans = here.record.leans if here.record is not None else ()
    named = {one.service for lean in leans for one in lean.beside}
    found: list[Support] = []
    for other in sorted(named.union(needs) - above):
        facts = others.get(other)
        cells = facts.cells if facts is not None else ()
        cell = next((c for c in cells if c.environment == here.environment), None)
        if cell is None:
            continue
        below = _supports(asker, cell, _needs(asker, other), others, above | {other})
        admitted = cell.record.admitted if cell.record is not None else None
        identity = in_short(admitted.identity) if admitted is not None else ""
        withdrawn = leaning.withdrawn(replace(cell, supports=below))
        found.append(Support(other, identity, withdrawn))
    return tuple(found)


def _needed_by(
    asker: Asker, service: ServiceName, here: Cell, others: Facts
) -> Iterator[tuple[ServiceName, bool | None]]:
    """Yields who depends on a service, and whether that is in a cell's environment; None: not known."""
    snapshot = asker.snapshot
    for other in sorted(asker.services() - {service}):
        declared = snapshot.services.get(other)
        if declared is not None and service in declared.depends_on:
            yield other, _is_there(others.get(other), here.environment)
        is_broken = declared is None and other in snapshot.sources
        # Its service.yaml cannot be read, and would say on what it depends.
        if is_broken and _is_there(others.get(other), here.environment) is not False:
            yield other, None


def _is_there(facts: ServiceFacts | None, environment: EnvironmentName) -> bool | None:
    """Tells whether a service is in an environment, or asked for there; None: it is not known."""
    if facts is None:
        return None
    cell = next((c for c in facts.cells if c.environment == environment), None)
    if cell is None:
        return False
    if cell.ask.wanted is not None and not cell.ask.wanted.absent:
        return True
    if not cell.record_known:
        return None
    admitted = cell.record.admitted if cell.record is not None else None
    if cell.record is not None and admitted is not None:
        is_gone = any(p.revision.id == admitted.id for p in cell.record.proofs)
        return not (admitted.absent and is_gone)
    if any(m.record is not None and not m.record.revision.absent for m in cell.members):
        return True
    return False if all(member.known for member in cell.members) else None


def _is_proven(facts: ServiceFacts | None, here: Cell) -> bool | None:
    """Tells whether the release that HEAD asks for of a service is proven in a cell's environment."""
    cells = facts.cells if facts else ()
    cell = next((c for c in cells if c.environment == here.environment), None)
    if cell is not None and cell.ask.is_rendering:
        # Nobody need be told more: it is a moment's wait.
        return False
    if cell is None or cell.ask.wanted is None or not cell.record_known:
        return None
    wanted, proofs = cell.ask.wanted, cell.record.proofs if cell.record else ()
    if wanted.absent:
        return False
    return any(p.opens_gates and p.revision.identity == wanted.identity for p in proofs)
