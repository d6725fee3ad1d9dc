"""One commit of the env repo into a Snapshot: every file parsed once, every fault collected."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pydantic import BaseModel

from reconciler.errors import InvalidInput
from reconciler.model.env_repo import (
    Fault,
    Pin,
    QuarantineEntry,
    Service,
    ServiceSource,
    Severity,
    Snapshot,
)
from reconciler.model.fleet import Fleet
from reconciler.model.names import (
    BlobId,
    CommitId,
    EnvironmentName,
    PolicyName,
    ServiceName,
)
from reconciler.model.policy import Policy
from reconciler.model.release import TreeEntry
from reconciler.schema import building, checks
from reconciler.schema.across import FLEET, Found, across
from reconciler.schema.files import FleetFile, PinFile, PolicyFile, QuarantineFile, ServiceFile
from reconciler.schema.reading import read_file
from reconciler.schema.shipped import builtin_policies
from reconciler.schema.yaml_text import BadText, Document

FILES_MAX = 50_000
"""A thousand services of fifty files; more is likely a wrong folder."""

PARSED_MAX = 20_000
"""Files kept parsed, so that a commit costs what it changes."""

FOLDERS = ("environments", "policies", "quarantine", "services")
_NO_FILES = {0o120000: "symbolic link", 0o160000: "submodule"}
"""What Git keeps beside files, by its mode; a link is never followed and a submodule never fetched."""


class Files(Protocol):
    """Where files come from: the Git mirror, or a plain folder."""

    def tree(self, commit: CommitId, path: str) -> tuple[TreeEntry, ...]:
        """Returns every file below a folder."""
        ...

    def blob(self, blob: BlobId) -> bytes:
        """Returns a file's content."""
        ...


def octets_at(files: Files, commit: CommitId, path: str) -> bytes | None:
    """Returns what a commit holds at a path of the repository; None when there is no such file."""
    folder, _, name = path.rpartition("/")
    entry = next((e for e in files.tree(commit, folder) if e.path == name), None)
    return None if entry is None else files.blob(BlobId(entry.blob))


class BrokenEnvRepo(InvalidInput):
    """The fleet or a policy is broken: nothing can be read of this commit.

    Args:
        commit: Where.
        faults: All of them.
    """

    def __init__(self, commit: str, faults: tuple[Fault, ...]) -> None:
        errors = [f for f in faults if f.severity is Severity.ERROR]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(
            commit,
            "its fleet or policies are broken",
            f"{errors[0] if errors else 'unknown'}{more}",
            "run `reconciler validate` for all of them",
        )
        self.faults = faults


class Parsed:
    """Parsed files by path and blob, the least recently used forgotten first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], Any] = OrderedDict()

    def read(
        self, files: Files, path: str, entry: TreeEntry, model: type[BaseModel]
    ) -> tuple[Any, Document]:
        """Returns a file's model and text; BadText each time for one that is broken."""
        key = (path, entry.blob)
        if key not in self._kept:
            try:
                if entry.mode in _NO_FILES:
                    raise BadText([_no_file(path, entry)])
                self._kept[key] = read_file(path, files.blob(BlobId(entry.blob)), model)
            except BadText as bad:
                self._kept[key] = bad
            except InvalidInput as error:
                # Larger than is ever read: this file is at fault, and no other.
                self._kept[key] = BadText([_unread(path, error)])
            while len(self._kept) > PARSED_MAX:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        kept = self._kept[key]
        if isinstance(kept, BadText):
            raise BadText(kept.faults, kept.document)
        model_, document = kept
        return model_, document


def _no_file(path: str, entry: TreeEntry) -> Fault:
    why, fix = f"it is a {_NO_FILES[entry.mode]}", "commit the files themselves"
    return Fault(path, 0, 0, "NotAFile", "it cannot be read", why, fix)


def _unread(path: str, error: InvalidInput) -> Fault:
    return Fault(path, 0, 0, "Unreadable", error.what, error.why, error.fix or "correct it")


@dataclass(slots=True)
class Reading:
    """All that was read of one commit.

    Attributes:
        faults: Every fault, errors and warnings, in order of path and place.
        snapshot: None when the fleet or a policy is broken.
        documents: The text of each file that could be read, by its path.
    """

    faults: list[Fault] = field(default_factory=list)
    snapshot: Snapshot | None = None
    files: int = 0
    documents: dict[str, Document] = field(default_factory=dict)


