"""One change of the env repo as a person's commit: on a fresh HEAD, or a branch of its own where that is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from reconciler.adapters.git.local import person
from reconciler.adapters.git.repository import GitRepository
from reconciler.adapters.git.signing import SigningKey, signing_key
from reconciler.cli.opening import repository, settings_from
from reconciler.cli.output import Document, end, fail
from reconciler.cli.vouching import Vouching
from reconciler.config.reading import variable
from reconciler.config.settings import Settings
from reconciler.core.reporting import blank
from reconciler.core.vouching import GUARDED
from reconciler.errors import InvalidInput, ReconcilerError, Unreachable
from reconciler.model.env_repo import Fault, Severity
from reconciler.model.names import CommitId
from reconciler.ports.git import CommitFacts, History, PushOutcome
from reconciler.schema.checks import NOT_SUPPORTED
from reconciler.schema.snapshot import octets_at, read_all

RACES_MAX = 5

Edit = Callable[[str, bytes], bytes]


def _said(context: click.Context, option: click.Parameter, reason: str) -> str:
    """Refuses a reason without a word in it."""
    if not reason.strip():
        raise click.BadParameter("say why", ctx=context, param=option)
    return reason


def reason_option(command: Callable[..., None]) -> Callable[..., None]:
    """Adds what every verb takes: why, and with which key its commit is signed."""
    command = click.option(
        "--signing-key",
        metavar="KEY",
        envvar=variable("signing-key"),
        help="The SSH key, or its file, that signs the commit; by default that of your Git config.",
    )(command)
    return click.option(
        "--reason",
        required=True,
        callback=_said,
        help="Why; it stands in the commit for those who come after.",
    )(command)


@dataclass(frozen=True, slots=True)
class Beside:
    """What a commit changes beside its file, and what it says of that.

    Attributes:
        files: The new content of each, below the env repo's root.
        trailers: By name, as those of a Change.
        told: More of the commit's message.
    """

    files: Mapping[str, bytes]
    trailers: Mapping[str, str]
    told: str


@dataclass(frozen=True, slots=True)
class Files:
    """The env repo's files and their history at the commit that is changed.

    Args:
        history: The mirror.
        head: The commit.
        root: The subfolder that is the env repo, or empty.
    """

    history: History
    head: CommitId
    root: str

    def read(self, path: str, at: CommitId | None = None) -> bytes | None:
        """Returns a file's content, at another commit where one is named; None where it is not there."""
        return octets_at(self.history, at or self.head, self.whole(path))

    def log(self, path: str, most: int) -> tuple[CommitFacts, ...]:
        """Returns the first-parent commits that touched a file, newest first."""
        return self.history.log(self.head, path=self.whole(path), most=most)

    def whole(self, path: str) -> str:
        """Returns a file's path in the repository."""
        return f"{self.root}/{path}".lstrip("/")


@dataclass(frozen=True, slots=True)
class Change:
    """What a verb asks for.

    Attributes:
        action: The verb.
        subject: The commit's first line.
        path: The file, below the env repo's root.
        what: What that file is, in words.
        edit: Given the file's path and content, returns the content it shall have.
        trailers: By name, without `Reconciler-`; the action and the reason are added.
        told: What else the commit says.
        beside: Returns what else the commit changes; None: nothing.
        vouch: Refuses the principals of a signature that does not do for it; None: whose counts for the file.
    """

    action: str
    subject: str
    path: str
    what: str
    edit: Edit
    trailers: Mapping[str, str] = field(default_factory=dict)
    told: str = ""
    beside: Callable[[Files], Beside] | None = None
    vouch: Callable[[Files, tuple[str, ...]], None] | None = None

    def message(self, reason: str, beside: Beside) -> str:
        """Returns the commit's message."""
        own = {**self.trailers, **beside.trailers}
        trailers = {"Action": self.action, **own, "Reason": " ".join(reason.split())}
        lines = "".join(f"Reconciler-{name}: {value}\n" for name, value in trailers.items())
        return f"{self.subject}\n\n{reason}\n\n{self.told}{beside.told}{lines}"


