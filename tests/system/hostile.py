"""Hostile and broken env repos, a row each: what is put where, and whose name the answer must give."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

LINK, SUBMODULE, FILE = 0o120000, 0o160000, 0o100644

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4" * 64 + b"\nsize 12345\n"

PIN = "environments/dev/web.yaml"
SERVICE = "services/web/service.yaml"
MANIFEST = "services/web/web.yaml"
KUSTOMIZATION = "services/api/base/kustomization.yaml"
QUARANTINE = "quarantine/web.yaml"
FLEET = "fleet.yaml"
POLICY = "policies/line.yaml"


@dataclass(frozen=True, slots=True)
class Row:
    """One bad thing.

    Attributes:
        title: The case, as a sentence's end.
        path: Where it is put.
        octets: What is put there; of a link, where it leads.
        named: What the answer must name.
        mode: A link, a submodule, or a file.
        services: Whom it stops; none: the whole commit is refused, and the former one stays.
        places: Where in it something is wrong, each of which the answer must name as well.
    """

    title: str
    path: str
    octets: bytes
    named: str
    mode: int = FILE
    services: tuple[str, ...] = ("web",)
    places: tuple[str, ...] = ()


BAD_PATHS = {
    "dots": "../web",
    "deep dots": "a/../../../../etc/passwd",
    "an absolute path": "/etc/passwd",
    "NUL": "web\0",
    "percent dots": "%2e%2e/web",
    "Unicode dots": "\uff0e\uff0e/web",
    "a two-dot leader": "\u2025/web",
    "4 KiB": "a" * 4096,
    "a backslash": "..\\web",
    "an address": "https://example.com/base?ref=main",
    "a helper": "ext::sh -c id",
    "an option": "--enable-exec",
}


def quoted(value: str) -> str:
    """Returns a value as YAML takes it, whatever is in it."""
    return json.dumps(value)


def _service(**more: str) -> bytes:
    fields = {"source": "manifests", "policy": "line", "namespace": "web", **more}
    return "".join(f"{key}: {value}\n" for key, value in fields.items()).encode()


def _fleet(environment: str = "dev", cluster: str = "dev-1") -> bytes:
    return f"environments: [{{name: {environment}, clusters: [{{name: {cluster}}}]}}]\n".encode()


RULES = "soak_s: 1, watch_for_s: 60, progress_deadline_s: 60, drift: report"


def _policy(*, step: str = "dev", ruled: str = "dev", waves: str = "all") -> bytes:
    return f"path: [{step}]\nenvironments: {{{ruled}: {{{RULES}, waves: {waves}}}}}\n".encode()


def _ordered(after: str = "dev") -> bytes:
    first, then = f"{{{RULES}, waves: all}}", f"{{{RULES}, waves: all, after: [{after}]}}"
    return f"path: [dev, staging]\nenvironments: {{dev: {first}, staging: {then}}}\n".encode()


def _quarantine(environment: str) -> bytes:
    digest = f"'sha256:{'0' * 64}'"
    fields = {"revision": digest, "identity": digest, "part_digest": digest, "part": "images"}
    fields |= {"version": '"1"', "environments": f"[{environment}]", "reason": "CrashLoopBackOff"}
    fields |= {"commit": quoted("a" * 40), "rejected_at": '"2026-01-01T00:00:00Z"'}
    entry = ", ".join(f"{key}: {value}" for key, value in fields.items())
    return f"entries: [{{{entry}}}]\n".encode()


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a kustomization, with a path in it.

    Attributes:
        name: As the tool reads it.
        entry: One entry of its list; what it holds, where it is no list.
        inside: Where in the entry the path stands.
        is_list: Whether it holds a list.
    """

    name: str
    entry: object
    inside: str = ""
    is_list: bool = True


IN_LISTS = ("resources", "components", "bases", "crds", "configurations", "patchesStrategicMerge")
"""The fields of a kustomization that list files or folders themselves."""


def naming(value: str) -> dict[str, Field]:
    """Returns every field of a kustomization that names a file or a folder, with a path in it."""
    target = {"kind": "Deployment", "name": "api"}
    return {
        **{name: Field(name, value) for name in IN_LISTS},
        "patches": Field("patches", {"path": value}, ".path"),
        "patchesJson6902": Field("patchesJson6902", {"path": value, "target": target}, ".path"),
        "replacements": Field("replacements", {"path": value}, ".path"),
        "openapi": Field("openapi", {"path": value}, ".path", is_list=False),
        **{
            f"{inside} of {name}": Field(name, {"name": "a", inside: content}, f".{inside}")
            for name, of_files in (
                ("configMapGenerator", value),
                ("secretGenerator", f"key={value}"),
            )
            for inside, content in (("files", [of_files]), ("envs", [value]), ("env", value))
        },
    }


