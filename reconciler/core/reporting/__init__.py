"""What was seen and decided as the documents that scripts and pages read; see docs/documents.md.

Pure; nothing here may know how a document is shown, or that there is a terminal or a page.
"""

from reconciler.core.reporting.documents import (
    DOCUMENTS,
    Document,
    blank,
    by_object,
    revision_document,
    unseen,
)
from reconciler.core.reporting.explaining import explain
from reconciler.core.reporting.history import history
from reconciler.core.reporting.planned import plan
from reconciler.core.reporting.status import columns, status

__all__ = [
    "DOCUMENTS",
    "Document",
    "blank",
    "by_object",
    "columns",
    "explain",
    "history",
    "plan",
    "revision_document",
    "status",
    "unseen",
]
