"""What only a connection can show: answers that never end, break off, or come from something in between."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.kube import wire
from reconciler.adapters.kube.client import KubeClient
from reconciler.adapters.kube.connections import POOL_CONNECTIONS, Allowances, from_kubeconfig
from reconciler.errors import (
    AdmissionDenied,
    Conflict,
    Denied,
    Expired,
    InvalidInput,
    ReconcilerError,
    Refused,
    Throttled,
    TransientError,
    Unreachable,
)
from reconciler.model.objects import ObjectRef
from reconciler.ports.kube import Change, WatchEvent
from reconciler.simulated.faults import Drip, HalfPage, Hang, Refuse, Reset, answering
from tests.contract.kube_fronts import Simulated, simulated

SOON_S = 3.0
"""Many times the limit that the clients here are given; a machine under load needs some of it."""

Object = dict[str, Any]


def config_map(name: str, **data: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": data,
    }


@contextmanager
def meeting(
    folder: Path, fault: Exception | type[Exception], *, request_timeout_s: float = 5.0
) -> Iterator[Simulated]:
    """A cluster on which every request about ConfigMaps meets a fault."""

    def rule(verb: str, steps: list[str]) -> None:
        del verb
        if "configmaps" in steps:
            raise fault

    with simulated(folder, token="a-token", request_timeout_s=request_timeout_s) as made:
        made.faults.rules.append(rule)
        yield made


def listing(made: Simulated) -> Callable[[], object]:
    return lambda: made.api.list("v1", "ConfigMap", namespace=None, label_selector="")


def watching(made: Simulated, timeout_s: float = 5.0) -> Callable[[], object]:
    return lambda: list(watch(made.api, timeout_s))


# Refusals.


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (answering(401, "Unauthorized"), Denied),
        (answering(403, "Forbidden"), Denied),
        (
            answering(403, "Forbidden", 'admission webhook "a.b" denied the request: no'),
            AdmissionDenied,
        ),
        (answering(400, "", 'admission webhook "a.b" denied the request'), AdmissionDenied),
        (answering(409, "Conflict"), Conflict),
        (answering(410, "Expired"), Expired),
        (answering(422, "Invalid"), Refused),
        (answering(429, "TooManyRequests"), Throttled),
        (answering(500, "InternalError"), Unreachable),
        (answering(500, "InternalError", "failed calling webhook: timed out"), Unreachable),
        (answering(503, "ServiceUnavailable"), Unreachable),
        (answering(503, "ServiceUnavailable", seconds=3), Throttled),
        (answering(504, "Timeout"), Unreachable),
    ],
    ids=lambda value: f"{value.code} {value.message[:30]}" if hasattr(value, "code") else "",
)
def test_every_refusal_has_its_error(
    answer: Exception, error: type[Exception], tmp_path: Path
) -> None:
    if not getattr(answer, "reason", ""):
        answer = answering(400, "BadRequest", getattr(answer, "message", ""))
    with meeting(tmp_path, answer) as made:
        for ask in (listing(made), watching(made)):
            with pytest.raises(error) as caught:
                ask()
            assert type(caught.value) is error


@pytest.mark.parametrize(("given_s", "taken_s"), [(7, 7.0), (99_999, 300.0)])
def test_a_server_that_asks_for_less_says_for_how_long(
    given_s: int, taken_s: float, tmp_path: Path
) -> None:
    with meeting(tmp_path, answering(429, "TooManyRequests", seconds=given_s)) as made:
        for ask in (listing(made), watching(made)):
            with pytest.raises(Throttled) as caught:
                ask()
            assert caught.value.retry_after_s == taken_s


def test_a_wrong_token_is_denied_and_not_quoted(tmp_path: Path) -> None:
    with simulated(tmp_path, token="a-token") as made:
        made.server.token = "another-token"
        with pytest.raises(Denied) as caught:
            listing(made)()
        assert "a-token" not in str(caught.value)


def test_an_error_of_discovery_is_not_a_kind_that_is_not_served(tmp_path: Path) -> None:
    def forbid(verb: str, steps: list[str]) -> None:
        raise answering(403, "Forbidden")

    with simulated(tmp_path) as made:
        made.faults.rules.append(forbid)
        with pytest.raises(Denied):
            made.api.kind("apps/v1", "Deployment")


def test_a_write_is_sent_once_whatever_becomes_of_it(tmp_path: Path) -> None:
    asked: list[str] = []

    def fail(verb: str, steps: list[str]) -> None:
        if "configmaps" in steps:
            asked.append(verb)
            raise Refuse

    with simulated(tmp_path) as made:
        made.faults.rules.append(fail)
        obj = config_map("one")
        for write in (
            lambda: made.api.create(obj),
            lambda: made.api.apply(obj, force=True, dry_run=False),
            lambda: made.api.replace(obj, subresource=None),
            listing(made),
        ):
            with pytest.raises(Unreachable):
                write()
    assert asked == ["create", "patch", "update", "get"]


# Answers that do not come whole.


@pytest.mark.parametrize("fault", [HalfPage, Refuse, Reset], ids=lambda fault: fault.__name__)
def test_an_answer_that_breaks_off_is_no_answer(fault: type[Exception], tmp_path: Path) -> None:
    with meeting(tmp_path, fault) as made:
        for ask in (listing(made), watching(made)):
            with pytest.raises(Unreachable):
                ask()


@pytest.mark.parametrize("fault", [Hang(), Drip(0.05)], ids=["silent", "a byte now and then"])
def test_an_answer_that_does_not_end_is_given_up_in_time(fault: Exception, tmp_path: Path) -> None:
    with meeting(tmp_path, fault, request_timeout_s=0.3) as made:
        began = time.monotonic()
        with pytest.raises(Unreachable):
            listing(made)()
        assert time.monotonic() - began < SOON_S


@pytest.mark.parametrize("fault", [Hang(), Drip(0.05)], ids=["silent", "a byte now and then"])
def test_a_watch_that_does_not_end_is_given_up_in_time(
    fault: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "WATCH_SLACK_S", 0.3)
    with meeting(tmp_path, fault, request_timeout_s=0.3) as made:
        began = time.monotonic()
        with pytest.raises(Unreachable):
            watching(made, timeout_s=0.1)()
        assert time.monotonic() - began < SOON_S


def test_nobody_at_home_is_no_answer(tmp_path: Path) -> None:
    with simulated(tmp_path) as made:
        pass
    with pytest.raises(Unreachable) as caught:
        listing(made)()
    assert "refused" in str(caught.value)


def test_a_list_whose_second_page_fails_is_no_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.adapters.kube.client.PAGE_ITEMS", 3)
    with simulated(tmp_path) as made:
        for number in range(7):
            made.api.create(config_map(f"map-{number}"))
        assert len(made.api.list("v1", "ConfigMap", namespace=None, label_selector="").items) == 7
        pages: list[int] = []

        def fail(verb: str, steps: list[str]) -> None:
            pages.append(1)
            if len(pages) == 2:
                raise answering(500, "InternalError")
            if len(pages) == 4:
                made.server.api.forget_lists()

        made.faults.rules.append(fail)
        with pytest.raises(Unreachable):
            listing(made)()
        with pytest.raises(Expired):
            listing(made)()


def test_pages_are_all_of_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.adapters.kube.client.PAGE_ITEMS", 3)
    with simulated(tmp_path) as made:
        for number in range(7):
            made.api.create(config_map(f"map-{number}"))

        def write(verb: str, steps: list[str]) -> None:
            made.cluster.client().create(config_map(f"aaa-{time.monotonic_ns()}"))

        made.faults.rules.append(write)
        found = made.api.list("v1", "ConfigMap", namespace=None, label_selector="")
        names = [obj["metadata"]["name"] for obj in found.items]
        assert len(names) == len(set(names)) == 8


def test_a_watch_that_is_cut_off_says_so_and_what_came_before_stands(tmp_path: Path) -> None:
    with simulated(tmp_path) as made:
        made.api.create(config_map("one"))
        seen = []
        with pytest.raises(Unreachable):
            for event in watch(made.api, 30):
                seen.append(event)
                made.faults.is_cut = True
                made.cluster.client().create(config_map(f"more-{len(seen)}"))
        assert seen[0].object["metadata"]["name"] == "one"


# Answers of something else than an API server.


class Page(http.server.BaseHTTPRequestHandler):
    """Answers everything with the same page."""

    answer: tuple[int, str, bytes] = (200, "text/html", b"")
    headers_more: tuple[tuple[str, str], ...] = ()

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""

    def do_GET(self) -> None:
        """Answers."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        code, kind, octets = self.answer
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(octets)))
        for name, value in self.headers_more:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(octets)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815  # the library's names