def read_snapshot(
    files: Files, commit: CommitId, *, root: str = "", parsed: Parsed | None = None
) -> Snapshot:
    """Reads a commit.

    Args:
        files: The mirror or a folder.
        commit: Which.
        root: The subfolder that is the env repo; empty for the whole of it.
        parsed: Files parsed before.

    Raises:
        BrokenEnvRepo: The fleet or a policy is broken, with every fault of the commit.
        InvalidInput: It is no env repo.
        TransientError: It could not be read.
    """
    reading = read_all(files, commit, root=root, parsed=parsed)
    if reading.snapshot is None:
        raise BrokenEnvRepo(commit, tuple(reading.faults))
    return reading.snapshot


def read_all(
    files: Files,
    commit: CommitId,
    *,
    root: str = "",
    named: str = "",
    parsed: Parsed | None = None,
) -> Reading:
    """Reads a commit and every fault of it, broken or not; see `read_snapshot`.

    Where people call what is read by another name than the commit, `named` is that name.
    """
    entries = files.tree(commit, root)
    where = named or (f"{root} in {commit}" if root else commit)
    if not entries:
        raise InvalidInput(
            where,
            "it is no env repo",
            "it holds no files",
            "check `repo.path` and `repo.branch`; an empty repo asks for nothing",
        )
    if len(entries) > FILES_MAX:
        why = f"it holds {len(entries)} files, and {FILES_MAX} are allowed"
        raise InvalidInput(where, "it cannot be read", why, "set `repo.path` to the env repo")
    return _Reader(files, commit, entries, parsed or Parsed()).read()


