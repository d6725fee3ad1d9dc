"""Which fleet a run is about, chosen from its seed alone."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.simulation.fleet.shape import Environment, Fleet, Rules, Service, Tree

_NAMES = ("dev", "test", "staging", "prod-eu", "prod-us", "last")
_SERVICES = ("api", "web", "store", "worker", "mail")


def chosen(chance: random.Random) -> Fleet:
    """Returns a fleet."""
    count = chance.randint(3, 6)
    clusters = chance.randint(max(5, count), 12)
    sizes = [1] * count
    for _ in range(clusters - count):
        sizes[chance.choice(range(count // 2, count))] += 1
    is_line = chance.random() < 0.4
    environments: list[Environment] = []
    for index in range(count):
        name = _NAMES[index]
        # The first of each is a canary, so that none is without.
        members = tuple(
            (f"{name}-{n + 1}", "canary" if n == 0 else chance.choice(("canary", "main")))
            for n in range(sizes[index])
        )
        after: tuple[str, ...] = ()
        if index:
            earlier = [one.name for one in environments]
            after = (earlier[-1],)
            if not is_line:
                after = tuple(
                    sorted(chance.sample(earlier, min(len(earlier), chance.choice((1, 1, 2)))))
                )
        environments.append(Environment(name, members, after, _rules(chance, members)))
    services = [Service("api", has_secret=True)]
    for name in _SERVICES[1 : chance.choice((4, 4, 5))]:
        kind = "StatefulSet" if name == "store" else "Deployment"
        needs = (
            ("api",)
            if name == "web"
            else ("web",)
            if name == "worker" and chance.random() < 0.5
            else ()
        )
        tier = "canary" if name == "mail" else None
        services.append(Service(name, kind, needs, has_secret=chance.random() < 0.3, tier=tier))
    trees = {one.name: Tree() for one in services}
    if chance.random() < 0.2:
        index = chance.randrange(1, count)
        rules = replace(environments[index].rules, approval=True)
        environments[index] = replace(environments[index], rules=rules)
    newer = chance.choice(("supersede",) * 4 + ("queue", "{stale_s: 20}"))
    drift = chance.choice(("report", "correct"))
    return Fleet(tuple(environments), tuple(services), drift, trees, newer=newer)


def _rules(chance: random.Random, members: tuple[tuple[str, str], ...]) -> Rules:
    names = [name for name, _ in members]
    waves = ["all", "each", '["50%", "100%"]', '[1, "100%"]',
             '[{match_labels: {tier: canary}}, "100%"]',
             f'[[{names[0]}], "50%", "100%"]']  # fmt: skip
    quorum = chance.choice((100, 100, 60)) if len(members) > 2 else 100
    return Rules(
        soak_s=chance.randint(3, 6),
        watch_for_s=chance.choice((0, 20, 40, 90)),
        deadline_s=chance.choice((15, 30, 60)),
        waves=chance.choice(waves),
        wave_soak_s=chance.choice((None, None, 1)),
        max_concurrent=chance.choice((None, None, 1, 2)),
        quorum=quorum,
        skip_after_s=chance.choice((None, 8)) if quorum < 100 else None,
    )
