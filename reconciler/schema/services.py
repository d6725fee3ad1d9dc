"""One service as a commit holds it, with what its service.yaml says as a part of its identity."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.errors import InvalidInput
from reconciler.model.env_repo import Pin, Service
from reconciler.model.names import BlobId, CommitId, EnvironmentName, ServiceName
from reconciler.model.release import TreeEntry, Values
from reconciler.schema import building
from reconciler.schema.files import PinFile, ServiceFile
from reconciler.schema.reading import read_file
from reconciler.schema.snapshot import Files
from reconciler.schema.yaml_text import BadText

NOT_IDENTITY = frozenset({"owners", "policy", "image_policy"})
"""Who is asked, how it is promoted and what its pin follows say nothing about what runs."""


@dataclass(frozen=True, slots=True)
class ServiceAt:
    """A service at a commit.

    Attributes:
        identity: What service.yaml says of what runs, in canonical form.
        tree: Every file below its folder.
    """

    commit: CommitId
    service: Service
    identity: bytes
    tree: tuple[TreeEntry, ...]


def service_at(
    files: Files, commit: CommitId, name: ServiceName, *, root: str = ""
) -> ServiceAt | None:
    """Returns a service at a commit, or None when it has no folder there.

    Raises:
        InvalidInput: Its service.yaml is missing there, or broken.
    """
    folder = f"{root.strip('/')}/services/{name}".strip("/")
    tree = files.tree(commit, folder)
    if not tree:
        return None
    entry = next((e for e in tree if e.path == "service.yaml"), None)
    path = f"services/{name}/service.yaml"
    if entry is None:
        raise InvalidInput(path, f"it cannot be read at {commit[:12]}", "it is not there")
    try:
        file, document = read_file(path, files.blob(BlobId(entry.blob)), ServiceFile)
    except BadText as bad:
        why = str(bad.faults[0])
        raise InvalidInput(path, f"it cannot be read at {commit[:12]}", why) from None
    said = {key: value for key, value in document.tree.items() if key not in NOT_IDENTITY}
    identity = Values.of(said).text.encode()
    return ServiceAt(commit, building.service(name, file), identity, tree)


def pin_at(
    files: Files,
    commit: CommitId,
    environment: EnvironmentName,
    name: ServiceName,
    *,
    root: str = "",
) -> Pin | None:
    """Returns a pin as a commit holds it; None when it is not there, or broken."""
    folder = f"{root.strip('/')}/environments/{environment}".strip("/")
    entry = next((e for e in files.tree(commit, folder) if e.path == f"{name}.yaml"), None)
    if entry is None:
        return None
    return pin_of(files, BlobId(entry.blob), environment, name)


def pin_of(
    files: Files, blob: BlobId, environment: EnvironmentName, name: ServiceName
) -> Pin | None:
    """Returns the pin that a blob holds; None when it is broken."""
    try:
        file, _ = read_file(f"{name}.yaml", files.blob(blob), PinFile)
    except (BadText, InvalidInput):
        return None
    return building.pin(environment, name, file)
