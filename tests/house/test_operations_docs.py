"""Each metric and each alert has its heading in the docs, and the docs have none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from reconciler.adapters.metrics import Metrics

ROOT = Path(__file__).resolve().parents[2]


def headings(page: str) -> list[str]:
    return re.findall(r"^## (\S+)$", (ROOT / page).read_text(), re.MULTILINE)


def metrics() -> set[str]:
    """Returns the name of every metric of ours, as it is written in a query."""
    text = Metrics(fetched_s=lambda: None, skews_s=dict).text().decode()
    return {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(text)
        if family.name.startswith("reconciler_")
    }


def alerts() -> list[str]:
    return [
        rule["alert"]
        for path in (ROOT / "policies/prometheus").glob("*.yaml")
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


def test_each_metric_has_its_heading() -> None:
    assert sorted(headings("docs/metrics.md")) == sorted(metrics())


def test_the_names_that_outside_scripts_rely_on_are_there() -> None:
    promised = (
        "turn_seconds promotions_total drift_objects drift_corrected_total drift_latency_seconds "
        "reverts_total revert_seconds revert_pending fetch_age_seconds cluster_reachable "
        "fuse_blown halted"
    )
    assert {f"reconciler_{name}" for name in promised.split()} <= metrics()


def test_each_metric_says_what_it_is() -> None:
    text = Metrics(fetched_s=lambda: None, skews_s=dict).text().decode()
    for family in text_string_to_metric_families(text):
        assert len(family.documentation) > 20, family.name


def test_each_alert_has_its_heading() -> None:
    assert sorted(headings("docs/alerts.md")) == sorted(alerts())
