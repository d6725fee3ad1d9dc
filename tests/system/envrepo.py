"""A small env repo as text: one service, or more of the same, over dev, staging and prod in two waves."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.simulated.behaviour import Fate, digest_for

ENVIRONMENTS = {"dev": ("dev-1",), "staging": ("staging-1",), "prod": ("prod-1", "prod-2")}
CLUSTERS = tuple(cluster for names in ENVIRONMENTS.values() for cluster in names)


def fleet() -> str:
    """Returns fleet.yaml."""
    lines = ["mode: enforce", "environments:"]
    for environment, clusters in ENVIRONMENTS.items():
        named = ", ".join(f"{{name: {cluster}}}" for cluster in clusters)
        lines += [f"  - name: {environment}", f"    clusters: [{named}]"]
    return "\n".join(lines) + "\n"


def policy(
    *, drift: str = "report", soak_s: float = 1, watch_for_s: float = 600, deadline_s: float = 600
) -> str:
    """Returns policies/line.yaml."""
    rules = f"soak_s: {soak_s}, watch_for_s: {watch_for_s}, progress_deadline_s: {deadline_s}"
    lines = ["path: [dev, staging, prod]", "environments:"]
    for environment in ENVIRONMENTS:
        waves = "[[prod-1], [prod-2]]" if environment == "prod" else "all"
        lines.append(f"  {environment}: {{{rules}, waves: {waves}, drift: {drift}}}")
    return "\n".join(lines) + "\n"


def service(namespace: str) -> str:
    """Returns service.yaml."""
    return f"source: manifests\npolicy: line\nnamespace: {namespace}\n"


def manifests(name: str, replicas: int = 2) -> str:
    """Returns a ConfigMap, a Deployment and a Service."""
    return f"""\
apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}}}
data: {{greeting: hello}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: web
          image: {image_name(name)}
          ports: [{{containerPort: 8080}}]
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  selector: {{app: {name}}}
  ports: [{{port: 80, targetPort: 8080}}]
"""


def image_name(name: str) -> str:
    """Returns the repository of a service's image."""
    return f"registry.example.com/{name}"


def digest(version: str, fate: Fate = Fate.READY, *, marker: str = "") -> str:
    """Returns the digest of a version that fares so, or that begins with a marker."""
    made = digest_for(fate, version)
    return f"sha256:{marker}{made[7 + len(marker) :]}" if marker else made


def pin(name: str, version: str, image_digest: str) -> str:
    """Returns a pin, with comments that a revert must leave alone."""
    return (
        f"# who: the {name} team\n"
        "release:\n"
        f'  version: "{version}" # the tag\n'
        f"  images: {{{image_name(name)}: '{image_digest}'}}\n"
    )


def pins(
    name: str,
    version: str,
    fate: Fate = Fate.READY,
    *,
    marker: str = "",
    environments: Iterable[str] = tuple(ENVIRONMENTS),
) -> dict[str, bytes | None]:
    """Returns one version's pins for environments, by path."""
    text = pin(name, version, digest(version, fate, marker=marker)).encode()
    return {f"environments/{environment}/{name}.yaml": text for environment in environments}


def env_repo(
    names: Iterable[str], namespace: str, *, policy_text: str = "", replicas: int = 2
) -> dict[str, bytes | None]:
    """Returns the files of a whole env repo without pins."""
    files = {"fleet.yaml": fleet(), "policies/line.yaml": policy_text or policy()}
    for name in names:
        files[f"services/{name}/service.yaml"] = service(namespace)
        files[f"services/{name}/{name}.yaml"] = manifests(name, replicas)
    return {path: text.encode() for path, text in files.items()}