@contextmanager
def page(folder: Path, code: int, octets: bytes, **headers: str) -> Iterator[KubeClient]:
    """A client of a server that is no API server; it knows the kind, and meets the page then."""

    class Handler(Page):
        answer = (code, "text/html", octets)
        headers_more = tuple(headers.items())

    with (
        simulated(folder) as made,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server,
    ):
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        assert made.api.kind("v1", "ConfigMap")
        tree = json.loads(made.kubeconfig.read_text())
        address = f"http://127.0.0.1:{server.server_address[1]}"
        tree["clusters"][0]["cluster"]["server"] = address
        made.kubeconfig.write_text(json.dumps(tree))
        try:
            yield made.api
        finally:
            server.shutdown()


HTML = b"<html>welcome to the coffee shop's network</html>"


@pytest.mark.parametrize(
    ("code", "octets"),
    [
        pytest.param(200, HTML, id="a page"),
        pytest.param(200, b'{"kind": "List"}', id="a list of nothing"),
        pytest.param(200, b'{"metadata": {}, "items": []}', id="an empty list of no version"),
        pytest.param(200, b"[]", id="no object"),
        pytest.param(200, b"", id="nothing"),
        pytest.param(302, HTML, id="a redirect"),
        pytest.param(400, HTML, id="a bad request"),
        pytest.param(404, HTML, id="not found"),
        pytest.param(404, b"404 page not found", id="not found in the words of an API server"),
        pytest.param(413, HTML, id="too large"),
        pytest.param(502, HTML, id="a bad gateway"),
    ],
)
def test_what_a_proxy_says_is_no_answer(code: int, octets: bytes, tmp_path: Path) -> None:
    one = ObjectRef("v1", "ConfigMap", "default", "one")
    with page(tmp_path, code, octets, Location="http://example.com/") as api:
        asks: list[Callable[[], object]] = [
            lambda: api.get(one),
            lambda: api.list("v1", "ConfigMap", namespace=None, label_selector=""),
            lambda: api.kind("apps/v1", "Deployment"),
            lambda: api.create(config_map("one")),
            lambda: api.apply(config_map("one"), force=True, dry_run=False),
            lambda: list(watch(api)),
        ]
        for ask in asks:
            with pytest.raises(TransientError):
                assert not ask(), "something was believed"
                # A watch may end in silence, after which the version is asked for.
                raise Unreachable("watch", "it was silent", "nothing was said")


