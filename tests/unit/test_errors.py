"""An error leads with its object and ends with what to do."""

import pytest

from reconciler import errors


@pytest.mark.parametrize(
    ("fix", "text"),
    [
        ("add it", "fleet.yaml:3: no cluster: dev is empty; add it"),
        ("", "fleet.yaml:3: no cluster: dev is empty"),
    ],
)
def test_an_error_reads_as_one_sentence(fix: str, text: str) -> None:
    assert str(errors.OperatorError("fleet.yaml:3", "no cluster", "dev is empty", fix)) == text


def test_every_error_is_either_for_a_person_or_for_later() -> None:
    roots = (errors.OperatorError, errors.TransientError)
    for value in vars(errors).values():
        if isinstance(value, type) and value is not errors.ReconcilerError:
            assert issubclass(value, roots), value
