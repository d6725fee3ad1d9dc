"""What cannot come back once a revision has gone out: two renders compared, the one that goes and the one before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from reconciler.core.fixed_fields import FIXED, Fixed, Kind
from reconciler.core.pruning import GUARDED, PRUNE_ANNOTATION
from reconciler.core.quantity import quantity
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.return_trip import OneWay

_Key = tuple[str, str, str, str]


def one_ways(goes: Iterable[KubeObject], back: Iterable[KubeObject]) -> tuple[OneWay, ...]:
    """Returns what would not come back, by object.

    A kind that is not known here is taken to come back, whatever changes in it: its API server has the last word.

    Args:
        goes: What goes out.
        back: What would be put back.
    """
    new, old = _by_key(goes), _by_key(back)
    found: list[OneWay] = []
    for key, obj in new.items():
        former = old.get(key)
        whys = _brings(obj) if former is None else _changes(obj, former)
        found.extend(OneWay(str(ObjectRef.of(obj)), why) for why in whys)
    gone = (obj for key, obj in old.items() if key not in new)
    found.extend(OneWay(str(ObjectRef.of(obj)), why) for obj in gone for why in _loses(obj))
    return tuple(sorted(set(found)))


def _by_key(objects: Iterable[KubeObject]) -> dict[_Key, KubeObject]:
    refs = ((ObjectRef.of(obj), obj) for obj in objects)
    return {(ref.group, ref.kind, ref.namespace, ref.name): obj for ref, obj in refs}


def _kind(obj: KubeObject) -> Kind:
    ref = ObjectRef.of(obj)
    return ref.group, ref.kind


def _brings(obj: KubeObject) -> Iterator[str]:
    """Finds what an object does by being there for the first time."""
    if _kind(obj) == ("batch", "Job"):
        yield "it runs once, and going back undoes nothing of what it did"


def _loses(obj: KubeObject) -> Iterator[str]:
    """Finds what is lost with an object that is rendered no more, and may be deleted after the proof."""
    annotations = obj["metadata"].get("annotations") or {}
    if _kind(obj) in GUARDED and annotations.get(PRUNE_ANNOTATION) == "true":
        yield "it is left out, and deleted once that is proven, with what it holds"


def _changes(new: KubeObject, old: KubeObject) -> Iterator[str]:
    kind = _kind(new)
    for field in FIXED.get(kind, ()):
        if not _is_same(field, new, old):
            yield f"{field.path} cannot be changed"
    rule = _RULES.get(kind)
    if rule is not None:
        yield from rule(new, old)


def _is_same(field: Fixed, new: KubeObject, old: KubeObject) -> bool:
    one, other = field.of(new), field.of(old)
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _at(obj: KubeObject, *path: str) -> Any:
    return Fixed(".".join(path)).of(obj)


def _claim(new: KubeObject, old: KubeObject) -> Iterator[str]:
    asked, had = (_at(o, "spec", "resources", "requests", "storage") for o in (new, old))
    if asked == had:
        return
    size, was = quantity(asked or 0), quantity(had or 0)
    if size is None or was is None or size > was:
        yield "it grows, and a volume cannot shrink again"
    elif size < was:
        yield "it would shrink, which no volume can"


def _sealed(*fields: str) -> Callable[[KubeObject, KubeObject], Iterator[str]]:
    """A ConfigMap or Secret may become immutable, and never be anything else again."""

    def rule(new: KubeObject, old: KubeObject) -> Iterator[str]:
        if old.get("immutable") is True and new.get("immutable") is not True:
            yield "it is immutable, and stays so"
        if new.get("immutable") is True and old.get("immutable") is not True:
            yield "it becomes immutable, and stays so"
        is_fixed = new.get("immutable") is True or old.get("immutable") is True
        if is_fixed and any((new.get(f) or {}) != (old.get(f) or {}) for f in fields):
            yield "what it holds cannot be changed while it is immutable"

    return rule


def _service(new: KubeObject, old: KubeObject) -> Iterator[str]:
    types = {_at(o, "spec", "type") or "ClusterIP" for o in (new, old)}
    if "ExternalName" in types:
        return
    for field in ("clusterIP", "clusterIPs"):
        asked = _at(new, "spec", field)
        # One that is left out stays as it is.
        if asked is not None and asked != _at(old, "spec", field):
            yield f"spec.{field} cannot be changed"
    families = [(_at(o, "spec", "ipFamilies") or [])[:1] for o in (new, old)]
    if all(families) and families[0] != families[1]:
        yield "the first of spec.ipFamilies cannot be changed"


def _job(new: KubeObject, old: KubeObject) -> Iterator[str]:
    grows = _at(new, "spec", "completionMode") == "Indexed" and all(
        _at(o, "spec", "completions") == _at(o, "spec", "parallelism") for o in (new, old)
    )
    if _at(new, "spec", "completions") != _at(old, "spec", "completions") and not grows:
        yield "spec.completions cannot be changed"


def _strategy(field: str, plain: str) -> Callable[[KubeObject, KubeObject], Iterator[str]]:
    """What the server has put in by itself for rolling updates is nobody's to take out, and fits no other way."""

    def rule(new: KubeObject, old: KubeObject) -> Iterator[str]:
        asked, had = (_at(o, "spec", field) or {} for o in (new, old))
        changes = asked.get("type") == plain != had.get("type")
        if changes and not had.get("rollingUpdate"):
            yield f"spec.{field}.type cannot become {plain}: the server keeps what it put in for rolling updates"

    return rule