def watch(api: KubeClient, timeout_s: float = 1.0) -> Iterator[WatchEvent]:
    return api.watch(
        "v1",
        "ConfigMap",
        namespace=None,
        label_selector="",
        resource_version="1",
        timeout_s=timeout_s,
    )


@pytest.mark.parametrize(
    "line",
    [
        b"not json\n",
        b'{"type": "ADDED"}\n',
        b'{"type": "SOMETHING", "object": {}}\n',
        b'{"type": "ADDED", "object": ',
        b'{"type": "ERROR", "object": {"kind": "Status", "code": 500}}\n',
    ],
)
def test_a_line_that_is_no_event_breaks_the_watch(line: bytes, tmp_path: Path) -> None:
    with page(tmp_path, 200, line) as api, pytest.raises(Unreachable):
        list(watch(api))


def test_an_expired_place_may_be_told_inside_of_the_watch(tmp_path: Path) -> None:
    line = b'{"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}\n'
    with page(tmp_path, 200, line) as api, pytest.raises(Expired):
        list(watch(api))


def test_an_answer_without_an_end_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with page(tmp_path, 200, b" " * 300_000) as api:
        monkeypatch.setattr(wire, "BODY_BYTES_MAX", 1000)
        monkeypatch.setattr(wire, "LINE_BYTES_MAX", 1000)
        with pytest.raises(Unreachable, match="over 1000 bytes"):
            api.list("v1", "ConfigMap", namespace=None, label_selector="")
        with pytest.raises(Unreachable, match="over 1000 bytes"):
            list(watch(api))


# Connections.


