"""Settings that contradict each other are refused, with what must hold instead."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.config.settings import ClusterSettings, LeaseSettings, Settings


@pytest.mark.parametrize(
    "given", [{}, {"kubeconfig": "/etc/kubeconfig", "in_cluster": True}], ids=["neither", "both"]
)
def test_a_cluster_is_reached_in_one_way(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="either kubeconfig or in_cluster"):
        ClusterSettings.model_validate(given)


@pytest.mark.parametrize("given", [{"retry_s": 10}, {"renew_deadline_s": 15}, {"duration_s": 9}])
def test_a_lease_ends_for_us_before_another_takes_it(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="retry_s < renew_deadline_s < duration_s"):
        LeaseSettings.model_validate(given)


@pytest.mark.parametrize("name", ["", " ", "a\nb"], ids=["empty", "blank", "two lines"])
@pytest.mark.parametrize("field", ["installation", "installation_formerly"])
def test_an_installation_has_a_name(field: str, name: str) -> None:
    given = name if field == "installation" else ("blue", name)
    with pytest.raises(ValidationError, match="a name that can be read") as raised:
        Settings.model_validate({"repo": {"url": "http://git"}, field: given})
    assert raised.value.errors()[0]["loc"][0] == field
