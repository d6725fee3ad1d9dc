"""From settings to the real world: the repository, the clusters, and an engine over them."""

from __future__ import annotations

import hashlib
import os
import random
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from reconciler.adapters.cel.conditions import CelConditions
from reconciler.adapters.forge.gitea import GiteaAccess, open_gitea
from reconciler.adapters.gates.http_gate import GateAccess, open_gate
from reconciler.adapters.git.access import GitAccess
from reconciler.adapters.git.local import JoinedHistory
from reconciler.adapters.git.repository import GitRepository, open_repository
from reconciler.adapters.git.signatures import AllowedSigners
from reconciler.adapters.http.secrets import read_file, read_secret
from reconciler.adapters.kube.client import KubeClient
from reconciler.adapters.kube.connections import Allowances, from_kubeconfig, in_cluster
from reconciler.adapters.registry.client import RegistryAccess
from reconciler.adapters.registry.several import Registries, plain_http_of
from reconciler.adapters.render.builder import ServiceBuilder
from reconciler.config.reading import read_settings, variable
from reconciler.config.settings import ClusterSettings, KubeconfigAllow, Settings
from reconciler.errors import InvalidInput
from reconciler.model.events import Event
from reconciler.model.fleet import Fleet
from reconciler.model.names import ClusterName
from reconciler.model.view import View
from reconciler.ports.forge import Forge
from reconciler.ports.gates import AdmissionGate
from reconciler.ports.git import History
from reconciler.schema.snapshot import read_snapshot
from reconciler.shell.clusters import Reach
from reconciler.shell.engine import Engine
from reconciler.shell.runner import Runner, SystemClock
from reconciler.shell.world import Ports

