"""One small object of each built-in kind, for a server to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]

TEMPLATE: Object = {
    "metadata": {"labels": {"app": "a"}},
    "spec": {"containers": [{"name": "a", "image": "example.com/a:1"}]},
}
ONCE: Object = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}
SELECTOR: Object = {"matchLabels": {"app": "a"}}
CLAIM: Object = {
    "accessModes": ["ReadWriteOnce"],
    "storageClassName": "SPACE",
    "resources": {"requests": {"storage": "1Gi"}},
}
SCHEMA: Object = {"openAPIV3Schema": {"type": "object"}}


def version(name: str, *, storage: bool = False, served: bool = True) -> Object:
    return {"name": name, "served": served, "storage": storage, "schema": SCHEMA}


def _workload(kind: str, **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "spec": {"selector": SELECTOR, "template": TEMPLATE, **spec},
    }


BASES: Mapping[str, Object] = {
    "Deployment": _workload("Deployment", replicas=0),
    "ReplicaSet": _workload("ReplicaSet", replicas=0),
    "DaemonSet": _workload("DaemonSet"),
    "StatefulSet": _workload("StatefulSet", replicas=0, serviceName="a"),
    "StatefulSet by partition": _workload(
        "StatefulSet", replicas=0, updateStrategy={"rollingUpdate": {"partition": 0}}
    ),
    "Deployment by numbers": _workload(
        "Deployment",
        replicas=0,
        strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
    ),
    "Deployment by a number": _workload(
        "Deployment", replicas=0, strategy={"rollingUpdate": {"maxSurge": 1}}
    ),
    "StatefulSet with claims": _workload(
        "StatefulSet",
        replicas=0,
        volumeClaimTemplates=[{"metadata": {"name": "data"}, "spec": CLAIM}],
    ),
    "Job": {"apiVersion": "batch/v1", "kind": "Job", "spec": {"suspend": True, "template": ONCE}},
    "Indexed Job": {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "spec": {
            "suspend": True,
            "template": ONCE,
            "completionMode": "Indexed",
            "completions": 2,
            "parallelism": 2,
        },
    },
    "CronJob": {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "spec": {
            "schedule": "0 0 1 1 *",
            "suspend": True,
            "jobTemplate": {"spec": {"template": ONCE}},
        },
    },
    "PersistentVolumeClaim": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": CLAIM},
    "PersistentVolume": {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "SPACE",
            "hostPath": {"path": "/tmp/a"},
        },
    },
    "ConfigMap": {"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": "1"}},
    "Secret": {"apiVersion": "v1", "kind": "Secret", "stringData": {"x": "1"}},
    "Service": {
        "apiVersion": "v1",
        "kind": "Service",
        "spec": {"selector": {"app": "a"}, "ports": [{"port": 80}]},
    },
    "IPv4 Service": {
        "apiVersion": "v1",
        "kind": "Service",
        "spec": {"ipFamilies": ["IPv4"], "selector": {"app": "a"}, "ports": [{"port": 80}]},
    },
    "headless Service": {
        "apiVersion": "v1",
        "kind": "Service",
        "spec": {"clusterIP": "None", "selector": {"app": "a"}, "ports": [{"port": 80}]},
    },
    "ServiceAccount": {"apiVersion": "v1", "kind": "ServiceAccount"},
    "RoleBinding": {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
    },
    "ClusterRoleBinding": {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
    },
    "StorageClass": {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "provisioner": "example.com/a",
        "parameters": {"x": "1"},
    },
    "VolumeAttributesClass": {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "VolumeAttributesClass",
        "driverName": "example.com",
        "parameters": {"x": "1"},
    },
    "CSIDriver": {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "spec": {}},
    "IngressClass": {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "spec": {"controller": "example.com/a"},
    },
    "PriorityClass": {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1},
    "RuntimeClass": {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "handler": "a"},
    "EndpointSlice": {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "addressType": "IPv4",
        "endpoints": [],
    },
    "Pod": {"apiVersion": "v1", "kind": "Pod", "spec": ONCE["spec"]},
    "HorizontalPodAutoscaler": {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "spec": {
            "maxReplicas": 2,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"},
        },
    },
    "PodDisruptionBudget": {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "spec": {"selector": SELECTOR, "minAvailable": 1},
    },
    "NetworkPolicy": {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "spec": {"podSelector": SELECTOR},
    },
    "CustomResourceDefinition": {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "spec": {
            "group": "GROUP",
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing"},
            "versions": [version("v1", storage=True)],
        },
    },
}

CLUSTER_SCOPED = frozenset(
    {"PersistentVolume", "ClusterRoleBinding", "StorageClass", "VolumeAttributesClass", "CSIDriver"}
    | {"IngressClass", "PriorityClass", "RuntimeClass", "CustomResourceDefinition"}
)
