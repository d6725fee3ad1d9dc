"""A list that takes several requests: whole and of one moment, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.adapters.kube.wire import Wire
from reconciler.errors import Expired
from reconciler.ports.kube import Change
from tests.contract.kube_fronts import CONNECTED, Front
from tests.contract.kube_objects import config_map, delete, ref
from tests.contract.test_kube_api import watched

NAMES = [f"map-{number}" for number in range(7)]


def in_pages(
    front: Front, space: str, monkeypatch: pytest.MonkeyPatch, before_second: Callable[[], None]
) -> list[str]:
    """Makes pages hold three objects, and seven objects; `before_second` is called before the second page.

    Returns:
        How each page was asked for, once it was.
    """
    for name in NAMES:
        front.api.create(config_map(space, name))
    monkeypatch.setattr("reconciler.adapters.kube.client.PAGE_ITEMS", 3)
    request = Wire.request
    pages: list[str] = []

    def counted(self: Wire, *arguments: Any, **options: Any) -> Any:
        query = options.get("query") or {}
        if "limit" in query:
            pages.append("next" if "continue" in query else "first")
            if len(pages) == 2:
                before_second()
        return request(self, *arguments, **options)

    monkeypatch.setattr(Wire, "request", counted)
    return pages


@CONNECTED
def test_pages_are_all_of_one_moment_and_a_watch_tells_what_came_after_it(
    front: Front, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write() -> None:
        front.api.create(config_map(space, "aaa"))
        last = front.api.get(ref(config_map(space, NAMES[-1])))
        assert last is not None
        delete(front, last)

    pages = in_pages(front, space, monkeypatch, write)
    listing = front.api.list("v1", "ConfigMap", namespace=space, label_selector="")
    assert pages == ["first", "next", "next"]
    assert [obj["metadata"]["name"] for obj in listing.items] == NAMES
    since = watched(front, space, listing.resource_version, 2)
    assert [(e.change, e.object["metadata"]["name"]) for e in since] == [
        (Change.ADDED, "aaa"),
        (Change.DELETED, NAMES[-1]),
    ]


@CONNECTED
def test_a_list_that_has_become_too_old_on_its_way_is_no_list(
    front: Front, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget() -> None:
        front.api.create(config_map(space, "later"))
        front.forget_lists()

    pages = in_pages(front, space, monkeypatch, forget)
    with pytest.raises(Expired):
        front.api.list("v1", "ConfigMap", namespace=space, label_selector="")
    assert pages == ["first", "next"]
    listing = front.api.list("v1", "ConfigMap", namespace=space, label_selector="")
    assert [obj["metadata"]["name"] for obj in listing.items] == ["later", *NAMES]
