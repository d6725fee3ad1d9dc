"""The example repo has what a first reader is to find in it: every shape of fleet, promotion and service."""

from __future__ import annotations

from itertools import product

import pytest
import yaml

from reconciler.cli.demo_fleet import CLUSTERS
from reconciler.model.env_repo import Service, Snapshot, SourceKind
from reconciler.model.names import ServiceName
from reconciler.schema.folder import WORKING_FOLDER, FolderFiles
from reconciler.schema.shipped import shipped
from reconciler.schema.snapshot import read_snapshot

EXAMPLE = shipped("example-repo")


@pytest.fixture(name="read", scope="module")
def fixture_read() -> Snapshot:
    return read_snapshot(FolderFiles(EXAMPLE), WORKING_FOLDER)


def only(read: Snapshot, kinds: dict[str, bool]) -> Service:
    """Returns the one service of which something is so."""
    (name,) = [name for name, is_so in kinds.items() if is_so]
    return read.services[ServiceName(name)]


def test_its_fleet_is_three_environments_over_five_clusters(read: Snapshot) -> None:
    found = {
        environment.name: tuple(cluster.name for cluster in environment.clusters)
        for environment in read.fleet.environments
    }
    assert list(found) == ["dev", "staging", "prod"]
    assert [len(clusters) for clusters in found.values()] == [1, 1, 3]
    assert found == CLUSTERS


def test_its_services_go_through_prod_in_two_waves(read: Snapshot) -> None:
    prod = read.fleet.environments[-1]
    for service in read.services.values():
        waves = read.policies[service.policy].of(prod.name).among(prod.clusters).waves
        assert len(waves) == 2
        assert sorted(name for wave in waves for name in wave) == [c.name for c in prod.clusters]


def test_its_four_services_are_pinned_everywhere(read: Snapshot) -> None:
    assert len(read.services) == 4
    environments = [environment.name for environment in read.fleet.environments]
    assert set(read.pins) == set(product(environments, read.services))


def test_one_service_is_a_kustomization_with_an_overlay_for_each_environment(
    read: Snapshot,
) -> None:
    service = only(read, {n: s.source is SourceKind.KUSTOMIZE for n, s in read.services.items()})
    overlays = EXAMPLE / "services" / service.name / "overlays"
    assert {folder.name for folder in overlays.iterdir()} == {
        environment.name for environment in read.fleet.environments
    }
    assert len({(folder / "kustomization.yaml").read_text() for folder in overlays.iterdir()}) > 1


def test_one_service_depends_on_another(read: Snapshot) -> None:
    service = only(read, {name: bool(s.depends_on) for name, s in read.services.items()})
    assert set(service.depends_on) < set(read.services) - {service.name}


def test_one_service_of_plain_manifests_has_a_stateful_set(read: Snapshot) -> None:
    kinds = {
        name: {
            obj["kind"]
            for file in (EXAMPLE / "services" / name).glob("*.yaml")
            if file.name != "service.yaml"
            for obj in yaml.safe_load_all(file.read_text())
        }
        for name, service in read.services.items()
        if service.source is SourceKind.MANIFESTS
    }
    assert len(kinds) == 3
    only(read, {name: "StatefulSet" in found for name, found in kinds.items()})


def test_every_file_of_it_that_people_write_has_a_comment_for_them() -> None:
    files = list(EXAMPLE.rglob("*.yaml"))
    assert len(files) > 20
    for file in files:
        if file.name != "namespace.yaml":
            lines = file.read_text().splitlines()
            told = [x for x in lines if "# " in x and "yaml-language-server" not in x]
            assert told, file