class _Reader:
    def __init__(
        self,
        files: Files,
        commit: CommitId,
        entries: tuple[TreeEntry, ...],
        parsed: Parsed,
    ) -> None:
        self._files = files
        self._commit = commit
        self._parsed = parsed
        self._entries = {entry.path: entry for entry in entries}
        self._reading = Reading()
        self._broken: dict[str, list[Fault]] = {}
        self._documents = self._reading.documents

    def read(self) -> Reading:
        self._refuse_links()
        fleet = self._fleet()
        policies = self._policies(fleet)
        sources = self._sources()
        services = self._services(sources)
        pins = self._pins()
        quarantine = self._quarantine()
        found = Found(
            fleet=fleet,
            policies=policies,
            services=services,
            sources=sources,
            pins=pins,
            quarantine=quarantine,
            documents=self._documents,
            broken=self._errors(),
        )
        self._note_all(across(found))
        reading, errors = self._reading, self._errors()
        self._broken = {path: checks.limited(faults) for path, faults in self._broken.items()}
        reading.faults.extend(fault for faults in self._broken.values() for fault in faults)
        reading.faults.sort()
        if fleet is None or any(
            path in (FLEET, *FOLDERS) or path.startswith("policies/") for path in errors
        ):
            return reading
        reading.snapshot = Snapshot(
            commit=self._commit,
            fleet=fleet,
            policies=policies,
            services={n: s for n, s in services.items() if _service_path(n) not in errors},
            sources=sources,
            pins={k: p for k, p in pins.items() if p is not None and _pin_path(*k) not in errors},
            quarantine={
                name: entries
                for name, entries in quarantine.items()
                if entries is not None and f"quarantine/{name}.yaml" not in errors
            },
            broken={path: tuple(self._broken[path]) for path in errors},
            warnings=tuple(f for f in reading.faults if f.path not in errors),
            files=reading.files,
        )
        return reading

    def _refuse_links(self) -> None:
        """Notes what stands where a folder of ours should be; files are looked at one by one."""
        for path, entry in self._entries.items():
            parts = path.split("/")
            is_folder = parts[0] in FOLDERS and len(parts) == 1
            is_folder = is_folder or (parts[0] in ("environments", "services") and len(parts) == 2)
            if is_folder and entry.mode in _NO_FILES:
                self._note(_no_file(path, entry))

    def _errors(self) -> set[str]:
        """Returns the paths that cannot be used; what is only not supported yet can."""
        return {
            path
            for path, faults in self._broken.items()
            if any(f.severity is Severity.ERROR and f.code != checks.NOT_SUPPORTED for f in faults)
        }

    def _note(self, fault: Fault) -> None:
        self._broken.setdefault(fault.path, []).append(fault)

    def _open(self, path: str, model: type[BaseModel]) -> tuple[Any, Document | None]:
        """Returns a file's model, None where it has a fault, and what could be read of its text."""
        self._reading.files += 1
        opened: tuple[Any, Document | None]
        try:
            opened = self._parsed.read(self._files, path, self._entries[path], model)
        except BadText as bad:
            self._note_all(bad.faults)
            opened = None, bad.document
        if opened[1] is not None:
            self._documents[path] = opened[1]
            self._note_all(checks.later(path, opened[1], model))
        return opened

    def _fleet(self) -> Fleet | None:
        if FLEET not in self._entries:
            why, fix = "it is not there", "add it; without it nothing has a place to run"
            self._note(Fault(FLEET, 0, 0, "MissingFile", "the fleet is unknown", why, fix))
            return None
        model, document = self._open(FLEET, FleetFile)
        if document is not None:
            self._note_all(checks.fleet(FLEET, document))
        return None if model is None else building.fleet(model)

    def _policies(self, fleet: Fleet | None) -> dict[PolicyName, Policy]:
        found: dict[PolicyName, Policy] = {}
        for path in self._below("policies/"):
            model, document = self._open(path, PolicyFile)
            if document is not None:
                self._note_all(checks.policy(path, document, fleet))
            if model is not None:
                name = PolicyName(_stem(path))
                found[name] = building.policy(name, model)
        for name, octets in builtin_policies().items() if fleet is not None else ():
            path = f"policies/{name}"
            model, document = read_file(path, octets, PolicyFile)
            # A shipped policy fits only fleets with its environments; it is there where it fits.
            if not any(checks.policy(path, document, fleet)):
                found[name] = building.policy(name, model)
        return found

    def _note_all(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self._note(fault)

    def _sources(self) -> dict[ServiceName, ServiceSource]:
        trees: dict[ServiceName, list[TreeEntry]] = {}
        for path, entry in self._entries.items():
            parts = path.split("/", 2)
            if len(parts) == 3 and parts[0] == "services":
                trees.setdefault(ServiceName(parts[1]), []).append(replace(entry, path=parts[2]))
        return {
            name: ServiceSource(self._commit, tuple(sorted(tree, key=lambda e: e.path)))
            for name, tree in trees.items()
        }

    def _services(self, sources: Mapping[ServiceName, ServiceSource]) -> dict[ServiceName, Service]:
        found: dict[ServiceName, Service] = {}
        for name in sources:
            path = _service_path(name)
            if path not in self._entries:
                why, fix = "the folder has no service.yaml", "add it, or move the folder away"
                what = f"service {name} is unknown"
                self._note(Fault(path, 0, 0, "MissingFile", what, why, fix))
                continue
            self._note_all(checks.name(path, name))
            model, _ = self._open(path, ServiceFile)
            if model is not None:
                found[name] = building.service(name, model)
        return found

    def _pins(self) -> dict[tuple[EnvironmentName, ServiceName], Pin | None]:
        """Returns every pin there is; None for one that has a fault."""
        found: dict[tuple[EnvironmentName, ServiceName], Pin | None] = {}
        for path in self._below("environments/"):
            parts = path.split("/")
            if len(parts) != 3 or not path.endswith(".yaml"):
                if path in self._broken:
                    continue
                self._note(checks.stray(path, "environments/<environment>/<service>.yaml"))
                continue
            environment, service = EnvironmentName(parts[1]), ServiceName(_stem(path))
            self._note_all(checks.name(path, service))
            model, document = self._open(path, PinFile)
            if document is not None:
                self._note_all(checks.pin(path, document))
            pin = None if model is None else building.pin(environment, service, model)
            found[(environment, service)] = pin
        return found

    def _quarantine(self) -> dict[ServiceName, tuple[QuarantineEntry, ...] | None]:
        """Returns every quarantine there is; None for one that has a fault."""
        found: dict[ServiceName, tuple[QuarantineEntry, ...] | None] = {}
        for path in self._below("quarantine/"):
            model, _ = self._open(path, QuarantineFile)
            service = ServiceName(_stem(path))
            found[service] = None if model is None else building.quarantine(service, model)
        return found

    def _below(self, folder: str) -> list[str]:
        paths = [p for p in self._entries if p.startswith(folder) and not p.endswith(".md")]
        return sorted(p for p in paths if not p.rpartition("/")[2].startswith("."))


def _stem(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".yaml")


def _service_path(name: ServiceName) -> str:
    return f"services/{name}/service.yaml"


def _pin_path(environment: EnvironmentName, service: ServiceName) -> str:
    return f"environments/{environment}/{service}.yaml"