def running(value: str) -> dict[str, Field]:
    """Returns every field of a kustomization that runs or fetches something, with a path in it."""
    return {
        **{name: Field(name, value) for name in ("generators", "transformers", "validators")},
        "helmCharts": Field("helmCharts", {"name": "a", "repo": value, "valuesFile": value}),
        "helmGlobals": Field("helmGlobals", {"chartHome": value, "configHome": value}, "", False),
        "helmChartInflationGenerator": Field(
            "helmChartInflationGenerator", {"chartName": "a", "chartHome": value, "values": value}
        ),
    }


def _kustomization(title: str, fields: Iterable[Field]) -> Row:
    """Returns a row of a kustomization that has some fields, all of which the answer must name."""
    tree: dict[str, Any] = {"resources": ["namespace.yaml", "api.yaml"]}
    places = []
    for field in fields:
        if not field.is_list:
            tree[field.name] = field.entry
            places.append(f"{field.name}{field.inside}")
            continue
        entries = tree.setdefault(field.name, [])
        places.append(f"{field.name}[{len(entries)}]{field.inside}")
        entries.append(field.entry)
    return Row(
        title,
        KUSTOMIZATION,
        json.dumps(tree).encode(),
        KUSTOMIZATION,
        FILE,
        ("api",),
        tuple(places),
    )


def paths() -> Iterator[Row]:
    """A path that leads elsewhere, in every field that names a file, a folder, or something in one."""
    for title, value in BAD_PATHS.items():
        text = quoted(value)
        for where, octets in (
            ("a policy", _service(policy=text)),
            ("a builtin policy", _service(policy=quoted(f"builtin:{value}"))),
            ("a dependency", _service(depends_on=f"[{text}]")),
            ("a namespace", _service(namespace=text)),
            ("an environment's namespace", _service(namespaces=f"{{dev: {text}}}")),
            ("the environment of a namespace", _service(namespaces=f"{{{text}: web}}")),
        ):
            yield Row(f"{title} as {where}", SERVICE, octets, SERVICE)
        for where, pin in (
            ("a source", f'release: {{version: "1", source: {text}}}\n'),
            ("an image", f'release: {{version: "1", images: {{{text}: {text}}}}}\n'),
            ("a cluster", f'release: {{version: "1"}}\nclusters: {{{text}: {{values: {{}}}}}}\n'),
        ):
            yield Row(f"{title} as {where}", PIN, pin.encode(), PIN)
        for path, where, octets in (
            (FLEET, "an environment of the fleet", _fleet(environment=text)),
            (FLEET, "a cluster of the fleet", _fleet(cluster=text)),
            (POLICY, "a step of a policy", _policy(step=text)),
            (POLICY, "an environment of a policy", _policy(ruled=text)),
            (POLICY, "a wave", _policy(waves=f"[[{text}]]")),
            (POLICY, "what an environment is after", _ordered(text)),
        ):
            yield Row(f"{title} as {where}", path, octets, path, services=())
        yield Row(f"{title} in a quarantine", QUARANTINE, _quarantine(text), QUARANTINE)
        for where, field in naming(value).items():
            yield _kustomization(f"{title} in {where}", [field])
        yield _kustomization(f"{title} in every field with a path", naming(value).values())
        yield _running(title, value)


def _running(title: str, value: str) -> Row:
    """What runs or fetches something is refused by its name alone, whatever it leads to."""
    fields = running(value)
    row = _kustomization(f"{title} in every field that runs something", fields.values())
    return replace(row, places=tuple(f"{name} cannot be used" for name in fields))


def sound() -> Iterator[Row]:
    """The same files with nothing bad in them: what is refused of the others is their path."""
    yield Row("a service", SERVICE, _service(namespaces="{dev: web}", depends_on="[api]"), SERVICE)
    yield Row("a fleet", FLEET, _fleet(), FLEET)
    yield Row("a policy", POLICY, _policy(), POLICY)
    yield Row("waves", POLICY, _policy(waves="[[dev-1]]"), POLICY)
    yield Row("what an environment is after", POLICY, _ordered(), POLICY)
    yield Row("a quarantine", QUARANTINE, _quarantine("dev"), QUARANTINE)


def names() -> Iterator[Row]:
    """A file whose own name leads elsewhere; what Git itself refuses is made as a raw tree elsewhere."""
    pin = b'release: {version: "1"}\n'
    for name in ("%2e%2e", "\uff0e\uff0e", "a b", "WEB", "web;id", "-x", "a" * 200, "\u202eweb"):
        yield Row(
            f"a pin named {name[:20]}", f"environments/dev/{name}.yaml", pin, name, services=()
        )
        folder = f"services/{name}"
        yield Row(
            f"a service named {name[:20]}", f"{folder}/service.yaml", _service(), name, services=()
        )


TARGETS = {
    "a file": "../../fleet.yaml",
    "a folder": "../staging",
    "itself": "web.yaml",
    "a system file": "/etc/passwd",
    "the repository": "../../.git/config",
    "another environment": "../staging/web.yaml",
}
"""What a link leads to, where a file should be."""


