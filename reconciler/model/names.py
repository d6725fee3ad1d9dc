"""Names as types, so that two strings cannot be swapped unseen."""

from typing import NewType

ServiceName = NewType("ServiceName", str)
EnvironmentName = NewType("EnvironmentName", str)
ClusterName = NewType("ClusterName", str)
PolicyName = NewType("PolicyName", str)

CommitId = NewType("CommitId", str)
"""A Git commit: 40 lower-case hexadecimal digits."""

BlobId = NewType("BlobId", str)
"""A Git blob: 40 lower-case hexadecimal digits."""

Identity = NewType("Identity", str)
"""What proof crosses environments by: `sha256:<64 hex>` over image digests and the service's tree."""

RevisionId = NewType("RevisionId", str)
"""The unit of apply, judge and roll back: `sha256:<64 hex>` over identity, values and overlay."""

RenderDigest = NewType("RenderDigest", str)
"""`sha256:<64 hex>` over the objects that a revision renders to, in one environment and cluster."""

PartDigest = NewType("PartDigest", str)
"""`sha256:<64 hex>` over one part of a revision: its images, its tree, or its values and overlay."""