def test_more_watches_than_are_kept_connections_run_side_by_side(tmp_path: Path) -> None:
    count = POOL_CONNECTIONS + 8
    with simulated(tmp_path) as made:
        version = made.api.list(
            "v1", "ConfigMap", namespace=None, label_selector=""
        ).resource_version
        seen: list[Change] = []

        def follow() -> None:
            for event in made.api.watch(
                "v1",
                "ConfigMap",
                namespace=None,
                label_selector="",
                resource_version=version,
                timeout_s=30,
            ):
                if event.change is Change.ADDED:
                    seen.append(event.change)
                    return

        threads = [threading.Thread(target=follow) for _ in range(count)]
        for thread in threads:
            thread.start()
        made.api.create(config_map("one"))
        for thread in threads:
            thread.join(20)
        assert len(seen) == count
        # What the watches leave behind does not take the place of connections that can be used.
        assert made.api.get(ObjectRef("v1", "ConfigMap", "default", "one")) is not None


def test_requests_share_a_connection_after_any_number_of_watches(tmp_path: Path) -> None:
    with simulated(tmp_path) as made:
        for _ in range(3):
            watching(made, timeout_s=0.1)()
        before = made.server.connections
        for _ in range(20):
            listing(made)()
        assert made.server.connections - before <= 1


# Credentials.


def test_a_token_is_read_again_when_the_kubeconfig_changes(tmp_path: Path) -> None:
    with simulated(tmp_path, token="first-token") as made:
        listing(made)()
        made.server.token = "second-token"
        with pytest.raises(Denied):
            listing(made)()
        rewrite(made.kubeconfig, lambda user: user.update(token="second-token"))
        listing(made)()


def test_a_kubeconfig_that_is_broken_or_gone_leaves_what_was_read(tmp_path: Path) -> None:
    with simulated(tmp_path, token="a-token") as made:
        text = made.kubeconfig.read_text()
        for broken in ("", "{[", "{}", text.replace('"token"', '"exec"')):
            made.kubeconfig.write_text(broken)
            listing(made)()
        made.kubeconfig.unlink()
        listing(made)()
        made.server.token = "another"
        made.kubeconfig.write_text(text.replace("a-token", "another"))
        listing(made)()


def test_a_token_file_beside_the_kubeconfig_is_followed_and_its_line_break_is_no_part_of_it(
    tmp_path: Path,
) -> None:
    with simulated(tmp_path, token="first-token") as made:
        (tmp_path / "first").write_text("first-token\n")
        (tmp_path / "second").write_text("second-token\n")
        (tmp_path / "token").symlink_to("first")
        rewrite(made.kubeconfig, lambda user: (user.pop("token"), user.update(tokenFile="token")))
        api = from_kubeconfig(
            made.kubeconfig,
            "http",
            name="http",
            allow=Allowances(file_references=True),
            request_timeout_s=5,
        )
        assert api.kind("v1", "ConfigMap")
        made.server.token = "second-token"
        # As a mounted Secret is replaced: a link is put in the place of a link.
        (tmp_path / "new").symlink_to("second")
        (tmp_path / "new").replace(tmp_path / "token")
        assert api.list("v1", "ConfigMap", namespace=None, label_selector="").resource_version


def test_a_token_that_cannot_be_sent_is_refused_and_not_quoted(tmp_path: Path) -> None:
    with simulated(tmp_path, token="a-token") as made:
        rewrite(made.kubeconfig, lambda user: user.update(token="canary\ncanary"))
        with pytest.raises(InvalidInput) as caught:
            listing(made)()
        told: BaseException | None = caught.value
        while told is not None:
            assert "canary" not in str(told)
            told = told.__cause__


def rewrite(kubeconfig: Path, edit: Callable[[Object], object]) -> None:
    tree = json.loads(kubeconfig.read_text())
    edit(tree["users"][0]["user"])
    kubeconfig.write_text(json.dumps(tree))


def test_a_number_that_no_api_server_takes_is_refused(tmp_path: Path) -> None:
    with simulated(tmp_path) as made:
        wrong = {**config_map("one"), "data": {"x": 2**70}}
        with pytest.raises(Refused):
            made.api.apply(wrong, force=False, dry_run=False)


def test_how_far_the_servers_clock_is_off_is_known(tmp_path: Path) -> None:
    with simulated(tmp_path, skew_s=3600) as made:
        assert made.api.skew_s is None
        listing(made)()
        assert made.api.skew_s == pytest.approx(3600, abs=5)


def test_every_error_of_ours_has_a_cause_that_a_person_can_read(tmp_path: Path) -> None:
    with meeting(tmp_path, Reset) as made, pytest.raises(ReconcilerError) as caught:
        listing(made)()
    assert "ConfigMap on http: cannot be listed: " in str(caught.value)
