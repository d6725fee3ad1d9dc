"""How a live object differs from a desired one, in the fields that the desired one names.

Pure; nothing here may know a cluster, and nothing here decides what to do about a difference.
"""

from reconciler.core.diff.compare import MASKED, differences, is_copy
from reconciler.core.diff.list_keys import AS_SET, list_key
from reconciler.core.diff.managers import is_applied_by_us, is_ours_alone

__all__ = [
    "AS_SET",
    "MASKED",
    "differences",
    "is_applied_by_us",
    "is_copy",
    "is_ours_alone",
    "list_key",
]