def commit(change: Change, reason: str, output: str, flags: dict[str, Any]) -> None:
    """Makes the commit, pushes it, and ends with what became of it."""
    document = blank(change.action)
    try:
        settings = _signed(settings_from(flags))
        root = settings.repo.path.strip("/")
        key = signing_key(flags.get("signing_key"))
        made, branch, paths = _pushed(repository(settings), settings, root, change, reason, key)
    except ReconcilerError as error:
        fail(error, document, output)
    document.update(commit=made, branch=branch, paths=paths, pushed=made is not None)
    end(document, output, lambda d: _text(d, settings.repo.branch, change.what))


def _signed(settings: Settings) -> Settings:
    """Returns the settings with the person's own name, where this machine knows it: it is their commit."""
    who = person()
    if who is None:
        return settings
    named = {"author_name": who[0], "author_email": who[1]}
    return settings.model_copy(update={"repo": settings.repo.model_copy(update=named)})


def _pushed(
    repo: GitRepository,
    settings: Settings,
    root: str,
    change: Change,
    reason: str,
    key: SigningKey | None,
) -> tuple[CommitId | None, str, list[str]]:
    """Commits on a fresh HEAD until a push stands; a branch that refuses it gets one for a person."""
    vouching = Vouching(settings.repo.allowed_signers_file, key)
    for _ in range(RACES_MAX):
        files = Files(repo, repo.fetch(), root)
        edited, beside = _edited(files, change)
        paths = sorted(files.whole(path) for path in edited)
        if all(files.read(path) == octets for path, octets in edited.items()):
            return None, settings.repo.branch, paths
        edits = {files.whole(path): octets for path, octets in edited.items()}
        is_guarded = change.vouch is not None or any(path.startswith(GUARDED) for path in edited)
        sign = vouching.sign(is_guarded=is_guarded)
        made = repo.commit(files.head, edits, change.message(reason, beside), sign=sign)
        for path in edited:
            _check(repo, files.head, made, root, path)
        signers = vouching.check(repo, made, paths, is_guarded=is_guarded)
        if change.vouch is not None:
            change.vouch(files, signers)
        result = repo.push(made, settings.repo.branch)
        if result.outcome is PushOutcome.LANDED:
            return made, settings.repo.branch, paths
        if result.outcome is PushOutcome.REFUSED:
            digits = hashlib.sha256(made.encode()).hexdigest()[:12]
            branch = f"reconciler/change-{digits}"
            if repo.push(made, branch).outcome is PushOutcome.LANDED:
                return made, branch, paths
            raise Unreachable(branch, "the commit could not be pushed", result.message)
    raise Unreachable(settings.repo.branch, "the push was overtaken", "others push without a pause")


def _edited(files: Files, change: Change) -> tuple[dict[str, bytes], Beside]:
    """Returns the files as the change makes them."""
    octets = files.read(change.path)
    if octets is None:
        raise InvalidInput(
            files.whole(change.path),
            "it cannot be changed",
            f"there is no such {change.what}",
            "check the names",
        )
    edited = {change.path: change.edit(files.whole(change.path), octets)}
    beside = change.beside(files) if change.beside is not None else Beside({}, {}, "")
    return {**edited, **beside.files}, beside


def _check(repo: GitRepository, head: CommitId, made: CommitId, root: str, path: str) -> None:
    """Refuses a change that would break its file: a broken fleet.yaml holds whatever is merged after it."""
    before = {(fault.code, fault.field) for fault in _faults(repo, head, root, path)}
    for fault in _faults(repo, made, root, path):
        if (fault.code, fault.field) not in before:
            raise InvalidInput(path, "it would be broken", fault.why, fault.fix)


def _faults(repo: GitRepository, commit: CommitId, root: str, path: str) -> list[Fault]:
    return [
        fault
        for fault in read_all(repo, commit, root=root).faults
        if fault.path == path and fault.severity is Severity.ERROR and fault.code != NOT_SUPPORTED
    ]


def _text(document: Document, branch: str, what: str) -> str:
    if document["commit"] is None:
        return f"Nothing to change: the {what} says so already."
    told = f"{document['commit']} is on {document['branch']}"
    return told if document["branch"] == branch else f"{told}: {branch} refused it; merge it there"
