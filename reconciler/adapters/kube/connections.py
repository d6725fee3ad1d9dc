"""From a kubeconfig's context, or the Pod's own service account, to a client; dangerous parts are refused."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
import urllib3
import yaml
from kubernetes import client, config
from kubernetes.config import ConfigException
from kubernetes.config.incluster_config import SERVICE_CERT_FILENAME, SERVICE_TOKEN_FILENAME
from kubernetes.utils.keepalive import tcp_keepalive_socket_options
from urllib3.util.ssl_ import create_urllib3_context

from reconciler.adapters.kube.client import KubeClient
from reconciler.adapters.kube.following import Followed, Made
from reconciler.errors import InvalidInput

KUBECONFIG_BYTES_MAX = 1024 * 1024
"""A hundred clusters with their certificates."""

POOL_CONNECTIONS = 32
"""Connections kept open between requests. It limits nothing: a watch has its own until it ends, and
when more requests run at once than are kept, those beyond are closed after their answer."""

KEEPALIVE = (10, 5, 3)
"""Idle seconds, seconds between probes, probes: a peer that is gone is known after 25 s of silence,
which is sooner than a watch would miss its bookmark."""

_FILES = ("client-certificate", "client-key", "tokenFile", "certificate-authority")

_INTO_CONTEXT = ("ca_certs", "ca_cert_data", "cert_file", "key_file")
"""What the library would load again at each connection."""

_RENEWING = frozenset({"exec", "auth-provider"})
"""Credentials that run out, and that the library gets anew while the file stays the same."""

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

_log = structlog.get_logger(__name__)


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
    """Returns a client for a context of a kubeconfig, which is read again whenever it changes.

    Raises:
        InvalidInput: The file, the context or what it asks for is not acceptable; names all of it.
    """
    followed = Followed(lambda: _from_file(path, context, allow, name=name), name=name)
    return KubeClient(followed, name=name, request_timeout_s=request_timeout_s)


def in_cluster(*, name: str, request_timeout_s: float) -> KubeClient:
    """Returns a client with the Pod's own service account, which is read again whenever it changes.

    Raises:
        InvalidInput: This is no Pod, or it has no service account.
    """
    followed = Followed(lambda: _from_pod(name), name=name)
    return KubeClient(followed, name=name, request_timeout_s=request_timeout_s)


def _from_file(path: Path, context: str, allow: Allowances, *, name: str) -> Made:
    tree = _read(path)
    user, cluster = _chosen(path, tree, context)
    _refuse(path, context, user, cluster, allow)
    files = [_absolute(path, where, key) for where in (user, cluster) for key in _FILES]
    configuration = _configuration()
    try:
        config.load_kube_config_from_dict(  # type: ignore[no-untyped-call]
            _only(context, user, cluster),
            context=context,
            client_configuration=configuration,
            persist_config=False,
        )
    except (ConfigException, ValueError, TypeError, KeyError, OSError) as error:
        why = f"the client cannot use it ({type(error).__name__})"
        raise InvalidInput(f"{path}: context {context}", "it cannot be used", why) from error
    if not _RENEWING & user.keys():
        # It would set everything anew at each request, for a token that only a change of the file changes.
        configuration.refresh_api_key_hook = None
    # Whatever the library makes of it: a certificate goes unchecked where file and operator both say so.
    is_unchecked = allow.insecure_tls and bool(cluster.get("insecure-skip-tls-verify"))
    configuration.verify_ssl = not is_unchecked
    if is_unchecked:
        # Once, in the place of the library's warning at every request.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        _log.warning("certificate-unchecked", cluster=name, kubeconfig=str(path))
    return _made(configuration, (path, *filter(None, files)), f"{path}: context {context}")


def _from_pod(name: str) -> Made:
    configuration = _configuration()
    try:
        # The library would read the token again by itself each minute, and fail where it is gone just then.
        config.load_incluster_config(  # type: ignore[no-untyped-call]
            client_configuration=configuration, try_refresh_token=False
        )
    except (ConfigException, OSError) as error:
        fix = "run in a Pod, or give a kubeconfig"
        raise InvalidInput(
            f"cluster {name}", "there is no service account", str(error), fix
        ) from error
    files = (Path(SERVICE_TOKEN_FILENAME), Path(SERVICE_CERT_FILENAME))
    return _made(configuration, files, f"cluster {name}")


def _configuration() -> client.Configuration:
    configuration = client.Configuration()
    configuration.verify_ssl = True
    configuration.connection_pool_maxsize = POOL_CONNECTIONS
    configuration.retries = False
    configuration.socket_options = tcp_keepalive_socket_options(*KEEPALIVE)
    return configuration


def _made(configuration: client.Configuration, files: tuple[Path, ...], subject: str) -> Made:
    try:
        api = client.ApiClient(configuration)
        pools = api.rest_client.pool_manager.connection_pool_kw
        pools.update(dict.fromkeys(_INTO_CONTEXT), ssl_context=_context(configuration))
        return Made(api, files)
    except (OSError, ValueError) as error:
        # Its own text may quote a certificate or a key.
        why = f"its certificates or key cannot be read ({type(error).__name__})"
        raise InvalidInput(subject, "it cannot be used", why) from None


def _context(configuration: client.Configuration) -> ssl.SSLContext:
    """Returns how a server is checked: as kubectl checks it, whatever Python this runs on.

    From 3.13 on Python would refuse an authority without extensions that Go does not ask for, and
    that those of many clusters lack. To Go, and to Python from then on, whatever is named is
    trusted, though it be signed by another.
    """
    context = create_urllib3_context(
        cert_reqs=ssl.CERT_REQUIRED if configuration.verify_ssl else ssl.CERT_NONE,
        verify_flags=ssl.VERIFY_X509_PARTIAL_CHAIN,
    )
    if configuration.ssl_ca_cert or configuration.ca_cert_data:
        context.load_verify_locations(
            cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data
        )
    elif not configuration.host.startswith("http:"):
        # Where nothing is encrypted nobody asks for them, and it takes as long as a dozen requests.
        context.load_default_certs()
    if configuration.cert_file:
        # Without a password, OpenSSL would ask the terminal for that of an encrypted key.
        context.load_cert_chain(configuration.cert_file, configuration.key_file, password="")
    return context


def _absolute(path: Path, where: Mapping[str, Any], key: str) -> Path | None:
    """Makes a file that a kubeconfig names absolute, from its own folder as kubectl does."""
    name = where.get(key)
    if not isinstance(name, str) or not name or not isinstance(where, dict):
        return None
    if not name.isprintable():
        why = f"{key} holds characters that no path has"
        raise InvalidInput(str(path), "the kubeconfig cannot be used", why, "name the file")
    where[key] = str(path.parent / name)
    return Path(where[key])


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


def _only(context: str, user: Mapping[str, Any], cluster: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a kubeconfig of nothing but what was looked at: the library may find names otherwise."""
    return {
        "contexts": [{"name": context, "context": {"user": "its", "cluster": "its"}}],
        "users": [{"name": "its", "user": user}],
        "clusters": [{"name": "its", "cluster": cluster}],
    }


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
    files = [key for key in _FILES if key in user or key in cluster]
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
