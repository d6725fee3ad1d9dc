"""Puts the release's images into the containers, by repository."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from reconciler.core.assembly.pods import ImageField, Tree, image_fields, pod_template
from reconciler.core.identity import is_digest
from reconciler.errors import InvalidInput
from reconciler.model.objects import ObjectRef

_REFERENCE = re.compile(
    r"(?P<repository>[\w.\-]+(?::\d+(?=/))?(?:/[\w.\-]+)*)(?::(?P<tag>[\w.\-]+))?(?:@[\w+.:\-]+)?",
    re.ASCII,
)
"""`host:port/name:tag@digest`; a colon is a port's only where a slash follows.

Source: github.com/distribution/reference, grammar in its package comment.
"""


def repository_of(image: str) -> str | None:
    """Returns an image's repository, without tag and digest; None when it is no image reference."""
    match = _REFERENCE.fullmatch(image)
    return match["repository"] if match else None


def put_images(
    objects: Sequence[Tree], images: Iterable[tuple[str, str]]
) -> Iterator[InvalidInput]:
    """Replaces every image of every Pod template, in place, and yields what is wrong.

    Args:
        objects: Private copies, well shaped.
        images: (repository, digest or tag).
    """
    pinned = dict(images)
    used: set[str] = set()
    for obj in objects:
        for field in image_fields(pod_template(obj) or {}):
            fault = _put(field, pinned, used)
            if fault:
                what, why, fix = fault
                yield InvalidInput(str(ObjectRef.of(obj)), f"{field.path}: {what}", why, fix)
    for repository in sorted(set(pinned) - used):
        yield InvalidInput(
            f"release.images.{repository}",
            "no container uses this image",
            "none of the service's objects names its repository",
            "take the key out, or write the repository as the container does",
        )


def _put(field: ImageField, pinned: dict[str, str], used: set[str]) -> tuple[str, str, str] | None:
    image = field.holder.get(field.key)
    repository = repository_of(image) if isinstance(image, str) else None
    if repository is None:
        return ("there is no image", "it is missing or no image reference", "name the repository")
    if repository not in pinned:
        return (
            "the release does not name this image",
            f"no key of release.images is {repository}",
            "add it to the pin's images with its digest",
        )
    used.add(repository)
    reference = pinned[repository]
    field.holder[field.key] = f"{repository}{'@' if is_digest(reference) else ':'}{reference}"
    return None
