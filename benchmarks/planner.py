"""How long a turn of the planner takes, for fleets from small to large: facts in, actions out, nothing acted on.

Ratios within one run count: the machine is noisy. Each figure is a median of many turns.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from reconciler.model.believed import Believed
from reconciler.model.facts import Cell, ServiceFacts
from reconciler.model.fleet import Mode
from reconciler.model.names import ClusterName, EnvironmentName, ServiceName
from reconciler.model.times import rfc3339
from reconciler.model.view import Head
from reconciler.shell.asking import Asker
from reconciler.shell.coordinator import Coordinator
from reconciler.shell.executor.orders import Claim, Leadership
from reconciler.shell.runner import SystemClock
from tests.fakes import facts as made

CLUSTERS, SERVICES, ENVIRONMENTS = (10, 50, 200), (30, 300), 6
UNCHANGED_S_MAX = 0.05
"""What a turn with nothing changed may take."""

TURNS = 20
EVERYTHING = 3

HEAD = (
    "# The planner's turns",
    "",
    "Written by `make bench`: one turn of the coordinator over a fleet of six environments, in which every service",
    "goes to every cluster. Facts are made beforehand and actions are not carried out, so that it is the planning",
    "alone that is measured, with what is counted over the fleet and published of it. *Nothing changed* is a turn to",
    "which something that is no fact woke it; *one service* is a turn after one of its clusters said something new;",
    "*everything* is what a restart plans once, and the sweep every half minute.",
    "",
)


@dataclass(frozen=True, slots=True)
class Row:
    """The medians of one fleet, in seconds."""

    clusters: int
    services: int
    unchanged_s: float
    one_s: float
    everything_s: float


class _Gathered:
    """What is seen: facts that were made beforehand, and one service that says something new."""

    def __init__(self, clusters: int, services: int) -> None:
        self._cells = tuple(_cells(clusters))
        self.facts = {
            name: made.in_line(name, self._cells)
            for name in (ServiceName(f"service-{number}") for number in range(services))
        }

    def change(self, service: ServiceName, healthy_s: float) -> None:
        """Lets a cluster of a service say that it has been well for longer."""
        facts = self.facts[service]
        last = facts.cells[-1]
        members = (replace(last.members[0], healthy_s=healthy_s), *last.members[1:])
        cells = (*facts.cells[:-1], replace(last, members=members))
        self.facts[service] = replace(facts, cells=cells)

    def use(self, asker: Asker | None) -> None:
        del asker

    def services(self) -> set[ServiceName]:
        return set(self.facts)

    def gather(self, services: Iterable[ServiceName]) -> None:
        del services

    def seen(self, service: ServiceName) -> ServiceFacts:
        return self.facts[service]

    def dependents(self, of: ServiceName) -> set[ServiceName]:
        del of
        return set()


class _Saved:
    def retry(self) -> bool:
        return True


def _cells(clusters: int) -> Iterator[Cell]:
    """Yields a cell an environment that runs what is proven there, on its share of the clusters."""
    for number in range(ENVIRONMENTS):
        environment = EnvironmentName(f"region-{number}")
        share = clusters // ENVIRONMENTS + (number < clusters % ENVIRONMENTS)
        made.CLUSTERS[environment] = tuple(ClusterName(f"{environment}-{i}") for i in range(share))
        yield made.cell(environment, made.record(environment))
        del made.CLUSTERS[environment]


def measure(clusters: int, services: int, *, turns: int = TURNS) -> Row:
    """Measures the turns of one fleet."""
    gathered = _Gathered(clusters, services)
    coordinator = _coordinator(gathered)
    coordinator.step()
    some = min(gathered.facts)

    def one(turn: int) -> None:
        gathered.change(some, float(turn))
        coordinator.touch(some)
        coordinator.step()

    def everything(turn: int) -> None:
        del turn
        coordinator.touch()
        coordinator.step()

    def unchanged(turn: int) -> None:
        del turn
        coordinator.step()

    return Row(
        clusters,
        services,
        unchanged_s=_median(unchanged, turns),
        one_s=_median(one, turns),
        everything_s=_median(everything, EVERYTHING),
    )


def _median(turn: Callable[[int], None], times: int) -> float:
    found = []
    for number in range(times):
        began_s = time.perf_counter()
        turn(number)
        found.append(time.perf_counter() - began_s)
    return statistics.median(found)


def _coordinator(gathered: Any) -> Coordinator:
    # Nobody asks it anything; without one every turn looks whether Git can be read by now.
    asker: Any = object()
    return Coordinator(
        clock=SystemClock(),
        daemon_mode=lambda: Mode.ENFORCE,
        head=Head,
        asker=lambda head: asker,
        records=_Saved(),
        gather=gathered,
        leadership=lambda: Leadership(Claim(1, "bench", "default"), leads=True),
        fuses=lambda: Believed(3, 10, 10),
        act=lambda action, asker: False,
        observe=lambda action, asker: None,
        unreachable=dict,
        denied=dict,
        home=ClusterName("region-0-0"),
        publish=lambda view: None,
    )


def report(rows: Iterable[Row], at: datetime) -> str:
    """Returns the page."""
    facts = f"Measured on {platform.machine()}, Python {platform.python_version()}, {rfc3339(at)}."
    table = [
        "| clusters | services | nothing changed | one service | everything | per service |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        each = row.everything_s / row.services
        times = (row.unchanged_s, row.one_s, row.everything_s, each)
        told = " | ".join(f"{1000 * seconds:.2f} ms" for seconds in times)
        table.append(f"| {row.clusters} | {row.services} | {told} |")
    return "\n".join([*HEAD, facts, "", *table, ""])


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Where the page is written, too.")
def main(out: Path | None) -> None:
    """Measure the planner's turns; fails where one with nothing changed takes too long."""
    rows = [measure(clusters, services) for clusters in CLUSTERS for services in SERVICES]
    page = report(rows, datetime.now(UTC))
    click.echo(page)
    if out is not None:
        out.write_text(page)
    slow = [row for row in rows if row.unchanged_s >= UNCHANGED_S_MAX]
    if slow:
        raise SystemExit(f"a turn with nothing changed took {slow[-1].unchanged_s:.3f} s")


if __name__ == "__main__":
    main()
