"""What a simulated API server says of itself: versions, groups, resources."""

from __future__ import annotations

from typing import Any

from reconciler.simulated.kinds import Kind
from reconciler.simulated.store import Store

VERSION = {
    "major": "1",
    "minor": "37",
    "gitVersion": "v1.37.2-simulated",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "linux/amd64",
}

_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def discovered(store: Store, steps: list[str]) -> dict[str, Any] | None:
    """Returns the answer to a question about the server itself, or None for any other.

    The aggregated form of discovery is not offered; clients then ask one group after the other.
    """
    kinds = list(store.kinds.values())
    match steps:
        case ["version"]:
            return dict(VERSION)
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": _groups(kinds)}
        case ["api", "v1"]:
            return _resources("v1", kinds)
        case ["apis", group, version] if any(k.group == group for k in kinds):
            return _resources(f"{group}/{version}", kinds)
        case ["openapi", "v3"]:
            versions = {k.api_version for k in kinds}
            return {
                "paths": {
                    p: {"serverRelativeURL": f"/openapi/v3/{p}"} for p in map(_path, versions)
                }
            }
        case ["openapi", "v3", *rest]:
            return _openapi("/".join(rest), kinds)
        case _:
            return None


def _groups(kinds: list[Kind]) -> list[dict[str, Any]]:
    versions = {k.group: k for k in kinds if k.group}
    return [
        {
            "name": group,
            "versions": [{"groupVersion": kind.api_version, "version": kind.version}],
            "preferredVersion": {"groupVersion": kind.api_version, "version": kind.version},
        }
        for group, kind in sorted(versions.items())
    ]


def _resources(api_version: str, kinds: list[Kind]) -> dict[str, Any]:
    resources: list[dict[str, Any]] = []
    for kind in kinds:
        if kind.api_version != api_version:
            continue
        named = {
            "singularName": kind.kind.lower(),
            "namespaced": kind.namespaced,
            "kind": kind.kind,
        }
        resources.append(
            {"name": kind.plural, **named, "verbs": _VERBS, "shortNames": list(kind.short)}
        )
        for sub in kind.subresources:
            verbs = ["get", "patch", "update"]
            sub_kind = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
            scale = sub_kind if sub == "scale" else {}
            name = f"{kind.plural}/{sub}"
            resources.append({**named, **scale, "name": name, "verbs": verbs})
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version,
        "resources": resources,
    }


def _path(api_version: str) -> str:
    return f"apis/{api_version}" if "/" in api_version else f"api/{api_version}"


def _openapi(path: str, kinds: list[Kind]) -> dict[str, Any]:
    """Says for each kind that it may be applied with field validation: all that kubectl looks for."""
    parameters = [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]
    paths = {}
    for kind in kinds:
        if _path(kind.api_version) != path:
            continue
        inside = "/namespaces/{namespace}" if kind.namespaced else ""
        paths[f"/{path}{inside}/{kind.plural}/{{name}}"] = {
            "patch": {
                "parameters": parameters,
                "responses": {"200": {"description": "OK"}},
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": {
                    "group": kind.group,
                    "version": kind.version,
                    "kind": kind.kind,
                },
            }
        }
    info = {"title": "Kubernetes", "version": VERSION["gitVersion"]}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}}
