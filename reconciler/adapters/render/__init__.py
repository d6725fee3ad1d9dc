"""A service's files into raw objects; nothing here may know Git, clusters, pins or values."""

from reconciler.adapters.render.builder import LIMITS, ServiceBuilder
from reconciler.adapters.render.confined import Limits

__all__ = ["LIMITS", "Limits", "ServiceBuilder"]
