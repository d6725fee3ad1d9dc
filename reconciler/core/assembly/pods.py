"""Where Pod templates and containers stand in an object, whatever its kind and however it is shaped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reconciler.model.objects import KubeObject

Tree = dict[str, Any]

_TEMPLATE_PATHS: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "Pod"): (),
    ("", "PodTemplate"): ("template",),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
}
_USUAL_PATH = ("spec", "template")
"""Of every other workload, and of most custom ones (Argo Rollouts, Knative)."""

_CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")


@dataclass(frozen=True, slots=True)
class ImageField:
    """A place that names an image; `holder[key]` is the image and may be missing or no text.

    Attributes:
        path: Where it stands, for a person.
    """

    holder: Tree
    key: str
    path: str


def group_kind(obj: KubeObject) -> tuple[str, str]:
    """Returns the API group, empty for the core group, and the kind."""
    return str(obj["apiVersion"]).rpartition("/")[0], str(obj["kind"])


def pod_template(obj: Tree) -> Tree | None:
    """Returns the mapping that holds a Pod's `metadata` and `spec`, or None where there is none.

    A custom object counts as soon as it has `spec.template.spec.containers`.
    """
    template: Any = obj
    for part in _TEMPLATE_PATHS.get(group_kind(obj), _USUAL_PATH):
        template = mapping(template).get(part)
    return template if "containers" in mapping(mapping(template).get("spec")) else None


def image_fields(template: Tree) -> Iterator[ImageField]:
    """Yields every place of a Pod template that names an image, volumes made of images included."""
    spec = mapping(template.get("spec"))
    for field in _CONTAINER_LISTS:
        for container in mappings(spec.get(field)):
            yield ImageField(container, "image", f"{field}[{container.get('name', '?')}].image")
    for volume in mappings(spec.get("volumes")):
        if isinstance(volume.get("image"), dict):
            place = f"volumes[{volume.get('name', '?')}].image.reference"
            yield ImageField(volume["image"], "reference", place)


def containers(template: Tree) -> Iterator[Tree]:
    """Yields every container of a Pod template, of whichever list."""
    spec = mapping(template.get("spec"))
    for field in _CONTAINER_LISTS:
        yield from mappings(spec.get(field))


def mapping(value: Any) -> Tree:
    """Returns the value itself when it is a mapping, else an empty one: the server will refuse it."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> Iterator[Tree]:
    """Yields the mappings of a list; nothing of what is no list."""
    return (
        (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())
    )