def links() -> Iterator[Row]:
    """What is no file, where a file or a folder should be."""
    for title, target in TARGETS.items():
        for path in (PIN, SERVICE, MANIFEST):
            yield Row(f"a link to {title} as {path}", path, target.encode(), path, LINK)
        kustomization = Row(
            f"a link to {title} as a kustomization", KUSTOMIZATION, target.encode(), KUSTOMIZATION,
            LINK, ("api",),
        )  # fmt: skip
        yield kustomization
    for path in (FLEET, POLICY):
        yield Row(f"a link as {path}", path, b"/etc/passwd", path, LINK, ())
    yield Row("a link as a quarantine", QUARANTINE, b"../fleet.yaml", QUARANTINE, LINK)
    yield Row("a link as a service", "services/web", b"../services/api", "services/web", LINK)
    yield Row("a link as an environment", "environments/dev", b"staging", "environments/dev", LINK)
    yield Row("a link to /etc as a service", "services/web", b"/etc", "services/web", LINK)
    yield Row(
        "a link to /etc as an environment", "environments/dev", b"/etc", "environments/dev", LINK
    )
    yield Row(
        "a link to /etc as a base",
        "services/api/base",
        b"/etc",
        "services/api/base",
        LINK,
        ("api",),
    )
    for path in (PIN, SERVICE, MANIFEST, "services/web", "environments/dev"):
        yield Row(f"a submodule as {path}", path, b"1" * 20, path, SUBMODULE)
        if "." in path:
            yield Row(f"an LFS pointer as {path}", path, LFS, path)
    yield Row("an LFS pointer in base", KUSTOMIZATION, LFS, KUSTOMIZATION, services=("api",))
    for path in (FLEET, POLICY):
        yield Row(f"an LFS pointer as {path}", path, LFS, path, services=())


def bomb(levels: int = 12, width: int = 10) -> bytes:
    """Returns a document whose aliases write out to a trillion values."""
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * width)}]")
    return "\n".join(lines).encode()


TEXTS: dict[str, bytes] = {
    "an alias bomb": bomb(),
    "a hundred thousand documents": b"---\na: 1\n" * 100_000,
    "a depth of ten thousand": b"a: " + b"[" * 10_000 + b"]" * 10_000,
    "ten thousand mappings in one another": b"{a: " * 10_000 + b"1" + b"}" * 10_000,
    "50 KB of brackets": b"[" * 50_000,
    "50 KB of braces": b"{" * 50_000,
    "a key given twice": b"apiVersion: v1\nkind: ConfigMap\nkind: Secret\nmetadata: {name: a}\n",
    "tabs": b"release:\n\tversion: x\n",
    "UTF-16": "release: {version: x}".encode("utf-16"),
    "bytes that are no text": b"release: \xff\xfe\xfd",
    "a NUL": b"release: \0",
    "a Python object": b"a: !!python/object/apply:os.system [touch /tmp/reconciler-was-here]\n",
    "a tag of its own": b"!include /etc/passwd\n",
    "a merge key": b"a: &a {b: 1}\nc: {<<: *a}\n",
    "half a character": b'a: "\\ud800"\n',
    "an empty file": b"",
    "only a comment": b"# nothing\n",
    "a list": b"- a\n- b\n",
    "a word": b"hello\n",
}
"""Broken as any file of ours; some of them are no fault of a manifest."""

FINE_AS_MANIFEST = {"a merge key", "an empty file", "only a comment"}


def texts() -> Iterator[Row]:
    """YAML that crashes, lies or swells, as each kind of file."""
    for title, octets in TEXTS.items():
        for path in (PIN, SERVICE, QUARANTINE):
            yield Row(f"{title} as {path}", path, octets, path)
        for path in (FLEET, POLICY):
            yield Row(f"{title} as {path}", path, octets, path, services=())
        if title not in FINE_AS_MANIFEST:
            yield Row(f"{title} as {MANIFEST}", MANIFEST, octets, MANIFEST)
            yield Row(
                f"{title} as {KUSTOMIZATION}",
                KUSTOMIZATION,
                octets,
                KUSTOMIZATION,
                services=("api",),
            )
    mark = b"\xef\xbb\xbf"
    yield Row("a byte order mark", PIN, mark + b'release: {version: "1"}\n', PIN)
    for scalar in ("0400", "no", "1e3", "1.10", "true", "null", "~", "0x10", "[1]", "!!str 1"):
        octets = f"release: {{version: {scalar}}}\n".encode()
        yield Row(f"the version {scalar}", PIN, octets, PIN)
    yield Row("a mode of 0400 in values", PIN, b'release: {version: "1"}\nvalues: {m: 0400}\n', PIN)


ROWS: tuple[Row, ...] = (*paths(), *names(), *links(), *texts())
