"""From raw objects and a revision to what a cluster is given; nothing here may know a file or a renderer."""

from reconciler.core.assembly.assembling import ASSEMBLY, ENVIRONMENT_LABEL, SERVICE_LABEL, assemble
from reconciler.core.assembly.configuration import CONFIG_HASH
from reconciler.core.assembly.faults import Unrenderable
from reconciler.core.assembly.order import deletion_layers, layers
from reconciler.core.assembly.values import effective_values, has_replicas

__all__ = [
    "ASSEMBLY",
    "CONFIG_HASH",
    "ENVIRONMENT_LABEL",
    "SERVICE_LABEL",
    "Unrenderable",
    "assemble",
    "deletion_layers",
    "effective_values",
    "has_replicas",
    "layers",
]
