"""The page of a service: why it is where it is, what changes that, and when."""

from __future__ import annotations

import pytest

from tests.unit.web.test_board import LINE, client, explained, status


def test_a_services_page_says_why_and_what_would_change_it() -> None:
    answer = client(status(*LINE), explained()).get("/services/web")
    assert answer.status_code == 200
    for words in (
        "web in prod is Waiting",
        "staging proves it",
        "ProvenBefore",
        "staging must run it",
    ):
        assert words in answer.text
    assert "open gates: NotPaused" in answer.text
    part = client(status(*LINE), explained()).get("/services/web/part").text
    assert "<html" not in part and "ProvenBefore" in part
    assert 'data-part="/services/web/part"' in answer.text


def test_a_gate_that_a_person_skips_says_who_and_why() -> None:
    document = explained()
    (row,) = document["environments"]
    skipped = {"state": "open", "reason": "Skipped", "message": "kim skips it: it burns"}
    row["gates"].append({**row["gates"][0], **skipped, "name": "NotFrozen"})
    html = client(status(*LINE), document).get("/services/web").text
    assert "gate NotFrozen is skipped: kim skips it: it burns" in html
    assert "open gates: NotPaused<" in html


@pytest.mark.parametrize(("source", "is_told"), [("9f31c02", True), (None, False)])
def test_a_settled_pin_says_how_it_floats_again(source: str | None, is_told: bool) -> None:
    following = {"action": "Hold", "reason": "Settled", "message": "m", "next_check_at": None}
    document = explained(fixed_source=source, next={**following, "unblock": "delete that line"})
    html = client(status(*LINE), document).get("/services/web").text
    assert ("delete that line" in html) is is_told


def test_a_services_page_says_when_time_alone_may_change_it() -> None:
    assert "next look" not in client(status(*LINE), explained()).get("/services/web").text
    document = explained()
    (row,) = document["environments"]
    row["next"]["next_check_at"] = "2026-01-31T12:00:00.5Z"
    row["gates"][0]["next_check_at"] = "2026-01-31T12:20:00Z"
    html = client(status(*LINE), document).get("/services/web").text
    for at, words in (("12:00:00.5Z", "12:00:00"), ("12:20:00Z", "12:20:00")):
        assert f'<time datetime="2026-01-31T{at}">2026-01-31 {words} UTC</time>' in html
    assert html.count("next look") == 2
