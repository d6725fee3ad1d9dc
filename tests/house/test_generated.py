"""What is made from the code is as the code has it now."""

from __future__ import annotations

import pytest

from tests.house.generated import ROOT, generated


@pytest.mark.parametrize("path", sorted(generated()))
def test_a_generated_file_is_current(path: str) -> None:
    assert (ROOT / path).read_text() == generated()[path], "run `make docs`"
