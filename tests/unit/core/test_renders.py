"""One digest for what is rendered, or was applied, on all clusters of an environment."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core.renders import applied_everywhere, together
from reconciler.model.names import ClusterName, RenderDigest
from tests.fakes.facts import AWAY, PROD, V2, cell, record

ONE, TWO = ClusterName("prod-1"), ClusterName("prod-2")
A, B = RenderDigest("sha256:a"), RenderDigest("sha256:b")
MEMBERS = cell(PROD, record(PROD)).members


def test_it_is_the_same_for_the_same_renders_in_whatever_order() -> None:
    assert together([(ONE, A), (TWO, B)]) == together([(TWO, B), (ONE, A)])


def test_it_is_another_for_other_renders_or_other_clusters() -> None:
    all_of_them = {
        together([(ONE, A), (TWO, B)]),
        together([(ONE, B), (TWO, A)]),
        together([(ONE, A)]),
        together([(ONE, A), (TWO, A)]),
    }
    assert len(all_of_them) == 4


def test_what_was_applied_is_compared_with_what_would_be() -> None:
    would_be = [(m.cluster, m.record.render_digest) for m in MEMBERS if m.record]
    assert applied_everywhere(MEMBERS) == together([(c, d) for c, d in would_be if d])


def test_it_is_not_known_where_one_cluster_is_not() -> None:
    away = replace(MEMBERS[0], **AWAY)
    bare = replace(MEMBERS[0], record=None)
    was = MEMBERS[0].record
    assert was is not None
    half = replace(MEMBERS[0], record=replace(was, applied=V2.id))
    undigested = replace(MEMBERS[0], record=replace(was, render_digest=None))
    for odd in (away, bare, half, undigested):
        assert applied_everywhere((odd, *MEMBERS[1:])) is None
    assert applied_everywhere(()) is None
