"""The chart's forge, registries and gates: their settings, and the files that these name."""

from __future__ import annotations

import pytest

from reconciler.config.settings import ForgeSettings, Settings
from tests.install.helm import Refused, render
from tests.install.test_chart import files_of

pytestmark = [pytest.mark.slow, pytest.mark.helm, pytest.mark.xdist_group("helm")]

PAGE = "https://git.example.com/team/env"


def test_a_forge_is_given_with_the_files_that_it_needs() -> None:
    rendered = render("all")
    forge = Settings.model_validate(rendered.settings()).forge
    assert forge is not None and forge.ca_file is not None
    assert (forge.kind, forge.url, forge.timeout_s) == ("gitea", PAGE, 20)
    assert {str(forge.token_file), str(forge.ca_file)} <= files_of(rendered)
    assert forge.token_file.name == "api-token"


def test_gates_are_given_with_the_files_that_they_need() -> None:
    rendered = render("all")
    gates = Settings.model_validate(rendered.settings()).gates
    assert {name: gate.poll_s for name, gate in gates.items()} == {
        "change-board": 30,
        "load-test": 60,
    }
    load = gates["load-test"]
    assert load.url == "https://load.example.com" and load.ca_file is not None
    named = {str(gate.secret_file) for gate in gates.values()} | {str(load.ca_file)}
    assert named <= files_of(rendered)
    assert "gates" not in render("least").settings()


def test_registries_are_given_with_the_files_that_they_need() -> None:
    rendered = render("all")
    registries = Settings.model_validate(rendered.settings()).registries
    assert {address: one.poll_s for address, one in registries.items()} == {
        "registry.example.com:5000": 300,
        "quay.example.com": 600,
    }
    private, public = registries["registry.example.com:5000"], registries["quay.example.com"]
    assert {str(private.config_file), str(private.ca_file)} <= files_of(rendered)
    assert public.config_file is None is public.ca_file
    assert "registries" not in render("least").settings()


def test_without_an_address_there_is_none_and_no_secret_is_named() -> None:
    rendered = render("least")
    assert "forge" not in rendered.settings()
    assert not [path for path in files_of(rendered) if "/forge/" in path]


def test_every_setting_of_it_is_made_or_may_be_given() -> None:
    made = set(render("all").settings()["forge"])
    assert made == set(ForgeSettings.model_fields)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("forge.url=http://git.example.com/team/env", "at '/forge/url'"),
        (f"forge.url={PAGE}", "name the Secret that holds the forge's token"),
        ("forge.credentials.secret=forge", "forge.url: give the env repo's page"),
        ("forge.kind=other", "at '/forge/kind'"),
        ("gates.a.url=http://gates.example.com", "at '/gates/a"),
        ("gates.a.url=https://gates.example.com", "at '/gates/a': missing property 'secret'"),
        ("gates.A.secret=a", "at '/gates': additional properties 'A' not allowed"),
        ("settings.gates.a.url=x", "additional properties 'url' not allowed"),
        ("registries.quay.caKey=ca.crt", "name the Secret that has this caKey"),
        ("settings.forge.url=x", "additional properties 'url' not allowed"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(wrong: str, told: str) -> None:
    with pytest.raises(Refused) as refused:
        render("least", wrong)
    assert told in str(refused.value)
