"""The health of one live object, its Pods looked through: a function of values alone.

Nothing here may know a cluster, and nothing here decides whether a release is bad.
"""

from reconciler.core.health.assessing import assess
from reconciler.core.health.holding_back import holds_back

__all__ = ["assess", "holds_back"]
