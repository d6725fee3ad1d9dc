"""Hotfixes in the whole daemon: past a soak, a window and a freeze by the word of who may, and never what is bad."""

from __future__ import annotations

from reconciler.core.reporting import explain
from reconciler.model.events import EventKind
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.simulated.behaviour import Fate
from tests.fakes.memory_git import PERSON
from tests.fakes.world import CLUSTERS, FLEET, POLICY, World, image, pin, pins

GOOD, NEWER = "1.0.0", "1.1.0"
KIM, EVE = "Kim <kim@example.com>", "Eve <eve@example.com>"
PRINCIPAL = "kim@example.com"
SIGNERS = {KIM: PRINCIPAL, PERSON: "person"}
PIN = "environments/prod/web.yaml"
NEVER = "windows: {deny: [{cron: '* * * * *', for_s: 86400, zone: UTC}]}"
HOTFIX = f"hotfix: {{by: [{PRINCIPAL}], gates: [soak, window, freeze]}}"

SLOW = (
    POLICY.replace("DRIFT", "report")
    .replace("staging: {soak_s: 5", "staging: {soak_s: 100000")
    .replace("  prod:\n", f"  prod:\n    {NEVER}\n    {HOTFIX}\n")
)
FROZEN = {"fleet.yaml": FLEET + "freezes: [{scope: environment/prod, reason: a sale}]\n"}


def begun(*, crashes: bool = False, signers: dict[str, str] | None = None) -> World:
    """Returns a fleet that is frozen, out of its window and slow, on which a newer release soaks in staging."""
    world = World(signers=SIGNERS if signers is None else signers)
    world.git.merge(pins(GOOD), author=KIM)
    assert world.until(lambda: world.proven("prod", GOOD))
    if crashes:
        world.fates[("staging-1", NEWER)] = Fate.CRASH
    world.git.merge({"policies/line.yaml": SLOW, **FROZEN, **pins(NEWER)}, author=KIM)
    assert world.until(lambda: world.image("staging-1") == image(NEWER))
    return world


def skip(world: World, gates: str = "soak, window, freeze") -> dict[str, str]:
    """Returns prod's pin of the newer release, with what it asks for now let past some gates."""
    view = world.engine.view
    assert view is not None
    cells = view.services[ServiceName("web")].facts.cells
    wanted = next(c.ask.wanted for c in cells if c.environment == EnvironmentName("prod"))
    assert wanted is not None
    line = f"skip: {{gates: [{gates}], revision: '{wanted.id}', reason: it burns, by: Kim}}\n"
    return {PIN: pin(NEWER) + line}


def shut(world: World) -> dict[str, str]:
    """Returns the gates of prod as `explain` tells them, but for those that are simply open."""
    view = world.engine.view
    assert view is not None
    document = explain(view, ServiceName("web"), EnvironmentName("prod"))
    (row,) = document["environments"]
    return {g["name"]: g["message"] for g in row["gates"] if g["reason"] != "Open"}


def untouched(world: World) -> bool:
    return {world.image(name) for name in CLUSTERS["prod"]} == {image(GOOD)}


def test_a_hotfix_goes_past_soak_window_and_freeze_once_it_was_seen_healthy() -> None:
    world = begun()
    world.pass_(10)
    assert untouched(world)
    world.git.merge(skip(world), author=EVE)
    world.pass_(10)
    assert untouched(world)
    assert "none of the allowed signers has signed" in shut(world)["NotFrozen"]
    world.git.merge({PIN: pin(NEWER)}, author=EVE)
    world.git.merge(skip(world, "window, freeze"), author=KIM)
    world.pass_(10)
    assert untouched(world), "its soak was not skipped"
    world.git.merge(skip(world), author=KIM)
    assert world.until(lambda: world.image("prod-1") == image(NEWER), 30)
    assert not world.proven("staging", NEWER)
    told = shut(world)
    for name in ("ProvenBefore", "InWindow", "NotFrozen"):
        assert told[name].startswith(f"{PRINCIPAL} skips it: it burns; without that: "), name
    assert world.until(lambda: world.proven("prod", NEWER)), "its own waves soak as ever"
    (event,) = (e for e in world.told(EventKind.ADMITTED) if e.reason == "Skipped")
    assert event.message == f"{PRINCIPAL} skips soak, window, freeze: it burns"
    # Whatever is pinned next is let past nothing.
    world.git.merge({PIN: skip(world)[PIN].replace(NEWER, "1.2.0")}, author=KIM)
    world.pass_(20)
    assert {world.image(name) for name in CLUSTERS["prod"]} == {image(NEWER)}


def test_who_is_taken_off_the_list_in_mid_roll_out_gets_no_further() -> None:
    signers = {KIM: PRINCIPAL, PERSON: "person"}
    world = begun(signers=signers)
    world.git.merge(skip(world), author=KIM)
    assert world.until(lambda: world.image("prod-1") == image(NEWER), 30)
    del signers[KIM]
    world.pass_(30)
    assert world.image("prod-2") == image(GOOD)
    assert "none of the allowed signers has signed" in shut(world)["NotFrozen"]
    signers[KIM] = PRINCIPAL
    assert world.until(lambda: world.proven("prod", NEWER))


def test_a_hotfix_that_fails_before_never_comes_through() -> None:
    world = begun(crashes=True)
    world.git.merge(skip(world), author=KIM)
    assert world.until(lambda: bool(world.told(EventKind.REVERT_PUSHED)))
    world.pass_(10)
    world.git.merge(skip(world), author=KIM)
    world.pass_(30)
    assert untouched(world)
    assert {"NotRejected", "NotQuarantined"} <= set(shut(world))
    writes = [w for w in world.writes if w.cluster in CLUSTERS["prod"]]
    assert not [w for w in writes if NEWER in str(w.written)]


def test_a_hotfix_that_fails_in_its_first_wave_comes_back() -> None:
    world = begun()
    world.fates[("prod-1", NEWER)] = Fate.CRASH
    world.git.merge(skip(world), author=KIM)
    assert world.until(lambda: bool(world.told(EventKind.REVERT_PUSHED)))
    assert world.until(lambda: untouched(world))
    assert "skip:" in world.git.read(PIN).decode(), (
        "it is for another revision, and says nothing now"
    )
