"""Everything that an engine touches the world by."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.model.names import ClusterName
from reconciler.ports.clock import Clock
from reconciler.ports.conditions import Conditions
from reconciler.ports.forge import Forge
from reconciler.ports.gates import AdmissionGate
from reconciler.ports.git import History, Remote, Signers
from reconciler.ports.registry import Registry
from reconciler.ports.render import Builder
from reconciler.shell.clusters import Reach
from reconciler.shell.runner import Runner


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the engine touches the world by.

    Attributes:
        reach: How clusters are reached, by the names of fleet.yaml.
        home: Which of them holds the lease and the promotion records.
        named: Clusters that are known before any fleet.yaml was read; the home need not be among them.
        entropy: Returns so many random bytes; for the one secret that we make ourselves.
        signers: Whose commits may change what is guarded; None: whoever can merge.
        forge: Serves the env repo; None: the settings name none.
        gates: Those that policies may name, and seconds between two questions to each.
        conditions: Evaluates those of policies; None: nothing does, and none is known to hold.
        registry: Every registry that may be asked for tags; None: nothing is asked, and nothing said of it.
    """

    clock: Clock
    runner: Runner
    remote: Remote
    history: History
    builder: Builder
    reach: Reach
    home: ClusterName
    named: tuple[ClusterName, ...] = ()
    entropy: Callable[[int], bytes] = secrets.token_bytes
    signers: Signers | None = None
    forge: Forge | None = None
    gates: Mapping[str, tuple[AdmissionGate, float]] = field(default_factory=dict)
    conditions: Conditions | None = None
    registry: Registry | None = None
