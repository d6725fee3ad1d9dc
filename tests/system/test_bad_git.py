"""Hostile and broken Git under the running daemon: told by name, nothing changed, nothing run."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import CRASHES_IN_STAGING
from tests.gitservers.certificates import Authority
from tests.gitservers.served import Way
from tests.processes import children
from tests.system.bad_git import (
    CANARY,
    Keys,
    Swell,
    changed_host,
    evil,
    overlong_commit,
    stranger,
    swollen_folder,
    unknown_host,
    wrong_ca,
    wrong_token,
)
from tests.system.envrepo import digest, env_repo, pins, policy
from tests.system.installation import repo_settings
from tests.system.simulated import SERVICE, Simulated, simulated

pytestmark = [pytest.mark.git_server, pytest.mark.xdist_group("bad-git")]

GOOD = "1.0.0"
NEIGHBOUR = "shop"
QUICK = policy(soak_s=0.3)


def files() -> dict[str, bytes | None]:
    return {**env_repo([SERVICE], SERVICE, policy_text=QUICK), **pins(SERVICE, GOOD)}


WAYS: dict[Keys, Way] = {wrong_ca: Way.HTTPS, wrong_token: Way.HTTP}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    """One daemon, over http, on whose clusters a release is proven."""
    with simulated(tmp_path_factory.mktemp("daemon"), way=Way.HTTP) as made:
        made.daemon.settings["repo"]["timeout_s"] = 3
        made.start_with(GOOD, QUICK)
        yield made


@pytest.fixture
def on(daemon: Simulated) -> Iterator[Simulated]:
    """The daemon, which follows the branch again at the end and has changed nothing meanwhile."""
    _wait_followed(daemon)
    held = daemon.held()
    yield daemon
    daemon.served.before_refs(None)
    assert daemon.daemon.is_running
    accepted = daemon.daemon.status()["head"]["accepted"]
    if not _descends(daemon, accepted):
        daemon.served.repository.git("update-ref", "refs/heads/main", accepted)
    _wait_followed(daemon)
    assert daemon.held() == held
    assert [made for made in daemon.made() if made.trailers] == []


def _descends(on: Simulated, ancestor: str) -> bool:
    log = on.served.repository.git("rev-list", "refs/heads/main", "--").splitlines()
    return ancestor in log


def _wait_followed(on: Simulated) -> None:
    def is_followed() -> bool:
        head = on.daemon.status()["head"]
        return bool(head["accepted"] == on.head() and not head["stale"])

    on.daemon.until(is_followed, "HEAD is followed")


def _wait_told(on: Simulated, event: str, words: str) -> None:
    def is_told() -> bool:
        return any(words in line.get("message", "") for line in on.daemon.logged(event))

    on.daemon.until(is_told, f"{event} with {words}")


def _without_branch(on: Simulated) -> None:
    on.served.repository.git("update-ref", "-d", "refs/heads/main")


def _with_another_branch(on: Simulated) -> None:
    on.served.repository.git("update-ref", "refs/heads/trunk", on.head())
    _without_branch(on)


def _hanging(on: Simulated) -> None:
    def hang(service: str) -> None:
        del service
        threading.Event().wait(8)

    on.served.before_refs(hang)


def _gone(on: Simulated) -> None:
    assert on.served.http is not None
    on.served.http.status = 404


def _forbidden(on: Simulated) -> None:
    assert on.served.http is not None
    on.served.http.status = 403


def _broken_fleet(on: Simulated) -> None:
    on.merge({"fleet.yaml": b"environments: ["})


def _emptied(on: Simulated) -> None:
    """Every file deleted in one commit."""
    git = on.served.repository.git
    tree = git("mktree", stdin=b"")
    git("update-ref", "refs/heads/main", git("commit-tree", tree, "-p", on.head(), "-m", "gone"))


def _rewritten_without_pins(on: Simulated) -> None:
    on.served.repository.commit(
        env_repo([SERVICE], SERVICE, policy_text=QUICK), orphan=True, message="all new"
    )


def _set_back(on: Simulated) -> None:
    """To a commit before the admitted one, as a mirror that lags shows it."""
    first = on.served.repository.git("rev-list", "--max-parents=0", "refs/heads/main")
    on.served.repository.git("update-ref", "refs/heads/main", first)


def _forked(on: Simulated) -> None:
    """Another commit on top of the one before: a mirror that went its own way."""
    git = on.served.repository.git
    before = git("rev-parse", "refs/heads/main~1")
    git("update-ref", "refs/heads/main", before)
    on.merge({"README.md": os.urandom(8).hex().encode(), f"environments/prod/{SERVICE}.yaml": None})


@pytest.mark.parametrize(
    ("break_", "event", "words"),
    [
        (_without_branch, "FetchFailed", "the repo is empty"),
        (_with_another_branch, "FetchFailed", "branch main is not there"),
        (_hanging, "FetchFailed", "longer than 3 s"),
        (_gone, "FetchFailed", "404"),
        (_forbidden, "FetchFailed", "403"),
        (_broken_fleet, "HeadRefused", "fleet.yaml"),
        (_emptied, "HeadRefused", "no env repo"),
        (_rewritten_without_pins, "HeadRefused", "does not descend"),
        (_set_back, "HeadRefused", "does not descend"),
        (_forked, "HeadRefused", "does not descend"),
    ],
    ids=lambda value: getattr(value, "__name__", "").strip("_").replace("_", " "),
)
def test_the_daemon_says_what_is_wrong_and_changes_nothing(
    break_: Callable[[Simulated], None], event: str, words: str, on: Simulated
) -> None:
    on.merge({"README.md": os.urandom(8).hex().encode()}, "so that there is a commit before")
    _wait_followed(on)
    head = on.head()
    told = len(on.daemon.logged(event))
    break_(on)

    def is_told() -> bool:
        return any(words in line.get("message", "") for line in on.daemon.logged(event)[told:])

    on.daemon.until(is_told, f"{event}: {words}")
    assert on.daemon.status()["head"]["accepted"] == head
    if event == "HeadRefused" and "descend" in words:
        on.daemon.until(lambda: words in str(on.daemon.status()["halted"]), "it has halted")
    if on.served.http is not None:
        on.served.http.status = None
    on.served.before_refs(None)
    on.served.repository.git("update-ref", "refs/heads/main", head)
    if on.served.repository.tip("trunk"):
        on.served.repository.git("update-ref", "-d", "refs/heads/trunk")


def test_the_operators_word_lets_a_rewritten_branch_through(on: Simulated) -> None:
    told = len(on.daemon.logged("HeadRefused"))
    rewritten = on.served.repository.commit(files(), orphan=True, message="all new")
    on.daemon.until(lambda: len(on.daemon.logged("HeadRefused")) > told, "it is refused")
    repo = on.daemon.settings["repo"]
    on.daemon.settings["repo"] = {**repo, "accept_history": rewritten}
    on.daemon.write_settings()
    on.daemon.until(
        lambda: on.daemon.status()["head"]["accepted"] == rewritten, "the new HEAD is followed"
    )
    on.daemon.settings["repo"] = repo
    on.daemon.write_settings()


def test_a_tag_named_like_the_branch_is_not_followed(on: Simulated) -> None:
    on.served.repository.git("update-ref", "refs/tags/main", on.head())
    try:
        on.merge({"README.md": os.urandom(8).hex().encode()})
        _wait_followed(on)
    finally:
        on.served.repository.git("update-ref", "-d", "refs/tags/main")


def test_locks_and_programs_in_the_mirror_do_not_stop_it_and_do_not_run(
    on: Simulated, tmp_path: Path
) -> None:
    mirror = Path(on.daemon.settings["state_dir"]) / "mirror.git"
    for lock in ("index.lock", "packed-refs.lock", "HEAD.lock", "refs/remotes/origin/main.lock"):
        (mirror / lock).write_text("")
    owned = evil(tmp_path, mirror / "config")
    on.merge({"README.md": os.urandom(8).hex().encode()})
    _wait_followed(on)
    assert not owned.exists()


def test_a_full_disk_is_told_and_mends_itself(on: Simulated) -> None:
    told = len(on.daemon.logged("FetchFailed"))
    # No file of the daemon's may grow past this, its log excepted, which is smaller.
    allowed = max(4 * 1024 * 1024, 4 * on.daemon.log.stat().st_size)
    try:
        _limit_files(on.daemon.pid, allowed)
        on.merge({"large": os.urandom(2 * allowed)})
        on.daemon.until(
            lambda: any(
                "disk space" in line["message"] for line in on.daemon.logged("FetchFailed")[told:]
            ),
            "the full disk is told",
        )
    finally:
        _limit_files(on.daemon.pid, resource.RLIM_INFINITY)
    on.merge({"large": None})
    _wait_followed(on)


def _limit_files(pid: int, allowed: int) -> None:
    """Limits a process and its children, one of which may wait for the next fetch."""
    for one in (pid, *children(pid)):
        with suppress(ProcessLookupError):
            resource.prlimit(one, resource.RLIMIT_FSIZE, (allowed, resource.RLIM_INFINITY))


@pytest.mark.parametrize("swell", [overlong_commit, swollen_folder])
def test_an_object_over_the_limit_is_named_and_the_former_commit_stays(
    swell: Swell, on: Simulated
) -> None:
    head = on.head()
    named = swell(on.served.repository)
    try:
        _wait_told(on, "HeadRefused", f"{named}: it is refused")
        on.daemon.until(
            lambda: "over the limit of" in str(on.daemon.status()["head"]["error"]),
            "status says so",
        )
        status = on.daemon.status()
        assert (status["head"]["accepted"], status["halted"]) == (head, None)
    finally:
        on.served.repository.git("update-ref", "refs/heads/main", head)


def test_a_file_over_the_limit_is_named_and_its_neighbours_go_on(tmp_path: Path) -> None:
    with simulated(tmp_path) as made:
        both = env_repo([SERVICE, NEIGHBOUR], SERVICE, policy_text=QUICK)
        made.merge({**both, **pins(SERVICE, GOOD), **pins(NEIGHBOUR, GOOD)})
        made.daemon.start()
        made.wait_proven("prod", GOOD)
        for version, path, reason in (
            ("2.0.0", f"environments/dev/{SERVICE}.yaml", "InvalidPin"),
            ("3.0.0", f"services/{SERVICE}/{SERVICE}.yaml", "RenderFailed"),
        ):
            kept = made.served.repository.read(path).encode()
            made.merge({path: bytes(32 * 1024 * 1024), **pins(NEIGHBOUR, version)})

            def goes_on(version: str = version, reason: str = reason) -> bool:
                cell = made.daemon.cell(NEIGHBOUR, "dev")
                is_on = cell and cell["phase"] == "Proven"
                is_new = cell and cell["admitted"]["version"] == version
                return bool(is_on and is_new and made.daemon.reason(SERVICE, "dev") == reason)

            made.daemon.until(goes_on, f"the neighbour goes on beside {path}")
            cell = made.daemon.cell(SERVICE, "dev")
            assert cell is not None
            assert path in cell["message"] and "over the limit of" in cell["message"], cell
            assert {made.image(cluster) for cluster in made.clusters} == {digest(GOOD)}
            made.merge({path: kept})


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        (unknown_host, "host key is unknown"),
        (changed_host, "host key is not the known one"),
        (wrong_ca, "certificate"),
        (wrong_token, "refuses the token"),
        (stranger, "refuses the key"),
    ],
)
def test_a_daemon_that_is_not_trusted_or_does_not_trust_says_so_until_the_file_is_changed(
    keys: Keys, word: str, tmp_path: Path
) -> None:
    way = WAYS.get(keys, Way.SSH)
    with simulated(tmp_path, way=way) as made:
        made.merge(files())
        good = repo_settings(made.served)
        bad = keys({way: made.served}, tmp_path)
        (name,) = (key for key in bad if bad[key] != good.get(key))
        file = tmp_path / "file"
        file.write_bytes(Path(str(bad[name])).read_bytes())
        file.chmod(0o600)
        made.daemon.settings["repo"] = {**good, name: str(file)}
        made.daemon.start()
        _wait_told(made, "FetchFailed", word)
        assert all(made.image(cluster) is None for cluster in made.clusters)
        file.write_bytes(Path(str(good[name])).read_bytes())
        made.wait_proven("dev", GOOD)
        assert CANARY not in made.daemon.log.read_text()


def test_a_server_whose_certificate_has_expired_is_told_nothing_until_it_is_renewed(
    tmp_path: Path,
) -> None:
    with simulated(tmp_path, way=Way.HTTPS, expired=True) as made:
        made.merge(files())
        made.daemon.start()
        _wait_told(made, "FetchFailed", "its certificate is expired")
        assert made.served.http is not None
        assert made.served.http.requests == [], "it has learned no token"
        assert all(made.image(cluster) is None for cluster in made.clusters)
        renewed = Authority(tmp_path / "renewed").server("server")
        made.served.http.show(renewed)
        ca_file = made.daemon.settings["repo"]["ca_file"]
        Path(ca_file).write_bytes(renewed.ca_file.read_bytes())
        made.wait_proven("dev", GOOD)


def test_a_token_is_in_no_log_page_metric_or_commit(tmp_path: Path) -> None:
    with simulated(tmp_path, way=Way.HTTP) as made:
        made.start_with(GOOD, QUICK)
        token = Path(str(made.served.access.token_file)).read_text().strip()
        assert made.served.hooks is not None
        made.served.hooks.pre_receive = lambda: f"you sent {token}"
        made.merge(made.pins("2.0.0", marker=CRASHES_IN_STAGING))

        def is_refused() -> bool:
            return bool(made.daemon.logged("RevertRefused") or made.daemon.logged("revert-failed"))

        made.daemon.until(is_refused, "the push is refused")
        made.served.hooks.pre_receive = None
        made.daemon.until(lambda: made.pinned("staging") == digest(GOOD) or made.own_branches(), "")
        log = made.served.repository.git("log", "--all", "--format=%B")
        shown = [made.daemon.log.read_text(), str(made.daemon.status()), made.daemon.metrics(), log]
        assert token not in "".join(shown)
        held = [p for p in (tmp_path / "daemon").rglob("*") if p.is_file()]
        assert not [p for p in held if token.encode() in p.read_bytes()]
