"""`reconciler bootstrap`: the namespace and the definitions of our records, in every cluster."""

from __future__ import annotations

from typing import Any

import click

from reconciler.cli.opening import (
    cluster_client,
    cluster_names,
    repository,
    settings_from,
    settings_options,
)
from reconciler.cli.output import Document, end, error_document, fail, output_option, table
from reconciler.core.reporting import blank
from reconciler.errors import ReconcilerError
from reconciler.shell.clusters import bootstrap as bootstrap_cluster


@click.command(short_help="Make what is needed in every cluster.")
@settings_options
@output_option
def bootstrap(output: str, **flags: Any) -> None:
    """Make what the reconciler needs in every cluster; safe to do again."""
    document = blank("bootstrap")
    try:
        settings = settings_from(flags)
        names = cluster_names(settings, repository(settings))
    except ReconcilerError as error:
        fail(error, document, output)
    for name in names:
        try:
            bootstrap_cluster(cluster_client(settings, name), settings.namespace)
            document["clusters"].append({"name": name, "ready": True})
        except ReconcilerError as error:
            document["clusters"].append({"name": name, "ready": False})
            document["errors"].append(error_document(error))
    end(document, output, _text)


def _text(document: Document) -> str:
    rows = [[c["name"], "yes" if c["ready"] else "no"] for c in document["clusters"]]
    return table([["CLUSTER", "READY"], *rows])
