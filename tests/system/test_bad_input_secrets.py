"""A canary in every place where a Secret's value can be: then it is looked for wherever we write or speak."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from reconciler.cli import asking, comparing
from reconciler.cli.looking import Look, look
from reconciler.config.settings import Settings
from reconciler.simulated.answers import Answer, invalid
from reconciler.simulated.behaviour import Fate
from reconciler.web.board import board
from tests.install.fleet import settings_for
from tests.system.daemon import DaemonProcess
from tests.system.served import TOKENS, ServedFleet

pytestmark = [pytest.mark.xdist_group("bad-input-secrets"), pytest.mark.timeout(900)]

DATA, STRING, COPY, EDIT, QUOTED, USER, LITERAL, TYPO = CANARIES = (
    "cAnAry-data-5e1f",
    "cAnAry-string-7d2a",
    "cAnAry-copy-9b3c",
    "cAnAry-edit-1a4d",
    "cAnAry-quoted-3c5e",
    "cAnAry-user-6f6f",
    "cAnAry-literal-8e7a",
    "cAnAry-typo-2d8b",
)
"""In `data`, in `stringData`, in an annotation that repeats the object, in a hand edit, in a server's
refusal, in an address, in a generator's literal, and in a file that is broken."""

SECRETS = f"""\
apiVersion: v1
kind: Secret
metadata: {{name: web-data}}
data: {{password: {base64.b64encode(DATA.encode()).decode()}}}
---
apiVersion: v1
kind: Secret
metadata:
  name: web-string
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: '{{"stringData": {{"password": "{COPY}"}}}}'
stringData: {{password: {STRING}}}
"""

MANIFEST = "services/web/secrets.yaml"
KUSTOMIZATION = "services/api/base/kustomization.yaml"


def forms(canary: str) -> Iterator[str]:
    """Yields a canary as it is and as base64 has it, whatever stands before it."""
    yield canary
    for shift in range(3):
        coded = base64.b64encode(b"x" * shift + canary.encode()).decode()
        # The ends depend on the neighbours; what is between them does not.
        yield coded[4 if shift else 0 : -4]
    yield canary.encode().hex()


FORBIDDEN = frozenset(form for canary in (*CANARIES, *TOKENS.values()) for form in forms(canary))


ADDRESSES = sorted(
    {
        route.path.replace("{service}", service)
        for route in board(dict, lambda service: {}, object).routes
        if isinstance(route, Route)
        for service in ("web", "api")
    }
)
"""Everything that the board answers to: its pages, the parts that it loads again, and what tells it when."""


@contextmanager
def one_look() -> Iterator[None]:
    """Lets commands share what the first of them sees: that is five clusters asked for everything."""
    looks: list[Look] = []

    def look_once(settings: Settings, **options: Any) -> Look:
        if not looks:
            looks.append(look(settings, **options))
        return looks[0]

    with pytest.MonkeyPatch.context() as patch:
        for module in (asking, comparing):
            patch.setattr(module, "look", look_once)
        yield


