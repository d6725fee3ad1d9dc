"""What only a connection can show: answers that never end, break off, or come from something in between."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.adapters.kube import wire
from reconciler.adapters.kube.client import KubeClient
from reconciler.errors import (
    AdmissionDenied,
    Conflict,
    Denied,
    Expired,
    Refused,
    Throttled,
    TransientError,
    Unreachable,
)
from reconciler.model.objects import ObjectRef
from reconciler.ports.kube import Change
from reconciler.simulated.faults import Drip, HalfPage, Hang, Refuse, Reset, answering
from tests.contract.kube_fronts import (
    config_map,
    listing,
    meeting,
    simulated,
    watch,
    watching,
)

SOON_S = 3.0
"""Many times the limit that the clients here are given; a machine under load needs some of it."""

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
        (answering(500, "", "failed to create typed patch object (a/b): .c: what"), Refused),
        (answering(503, "ServiceUnavailable"), Unreachable),
        (answering(503, "ServiceUnavailable", seconds=3), Throttled),
        (answering(504, "Timeout"), Unreachable),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else value.message[:60],
)
def test_every_refusal_has_its_error(
    answer: Exception, error: type[Exception], tmp_path: Path
) -> None:
    with meeting(tmp_path, answer) as made:
        for ask in (listing(made), watching(made)):
            with pytest.raises(error) as caught:
                ask()
            assert type(caught.value) is error


def test_a_server_that_is_overloaded_names_its_time_in_the_header_alone(tmp_path: Path) -> None:
    # As kube-apiserver's priority and fairness does: plain text, with no Status.
    with page(tmp_path, 429, b"Too many requests", **{"Retry-After": "7"}) as api:
        with pytest.raises(Throttled) as caught:
            api.list("v1", "ConfigMap", namespace=None, label_selector="")
        assert caught.value.retry_after_s == 7.0


def test_a_watch_that_has_begun_may_be_silent_for_longer(tmp_path: Path) -> None:
    with simulated(tmp_path, token="a-token", request_timeout_s=0.5) as made:
        began_s = time.monotonic()
        assert not [e for e in watch(made.api, 2.0) if e.change is not Change.BOOKMARK]
        assert time.monotonic() - began_s > 1.5


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


@pytest.mark.parametrize(
    ("fault", "timeout_s"),
    [(Hang(), 0.1), (Hang(), 60.0), (Drip(0.05), 0.1)],
    ids=["silent", "not begun, whatever its time", "a byte now and then"],
)
def test_a_watch_that_does_not_end_is_given_up_in_time(
    fault: Exception, timeout_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "WATCH_SLACK_S", 0.3)
    with meeting(tmp_path, fault, request_timeout_s=0.3) as made:
        began = time.monotonic()
        with pytest.raises(Unreachable):
            watching(made, timeout_s=timeout_s)()
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


def test_watches_that_we_end_break_off_wherever_they_are_read_and_are_not_begun_again(
    tmp_path: Path,
) -> None:
    with simulated(tmp_path) as made:
        made.api.create(config_map("one"))
        seen = threading.Event()
        ended: list[Exception] = []

        def read() -> None:
            try:
                for _ in watch(made.api, 60):
                    seen.set()
            except Unreachable as error:
                ended.append(error)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        assert seen.wait(SOON_S)
        made.api.end_watches()
        reader.join(SOON_S)
        assert len(ended) == 1
        with pytest.raises(Unreachable, match="we have ended it"):
            list(watch(made.api, 60))
        # Everything else is answered as before.
        assert made.api.get(ObjectRef("v1", "ConfigMap", "default", "one")) is not None


def test_a_server_gives_a_watch_up_whose_client_is_gone(tmp_path: Path) -> None:
    others = _serving()
    with simulated(tmp_path) as made:
        made.api.create(config_map("one"))
        events = watch(made.api, 60)
        next(events)
        (server,) = _serving() - others
        del events  # The generator's end closes the connection.
        server.join(SOON_S)
        assert not server.is_alive()


def _serving() -> set[threading.Thread]:
    return {t for t in threading.enumerate() if "process_request_thread" in t.name}


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
