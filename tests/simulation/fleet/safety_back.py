"""What always holds on the way back, seen from outside: rejections, roll-backs and reverts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reconciler.ports.git import CommitFacts
from tests.simulation.fleet.book import SEEN_AFTER_S, Given, Identity, Rejected
from tests.simulation.fleet.witness import Witness

if TYPE_CHECKING:
    from tests.simulation.fleet.safety import Look

BACK_WITHIN_S = 25.0
"""What fails on a cluster that answers, under a daemon left alone, is back by then; mostly after three seconds."""

INCIDENT_S = 150.0
"""Failures of several services closer together may be the platform's."""


def i04_clusters_go_back_before_their_revert_is_committed(look: Look) -> Iterator[str]:
    """No cluster of the environment that failed was last given what the commit takes back, if it can be reached."""
    for commit in look.commits:
        for service, environment, bad, good in reverted(look.witness, commit):
            failed = _failed_in(look.witness, service, commit)
            if environment != failed:
                continue
            for cluster in look.witness.fleet.environment(environment).names():
                given = look.witness.pushed.get(commit.commit, {}).get((service, cluster))
                is_quiet = look.witness.quiet_s(cluster, look.now_s) > SEEN_AFTER_S
                if is_quiet and given is not None and given.version == bad != good:
                    yield f"{commit.commit[:7]} reverts {service} {bad} while {cluster} still has it"


def reverted(witness: Witness, commit: CommitFacts) -> Iterator[tuple[str, str, str, str]]:
    """Yields each pin that a daemon's commit set back: its service and environment, and both versions."""
    if "Reconciler-Action: revert" not in commit.message:
        return
    for service in witness.fleet.services:
        for one in witness.fleet.environments:
            was = witness.repo.pin(service.name, one.name, commit.parents[0])
            now = witness.repo.pin(service.name, one.name, commit.commit)
            if was is not None and now is not None and was[0] != now[0]:
                yield service.name, one.name, was[0], now[0]


def _failed_in(witness: Witness, service: str, commit: CommitFacts) -> str:
    entries = witness.repo.quarantine(service, commit.commit)
    return str(entries[-1]["environments"][0]) if entries else ""


def i05_a_revert_takes_back_what_failed_for_what_was_well_there(look: Look) -> Iterator[str]:
    """Never the other way round, never a good one, and never to what nobody has seen well in that environment."""
    witness = look.witness
    for commit in look.commits:
        for service, environment, bad, good in reverted(witness, commit):
            about = f"{commit.commit[:7]} sets {service} in {environment} from {bad} to {good}"
            clusters = witness.clusters
            fails = any(witness.is_bad(service, cluster, bad) for cluster in clusters)
            if not fails and not witness.is_ever_refused(service):
                yield f"{about}, and {bad} is good everywhere"
            if witness.lost_s:
                # What was well as the home lost its records is adopted, and gone back to without a soak.
                continue
            trees = {tree for (name, tree) in witness.trees if name == service}
            seen = (Identity(good, tree) for tree in sorted(trees))
            if not any(witness.proven(service, environment, one, look.now_s) for one in seen):
                yield f"{about}, which was never well there"


def i07_a_rejection_is_written_before_anything_goes_back(look: Look) -> Iterator[str]:
    """A cluster that is given something else than Git asks for, after what fails there, follows a rejection.

    It stands in the home by then, or in the record of that cluster itself.
    """
    home = look.witness.home
    for given in look.given:
        was = given.was
        if was is None or was.version == given.identity.version or given.asked != was.version:
            continue
        if not look.witness.is_bad(given.service, given.cluster, was.version):
            continue
        written = (
            one
            for one in look.witness.rejections.values()
            if _is_written(one, home, given) or _is_written(one, given.cluster, given)
        )
        if not any(_is_of(one, given.service, was.version) for one in written):
            yield f"{told(given)} instead of {was.version}, which nobody had rejected"


def _known(look: Look, given: Given) -> Iterator[Rejected]:
    """Returns the rejections that were written anywhere before something was given."""
    return (
        one
        for one in look.witness.rejections.values()
        if any(_is_written(one, cluster, given) for cluster in one.written_on)
    )


def _is_written(rejected: Rejected, cluster: str, before: Given) -> bool:
    """By the order of writes: much happens at one moment of virtual time."""
    return rejected.written_on.get(cluster, before.number + 1) <= before.number


def _is_of(rejected: Rejected, service: str, version: str) -> bool:
    return (rejected.service, rejected.version) == (service, version)


