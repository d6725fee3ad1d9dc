"""The Builder port: a service's files into raw objects, by the kind of its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

from reconciler.adapters.render.confined import Limits
from reconciler.adapters.render.documents import refuse_pointer
from reconciler.adapters.render.kustomize import build_kustomized, kubectl_version
from reconciler.adapters.render.plain import build_plain
from reconciler.core.assembly.faults import raise_all
from reconciler.core.identity import OVERLAYS, SERVICE_FILE, is_rendered
from reconciler.errors import InvalidInput
from reconciler.model.env_repo import SourceKind
from reconciler.model.names import EnvironmentName
from reconciler.model.objects import KubeObject

LIMITS = Limits(
    # A large kustomization takes a second; the rest is for a busy machine.
    timeout_s=30,
    # Building the largest allowed output takes under 300 MiB; two may run at once beside the daemon.
    memory_bytes_max=1024 * 1024 * 1024,
    # As much as assembly lets through.
    output_bytes_max=16 * 1024 * 1024,
)

FILES_MAX = 2_000
BYTES_MAX = 32 * 1024 * 1024
"""What is written to disk for one build: twice what it may render to."""

PATH_BYTES_MAX = 1_024
NAME_BYTES_MAX = 255
"""What the usual file systems take as one name."""


class ServiceBuilder:
    """Builds plain manifests and kustomizations.

    Args:
        limits: What one run of an outside tool may use.
    """

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits

    def version(self, kind: SourceKind) -> str:
        """Returns what a kind is built by; see the port."""
        return f"kubectl/{kubectl_version()}" if kind is SourceKind.KUSTOMIZE else ""

    def build(
        self, kind: SourceKind, files: Mapping[str, bytes], environment: EnvironmentName
    ) -> tuple[KubeObject, ...]:
        """Builds from file contents by path relative to `services/<svc>`; see the port.

        What does not count towards identity or overlay is never seen by a renderer, or a change
        that no proof speaks of could reach a cluster.
        """
        seen = {path: octets for path, octets in files.items() if _is_part(path, kind, environment)}
        raise_all("the service's files", _faults(seen))
        match kind:
            case SourceKind.MANIFESTS:
                return build_plain(seen)
            case SourceKind.KUSTOMIZE:
                return build_kustomized(seen, environment, self._limits)
            case SourceKind.HELM:
                raise InvalidInput(
                    SERVICE_FILE,
                    "the source kind helm cannot be rendered",
                    "charts are not supported yet",
                    "use manifests or a kustomization",
                )
            case _:
                assert_never(kind)


def _is_part(path: str, kind: SourceKind, environment: EnvironmentName) -> bool:
    # Plain manifests have no overlays: a folder of that name is left over from a kustomization.
    is_overlay = path.startswith(OVERLAYS) and kind is SourceKind.MANIFESTS
    return is_rendered(path, environment) and not is_overlay


def _faults(files: Mapping[str, bytes]) -> Iterator[InvalidInput]:
    size = sum(map(len, files.values()))
    if len(files) > FILES_MAX or size > BYTES_MAX:
        largest = max(files, key=lambda path: len(files[path]))
        yield InvalidInput(
            largest[:100],
            "its service is too large to render",
            f"{len(files)} files of {size} bytes, of which this is the largest; "
            f"{FILES_MAX} files of {BYTES_MAX} bytes are allowed",
            "split the service",
        )
    for path, octets in files.items():
        names = path.split("/")
        if (
            not set(names).isdisjoint({"", ".", ".."})
            or not path.isprintable()
            or len(path.encode(errors="surrogatepass")) > PATH_BYTES_MAX
            or max(len(name.encode(errors="surrogatepass")) for name in names) > NAME_BYTES_MAX
        ):
            shown = path[:100].encode("unicode_escape").decode()
            yield InvalidInput(shown, "this path cannot be used", "it is no plain relative path")
        try:
            refuse_pointer(path, octets)
        except InvalidInput as fault:
            yield fault
