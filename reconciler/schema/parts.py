"""What every file of the env repo, and every part of one, is as a pydantic model."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, StringConstraints

Repository = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._:/-]{0,254}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Line = Annotated[
    str,
    StringConstraints(
        pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+$", min_length=1, max_length=200
    ),
]
"""Text that a person reads in a table or a commit's first line: nothing that moves a cursor."""


class Part(BaseModel):
    """A file, or a part of one; what it names in LATER holds whoever uses it."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )

    LATER: ClassVar[tuple[str, ...]] = ()

    def unsupported(self) -> tuple[str, ...]:
        """Returns the fields that stand there, be it with nothing, and are only parsed."""
        return tuple(name for name in self.LATER if name in self.model_fields_set)
