"""What an API server says that it serves, remembered until it turns out otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable

from reconciler.adapters.kube.translation import Answer, Doing
from reconciler.errors import Unreachable
from reconciler.ports.kube import KindInfo


class Discovery:
    """The kinds of one API server.

    Args:
        ask: Asks for the resources of one API version; None where the server has no such version.
    """

    def __init__(self, ask: Callable[[str, Doing], Answer | None], *, name: str) -> None:
        self._ask = ask
        self._name = name
        self._lock = threading.Lock()
        self._kinds: dict[str, dict[str, KindInfo]] = {}

    def kind(self, api_version: str, kind: str) -> KindInfo | None:
        """Returns what is served under a name; asked again as long as it is not served."""
        with self._lock:
            known = self._kinds.get(api_version, {}).get(kind)
        if known is not None:
            return known
        doing = Doing(f"{kind} of {api_version} on {self._name}", "be discovered")
        answer = self._ask(api_version, doing)
        served = {} if answer is None else _kinds(api_version, answer, doing)
        with self._lock:
            self._kinds[api_version] = served
        return served.get(kind)

    def forget(self, api_version: str) -> None:
        """Forgets a version of which the server has just said that a path of it is not there."""
        with self._lock:
            self._kinds.pop(api_version, None)


def group_path(api_version: str) -> str:
    """Returns where an API version's resources are."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _kinds(api_version: str, answer: Answer, doing: Doing) -> dict[str, KindInfo]:
    resources = answer.tree(doing).get("resources")
    if not isinstance(resources, list):
        raise Unreachable(doing.subject, doing.what, "the answer is no list of resources")
    return {
        r["kind"]: KindInfo(api_version, r["kind"], r["name"], bool(r["namespaced"]))
        for r in resources
        if isinstance(r, dict)
        and {"kind", "name", "namespaced"} <= r.keys()
        and "/" not in r["name"]
    }
