"""The Dockerfile, read: its steps, so that tests can run them where no image can be built."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "/opt/reconciler"
"""Where the image has the reconciler."""

STEP_TIMEOUT_S = 600
"""The longest downloads a hundred megabytes of packages."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its lines joined."""

    name: str
    text: str

    def words(self) -> list[str]:
        """Returns what it says, in words; one in JSON form is read as that."""
        if self.text.startswith("["):
            return [str(word) for word in json.loads(self.text)]
        return self.text.split()


def read() -> list[Instruction]:
    """Returns every instruction of the Dockerfile, in order."""
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = [line.split(None, 1) for line in joined.splitlines() if line.strip()]
    return [Instruction(name, rest.strip()) for name, rest in found]


def stages() -> list[list[Instruction]]:
    """Returns the instructions by stage; each begins with its FROM."""
    found: list[list[Instruction]] = []
    for instruction in read():
        if instruction.name == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def volumes() -> list[str]:
    """Returns the folders that the image declares to be written to."""
    declared = [i.words() for i in stages()[-1] if i.name == "VOLUME"]
    return [folder for words in declared for folder in words]


def user() -> tuple[int, int]:
    """Returns the user and group that the image runs as."""
    (text,) = [i.text for i in stages()[-1] if i.name == "USER"]
    uid, _, gid = text.partition(":")
    return int(uid), int(gid)


def environment(prefix: Path) -> dict[str, str]:
    """Returns the image's own variables, with a prefix in the place of its own."""
    (text,) = [i.text for i in stages()[-1] if i.name == "ENV"]
    found = dict(word.split("=", 1) for word in text.split())
    return {name: value.replace(PREFIX, str(prefix)) for name, value in found.items()}


def command(prefix: Path, *args: str) -> tuple[str, ...]:
    """Returns what a container of the image runs, with a prefix in the place of its own.

    Args:
        prefix: Takes the place of /opt/reconciler.
        args: A Pod's; without any, the image's own.
    """
    last = {i.name: i.words() for i in stages()[-1]}
    program = [word.replace(PREFIX, str(prefix)) for word in last["ENTRYPOINT"]]
    return (*program, *(args or last["CMD"]))


def build(source: Path, dist: Path, prefix: Path) -> None:
    """Does what the build stage does: copies what it copies, and runs what it runs.

    Args:
        source: Takes the place of /src; made here.
        dist: Takes the place of /dist.
        prefix: Takes the place of /opt/reconciler.
    """
    places = {"/dist": str(dist), PREFIX: str(prefix)}
    source.mkdir()
    for instruction in stages()[0]:
        words = instruction.words()
        if instruction.name == "COPY":
            _copy(words[:-1], source / words[-1])
        elif instruction.name == "RUN":
            command = [places.get(word, word) for word in words]
            done = subprocess.run(
                command,
                cwd=source,
                capture_output=True,
                text=True,
                timeout=STEP_TIMEOUT_S,
                check=False,
            )
            assert done.returncode == 0, f"{instruction.text}: {done.stdout}{done.stderr}"


def _copy(sources: list[str], target: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    for name in sources:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=ignored)
        else:
            shutil.copy2(ROOT / name, target / name)