_on_delete = _strategy("updateStrategy", "OnDelete")


def _stateful_set(new: KubeObject, old: KubeObject) -> Iterator[str]:
    yield from _on_delete(new, old)
    keep = _at(new, "spec", "persistentVolumeClaimRetentionPolicy", "whenScaled")
    replicas = [_at(o, "spec", "replicas") for o in (new, old)]
    counts = [1 if count is None else count for count in replicas]
    if keep == "Delete" and counts[0] < counts[1]:
        yield "it has fewer replicas, and the claims of the others are deleted"


def _definition(new: KubeObject, old: KubeObject) -> Iterator[str]:
    named, had = (
        {str(v.get("name")): v for v in _at(o, "spec", "versions") or ()} for o in (new, old)
    )
    stored = [name for name, version in named.items() if version.get("storage")]
    for name in stored:
        if name not in had:
            yield f"objects are stored as {name} from then on, which the definition before does not know"
    for name, version in had.items():
        if version.get("storage") and name not in named:
            yield f"{name}, as which objects are stored, is left out"
    for name in ("kind", "plural", "listKind"):
        one, other = (_at(o, "spec", "names", name) for o in (new, old))
        if one != other and None not in (one, other):
            yield f"spec.names.{name} cannot be changed"


def _pod(new: KubeObject, old: KubeObject) -> Iterator[str]:
    if _without_images(new) != _without_images(old):
        yield "of a Pod's spec only images can be changed"


def _without_images(pod: KubeObject) -> Mapping[str, Any]:
    spec = dict(_at(pod, "spec") or {})
    for name in ("containers", "initContainers"):
        spec[name] = [{k: v for k, v in c.items() if k != "image"} for c in spec.get(name) or ()]
    return spec


_RULES: Mapping[Kind, Callable[[KubeObject, KubeObject], Iterator[str]]] = {
    ("", "PersistentVolumeClaim"): _claim,
    ("", "ConfigMap"): _sealed("data", "binaryData"),
    ("", "Secret"): _sealed("data", "stringData"),
    ("", "Service"): _service,
    ("", "Pod"): _pod,
    ("batch", "Job"): _job,
    ("apps", "Deployment"): _strategy("strategy", "Recreate"),
    ("apps", "StatefulSet"): _stateful_set,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}
