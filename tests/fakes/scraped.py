"""What Prometheus would read of a daemon's metrics."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from reconciler.adapters.metrics import Metrics


class Scraped:
    """Every sample of one scrape."""

    def __init__(self, metrics: Metrics) -> None:
        families = text_string_to_metric_families(metrics.text().decode())
        self._samples = [sample for family in families for sample in family.samples]

    def names(self) -> set[str]:
        """Returns the name of every sample."""
        return {sample.name for sample in self._samples}

    def of(self, name: str, **labels: str) -> list[float]:
        """Returns the values of a name's samples that carry these labels."""
        return [
            sample.value
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def value(self, name: str, **labels: str) -> float:
        """Returns the one sample's value."""
        (value,) = self.of(name, **labels)
        return value

    def labels(self, name: str, **labels: str) -> list[dict[str, str]]:
        """Returns the labels of a name's samples that carry these."""
        return [
            sample.labels
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