def i07_what_is_rejected_stays_out_until_a_person_lifts_it(look: Look) -> Iterator[str]:
    """It is given to no cluster of the environments that the rejection names."""
    witness = look.witness
    for given in look.given:
        if given.identity == given.was:
            continue
        for one in _known(look, given):
            is_held = _is_of(one, given.service, given.identity.version) and one.part == "images"
            if not is_held or given.environment not in one.environments:
                continue
            if (one.service, one.failure) in witness.lifted or witness.is_forgotten(one):
                continue
            yield f"{told(given)}, rejected in {one.environments[0]} at {one.at_s:.2f} s"


def i03_what_fails_goes_back_whatever_befalls_other_clusters(look: Look) -> Iterator[str]:
    """As in 9, while some other cluster is not left alone."""
    if any(_is_troubled(look, cluster) for cluster in look.witness.clusters):
        yield from _overdue(look)


def i09_what_fails_goes_back_in_a_short_time(look: Look) -> Iterator[str]:
    """Without a soak, and through freezes and pauses: if only its own cluster and the daemon are left alone."""
    if not any(_is_troubled(look, cluster) for cluster in look.witness.clusters):
        yield from _overdue(look)


def _is_troubled(look: Look, cluster: str) -> bool:
    return look.now_s - look.witness.disturbed_s.get(cluster, 0.0) < BACK_WITHIN_S


def _overdue(look: Look) -> Iterator[str]:
    """Yields what fails on a cluster that is left alone, and should be back by now."""
    witness = look.witness
    for service in witness.fleet.services:
        if service.name in witness.observed or look.now_s - witness.observed_s < BACK_WITHIN_S:
            continue
        for cluster, environment in witness.environments.items():
            identity, is_well, since_s = witness.state(service.name, cluster)
            if identity is None or is_well or look.now_s - since_s < BACK_WITHIN_S:
                continue
            if not witness.is_bad(service.name, cluster, identity.version):
                continue
            if witness.quiet_s(cluster, look.now_s) < BACK_WITHIN_S:
                continue
            if witness.is_held(service.name, cluster, look.now_s - BACK_WITHIN_S):
                continue
            if not _is_alone(witness, service.name, look.now_s, since_s):
                continue
            if _may_stay(witness, service.name, environment, cluster, identity, look.now_s):
                continue
            yield f"{service.name} {identity.version} fails on {cluster} since {since_s:.2f} s"


def _is_alone(witness: Witness, service: str, now_s: float, since_s: float) -> bool:
    """Whether no other service was ill as this one fell ill: several together are held as the platform's."""
    ill = witness.ill_s(now_s)
    return all(name == service or since_s - last_s > INCIDENT_S for name, last_s in ill.items())


def _may_stay(
    witness: Witness, service: str, environment: str, cluster: str, identity: Identity, now_s: float
) -> bool:
    """Whether nothing proven is there to go back to, or it failed only after it was proven."""
    if witness.lost_s or witness.proven(service, environment, identity, now_s):
        return True
    others = {one.identity for one in witness.given if one.service == service} - {identity}
    return not any(witness.proven(service, environment, one, now_s) for one in sorted(others))


def i10_nothing_new_comes_before_a_way_back_is_complete(look: Look) -> Iterator[str]:
    """Between a rejection and the word that all are back, no cluster there is given what was never proven there."""
    for given in look.given:
        if given.identity == given.was:
            continue
        for one in look.witness.rejections.values():
            is_here = (one.service, one.environments[0]) == (given.service, given.environment)
            if not is_here or not one.at_s < given.at_s < one.back_s or not one.goes_back:
                continue
            if look.witness.lost_s and look.witness.lost_s[-1] > one.at_s:
                continue
            if not look.witness.proven(
                given.service, given.environment, given.identity, given.at_s
            ) and not _is_of(one, given.service, given.identity.version):
                yield f"{told(given)} while the rejection of {one.at_s:.2f} s goes back"


def i15_what_is_only_observed_is_not_written(look: Look) -> Iterator[str]:
    """Once the commit that says so was accepted."""
    for given in look.given:
        if given.is_observed:
            yield f"{told(given)}, which is only observed"


def told(given: Given) -> str:
    """Returns one write in words."""
    version, tree = given.identity
    return (
        f"{given.at_s:.2f} s: {given.holder} gave {given.cluster} {given.service} {version}/{tree}"
    )
