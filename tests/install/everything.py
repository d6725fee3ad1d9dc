"""A service of every kind that the chart lets services consist of, to be seen to need each of its rights."""

from __future__ import annotations

from tests.system.envrepo import image_name


def objects(name: str, *, namespace: str, storage_class: str) -> str:
    """Returns what is to be kept: a Namespace, a claim, and a workload for each controller but the Deployment's.

    Args:
        name: Of the service; its objects are called after it.
        namespace: Beside the service's own.
        storage_class: Of a volume that the claim fits.
    """
    return f"""\
apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}}}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: {storage_class}
  resources: {{requests: {{storage: 1Gi}}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: {name}-keeper}}
spec:
  serviceName: {name}
  selector: {{matchLabels: {{app: {name}-keeper}}}}
  template:
    metadata: {{labels: {{app: {name}-keeper}}}}
    spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: web, image: {image_name(name)}}}]}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: {name}-agent}}
spec:
  selector: {{matchLabels: {{app: {name}-agent}}}}
  template:
    metadata: {{labels: {{app: {name}-agent}}}}
    spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: web, image: {image_name(name)}}}]}}
"""


def passing(name: str) -> str:
    """Returns what a later release holds no more, so that it is deleted; half of a service's objects may go at once."""
    return f"""\
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}}}
---
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}-once}}
spec:
  template:
    spec: {{restartPolicy: Never, containers: [{{name: web, image: {image_name(name)}}}]}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: {name}-nightly}}
spec:
  schedule: "0 4 * * *"
  suspend: true
  jobTemplate:
    spec:
      template:
        spec: {{restartPolicy: Never, containers: [{{name: web, image: {image_name(name)}}}]}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{name: {name}}}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: StatefulSet, name: {name}-keeper}}
  maxReplicas: 3
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}}}
spec:
  defaultBackend: {{service: {{name: {name}, port: {{number: 80}}}}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: {name}}}
spec: {{podSelector: {{matchLabels: {{app: {name}}}}}, policyTypes: [Ingress]}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: {name}}}
spec: {{maxUnavailable: 1, selector: {{matchLabels: {{app: {name}}}}}}}
"""


def volume(storage_class: str) -> dict[str, object]:
    """Returns a volume for a claim of a class: nobody makes any in a test's cluster."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": storage_class},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "storageClassName": storage_class,
            "hostPath": {"path": f"/nowhere/{storage_class}"},
        },
    }
