"""The environments that a service passes: what lies before one, and what after."""

from __future__ import annotations

import pytest

from reconciler.model.names import EnvironmentName
from reconciler.model.path import Path, Step

DEV, STAGING, EU, US, APAC, LAST = (
    EnvironmentName(n) for n in ("dev", "staging", "eu", "us", "apac", "last")
)
FORK = Path(
    (
        Step(DEV),
        Step(STAGING, (DEV,)),
        Step(EU, (STAGING,)),
        Step(US, (STAGING,)),
        Step(APAC, (EU, US)),
    )
)


@pytest.mark.parametrize(
    ("of", "before", "after"),
    [
        (DEV, (), (STAGING, EU, US, APAC)),
        (STAGING, (DEV,), (EU, US, APAC)),
        (EU, (DEV, STAGING), (APAC,)),
        (US, (DEV, STAGING), (APAC,)),
        (APAC, (DEV, STAGING, EU, US), ()),
        (LAST, (), ()),
    ],
)
def test_what_lies_before_and_after(
    of: EnvironmentName, before: tuple[EnvironmentName, ...], after: tuple[EnvironmentName, ...]
) -> None:
    assert (FORK.before(of), FORK.after(of)) == (before, after)


def test_on_a_line_each_comes_after_the_one_before() -> None:
    line = Path.line((DEV, STAGING, EU))
    assert line.names() == (DEV, STAGING, EU)
    assert [line.before(name) for name in line.names()] == [(), (DEV,), (DEV, STAGING)]
    assert Path.line(()) == Path()


def test_what_falls_away_leaves_what_lies_behind_it_in_its_place() -> None:
    assert FORK.only((DEV, EU, APAC)) == Path((Step(DEV), Step(EU, (DEV,)), Step(APAC, (DEV, EU))))
    assert FORK.only((APAC,)) == Path((Step(APAC),))


def test_what_nobody_knows_the_place_of_comes_after_all() -> None:
    more = FORK.extended((LAST, DEV))
    assert more.names() == (*FORK.names(), LAST)
    assert more.before(LAST) == FORK.names()
