"""Records go into the cluster and come back as they were."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.errors import InvalidInput
from reconciler.model.health import Evidence
from reconciler.model.names import ClusterName, EnvironmentName, RenderDigest, ServiceName
from reconciler.model.path import Path, Step
from reconciler.model.policy import DriftMode, EnvironmentPolicy
from reconciler.model.records import (
    EVIDENCE_MAX,
    MESSAGE_MAX,
    PASSED_MAX,
    PROOFS_MAX,
    REJECTIONS_KEPT,
    REJECTIONS_MAX,
    ApplyState,
    Origin,
    PromotionRecord,
    Proof,
    Rejection,
    RevertProgress,
    Rollout,
    ServiceRecord,
)
from reconciler.model.release import Part, Values
from reconciler.schema.crds import crds
from reconciler.schema.records import (
    promotion_record_object,
    read_promotion_record,
    read_service_record,
    service_record_object,
    service_record_status,
)
from tests.fakes.records import COMMIT, revision

NOW = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
WEB, DEV, DEV_1 = ServiceName("web"), EnvironmentName("dev"), ClusterName("dev-1")
POLICY = EnvironmentPolicy(1.5, 2, 3, ((DEV_1,), (ClusterName("dev-2"),)), DriftMode.CORRECT)


def full_record() -> PromotionRecord:
    bad, good = revision("2"), revision("1", values=Values.of({"a": {"b": [1, None, "x"]}}))
    rejection = Rejection(
        revision=bad,
        part=Part.IMAGES,
        part_digest=bad.images_digest,
        environments=(DEV, EnvironmentName("prod")),
        reason="CrashLoopBackOff",
        message="it ended",
        cluster=DEV_1,
        evidence=(Evidence("Pod", "web-1", "OOMKilled", "out of memory", 137, 4),),
        restore_to=good,
        commit=COMMIT,
        first_failure_at=NOW,
        rejected_at=NOW,
        revert=RevertProgress(COMMIT, "a-branch", NOW),
    )
    return PromotionRecord(
        service=WEB,
        environment=DEV,
        admitted=good,
        rollout=Rollout(
            revision=good,
            restore_to=None,
            policy=POLICY,
            policy_digest="sha256:x",
            admitted_at=NOW,
            commit=COMMIT,
            path=Path((Step(DEV), Step(EnvironmentName("prod"), (DEV,)))),
        ),
        proofs=(Proof(good, Origin.SOAKED, (DEV_1,), True, "sha256:x", NOW, NOW),),
        rejections=(rejection,),
        epoch=4,
        holder="me",
        installation="default",
        version="17",
    )


def test_a_promotion_record_comes_back() -> None:
    record = full_record()
    assert read_promotion_record(promotion_record_object(record, namespace="n")) == record


def test_a_service_record_comes_back_with_its_status() -> None:
    record = ServiceRecord(
        service=WEB,
        environment=DEV,
        revision=revision(),
        namespace="web",
        returning=True,
        drift=DriftMode.CORRECT,
        keep=(revision().id,),
        rejection=full_record().rejections[0],
        epoch=1,
        holder="me",
        state=ApplyState.FAILED,
        render_digest=RenderDigest("sha256:y"),
        healthy_s=12.5,
        reason="ApplyRefused",
        generation=3,
        observed_generation=2,
        version="9",
    )
    obj = service_record_object(record, namespace="n")
    assert "status" not in obj
    obj["status"] = service_record_status(record)
    obj["metadata"]["generation"] = 3
    assert read_service_record(obj) == record


def test_a_record_stays_small_however_much_it_remembers() -> None:
    """See ADR 9: a usual record, one that holds all that it may, and one of an hour full of failures."""
    usual = full_record()
    assert len(json.dumps(promotion_record_object(usual, namespace="n"))) < 8_000
    (proof,), (rejection,) = usual.proofs, usual.rejections
    evidence = Evidence("Pod", "web-7d9f8b6c5d-abcde", "CrashLoopBackOff", "m" * 300, 1, 4)
    worst = replace(rejection, message="m" * MESSAGE_MAX, evidence=(evidence,) * EVIDENCE_MAX)
    most = replace(
        usual,
        proofs=(proof,) * PROOFS_MAX,
        rejections=(worst,) * REJECTIONS_KEPT,
        passed=("0123456789abcdef",) * PASSED_MAX,
    )
    assert len(json.dumps(promotion_record_object(most, namespace="n"))) < 32_000
    full = replace(most, rejections=(worst,) * REJECTIONS_MAX)
    assert len(json.dumps(promotion_record_object(full, namespace="n"))) < 100_000

    service = ServiceRecord(WEB, DEV, revision(), "web", rejection=worst, message="m" * 1_000)
    stored = {
        **service_record_object(service, namespace="n"),
        "status": service_record_status(service),
    }
    assert len(json.dumps(stored)) < 8_000


@pytest.mark.parametrize(
    "spoil",
    [
        lambda obj: obj.pop("spec"),
        lambda obj: obj["spec"].pop("service"),
        lambda obj: obj["spec"].update(epoch="many"),
        lambda obj: obj["spec"].update(proofs=[{"revision": 3}]),
        lambda obj: obj["spec"]["admitted"].pop("release"),
    ],
    ids=["no spec", "no service", "an epoch in words", "a proof of nothing", "no release"],
)
def test_a_record_that_is_none_is_an_error_and_not_an_empty_one(spoil: object) -> None:
    obj = promotion_record_object(full_record(), namespace="n")
    spoil(obj)  # type: ignore[operator]
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_promotion_record(obj)


def test_the_definitions_name_every_field_that_is_written() -> None:
    promotion, service = crds()
    for crd, obj in (
        (promotion, promotion_record_object(full_record(), namespace="n")),
        (service, service_record_object(ServiceRecord(WEB, DEV, revision(), "web"), namespace="n")),
    ):
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        _covers(schema, obj["spec"], "spec")


def _covers(schema: dict[str, object], value: object, path: str) -> None:
    if isinstance(value, dict):
        properties = schema["properties"]
        assert isinstance(properties, dict)
        for key, item in value.items():
            assert key in properties, f"{path}.{key}"
            _covers(properties[key], item, f"{path}.{key}")
    elif isinstance(value, list):
        items = schema["items"]
        assert isinstance(items, dict)
        for item in value:
            _covers(items, item, f"{path}[]")
