"""Which image each container gets, and what makes the images of a release wrong."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.assembly.images import repository_of
from tests.unit.core.test_assembly import DIGEST, IMAGE, faults, obj, rendered_one, workload


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("nginx", "nginx"),
        ("nginx:1.27", "nginx"),
        ("library/nginx@" + DIGEST, "library/nginx"),
        ("r.example.com/a/b:1@" + DIGEST, "r.example.com/a/b"),
        ("localhost:5000/web", "localhost:5000/web"),
        ("localhost:5000/web:2", "localhost:5000/web"),
        ("localhost:5000", "localhost"),
        ("", None),
        (":1", None),
        ("web:", None),
        ("a/b/", None),
        ("a b", None),
        ("$(IMAGE)", None),
        ("web:1\n", None),
    ],
)
def test_the_repository_of_an_image(image: str, repository: str | None) -> None:
    assert repository_of(image) == repository


def put(raw: dict[str, Any], reference: str = DIGEST) -> str:
    """Returns the rendered object as text."""
    return str(rendered_one(raw, images=[(IMAGE, reference)]))


def pod(*path: str) -> dict[str, Any]:
    """Returns an object whose Pod's spec stands at a path."""
    spec: Any = {"containers": [{"name": "web", "image": f"{IMAGE}:old@{DIGEST[:-1]}0"}]}
    for part in reversed(path):
        spec = {part: spec}
    return dict(spec)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(workload("StatefulSet"), id="a StatefulSet"),
        pytest.param(workload("Rollout", api_version="argoproj.io/v1alpha1"), id="a custom kind"),
        pytest.param(obj("Pod", **pod("spec")), id="a Pod"),
        pytest.param(obj("PodTemplate", **pod("template", "spec")), id="a PodTemplate"),
        pytest.param(
            obj(
                "CronJob",
                api_version="batch/v1",
                **pod("spec", "jobTemplate", "spec", "template", "spec"),
            ),
            id="a CronJob",
        ),
        pytest.param(
            workload(containers=[], initContainers=[{"name": "i", "image": IMAGE}]),
            id="an init container",
        ),
        pytest.param(
            workload(containers=[], ephemeralContainers=[{"name": "i", "image": IMAGE}]),
            id="an ephemeral container",
        ),
        pytest.param(
            workload(containers=[], volumes=[{"name": "v", "image": {"reference": IMAGE}}]),
            id="a volume made of an image",
        ),
    ],
)
def test_the_digest_takes_the_place_of_tag_and_digest(raw: dict[str, Any]) -> None:
    text = put(raw)
    assert f"'{IMAGE}@{DIGEST}'" in text
    assert text.count(IMAGE) == 1


def test_a_tag_that_nobody_resolved_is_put_in_as_it_is() -> None:
    assert f"'{IMAGE}:1.8.2'" in put(workload(), "1.8.2")


def test_what_looks_like_an_image_elsewhere_is_left_alone() -> None:
    raw = obj("ConfigMap", data={"image": IMAGE}, spec={"template": {"image": IMAGE}})
    assert DIGEST not in str(rendered_one(raw, workload()))


@pytest.mark.parametrize(
    ("containers", "images", "fault"),
    [
        pytest.param(
            [{"name": "a", "image": "other:1"}],
            [],
            "Deployment/web-prod/web: containers[a].image: the release does not name this image: "
            "no key of release.images is other",
            id="an image that no key names",
        ),
        pytest.param(
            [{"name": "a", "image": f"{IMAGE}2"}],
            [],
            "no key of release.images is registry.example.com:5000/team/web2",
            id="a repository that only begins alike",
        ),
        pytest.param([{"name": "a"}], [], "containers[a].image: there is no image", id="no image"),
        pytest.param([{"image": 3}], [], "containers[?].image: there is no image", id="a number"),
        pytest.param(
            [],
            [("unused", "1")],
            "release.images.unused: no container uses this image",
            id="a key that no container uses",
        ),
    ],
)
def test_an_image_that_is_wrong(
    containers: list[Any], images: list[tuple[str, str]], fault: str
) -> None:
    found = faults(workload(containers=containers), images=images)
    assert len(found) == 1
    assert fault in found[0]


@pytest.mark.parametrize("containers", [None, "text", {"name": "web"}, [None, "text"]])
def test_containers_of_any_shape_are_left_to_the_server(containers: Any) -> None:
    assert rendered_one(workload(containers=containers), images=[])
