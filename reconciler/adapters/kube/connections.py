"""From a kubeconfig's context, or the Pod's own service account, to a client; dangerous parts are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from kubernetes import client, config
from kubernetes.config import ConfigException

from reconciler.adapters.kube.client import KubeClient
from reconciler.errors import InvalidInput

KUBECONFIG_BYTES_MAX = 1024 * 1024
"""A hundred clusters with their certificates."""

POOL_CONNECTIONS = 32
"""Each watched kind holds one connection open; the rest are for requests."""

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Allowances:
    """What a kubeconfig may do beyond naming a server and credentials; each False refuses it."""

    exec: bool = False
    auth_provider: bool = False
    file_references: bool = False
    insecure_tls: bool = False


def from_kubeconfig(
    path: Path, context: str, *, name: str, allow: Allowances, request_timeout_s: float
) -> KubeClient:
    """Returns a client for a context of a kubeconfig.

    Raises:
        InvalidInput: The file, the context or what it asks for is not acceptable; names all of it.
    """
    tree = _read(path)
    user, cluster = _chosen(path, tree, context)
    _refuse(path, context, user, cluster, allow)
    configuration = client.Configuration()
    try:
        config.load_kube_config_from_dict(  # type: ignore[no-untyped-call]
            tree,
            context=context,
            client_configuration=configuration,
            persist_config=False,
        )
    except (ConfigException, ValueError, TypeError, KeyError, OSError) as error:
        why = f"the client cannot use it ({type(error).__name__})"
        raise InvalidInput(f"{path}: context {context}", "it cannot be used", why) from error
    return _client(configuration, name, request_timeout_s)


def in_cluster(*, name: str, request_timeout_s: float) -> KubeClient:
    """Returns a client with the Pod's own service account, whose token is read again as it changes.

    Raises:
        InvalidInput: This is no Pod, or it has no service account.
    """
    configuration = client.Configuration()
    try:
        config.load_incluster_config(  # type: ignore[no-untyped-call]
            client_configuration=configuration
        )
    except ConfigException as error:
        fix = "run in a Pod, or give a kubeconfig"
        raise InvalidInput(
            f"cluster {name}", "there is no service account", str(error), fix
        ) from error
    return _client(configuration, name, request_timeout_s)


def _client(configuration: client.Configuration, name: str, request_timeout_s: float) -> KubeClient:
    configuration.connection_pool_maxsize = POOL_CONNECTIONS
    configuration.retries = False
    return KubeClient(
        client.ApiClient(configuration), name=name, request_timeout_s=request_timeout_s
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > KUBECONFIG_BYTES_MAX:
            why = f"it is over {KUBECONFIG_BYTES_MAX} bytes"
            raise InvalidInput(str(path), "the kubeconfig cannot be read", why)
        octets = path.read_bytes()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise InvalidInput(
            str(path), "the kubeconfig cannot be read", why, "check the path and its rights"
        ) from error
    try:
        depth = 0
        for event in yaml.parse(octets, Loader=yaml.CSafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > 20:
                why = "it holds aliases, or is nested too deeply"
                raise InvalidInput(str(path), "the kubeconfig cannot be read", why)
        tree = yaml.load(octets, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError) as error:
        # The error's own text may quote a token.
        why = f"it is not well-formed YAML ({type(error).__name__})"
        raise InvalidInput(str(path), "the kubeconfig cannot be read", why) from None
    if not isinstance(tree, dict):
        raise InvalidInput(str(path), "the kubeconfig cannot be read", "it is no mapping")
    return tree


def _chosen(
    path: Path, tree: dict[str, Any], context: str
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    contexts = _named(tree, "contexts", "context")
    if context not in contexts:
        known = ", ".join(sorted(contexts)) or "none"
        raise InvalidInput(
            f"{path}: context {context}",
            "it is not there",
            f"the contexts are {known}",
            "name one of these by `context` in the settings",
        )
    chosen = contexts[context]
    found = []
    for section, kind in (("users", "user"), ("clusters", "cluster")):
        named = _named(tree, section, kind).get(str(chosen.get(kind)))
        if named is None:
            why = f"its {kind} {chosen.get(kind)!r} is not in the file"
            raise InvalidInput(f"{path}: context {context}", "it is incomplete", why)
        found.append(named)
    return found[0], found[1]


def _named(tree: dict[str, Any], section: str, kind: str) -> dict[str, Mapping[str, Any]]:
    items = tree.get(section)
    found: dict[str, Mapping[str, Any]] = {}
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and isinstance(item.get(kind) or {}, dict):
            found[str(item.get("name"))] = item.get(kind) or {}
    return found


def _refuse(
    path: Path,
    context: str,
    user: Mapping[str, Any],
    cluster: Mapping[str, Any],
    allow: Allowances,
) -> None:
    """Collects everything that is not allowed, then raises."""
    refused: list[str] = []
    if "exec" in user and not allow.exec:
        refused.append("it runs a program for credentials (allow.exec)")
    if "auth-provider" in user and not allow.auth_provider:
        refused.append("it uses a credential provider (allow.auth_provider)")
    if cluster.get("insecure-skip-tls-verify") and not allow.insecure_tls:
        refused.append("it skips the check of the server's certificate (allow.insecure_tls)")
    files = [k for k in ("client-certificate", "client-key", "tokenFile") if k in user]
    files += ["certificate-authority"] if "certificate-authority" in cluster else []
    if files and not allow.file_references:
        refused.append(f"it names files: {', '.join(files)} (allow.file_references)")
    if cluster.get("proxy-url"):
        refused.append("it names a proxy, which is not supported")
    address = urlsplit(str(cluster.get("server") or ""))
    if address.scheme not in ("http", "https") or not address.hostname:
        refused.append("its server is no http or https address")
    elif address.scheme == "http" and address.hostname not in _LOOPBACK:
        refused.append("its server is plain http beyond this machine")
    if address.username or address.password:
        refused.append("its server's address holds credentials")
    if refused:
        raise InvalidInput(
            f"{path}: context {context}",
            "it is refused",
            "; ".join(refused),
            "make a kubeconfig with a token or embedded certificates, or allow it in the settings",
        )
