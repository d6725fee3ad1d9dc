"""What is rendered changes only together with the version that names what renders it.

Otherwise an upgrade of the daemon would go out everywhere at once, as drift or with the next commit,
and not through environments and waves.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from reconciler.adapters.render.builder import ServiceBuilder
from reconciler.core.assembly import ASSEMBLY, assemble
from reconciler.core.identity import revision_of
from reconciler.model.env_repo import Service, SourceKind
from reconciler.model.fleet import Allowed, Cluster, ClusterState, Mode
from reconciler.model.names import (
    ClusterName,
    CommitId,
    EnvironmentName,
    PolicyName,
    ServiceName,
)
from reconciler.model.release import Values

PROD = EnvironmentName("prod")
WEB, SIDE = "r.example.com/web", "r.example.com:5000/side"

MANIFESTS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: web, annotations: {note: "yes"}}
data: {greeting: "grüße", mode: "0400"}
---
apiVersion: v1
kind: Secret
metadata: {name: web}
stringData: {password: hunter2}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, creationTimestamp: null}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers:
        - name: side
          image: r.example.com:5000/side:latest
          env: [{name: P, valueFrom: {secretKeyRef: {name: web, key: password}}}]
      containers:
        - {name: web, image: r.example.com/web, envFrom: [{configMapRef: {name: web}}]}
status: {}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: tidy}
spec:
  schedule: "0 4 * * *"
  jobTemplate:
    spec: {template: {spec: {restartPolicy: Never, containers: [{name: tidy, image: r.example.com/web}]}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: web-reader}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
"""

KUSTOMIZATION: Mapping[str, bytes] = {
    "base/web.yaml": MANIFESTS.encode(),
    "base/kustomization.yaml": b"resources: [web.yaml]\nlabels: [{pairs: {team: web}}]\n",
    "overlays/prod/kustomization.yaml": (
        b"resources: [../../base]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: Service\n"
        b"    metadata: {name: web}\n    spec: {type: NodePort}\n"
    ),
}

DIGESTS = {
    "assembly/1": "sha256:fbf3fbbad0555edcb9d7872d75554975e97a1066aab76749198d8e5b716d8f54",
    "assembly/1 kubectl/1.37.1": "sha256:887447345847e0951dd240193b720e9ddaf7d4bcd533130ed7b32baffbecf6a0",
    # assembly/2 leaves replicas to an autoscaler, of which this input has none.
    "assembly/2": "sha256:fbf3fbbad0555edcb9d7872d75554975e97a1066aab76749198d8e5b716d8f54",
    "assembly/2 kubectl/1.37.1": "sha256:887447345847e0951dd240193b720e9ddaf7d4bcd533130ed7b32baffbecf6a0",
}
"""By what renders. An old line stays: it says what that version made of the same input.

A line that differs: count ASSEMBLY up in core/assembly/assembling.py and add a line for it. A version
of kubectl that is not here: add a line for it. Never change one.
"""


@pytest.mark.parametrize("kind", [SourceKind.MANIFESTS, SourceKind.KUSTOMIZE])
def test_what_is_rendered_is_what_this_version_stands_for(kind: SourceKind) -> None:
    builder = ServiceBuilder()
    renderer = " ".join(part for part in (ASSEMBLY, builder.version(kind)) if part)
    assert renderer in DIGESTS, f"add a line for {renderer}"
    assert rendered(kind, builder, renderer) == DIGESTS[renderer], "see DIGESTS"


def rendered(kind: SourceKind, builder: ServiceBuilder, renderer: str) -> str:
    """Returns the render digest of one service that uses what assembly knows."""
    files = KUSTOMIZATION if kind is SourceKind.KUSTOMIZE else {"web.yaml": MANIFESTS.encode()}
    service = Service(
        name=ServiceName("web"),
        source=kind,
        policy=PolicyName("line"),
        namespace="web",
        namespaces=((PROD, "web-prod"),),
        depends_on=(),
        owners=(),
        cluster_scoped=("ClusterRole/web-reader",),
        immediate=(),
        mode=Mode.ENFORCE,
    )
    revision = revision_of(
        version="1",
        images=[(WEB, "sha256:" + "4f" * 32), (SIDE, "1.2")],
        source=CommitId("9" * 40),
        values=Values.of({"replicas": 3}),
        cluster_values=Values(),
        entries=(),
        service_yaml_identity=b"",
        environment=PROD,
        renderer=renderer,
    )
    return assemble(
        builder.build(kind, files, PROD),
        service=service,
        environment=PROD,
        cluster=Cluster(ClusterName("prod-1"), PROD, (), ClusterState.ACTIVE),
        revision=revision,
        allowed=Allowed(None, None),
        key=b"k" * 32,
    ).digest
