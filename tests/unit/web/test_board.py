"""The board's pages: whole without a script, escaped, and never anything but a page."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from reconciler.core.phase import Phase
from reconciler.core.reporting import blank
from reconciler.model.times import rfc3339
from reconciler.web import board as board_module
from reconciler.web import showing
from reconciler.web.board import HEADERS, board

NASTY = "<script>alert(1)</script>\"'&"
REVISION = {"version": "1.9.0", "identity": "i", "revision": "r", "source": "a" * 40}


def cell(service: str, environment: str, step: int, **more: Any) -> dict[str, Any]:
    return {
        "service": service,
        "environment": environment,
        "step": step,
        "phase": "Proven",
        "reason": "Settled",
        "message": "1.9.0 is proven here",
        "since": "2026-01-31T12:00:00Z",
        "wanted": REVISION,
        "admitted": REVISION,
        "last_proven": REVISION,
        "last_rejection": None,
        "wave": None,
        "soak_left_s": None,
        "clusters": [member(f"{environment}-1")],
        **more,
    }


def member(name: str, **more: Any) -> dict[str, Any]:
    found = {
        "name": name,
        "state": "active",
        "reachable": True,
        "applied": REVISION,
        "health": "Current",
    }
    return {**found, "reason": "", "message": "", "drift": 0, **more}


def status(*cells: dict[str, Any], **more: Any) -> dict[str, Any]:
    document = blank("status", mode="enforce", cells=list(cells), **more)
    document["head"]["branch"] = "main"
    return document


def explained(**more: Any) -> dict[str, Any]:
    row = {
        "environment": "prod",
        "step": 3,
        "phase": "Waiting",
        "summary": "web in prod is Waiting: it is not proven in staging",
        "wanted": REVISION,
        "admitted": None,
        "fixed_source": None,
        "next": {
            "action": "Hold",
            "reason": "WaitingForProof",
            "message": "m",
            "unblock": "staging proves it",
            "next_check_at": None,
        },
        "gates": [
            {
                "name": "ProvenBefore",
                "state": "closed",
                "reason": "WaitingForProof",
                "message": "it is not proven in staging",
                "unblock": "staging must run it",
                "next_check_at": None,
            },
            {
                "name": "NotPaused",
                "state": "open",
                "reason": "Open",
                "message": "",
                "unblock": "",
                "next_check_at": None,
            },
        ],
        **more,
    }
    return blank("explain", service="web", environments=[row])


class Client:
    """Asks an application in this process."""

    def __init__(self, application: Starlette) -> None:
        self._application = application

    def get(self, path: str) -> httpx.Response:
        return self.request("GET", path)

    def request(self, method: str, path: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._application, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://board") as asking:
                return await asking.request(method, path)

        return asyncio.run(ask())


def client(document: dict[str, Any], explanation: dict[str, Any] | None = None) -> Client:
    def explain(name: str) -> dict[str, Any]:
        return explanation if explanation and name == "web" else blank("explain", service=name)

    return Client(board(lambda: document, explain, lambda: document))


LINE = [cell("web", e, i) for i, e in ((1, "dev"), (2, "staging"), (3, "prod"))]


def test_the_table_has_the_order_of_promotion_and_headers_for_every_cell() -> None:
    html = client(status(*sorted(LINE, key=lambda c: str(c["environment"])))).get("/").text
    assert re.findall(r'<th scope="col">(\w+)</th>', html) == ["service", "dev", "staging", "prod"]
    assert '<th scope="row"><a href="/services/web">web</a></th>' in html
    assert "<caption>" in html and 'lang="en"' in html
    assert "All 3 are proven" in html and "1.9.0" in html


def test_a_page_needs_nothing_from_elsewhere_and_no_script() -> None:
    answer = client(status(*LINE)).get("/")
    assert '<noscript><meta http-equiv="refresh"' in answer.text
    sources = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert all(source.startswith(("/", "data:,")) for source in sources)
    assert "style=" not in answer.text and "onclick" not in answer.text
    assert not re.search(r"<script>|<style>", answer.text), "the policy lets no inline code run"


@pytest.mark.parametrize(
    "path", ["/", "/table", "/api/status", "/services/web", "/board.css", "/board.js", "/x"]
)
def test_every_answer_has_its_policy(path: str) -> None:
    answer = client(status(*LINE), explained()).get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value, path
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "phase",
    ["Suspended", "RollingBack", "RevertPending", "Rejected", "Unknown", "Orphaned", "Held"],
)
def test_what_is_not_well_is_said_in_words_first(phase: str) -> None:
    held = cell("web", "prod", 3, phase=phase, reason="Why", message="because")
    html = client(status(LINE[0], held)).get("/").text
    assert "1 of 2 are proven; 1 to look at" in html
    assert f"web in prod is {phase}" in html and "Why: because" in html
    assert html.index("web in prod is") < html.index("<table>")
    assert "<title>1 to look at" in html


@pytest.mark.parametrize("phase", ["RollingOut", "Soaking", "Waiting", "Paused"])
def test_what_goes_on_by_itself_wakes_nobody(phase: str) -> None:
    html = client(status(cell("web", "prod", 3, phase=phase))).get("/").text
    assert "0 of 1 are proven." in html and "to look at" not in html
    assert f"{showing.sign(phase)} {phase}" in html


@pytest.mark.parametrize("phase", Phase)
def test_a_cell_says_its_phase_why_and_since_when(phase: Phase) -> None:
    since = "2026-01-31T12:00:00Z"
    there = cell("web", "prod", 3, phase=phase.value, reason="Why", message="because", since=since)
    table = client(status(there)).get("/table").text.partition("<table>")[2]
    assert f"{showing.sign(phase)} {phase}</span>" in table
    assert "<b>Why</b>: because" in table and f'since <time datetime="{since}">' in table


def test_what_is_settled_or_is_told_without_a_reason_has_no_empty_words() -> None:
    quiet = cell("api", "prod", 3, phase="RollingOut", reason="", message="")
    html = client(status(LINE[0], quiet)).get("/table").text
    assert "Settled" not in html and "<b></b>" not in html


def test_a_cell_says_since_when_and_how_far_it_is() -> None:
    now = datetime.now(UTC)
    since = rfc3339(now - timedelta(minutes=5))
    soaking = cell(
        "web", "prod", 3, phase="Soaking", since=since, wave={"index": 1, "of": 2}, soak_left_s=41.6
    )
    html = client(status(soaking)).get("/").text
    shown = f"{since[:10]} {since[11:19]} UTC"
    assert re.search(
        rf'since <time datetime="{re.escape(since)}">{shown}</time> <span class="ago">\(5 min ago\)',
        html,
    )
    assert "wave 1 of 2, 42 s of soak left" in html


def test_a_phase_or_a_health_that_nobody_knows_is_bad() -> None:
    assert (showing.tone("New"), showing.sign("New")) == ("bad", "✖")
    assert showing.cluster_tone(member("a", health="New")) == "bad"
    assert showing.cluster_tone(member("a", health="Unknown")) == "wait"
    assert showing.cluster_tone(member("a", reachable=False)) == "bad"
    assert showing.cluster_tone(member("a", reachable=False, state="joining")) == "bad"


def test_a_cluster_that_drains_or_joins_says_so_and_one_that_drains_may_be_off() -> None:
    off = member("a", reachable=False, state="draining")
    assert (showing.cluster_tone(off), showing.cluster_words(off)) == (
        "wait",
        "draining, does not answer",
    )
    assert showing.cluster_words(member("a", state="joining")) == "joining, Current"


def test_clusters_say_what_they_are_like_in_words() -> None:
    down = member("prod-1", reachable=False)
    drifted = member("prod-2", drift=2)
    failed = member("prod-3", health="Failed", reason="CrashLoopBackOff")
    html = client(status(cell("web", "prod", 3, clusters=[down, drifted, failed]))).get("/").text
    assert "prod-1: does not answer" in html
    assert "prod-2: Current, 2 fields drifted" in html
    assert "prod-3: Failed, CrashLoopBackOff" in html
    assert "2 to look at" in html, "one that does not answer is told once, with its error"


def rejection(at: datetime, **more: Any) -> dict[str, Any]:
    return {
        "revision": {**REVISION, "version": "2.0.0"},
        "failed_in": "staging",
        "reason": "CrashLoopBackOff",
        "message": "it ended",
        "rejected_at": rfc3339(at),
        "rolled_back_at": rfc3339(at),
        "commit": "c" * 40,
        **more,
    }


def test_what_was_taken_back_is_told_for_a_day_although_all_is_well() -> None:
    now = datetime.now(UTC)
    fresh, old = rejection(now - timedelta(hours=1)), rejection(now - timedelta(hours=25))
    cells = [
        cell("web", "staging", 2, last_rejection=fresh),
        cell("web", "prod", 3, last_rejection=fresh),
        cell("api", "staging", 2, last_rejection=old),
    ]
    html = client(status(*cells)).get("/").text
    assert "All 3 are proven" in html
    assert html.count("failed in staging") == 1
    assert "web 2.0.0" in html and "60 min ago" in html and "cccccccccccc" in html
    pending = rejection(now, commit=None, rolled_back_at=None)
    html = client(status(cell("web", "staging", 2, last_rejection=pending))).get("/").text
    assert "not all back yet" in html and "not in Git yet" in html


def test_what_was_just_applied_is_no_cause_for_alarm() -> None:
    applied = member("staging-1", health="Unknown", reason="Applied")
    html = (
        client(status(cell("web", "staging", 2, phase="RollingOut", clusters=[applied])))
        .get("/")
        .text
    )
    assert "staging-1: just applied" in html and "to look at" not in html


def test_everything_that_is_wrong_with_the_whole_is_at_the_top() -> None:
    document = status(
        *LINE,
        halted="HEAD does not descend",
        errors=[{"object": "cluster prod-2", "what": "it does not answer", "why": "w", "fix": "f"}],
        reverts_pending=[
            {
                "service": "web",
                "environments": ["prod", "staging"],
                "revision": "r",
                "since": "2026-01-31T12:00:00Z",
                "branch": "reconciler/revert-web-1",
            }
        ],
    )
    broken = {"path": "environments/dev/web.yaml", "line": 3, "column": 7}
    document["head"]["broken"] = [{**broken, "what": "it is wrong", "why": "so", "fix": "mend it"}]
    html = client(document).get("/").text
    for words in (
        *("No forward moves anywhere", "cluster prod-2: it does not answer"),
        *("environments/dev/web.yaml:3:7", "mend it", "reconciler/revert-web-1"),
    ):
        assert words in html
    assert "4 to look at" in html


def test_whatever_is_shown_is_escaped() -> None:
    nasty = cell(
        NASTY, NASTY, 1, phase="Held", reason=NASTY, message=NASTY,
        admitted={**REVISION, "version": NASTY}, clusters=[member(NASTY, health=NASTY, reason=NASTY)],
    )  # fmt: skip
    document = status(nasty, halted=NASTY)
    document["head"]["error"] = NASTY
    for path in ("/", "/table"):
        html = client(document).get(path).text
        assert "<script>alert" not in html
        assert "&lt;script&gt;" in html
    html = client(document, explained(summary=NASTY, environment=NASTY)).get("/services/web").text
    assert "<script>alert" not in html


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/services/nobody",
            "/services/nobody/part",
            "/services/",
            "/services/a/b/c",
            "/x",
            "/..%2f..%2fetc",
        ),
        *(
            "/services/%00",
            "/services/%3Cscript%3E",
            "/board.html",
            "/templates/board.css",
            "/api",
            "/%ff",
        ),
        "/" + "x" * 5000,
    ],
)
def test_a_bad_address_is_a_page_that_leads_home(path: str) -> None:
    answer = client(status(*LINE), explained()).get(path)
    assert answer.status_code == 404
    assert 'href="/"' in answer.text and "there is no such page" in answer.text
    assert "<script>" not in answer.text


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_nothing_can_be_changed(method: str) -> None:
    answer = client(status(*LINE)).request(method, "/")
    assert answer.status_code == 405 and "only be read" in answer.text


def test_a_bug_of_ours_says_nothing_of_itself() -> None:
    def bug() -> dict[str, Any]:
        raise KeyError("hunter2")

    app = board(bug, lambda name: blank("explain"), lambda: None)
    answer = Client(app).get("/")
    assert answer.status_code == 500 and "hunter2" not in answer.text


def test_before_anything_is_known_the_page_says_so() -> None:
    html = client(blank("status", mode="observe")).get("/").text
    assert "No services are known yet" in html and "never fetched" in html and "<table>" not in html


def test_a_hundred_services_are_one_page_of_reasonable_size() -> None:
    cells = [cell(f"s{i:03}", e, n) for i in range(100) for n, e in enumerate(("a", "b", "c"), 1)]
    answer = client(status(*cells)).get("/")
    assert answer.text.count('<th scope="row">') == 100
    assert len(answer.content) < 400_000


def test_open_pages_cost_one_look_a_turn() -> None:
    looks = []

    def look() -> dict[str, Any]:
        looks.append(1)
        return status(*LINE)

    view = object()
    news = board_module._News(look, lambda: view)
    first = news.digest()
    assert [news.digest() for _ in range(10)] == [first] * 10
    assert len(looks) == 1
    view = object()
    assert news.digest() == first, "another turn that saw the same is no news"
    assert len(looks) == 2