_FLAGS: tuple[tuple[str, str, str], ...] = (
    ("repo", "URL", "The env repo: https, ssh or a local path."),
    ("branch", "NAME", "The branch that people merge into."),
    ("path", "FOLDER", "The subfolder that is the env repo."),
    ("kubeconfig", "FILE", "A kubeconfig whose contexts are named as the fleet's clusters."),
    ("mode", "observe|enforce", "Whether anything is written; observe by default."),
    ("listen", "HOST:PORT", "Address of the board."),
    ("probes-listen", "HOST:PORT", "Address of health, readiness and metrics."),
    ("state-dir", "FOLDER", "Where the Git mirror is kept."),
    ("home", "CLUSTER", "The cluster that holds the lease and the promotion records."),
)
"""Name, what stands for its value, and what it is."""


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the flags that every command reads its settings from."""
    for name, metavar, words in reversed(_FLAGS):
        command = click.option(
            f"--{name}", default=None, envvar=variable(name), metavar=metavar, help=words
        )(command)
    config = click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        default=None,
        envvar="RECONCILER_CONFIG",
        help="The settings file. Each flag is also an environment variable, RECONCILER_<FLAG>.",
    )
    return config(command)


def settings_from(flags: Mapping[str, Any]) -> Settings:
    """Returns the settings of a command's flags.

    Raises:
        InvalidInput: With every fault.
    """
    names = [name.replace("-", "_") for name, _, _ in _FLAGS]
    given = {name: flags.get(name) for name in names}
    return read_settings(flags.get("config"), environment=os.environ, flags=given)


def is_configured(flags: Mapping[str, Any]) -> bool:
    """Tells whether anything names an env repo: a file, a flag, or a variable of the environment."""
    return flags.get("config") is not None or flags.get("repo") is not None


def repository(settings: Settings) -> GitRepository:
    """Returns the env repo's mirror and remote.

    Raises:
        InvalidInput: The address is refused, or there is no place for the mirror.
    """
    repo = settings.repo
    state_dir = _state_dir(settings)
    access = GitAccess(
        url=repo.url,
        branch=repo.branch,
        mirror_dir=state_dir.absolute() / "mirror.git",
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


def forge_of(settings: Settings) -> Forge | None:
    """Returns the forge of the settings; nothing is asked of it yet, and its files can be read.

    Raises:
        InvalidInput: Its address is refused, or a file that it names cannot be used.
    """
    chosen = settings.forge
    if chosen is None:
        return None
    access = GiteaAccess(
        url=chosen.url,
        token_file=chosen.token_file,
        ca_file=chosen.ca_file,
        timeout_s=chosen.timeout_s,
    )
    files = {"token_file": chosen.token_file, "ca_file": chosen.ca_file}
    with _of_settings("forge", files):
        read_secret(chosen.token_file, "token")
        return open_gitea(access)


def gates_of(settings: Settings) -> dict[str, tuple[AdmissionGate, float]]:
    """Returns the gates of the settings by name, and how often each is asked; nothing is asked of them yet.

    Raises:
        InvalidInput: An address is refused, or a file that one names cannot be used.
    """
    found: dict[str, tuple[AdmissionGate, float]] = {}
    for name, chosen in sorted(settings.gates.items()):
        access = GateAccess(chosen.url, chosen.secret_file, chosen.ca_file, chosen.timeout_s)
        files = {"secret_file": chosen.secret_file, "ca_file": chosen.ca_file}
        with _of_settings(f"gates.{name}", files):
            found[name] = open_gate(access, SystemClock()), chosen.poll_s
    return found


@contextmanager
def _of_settings(part: str, files: Mapping[str, Path | None]) -> Iterator[None]:
    """Has an error that names a file, or a field alone, name the setting."""
    try:
        yield
    except InvalidInput as error:
        field = next((name for name, path in files.items() if str(path) == error.object), "")
        fix = error.fix or "correct the path, or what may read it"
        where = f"{part}.{field} {error.object}" if field else f"{part}.url"
        raise InvalidInput(where, error.what, error.why, fix) from None


def registries_of(settings: Settings) -> Registries:
    """Returns the registries of the settings; nothing is asked yet, and their files can be read.

    Raises:
        InvalidInput: An address is refused, or a file that one names cannot be used.
    """
    accesses = {}
    for address, chosen in settings.registries.items():
        if chosen.config_file is not None:
            read_file(chosen.config_file, "docker config")
        plain_http = plain_http_of(address) if chosen.plain_http else frozenset[str]()
        accesses[address] = RegistryAccess(
            config_file=chosen.config_file,
            ca_file=chosen.ca_file,
            plain_http=plain_http,
            timeout_s=chosen.timeout_s,
        )
    return Registries(accesses)


def _state_dir(settings: Settings) -> Path:
    """Returns a folder to keep the mirror in; whoever may not use the usual one has one of their own."""
    usual = Settings.model_fields["state_dir"].default
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        if os.access(settings.state_dir, os.W_OK | os.X_OK):
            return settings.state_dir
        why = "it may not be written to"
    except OSError as error:
        why = error.strerror or type(error).__name__
    if settings.state_dir != usual:
        raise InvalidInput(
            str(settings.state_dir), "the mirror cannot be kept there", why, "set --state-dir"
        )
    digits = hashlib.sha256(settings.repo.url.encode()).hexdigest()[:12]
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reconciler" / digits
    try:
        own.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = f"{why}, and {own}: {error.strerror or type(error).__name__}"
        raise InvalidInput(
            str(usual), "there is no place for the mirror", why, "set --state-dir"
        ) from error
    return own


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


def home_of(settings: Settings) -> ClusterName:
    """Returns the home; there is no guess.

    Raises:
        InvalidInput: Nothing says which cluster it is, or how it is reached.
    """
    inside = [name for name, chosen in settings.clusters.items() if chosen.in_cluster]
    home = settings.home or (inside[0] if len(inside) == 1 else None)
    if home is None:
        fix = "set `home`, or give --home"
        raise InvalidInput("home", "the home cluster is not known", "none is named", fix)
    return ClusterName(home)


def open_engine(
    settings: Settings,
    current: Callable[[], Settings],
    runner: Runner,
    *,
    on_event: Callable[[Event], None],
    on_view: Callable[[View], None] = lambda view: None,
    local: History | None = None,
    waits: bool = False,
) -> Engine:
    """Puts an engine together over the real world.

    Args:
        settings: As read at the start.
        current: The settings of now.
        runner: Runs its tasks.
        on_event: Told of everything that happens.
        on_view: Given what every turn has seen and decided.
        local: Where commits are looked for that the mirror does not hold.
        waits: For all that is asked for to be rendered.

    Raises:
        ReconcilerError: The settings do not lead to a repository, a home and clusters.
    """
    forge, gates, registries = forge_of(settings), gates_of(settings), registries_of(settings)
    repo = repository(settings)
    signers = settings.repo.allowed_signers_file
    ports = Ports(
        clock=SystemClock(),
        runner=runner,
        remote=repo,
        history=JoinedHistory(repo, local) if local is not None else repo,
        builder=ServiceBuilder(),
        reach=Reach(
            lambda name: cluster_client(settings, name),
            jitter=random.Random(),  # noqa: S311  # spreads retries, and is no secret
        ),
        home=home_of(settings),
        named=tuple(map(ClusterName, sorted(settings.clusters))),
        signers=AllowedSigners(signers, repo) if signers is not None else None,
        forge=forge,
        gates=gates,
        conditions=CelConditions(),
        registry=registries,
    )
    # Two containers may have one host name and one process number, and must never be taken for one.
    holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    return Engine(
        settings, current, ports, holder=holder, on_event=on_event, on_view=on_view, waits=waits
    )
