"""What every file of the env repo, and every part of one, is as a pydantic model."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, StringConstraints

Repository = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._:/-]{0,254}$")]


class Part(BaseModel):
    """A file, or a part of one; what it names in LATER holds whoever uses it."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )

    LATER: ClassVar[tuple[str, ...]] = ()

    def unsupported(self) -> tuple[str, ...]:
        """Returns the fields that stand there, be it with nothing, and are only parsed."""
        return tuple(name for name in self.LATER if name in self.model_fields_set)
