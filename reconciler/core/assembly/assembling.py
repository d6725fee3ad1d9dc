"""The whole way from a service's raw objects to what one cluster is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.core.assembly import scope
from reconciler.core.assembly.configuration import hash_into_templates
from reconciler.core.assembly.faults import raise_all
from reconciler.core.assembly.images import put_images
from reconciler.core.assembly.order import in_order
from reconciler.core.assembly.pods import Tree
from reconciler.core.assembly.shape import shaped
from reconciler.core.assembly.values import effective_values, leave_to_autoscalers, set_replicas
from reconciler.core.stored import canonical, is_secret, render_digest
from reconciler.errors import InvalidInput, TransientError
from reconciler.model.env_repo import Service
from reconciler.model.fleet import Allowed, Cluster
from reconciler.model.names import EnvironmentName
from reconciler.model.objects import KubeObject, Rendered
from reconciler.model.release import Revision

SERVICE_LABEL = "reconciler.dev/service"
ENVIRONMENT_LABEL = "reconciler.dev/environment"

ASSEMBLY = "assembly/2"
"""Counts up with every change that makes another object of the same input: what it changes is then
`RenderChanged`, and goes through order and waves. A test holds it against what is rendered."""

OBJECTS_MAX = 2_000
"""Twenty times the largest service met in practice; each costs requests to every cluster."""

RENDERED_BYTES_MAX = 16 * 1024 * 1024
"""Compressed it fits into a few Secrets a revision, of which each cluster keeps three."""


def assemble(
    raw: Sequence[KubeObject],
    *,
    service: Service,
    environment: EnvironmentName,
    cluster: Cluster,
    revision: Revision,
    allowed: Allowed,
    key: bytes | None,
) -> Rendered:
    """Returns what a revision renders to on one cluster, in apply order.

    Args:
        raw: What a Builder made of the service's files; it is not changed.
        service: Its service.yaml.
        environment: Where it goes; names the namespace.
        cluster: Where it goes; its name and labels may stand in values.
        revision: The images and values to put in.
        allowed: What fleet.yaml lets services touch.
        key: Of this installation, for digests of Secrets; None while it is not known.

    Raises:
        Unrenderable: With every fault found.
        TransientError: It holds Secrets, and the key is not known.
    """
    subject = f"service {service.name} in {environment}"
    values = effective_values(revision, cluster)
    objects = _shaped(raw, subject)
    faults = [
        *scope.place(objects, service, service.namespace_in(environment)),
        *scope.refusals(objects, allowed),
        *scope.duplicates(objects),
        *put_images(objects, revision.release.images),
        *set_replicas(objects, values),
        *_label(objects, {SERVICE_LABEL: service.name, ENVIRONMENT_LABEL: environment}),
    ]
    raise_all(subject, faults)
    leave_to_autoscalers(objects)
    if key is None and any(is_secret(obj) for obj in objects):
        why = "it holds Secrets, and the key for their digests is not known yet"
        raise TransientError(subject, "it cannot be rendered", why, "the home cluster must answer")
    hash_into_templates(objects, key or b"")
    ordered = in_order(objects)
    return Rendered(ordered, render_digest(ordered, key or b""))


def _shaped(raw: Sequence[KubeObject], subject: str) -> list[Tree]:
    """Returns copies; raises before anything else looks at objects that may have any shape."""
    objects, faults = [], list(_over_limits(raw, subject))
    for index, obj in enumerate(raw[:OBJECTS_MAX]):
        try:
            objects.append(shaped(obj, index=index))
        except InvalidInput as fault:
            faults.append(fault)
    if sum(len(canonical(obj)) for obj in objects) > RENDERED_BYTES_MAX:
        why = f"together its objects have more than {RENDERED_BYTES_MAX} bytes"
        faults.append(InvalidInput(subject, "it is too large", why, "split the service"))
    raise_all(subject, faults)
    return objects


def _over_limits(raw: Sequence[KubeObject], subject: str) -> Iterator[InvalidInput]:
    if not raw:
        yield InvalidInput(
            subject,
            "it holds no objects",
            "an empty render would ask for everything to be deleted",
            "add a manifest; to take a service away, say so in its pin",
        )
    if len(raw) > OBJECTS_MAX:
        why = f"{len(raw)} objects, and {OBJECTS_MAX} are allowed"
        yield InvalidInput(subject, "it is too large", why, "split the service")


def _label(objects: Sequence[Tree], labels: dict[str, str]) -> Iterator[InvalidInput]:
    """Adds our labels, to the object alone: on a Pod template they would make new Pods."""
    for obj in objects:
        present = obj["metadata"].setdefault("labels", {})
        for label, value in labels.items():
            if present.setdefault(label, value) != value:
                yield InvalidInput(
                    f"{obj['kind']}/{obj['metadata']['name']}",
                    f"its label {label} is another's",
                    f"it must be {value}",
                    "take the label out",
                )
