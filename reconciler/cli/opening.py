"""From settings to the real world: the repository, the clusters, and an engine over them."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from reconciler.adapters.git.access import GitAccess
from reconciler.adapters.git.repository import GitRepository, open_repository
from reconciler.adapters.kube.client import KubeClient
from reconciler.adapters.kube.connections import Allowances, from_kubeconfig, in_cluster
from reconciler.adapters.render.builder import ServiceBuilder
from reconciler.config.reading import read_settings
from reconciler.config.settings import ClusterSettings, KubeconfigAllow, Settings
from reconciler.errors import InvalidInput
from reconciler.model.events import Event
from reconciler.model.fleet import Fleet
from reconciler.model.names import ClusterName
from reconciler.model.view import View
from reconciler.schema.snapshot import read_snapshot
from reconciler.shell.engine import Engine, Ports
from reconciler.shell.runner import Runner, SystemClock

_FLAGS: tuple[tuple[str, str], ...] = (
    ("repo", "The env repo's URL: https, ssh or a local path."),
    ("branch", "The branch that people merge into."),
    ("path", "The subfolder that is the env repo."),
    ("kubeconfig", "A kubeconfig whose contexts are named as the fleet's clusters."),
    ("mode", "observe or enforce."),
    ("listen", "Address of the board."),
    ("probes-listen", "Address of health, readiness and metrics."),
    ("state-dir", "Where the Git mirror is kept."),
    ("home", "The cluster that holds the lease and the promotion records."),
)


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the flags that every command reads its settings from."""
    for name, words in reversed(_FLAGS):
        command = click.option(f"--{name}", default=None, help=words)(command)
    config = click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        default=None,
        envvar="RECONCILER_CONFIG",
        help="The settings file.",
    )
    return config(command)


def settings_from(flags: Mapping[str, Any]) -> Settings:
    """Returns the settings of a command's flags.

    Raises:
        InvalidInput: With every fault.
    """
    names = [name.replace("-", "_") for name, _ in _FLAGS]
    given = {name: flags.get(name) for name in names}
    return read_settings(flags.get("config"), environment=os.environ, flags=given)


def repository(settings: Settings) -> GitRepository:
    """Returns the env repo's mirror and remote."""
    repo = settings.repo
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    access = GitAccess(
        url=repo.url,
        branch=repo.branch,
        mirror_dir=settings.state_dir.absolute() / "mirror.git",
        token_file=repo.token_file,
        username=repo.username,
        ssh_key_file=repo.ssh_key_file,
        ssh_known_hosts_file=repo.known_hosts_file,
        ca_file=repo.ca_file,
        author_name=repo.author_name,
        author_email=repo.author_email,
        timeout_s=repo.timeout_s,
    )
    return open_repository(access, clock=SystemClock())


def cluster_client(settings: Settings, name: str) -> KubeClient:
    """Returns the client of one cluster.

    Raises:
        InvalidInput: Nothing says how it is reached, or what says so is not acceptable.
    """
    chosen = settings.clusters.get(name)
    if chosen is None and settings.kubeconfig is not None:
        chosen = ClusterSettings(kubeconfig=settings.kubeconfig, allow=settings.kubeconfig_allow)
    if chosen is None:
        raise InvalidInput(
            f"cluster {name}",
            "it cannot be reached",
            "no settings say how",
            f"give --kubeconfig with a context {name}, or clusters.{name} in the settings",
        )
    if chosen.in_cluster or chosen.kubeconfig is None:
        return in_cluster(name=name, request_timeout_s=settings.request_timeout_s)
    return from_kubeconfig(
        chosen.kubeconfig,
        chosen.context or name,
        name=name,
        allow=_allowances(chosen.allow),
        request_timeout_s=settings.request_timeout_s,
    )


def _allowances(allow: KubeconfigAllow) -> Allowances:
    return Allowances(
        exec=allow.exec,
        auth_provider=allow.auth_provider,
        file_references=allow.file_references,
        insecure_tls=allow.insecure_tls,
    )


def cluster_names(settings: Settings, repo: GitRepository) -> tuple[str, ...]:
    """Returns every cluster to connect to: those of the settings, and of the fleet where Git answers.

    Raises:
        ReconcilerError: Git does not answer and the settings name no cluster.
    """
    named = set(settings.clusters)
    if settings.kubeconfig is not None:
        named |= {str(cluster.name) for cluster in _fleet(settings, repo).clusters()}
    return tuple(sorted(named))


def _fleet(settings: Settings, repo: GitRepository) -> Fleet:
    return read_snapshot(repo, repo.fetch(), root=settings.repo.path).fleet


def home_of(settings: Settings, names: tuple[str, ...]) -> ClusterName:
    """Returns the home; there is no guess.

    Raises:
        InvalidInput: Nothing says which cluster it is.
    """
    inside = [name for name, chosen in settings.clusters.items() if chosen.in_cluster]
    home = settings.home or (inside[0] if len(inside) == 1 else None)
    if home is None or home not in names:
        why = (
            "none is named"
            if home is None
            else f"{home} is no cluster of these: {', '.join(names)}"
        )
        raise InvalidInput(
            "home", "the home cluster is not known", why, "set `home`, or give --home"
        )
    return ClusterName(home)


def open_engine(
    settings: Settings,
    current: Callable[[], Settings],
    runner: Runner,
    *,
    on_event: Callable[[Event], None],
    on_view: Callable[[View], None] = lambda view: None,
) -> Engine:
    """Puts an engine together over the real world.

    Raises:
        ReconcilerError: The settings do not lead to a repository, a home and clusters.
    """
    repo = repository(settings)
    names = cluster_names(settings, repo)
    home = home_of(settings, names)
    ports = Ports(
        clock=SystemClock(),
        runner=runner,
        remote=repo,
        history=repo,
        builder=ServiceBuilder(),
        clusters={ClusterName(name): cluster_client(settings, name) for name in names},
        home=home,
        jitter=random.Random(),  # noqa: S311  # spreads retries, and is no secret
    )
    holder = f"{socket.gethostname()}-{os.getpid()}"
    return Engine(settings, current, ports, holder=holder, on_event=on_event, on_view=on_view)
