"""Where an object lives, and whether this service may put it there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from reconciler.core.assembly.pods import Tree, group_kind, mapping
from reconciler.errors import InvalidInput
from reconciler.model.env_repo import Service
from reconciler.model.fleet import Allowed
from reconciler.model.objects import ObjectRef

OUR_GROUP = "reconciler.dev"

_RESERVED_NAMESPACES = frozenset(
    {"kube-system", "kube-public", "kube-node-lease", "reconciler-system"}
)
"""A service gets into these only where fleet.yaml names them outright; a pattern is not enough."""

_CLUSTER_SCOPED = frozenset(
    {
        ("", "ComponentStatus"),
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        ("authentication.k8s.io", "SelfSubjectReview"),
        ("authentication.k8s.io", "TokenReview"),
        ("authorization.k8s.io", "SelfSubjectAccessReview"),
        ("authorization.k8s.io", "SelfSubjectRulesReview"),
        ("authorization.k8s.io", "SubjectAccessReview"),
        ("certificates.k8s.io", "CertificateSigningRequest"),
        ("certificates.k8s.io", "ClusterTrustBundle"),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
        ("internal.apiserver.k8s.io", "StorageVersion"),
        ("networking.k8s.io", "IPAddress"),
        ("networking.k8s.io", "IngressClass"),
        ("networking.k8s.io", "ServiceCIDR"),
        ("node.k8s.io", "RuntimeClass"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("resource.k8s.io", "DeviceClass"),
        ("resource.k8s.io", "DeviceTaintRule"),
        ("resource.k8s.io", "ResourceSlice"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "CSIDriver"),
        ("storage.k8s.io", "CSINode"),
        ("storage.k8s.io", "StorageClass"),
        ("storage.k8s.io", "VolumeAttachment"),
        ("storage.k8s.io", "VolumeAttributesClass"),
        ("storagemigration.k8s.io", "StorageVersionMigration"),
    }
)
"""Source: `kubectl api-resources --namespaced=false` of Kubernetes 1.37, every feature gate on."""

_CRD = ("apiextensions.k8s.io", "CustomResourceDefinition")


def place(objects: Sequence[Tree], service: Service, namespace: str) -> Iterator[InvalidInput]:
    """Gives namespaced objects without a namespace the service's, in place; yields what is wrong.

    Whether a custom object is namespaced is said by its CRD where the release brings it, else by
    `cluster_scoped` of service.yaml; else it is taken for namespaced, and the executor, which knows
    the server, refuses it when that is wrong.
    """
    scopes = _scopes_of_own_kinds(objects)
    declared = set(service.cluster_scoped)
    for obj in objects:
        meta, named = obj["metadata"], f"{obj['kind']}/{obj['metadata']['name']}"
        known = _is_cluster_scoped(obj, scopes)
        if not (named in declared if known is None else known):
            if meta.get("namespace") is None:
                meta["namespace"] = namespace
        elif named not in declared:
            yield InvalidInput(
                named,
                "the service may not own it",
                "it belongs to the whole cluster, and service.yaml does not name it",
                f"add {named} to cluster_scoped",
            )
        elif meta.get("namespace") is not None:
            yield InvalidInput(
                named,
                "it has a namespace",
                "it belongs to the whole cluster",
                "take metadata.namespace out",
            )
        else:
            meta.pop("namespace", None)


def refusals(objects: Sequence[Tree], allowed: Allowed) -> Iterator[InvalidInput]:
    """Yields what fleet.yaml does not let a service touch, and what no service may."""
    for obj in objects:
        ref = ObjectRef.of(obj)
        if ref.group == OUR_GROUP or (
            group_kind(obj) == _CRD and ref.name.endswith(f".{OUR_GROUP}")
        ):
            yield InvalidInput(
                str(ref), "no service may own it", f"the group {OUR_GROUP} is the reconciler's own"
            )
        elif not _may_have_kind(ref, allowed):
            yield InvalidInput(
                str(ref),
                "services may not own this kind",
                "allow.kinds of fleet.yaml does not name it",
                f"add {'/'.join(p for p in (ref.group, ref.kind) if p)} there",
            )
        elif not _may_touch_namespace(ref, allowed):
            yield InvalidInput(
                str(ref),
                "services may not touch this namespace",
                "allow.namespaces of fleet.yaml does not name it",
                "add it there, or use another namespace",
            )


def duplicates(objects: Sequence[Tree]) -> Iterator[InvalidInput]:
    """Yields each object that another one repeats, whatever version of its group either is written in."""
    seen: set[tuple[str, str, str, str]] = set()
    for obj in objects:
        ref = ObjectRef.of(obj)
        key = (ref.group, ref.kind, ref.namespace, ref.name)
        if key in seen:
            yield InvalidInput(
                str(ref), "it is there twice", "two files or documents hold it", "keep one of them"
            )
        seen.add(key)


def _may_have_kind(ref: ObjectRef, allowed: Allowed) -> bool:
    return allowed.kinds is None or any(
        fnmatchcase(ref.kind, kind) or fnmatchcase(f"{ref.group}/{ref.kind}", kind)
        for kind in allowed.kinds
    )


def _may_touch_namespace(ref: ObjectRef, allowed: Allowed) -> bool:
    is_namespace = (ref.group, ref.kind) == ("", "Namespace")
    namespace = ref.name if is_namespace else ref.namespace
    if namespace in _RESERVED_NAMESPACES:
        return namespace in (allowed.namespaces or ())
    return (
        not namespace
        or allowed.namespaces is None
        or any(fnmatchcase(namespace, pattern) for pattern in allowed.namespaces)
    )


def _is_cluster_scoped(obj: Tree, scopes: Mapping[tuple[str, str], bool]) -> bool | None:
    group, kind = group_kind(obj)
    if (group, kind) in _CLUSTER_SCOPED:
        return True
    if _is_builtin(group):
        return False
    return scopes.get((group, kind))


def _is_builtin(group: str) -> bool:
    return group in {"", "apps", "batch", "autoscaling", "policy", "extensions"} or any(
        group == builtin for builtin, _ in _CLUSTER_SCOPED
    )


def _scopes_of_own_kinds(objects: Sequence[Tree]) -> dict[tuple[str, str], bool]:
    """Returns whether each kind is cluster-scoped that a CRD of this release defines."""
    scopes = {}
    for obj in objects:
        if group_kind(obj) == _CRD:
            spec = mapping(obj.get("spec"))
            kind = str(mapping(spec.get("names")).get("kind"))
            scopes[str(spec.get("group")), kind] = spec.get("scope") == "Cluster"
    return scopes
