"""What people do to hold things up, or let them in: freezes, windows, approvals, suspensions, clusters that join."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from math import inf

from reconciler.core.suspending import REASON, UNTIL
from reconciler.model.names import ServiceName
from reconciler.model.times import rfc3339
from tests.simulation.fleet.people import People
from tests.simulation.fleet.script import Event, Kind

SOMEBODY_ELSE = "Another <another@example.com>"

WINDOW_SHUT_S = 100
"""By the clock on the wall, from the beginning of a minute."""


class Stops:
    """Everybody who may stop things, with what they need to know of others."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.world = people.world

    def do(self, event: Event) -> None:
        """Does one thing."""
        _DO[event.kind](self, event)

    def end(self) -> None:
        """Takes back what would keep the fleet from coming to rest."""
        fleet = self.people.fleet
        open_ = tuple(
            replace(one, rules=replace(one.rules, windows="")) for one in fleet.environments
        )
        self.people.ask(replace(fleet, environments=open_, freezes={}, states={}))
        for service, cluster in self.world.witness.suspended:
            # By a daemon's own clock it may last for an hour more.
            self._annotate(service, cluster, {})
        for cluster in self.world.witness.states_s:
            self.world.witness.states_s[cluster] = self.world.now_s

    def freeze(self, event: Event) -> None:
        """Freezes a scope, for a while or until it is thawed."""
        (scope,) = event.where
        until = ""
        if event.number:
            until = rfc3339(self.world.clock.now() + timedelta(seconds=event.number))
        fleet = self.people.fleet
        self.people.ask(replace(fleet, freezes={**fleet.freezes, scope: until}))

    def thaw(self, event: Event) -> None:
        """Takes a freeze out."""
        (scope,) = event.where
        fleet = self.people.fleet
        kept = {one: until for one, until in fleet.freezes.items() if one != scope}
        self.people.ask(replace(fleet, freezes=kept))

    def window(self, event: Event) -> None:
        """Shuts an environment from the minute that begins next, for a while; each day, which no run lives to see."""
        at = self.world.clock.now() + timedelta(minutes=1)
        deny = f"{{cron: '{at.minute} {at.hour} * * *', for_s: {WINDOW_SHUT_S}, zone: UTC}}"
        environments = tuple(
            replace(one, rules=replace(one.rules, windows=f"{{deny: [{deny}]}}"))
            if one.name == event.environment
            else one
            for one in self.people.fleet.environments
        )
        self.people.ask(replace(self.people.fleet, environments=environments))
        begins_s = self.world.now_s + 60.0 - at.second - at.microsecond / 1e6
        self.world.witness.shut[event.environment] = (begins_s, begins_s + WINDOW_SHUT_S)

    def state(self, event: Event) -> None:
        """Has a cluster join or drain, or be in use again; one of each environment stays in use."""
        state = {Kind.JOIN: "joining", Kind.DRAIN: "draining"}.get(event.kind)
        fleet = self.people.fleet
        states = {name: one for name, one in fleet.states.items() if name != event.cluster}
        if state is not None:
            states[event.cluster] = state
        fleet = replace(fleet, states=states)
        if all(
            fleet.active(s, one) for s in fleet.services for one in fleet.present().environments
        ):
            self.people.ask(fleet)
            is_over = event.cluster not in states
            self.world.witness.states_s[event.cluster] = self.world.now_s if is_over else inf

    def approve(self, event: Event) -> None:
        """Approves what is asked for, as the daemon that leads tells it."""
        people, world = self.people, self.world
        for service, environment, revision, version in list(self._wanted()):
            path = f"environments/{environment}/{service}.yaml"
            pin = world.witness.repo.pin(service, environment)
            text = people.text(path)
            if pin is None or text is None or pin[0] != version:
                continue
            kept = "".join(f"{x}\n" for x in text.splitlines() if not x.startswith("approved:"))
            said = f"approved: {{revision: '{revision}', by: another}}\n"
            people.merge({path: kept + said}, f"approve {service} {version} in {environment}",
                         author=SOMEBODY_ELSE)  # fmt: skip
            world.witness.approved.add((service, environment, version))

    def _wanted(self) -> Iterator[tuple[str, str, str, str]]:
        alive = self.world.alive()
        view = self.world.engines[alive[-1].holder].view if alive else None
        for service in self.people.fleet.services if view is not None else ():
            planned = view.services.get(ServiceName(service.name)) if view is not None else None
            for cell in planned.facts.cells if planned is not None else ():
                environment = self.people.fleet.environment(cell.environment)
                wanted = cell.ask.wanted
                if environment.rules.approval and wanted is not None:
                    yield service.name, environment.name, wanted.id, wanted.release.version

    def suspend(self, event: Event) -> None:
        """Breaks the glass: a service's record on one cluster says that nothing is written there."""
        until = rfc3339(self.world.clock.now() + timedelta(seconds=event.number))
        said = {UNTIL: until, REASON: "a look by hand"}
        if self._annotate(event.service, event.cluster, said):
            self.world.say("people", f"suspend {event.service} on {event.cluster}")
            self.world.witness.suspended[event.service, event.cluster] = (
                self.world.now_s,
                self.world.now_s + event.number,
            )

    def _annotate(self, service: str, cluster: str, said: dict[str, str]) -> bool:
        """Writes to a service's record what a person says of it, and nothing else of that sort."""
        witness = self.world.witness
        name = f"{service}.{witness.environments[cluster]}"
        found = witness.stored(cluster, "ServiceRecord", name)
        if found is None:
            return False
        meta = {k: v for k, v in found["metadata"].items() if k != "resourceVersion"}
        former = {k: v for k, v in (meta.get("annotations") or {}).items() if k != UNTIL}
        meta["annotations"] = {**former, **said}
        store = self.world.clusters[cluster].store
        store.replace({**found, "metadata": meta}, "kubectl")
        return True

    def upgrade(self, event: Event) -> None:
        """Ends every daemon and starts one of another version, which may render otherwise."""
        for process in self.world.alive():
            process.kill()
        self.world.builder.upgrade(changes=event.number > 1)
        self.world.say("people", f"upgrade to renderer {self.world.builder.number}")
        self.world.start()


_DO: dict[Kind, Callable[[Stops, Event], None]] = {
    Kind.FREEZE: Stops.freeze,
    Kind.THAW: Stops.thaw,
    Kind.WINDOW: Stops.window,
    Kind.APPROVE: Stops.approve,
    Kind.JOIN: Stops.state,
    Kind.DRAIN: Stops.state,
    Kind.ACTIVATE: Stops.state,
    Kind.SUSPEND: Stops.suspend,
    Kind.UPGRADE: Stops.upgrade,
}

STOPS = frozenset(_DO)