class Watched:
    """A daemon, and everything that it or a command ever said."""

    def __init__(self, fleet: ServedFleet, daemon: DaemonProcess) -> None:
        self.fleet = fleet
        self.daemon = daemon
        self.said: dict[str, str] = {}

    def listen(self, when: str) -> None:
        """Collects whatever can be read now."""
        for path in ADDRESSES:
            self.said[f"{when}: page {path}"] = _get(f"{self.daemon.page_url}{path}")
        self.said[f"{when}: metrics"] = self.daemon.metrics()
        self._ask(when, ("validate HEAD",), "json")
        with one_look():
            self._ask(when, ("explain web", "explain api", "diff web"), "json")

    def listen_closely(self, when: str) -> None:
        """Collects what the rest of the commands say, too, and what people read of them."""
        self.listen(when)
        self._ask(when, ("validate HEAD",), "text")
        rest = ("status", "plan", "history", "render web dev", "render api dev", "diff web")
        with one_look():
            self._ask(when, rest, "text", "json")

    def _ask(self, when: str, commands: tuple[str, ...], *forms: str) -> None:
        for command in commands:
            for form in forms:
                told = self.fleet.cli(*command.split(), "-o", form)
                self.said[f"{when}: {command} {form}"] = told.out + told.err

    def listen_at_the_end(self) -> None:
        """Collects what grows all the time: the log, the records, and what was committed."""
        self.said["log"] = self.daemon.log.read_text()
        self.fleet.git("fetch", "--quiet", "--all")
        log = ("log", "--format=%an %ae %s %B", "--all")
        self.said["commits"] = self.fleet.git(*log)
        ours = ("log", "--patch", "--author=reconciler@localhost", "--all", "--format=%H")
        self.said["our own changes"] = self.fleet.git(*ours)
        for name, cluster in self.fleet.clusters.items():
            for kind in ("PromotionRecord", "ServiceRecord", "ConfigMap", "Lease", "Event"):
                served = next((k for (_, n), k in cluster.store.kinds.items() if n == kind), None)
                found = cluster.store.listed(served, "reconciler-system")[0] if served else []
                assert found or kind not in {"ServiceRecord", "Event"} or name != "dev-1", kind
                self.said[f"{kind}s of {name}"] = json.dumps(found)

    def leaks(self) -> list[str]:
        """Returns where anything secret was said, with what stood around it."""
        return [
            f"{place}: …{text[max(0, text.index(word) - 80) : text.index(word)]}«{word[:12]}…»"
            for place, text in self.said.items()
            for word in FORBIDDEN
            if word in text
        ]


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        if answer.headers.get_content_type() == "text/event-stream":
            # It never ends; its first event comes at once, and is as all others are.
            return b"".join(iter(answer.readline, b"\n")).decode()
        return str(answer.read().decode())


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Everything that can happen to a Secret has happened."""
    with ServedFleet() as fleet:
        folder = tmp_path_factory.mktemp("daemon")
        settings = {**settings_for(fleet), "log_level": "debug"}
        settings["repo"] = {"url": fleet.repo_url, "poll_s": 0.3}
        with DaemonProcess(folder, settings) as daemon:
            daemon.wait_ready()
            watched = Watched(fleet, daemon)
            _live(watched)
            yield watched
            assert daemon.is_running


def _live(watched: Watched) -> None:
    fleet, daemon = watched.fleet, watched.daemon
    fleet.change({MANIFEST: SECRETS}, "Secrets")

    def phases() -> set[str]:
        return {cell["phase"] for cell in daemon.status()["cells"]}

    store = fleet.clusters["dev-1"].store
    kind = store.served("v1", "Secret")
    assert kind is not None

    def is_everywhere() -> bool:
        has = [
            {o["metadata"]["name"] for o in c.store.listed(kind, "web")[0]}
            for c in fleet.clusters.values()
        ]
        return all("web-string" in names for names in has)

    daemon.until(lambda: is_everywhere() and phases() == {"Proven"}, "the Secrets are proven")
    watched.listen_closely("settled")

    # A hand edit: in dev it is told, in prod it is put right.
    for cluster in ("dev-1", "prod-1"):
        live = fleet.clusters[cluster].store.get(kind, "web", "web-data")
        live["data"] = {"password": base64.b64encode(EDIT.encode()).decode()}
        fleet.clusters[cluster].store.replace(live, "kubectl-edit")
    daemon.until(lambda: daemon.logged("DriftSeen", cluster="dev-1"), "the drift is seen")
    daemon.until(lambda: daemon.logged("DriftCorrected", cluster="prod-1"), "it is put right")
    watched.listen_closely("drifted")

    # A server that quotes what it refuses.
    def refuse(verb: str, steps: list[str]) -> None:
        if verb == "patch" and "secrets" in steps and steps[-1].startswith("web-"):
            raise invalid("Secret", steps[-1], [("data[password]", f'Invalid value: "{QUOTED}"')])

    def deny(verb: str, steps: list[str]) -> None:
        if verb == "patch" and "secrets" in steps and steps[-1].startswith("web-"):
            raise Answer(403, "Forbidden", f'admission webhook "x" denied the request: {QUOTED}')

    for rule in (refuse, deny):
        fleet.faults["dev-1"].rules.append(rule)
        fleet.change(
            {
                MANIFEST: SECRETS.replace(DATA, f"{DATA}{rule.__name__}").replace(
                    "{password",
                    f"{{{rule.__name__}: {base64.b64encode(STRING.encode()).decode()}, password",
                    1,
                )
            },
            "New Secrets",
        )
        before = len(daemon.logged("ApplyFailed"))
        daemon.until(lambda b=before: len(daemon.logged("ApplyFailed")) > b, "the apply fails")  # type: ignore[misc]
        watched.listen_closely(f"refused by {rule.__name__}")
        fleet.faults["dev-1"].rules.clear()
    fleet.change({MANIFEST: SECRETS}, "The Secrets as they were")

    # Renders that fail around something secret.
    for title, text in {
        "an address": f"resources: ['https://me:{USER}@example.com/base', namespace.yaml, api.yaml]\n",
        "a generator": "resources: [namespace.yaml, api.yaml]\nsecretGenerator:\n- name: api\n"
        f"  literals: ['password={LITERAL}', '{LITERAL}']\npatches: [{{patch: '{LITERAL}'}}]\n",
    }.items():
        fleet.change({KUSTOMIZATION: text}, title)
        daemon.until(
            lambda: daemon.reason("api", "dev") == "RenderFailed", f"{title} does not render"
        )
        watched.listen(title)
        good = "resources: [namespace.yaml, api.yaml]\n"
        fleet.change({KUSTOMIZATION: good}, "as it was")
        daemon.until(lambda: daemon.reason("api", "dev") != "RenderFailed", "it renders again")
    for title, text in {
        "a key twice": f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData: {{a: {TYPO}, a: {TYPO}}}\n",
        "a quote left open": f'apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData: {{a: "{TYPO}}}\n',
        "data that is a text": f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ndata: {TYPO}\n",
        "data that is no base64": f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ndata: {{a: '{TYPO}!'}}\n",
        "a name that is none": f"apiVersion: v1\nkind: Secret\nmetadata: {{name: 7}}\nstringData: {{a: {TYPO}}}\n",
    }.items():
        fleet.change({MANIFEST: text}, title)
        daemon.until(
            lambda: daemon.reason("web", "dev") != "Settled", f"{title} is held, or applied"
        )
        watched.listen(title)
    fleet.change({MANIFEST: SECRETS}, "The Secrets as they were")
    daemon.until(lambda: daemon.reason("web", "dev") == "Settled", "all is well again")

    # A release that fails, and the commit that takes it back.
    fleet.merge("1.10.0", Fate.CRASH, "bad")
    daemon.until(lambda: daemon.logged("RevertPushed"), "the revert is pushed")
    watched.listen_closely("reverted")
    watched.listen_at_the_end()


def test_nothing_secret_is_ever_said(watched: Watched) -> None:
    assert len(watched.said) > 100
    assert watched.leaks() == []


def test_the_search_would_find_it(watched: Watched) -> None:
    watched.said["a test"] = f"password: {base64.b64encode(b'ab' + DATA.encode() + b'cd').decode()}"
    try:
        assert len(watched.leaks()) == 1
    finally:
        del watched.said["a test"]


def test_what_a_browser_loads_by_itself_is_looked_at_too(watched: Watched) -> None:
    assert {"/events", "/table", "/services/web/part", "/services/api/part"} <= set(ADDRESSES)
    assert "event: changed" in watched.said["drifted: page /events"]
    refused = watched.said["an address: page /services/api/part"]
    assert "it names something outside the repo" in refused


def test_masked_is_not_left_out(watched: Watched) -> None:
    drifted = watched.said["drifted: diff web text"]
    assert "Secret/web/web-data" in drifted
    assert "data.password: live ***, admitted ***, by kubectl-edit" in drifted
    rendered = watched.said["settled: render web dev text"]
    assert "password: '***'" in rendered
    assert "web-data" in watched.said["refused by refuse: status text"]


def test_what_is_stored_for_the_way_back_is_in_secrets_alone(watched: Watched) -> None:
    found: set[str] = set()
    for cluster in watched.fleet.clusters.values():
        for (_, name), kind in cluster.store.kinds.items():
            if name == "Secret" or not kind.namespaced:
                continue
            text = json.dumps(cluster.store.listed(kind, "reconciler-system")[0])
            found |= {name for word in FORBIDDEN if word in text}
    assert found == set()


def test_files_of_the_daemon_hold_nothing_secret(watched: Watched) -> None:
    folder = Path(watched.daemon.settings["state_dir"])
    for file in folder.rglob("*"):
        if file.is_file() and "objects" not in file.parts:
            text = file.read_bytes().decode(errors="replace")
            assert not [word for word in FORBIDDEN if word in text], file
