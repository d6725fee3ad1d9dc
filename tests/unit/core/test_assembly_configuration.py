"""Which configuration makes new Pods when it changes."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.assembly import CONFIG_HASH
from reconciler.errors import TransientError
from tests.unit.core.test_assembly import IMAGE, meta, obj, render, workload


def hash_of(
    *configuration: dict[str, Any], user: dict[str, Any], key: bytes = b"k" * 32
) -> str | None:
    """Returns what the rendered Pod template is annotated with."""
    objects = render(*configuration, user, key=key).objects
    (rendered,) = (o for o in objects if o["kind"] == user["kind"])
    template = rendered["spec"]
    for part in ("jobTemplate", "spec", "template"):
        template = template.get(part, template)
    value = template.get("metadata", {}).get("annotations", {}).get(CONFIG_HASH)
    return None if value is None else str(value)


def container(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "web", "image": IMAGE, **fields}]}


def volume(**fields: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "v", **fields}]}


CONFIG_MAP = obj("ConfigMap", "conf", data={"a": "1"})
SECRET = obj("Secret", "conf", stringData={"a": "1"})

USES = [
    pytest.param(
        "ConfigMap", container(envFrom=[{"configMapRef": {"name": "conf"}}]), id="envFrom"
    ),
    pytest.param(
        "ConfigMap",
        container(env=[{"valueFrom": {"configMapKeyRef": {"name": "conf", "key": "a"}}}]),
        id="one key of it as a variable",
    ),
    pytest.param("ConfigMap", volume(configMap={"name": "conf"}), id="a volume"),
    pytest.param(
        "ConfigMap",
        volume(projected={"sources": [{"configMap": {"name": "conf"}}]}),
        id="a projected volume",
    ),
    pytest.param(
        "ConfigMap",
        {"initContainers": container(envFrom=[{"configMapRef": {"name": "conf"}}])["containers"]},
        id="an init container",
    ),
    pytest.param("Secret", container(envFrom=[{"secretRef": {"name": "conf"}}]), id="a Secret"),
    pytest.param(
        "Secret",
        container(env=[{"valueFrom": {"secretKeyRef": {"name": "conf", "key": "a"}}}]),
        id="one key of a Secret",
    ),
    pytest.param("Secret", volume(secret={"secretName": "conf"}), id="a volume of a Secret"),
    pytest.param(
        "Secret",
        volume(projected={"sources": [{"secret": {"name": "conf"}}]}),
        id="a projected volume of a Secret",
    ),
]


@pytest.mark.parametrize(("kind", "pod"), USES)
def test_changed_configuration_makes_another_template(kind: str, pod: dict[str, Any]) -> None:
    user = workload(**pod)
    configuration = CONFIG_MAP if kind == "ConfigMap" else SECRET
    before = hash_of(configuration, user=user)
    assert before is not None
    assert hash_of(configuration | {"data": {"a": "2"}}, user=user) != before
    assert hash_of(meta(configuration, annotations={"note": "x"}), user=user) == before
    other = SECRET if kind == "ConfigMap" else CONFIG_MAP
    assert hash_of(other, user=user) is None


@pytest.mark.parametrize(
    ("configuration", "pod"),
    [
        pytest.param(CONFIG_MAP, {}, id="what no Pod uses"),
        pytest.param(
            meta(CONFIG_MAP, namespace="elsewhere"),
            volume(configMap={"name": "conf"}),
            id="one of that name in another namespace",
        ),
        pytest.param(
            SECRET, {"imagePullSecrets": [{"name": "conf"}]}, id="a Secret that only pulls images"
        ),
        pytest.param(CONFIG_MAP, volume(configMap={"name": "x"}), id="one of another release"),
        pytest.param(CONFIG_MAP, {"volumes": "text"}, id="volumes of a wrong shape"),
        pytest.param(CONFIG_MAP, volume(configMap=["conf"]), id="a reference of a wrong shape"),
    ],
)
def test_what_makes_no_other_template(configuration: dict[str, Any], pod: dict[str, Any]) -> None:
    assert hash_of(configuration, user=workload(**pod)) is None


def test_configuration_is_looked_for_in_the_namespace_of_its_user() -> None:
    user = meta(workload(**volume(configMap={"name": "conf"})), namespace="elsewhere")
    assert hash_of(meta(CONFIG_MAP, namespace="elsewhere"), user=user) is not None
    assert hash_of(CONFIG_MAP, user=user) is None


def test_the_users_own_annotations_stay() -> None:
    user = workload(**volume(configMap={"name": "conf"}))
    user["spec"]["template"]["metadata"] = {"annotations": {"note": "x"}}
    rendered = render(CONFIG_MAP, user).objects[-1]
    assert rendered["spec"]["template"]["metadata"]["annotations"].keys() == {"note", CONFIG_HASH}


def test_a_cron_job_runs_new_configuration_and_a_job_keeps_its_unchangeable_template() -> None:
    pod = workload(**volume(configMap={"name": "conf"}))["spec"]
    cron = obj("CronJob", api_version="batch/v1", spec={"jobTemplate": {"spec": pod}})
    job = obj("Job", api_version="batch/v1", spec=pod)
    assert hash_of(CONFIG_MAP, user=cron) is not None
    assert hash_of(CONFIG_MAP, user=job) is None


def test_a_hash_that_a_secret_is_part_of_cannot_be_guessed_without_the_key() -> None:
    both = container(envFrom=[{"secretRef": {"name": "conf"}}, {"configMapRef": {"name": "conf"}}])
    user = workload(**both)
    hashes = {hash_of(CONFIG_MAP, SECRET, user=user, key=key * 32) for key in (b"a", b"b")}
    assert len(hashes) == 2
    assert hash_of(CONFIG_MAP, SECRET, user=user) == hash_of(CONFIG_MAP, SECRET, user=user)


def test_a_hash_of_what_is_no_secret_needs_no_key() -> None:
    user = workload(**container(envFrom=[{"configMapRef": {"name": "conf"}}]))
    hashes = {hash_of(CONFIG_MAP, user=user, key=key * 32) for key in (b"a", b"b")}
    assert len(hashes) == 1


def test_without_the_key_a_release_with_secrets_does_not_render_yet() -> None:
    user = workload(**container())
    with pytest.raises(TransientError, match="the key for their digests is not known"):
        render(SECRET, user, key=None)
    assert render(CONFIG_MAP, user, key=None) == render(CONFIG_MAP, user)
