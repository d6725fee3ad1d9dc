"""Every command that a page shows is run: here, or by the test that is named beside it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.cli.root import reconciler
from reconciler.simulated.behaviour import Fate
from tests.contract.test_break_glass import BREAK_GLASS
from tests.house.generated import MARK
from tests.install.page import parses
from tests.system.served import ServedFleet, process

pytestmark = pytest.mark.xdist_group("docs-run")

ROOT = Path(__file__).resolve().parents[2]

PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("example-repo/*.md"))
    # It is followed word for word, on real clusters, by a test of its own.
    if path.name != "install.md"
)

EVENTS = "tests/cluster/test_announced.py"

ELSEWHERE = {
    BREAK_GLASS: "tests/contract/test_break_glass.py",
    "make setup": ".ci/run",
    "make check": ".ci/run",
    "make test": ".ci/run",
    "make demo": "tests/system/test_demo.py",
    "make sim": "tests/simulation/test_main_job.py",
    "make bench": "benchmarks/__init__.py",
    "kubectl --namespace reconciler-system describe promotionrecord web.prod": EVENTS,
    "kubectl --namespace reconciler-system get events --field-selector type=Warning": EVENTS,
}
"""Commands that are run by something else, and by what."""

MENTIONED = {
    "git log --grep Reconciler-Action": "tests/install/test_chart_on_clusters.py",
    "git config gpg.format ssh": "tests/contract/test_git_signatures.py",
    "git commit -S": "tests/contract/test_git_signatures.py",
    "kubectl get servicerecords -A": "tests/contract/test_kube_records.py",
}
"""Commands that a page speaks of in a sentence, and who runs them."""

OUTPUT = ("ready:",)
"""What begins so is what a command says, and no command."""

HARMLESS_CODES = {"diff": (0, 1)}


def commands(page: Path) -> Iterator[str]:
    """Yields each line of a page that is to be typed."""
    written = page.read_text().partition(MARK)[0]
    blocks = re.findall(r"```sh\n(.*?)```", written, re.DOTALL)
    rest = re.sub(r"```.*?```", "", written, flags=re.DOTALL)
    blocks += re.findall(r"(?:^    \S.*\n?)+", rest, re.MULTILINE)
    for line in "\n".join(blocks).replace(" \\\n", "").splitlines():
        command = line.partition(" #")[0].strip()
        if command and not command.startswith(OUTPUT):
            yield command


def mentions(page: Path) -> Iterator[str]:
    """Yields each command that a page speaks of in a sentence."""
    written = re.sub(r"```.*?```", "", page.read_text().partition(MARK)[0], flags=re.DOTALL)
    yield from re.findall(r"`((?:reconciler|git|kubectl|helm|docker) [^`]+)`", written)


SPOKEN_OF = [
    (page, command)
    for page in PAGES
    # These speak of what once was, or might have been.
    if page.name != "CHANGELOG.md" and page.parent.name != "adr"
    for command in dict.fromkeys(mentions(page))
]

SHOWN = [(page, command) for page in PAGES for command in commands(page)]
OURS = [(page, command) for page, command in SHOWN if command.startswith("reconciler ")]


def name(shown: tuple[Path, str]) -> str:
    return f"{shown[0].name}: {shown[1]}"


@pytest.fixture(scope="module")
def fleet() -> Iterator[ServedFleet]:
    """A fleet on which there is something to tell of, and to take back."""
    with ServedFleet() as served:
        assert served.settle().code == 0
        served.merge("1.9.0", Fate.READY, "good")
        assert served.settle().code == 0
        yield served


def test_pages_show_commands() -> None:
    assert {page.name for page, _ in OURS} >= {"README.md", "commands.md"}
    assert len(OURS) > 15


@pytest.mark.parametrize("shown", [s for s in SHOWN if s not in OURS], ids=name)
def test_a_command_that_is_not_ours_is_run_by_something_else(shown: tuple[Path, str]) -> None:
    _, command = shown
    assert command in ELSEWHERE, f"{command}: who runs it?"
    assert (ROOT / ELSEWHERE[command]).exists()
    program, _, target = command.partition(" ")
    if program == "make":
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("spoken_of", SPOKEN_OF, ids=name)
def test_a_command_in_a_sentence_is_one_too(spoken_of: tuple[Path, str]) -> None:
    _, command = spoken_of
    program, *words = shlex.split(command)
    if program != "reconciler":
        assert (ROOT / MENTIONED[command]).exists(), f"{command}: who runs it?"
    elif len(words) > 1:
        parses(words)
    else:
        assert words[0] in reconciler.commands


@pytest.mark.parametrize("shown", OURS, ids=name)
def test_a_command_of_ours_does_what_the_page_says(
    shown: tuple[Path, str], fleet: ServedFleet
) -> None:
    page, command = shown
    words = shlex.split(command)[1:]
    # What a page says of somebody's own fleet is said of this one.
    given = {"--repo": fleet.repo_url, "--kubeconfig": str(fleet.kubeconfig)}
    words = [given.get(words[i - 1], word) if i else word for i, word in enumerate(words)]
    if words[0] == "run":
        words += ["--once", "--timeout-s", "120", "--listen", "127.0.0.1:0"]
        words += ["--probes-listen", "127.0.0.1:0"]
    variables = fleet.variables()
    folder = ROOT
    if page.parent.name == "example-repo":
        # It speaks of a clone of that repo, where no settings are needed.
        variables, folder = {}, fleet.work
        fleet.git("fetch", "--quiet", "origin", "main")
    told = process(*words, variables=variables, folder=folder, limit_s=240)
    assert told.code in HARMLESS_CODES.get(words[0], (0,)), told.out + told.err
    assert told.out
