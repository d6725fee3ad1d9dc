"""Hashes a release's ConfigMaps and Secrets into the Pod templates that use them.

So a change of configuration makes new Pods, and is run and judged instead of only stored. Whoever may
read Pods may read the hash, so where Secrets are in it nobody can guess them from it without a key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from reconciler.core.assembly.pods import (
    Tree,
    containers,
    group_kind,
    mapping,
    mappings,
    pod_template,
)
from reconciler.core.stored import canonical, keyed

CONFIG_HASH = "reconciler.dev/config-hash"

_CONFIGURATION = (("", "ConfigMap"), ("", "Secret"))
_CONTENT = ("data", "binaryData", "stringData")

_NEVER_RESTARTED = (("", "Pod"), ("batch", "Job"))
"""A Pod runs nothing anew for an annotation, and a Job's template cannot be changed."""

_Key = tuple[str, str, str]
"""Kind, namespace and name."""


def hash_into_templates(objects: Sequence[Tree], key: bytes) -> None:
    """Writes the annotation into each Pod template that uses configuration of this release, in place.

    Args:
        objects: Private copies, well shaped.
        key: For hashes that Secrets are a part of.
    """
    contents = {
        (obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): canonical(
            {field: obj[field] for field in _CONTENT if field in obj}
        )
        for obj in objects
        if group_kind(obj) in _CONFIGURATION
    }
    for obj in objects:
        template = pod_template(obj)
        if template is None or group_kind(obj) in _NEVER_RESTARTED:
            continue
        namespace = obj["metadata"].get("namespace", "")
        used = {(kind, namespace, name) for kind, name in _references(template)} & set(contents)
        if used:
            meta = template["metadata"] = mapping(template.get("metadata"))
            annotations = meta["annotations"] = mapping(meta.get("annotations"))
            annotations[CONFIG_HASH] = _hash(contents, sorted(used), key)


def _hash(contents: dict[_Key, bytes], used: list[_Key], key: bytes) -> str:
    fields = [f for kind, _, name in used for f in (kind, name, contents[kind, _, name])]
    octets = b"".join(
        b"%d:%b," % (len(field), field)
        for field in (f.encode() if isinstance(f, str) else f for f in fields)
    )
    holds_secrets = any(kind == "Secret" for kind, _, _ in used)
    return keyed(octets, key).hex() if holds_secrets else hashlib.sha256(octets).hexdigest()


def _references(template: Tree) -> Iterator[tuple[str, str]]:
    """Yields kind and name of all configuration that a Pod mounts or reads into its environment."""
    for container in containers(template):
        for source in mappings(container.get("envFrom")):
            yield "ConfigMap", _name(source, "configMapRef")
            yield "Secret", _name(source, "secretRef")
        for variable in mappings(container.get("env")):
            source = mapping(variable.get("valueFrom"))
            yield "ConfigMap", _name(source, "configMapKeyRef")
            yield "Secret", _name(source, "secretKeyRef")
    for volume in mappings(mapping(template.get("spec")).get("volumes")):
        yield "ConfigMap", _name(volume, "configMap")
        yield "Secret", str(mapping(volume.get("secret")).get("secretName", ""))
        for source in mappings(mapping(volume.get("projected")).get("sources")):
            yield "ConfigMap", _name(source, "configMap")
            yield "Secret", _name(source, "secret")


def _name(holder: Tree, field: str) -> str:
    return str(mapping(holder.get(field)).get("name", ""))
