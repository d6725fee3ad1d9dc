"""The one Settings of a daemon or a command: a unit and a reason at every field."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from reconciler.model.believed import Believed
from reconciler.model.fleet import Mode
from reconciler.model.records import REJECTIONS_MAX

Seconds = Annotated[float, Field(gt=0, le=86_400)]

PATH_BYTES_MAX = 4095
"""As much as Linux takes for a path, beside the NUL that ends it."""


def _usable(path: Path) -> Path:
    """Refuses what no call takes for a path: it would end whoever opens it later."""
    if not str(path).isprintable() or len(str(path).encode()) > PATH_BYTES_MAX:
        raise ValueError(f"must be a path without control characters, of {PATH_BYTES_MAX} bytes")
    return path


LocalPath = Annotated[Path, AfterValidator(_usable)]
"""A file or folder of this machine; what it is now is looked at whenever it is used."""


def _named(name: str) -> str:
    """Refuses what names nobody: a record without a name is taken over by whoever finds it."""
    if not name.strip() or not name.isprintable():
        raise ValueError("must be a name that can be read, or be left out")
    return name


Name = Annotated[str, AfterValidator(_named)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RepoSettings(_Frozen):
    """Where the env repo is and how it is reached; credentials are files, read again when they change."""

    url: str = Field(
        description="https, ssh or a local path; a local path can be read, not pushed to."
    )
    branch: str = Field("main", description="The branch people merge into.")
    path: str = Field(
        "", description="The subfolder of the repo that is the env repo; empty for all."
    )
    username: str = Field("git", description="The name that goes with the token or the ssh key.")
    token_file: LocalPath | None = Field(
        None, description="A file holding an access token for https."
    )
    ssh_key_file: LocalPath | None = Field(None, description="A private key for ssh.")
    known_hosts_file: LocalPath | None = Field(
        None, description="Host keys for ssh; without it no ssh host is trusted."
    )
    ca_file: LocalPath | None = Field(
        None, description="Certificates to trust instead of the system's."
    )
    allowed_signers_file: LocalPath | None = Field(
        None,
        description="SSH keys, as ssh-keygen's allowed signers, of those whose commits may change "
        "fleet.yaml, policies and quarantine; without it whoever can merge may.",
    )
    poll_s: Seconds = Field(
        15.0, description="Seconds between fetches; a webhook or file event only comes sooner."
    )
    timeout_s: Seconds = Field(
        20.0, description="Seconds one fetch or push may take before it is given up."
    )
    author_name: str = Field("reconciler", description="The author of the daemon's commits.")
    author_email: str = Field("reconciler@localhost", description="That author's address.")

    accept_history: str | None = Field(
        None,
        description="The new HEAD's full commit, after the branch was rewritten on purpose; "
        "it lets one rewrite through, and none that comes later.",
    )

    @field_validator("path")
    @classmethod
    def _below(cls, path: str) -> str:
        if len(path.encode(errors="replace")) > PATH_BYTES_MAX:
            raise ValueError(f"must be of at most {PATH_BYTES_MAX} bytes")
        if not path.isprintable() or path.startswith("/") or ".." in path.split("/"):
            raise ValueError("must be a folder below the repo's root, without `..`")
        if path.startswith("-"):
            # Nobody means it: a flag has lost its value.
            raise ValueError("may not begin with `-`")
        return path


class KubeconfigAllow(_Frozen):
    """What a kubeconfig may do beyond naming a server and a token; each is refused by default."""

    exec: bool = Field(False, description="Run a program to get credentials.")
    auth_provider: bool = Field(False, description="Use a built-in credential provider.")
    file_references: bool = Field(False, description="Name certificate, key and token files.")
    insecure_tls: bool = Field(False, description="Skip the check of the server's certificate.")


class ClusterSettings(_Frozen):
    """How one cluster of fleet.yaml is reached."""

    kubeconfig: LocalPath | None = Field(
        None, description="The kubeconfig file that holds its context."
    )
    context: str | None = Field(None, description="The context; the cluster's own name by default.")
    in_cluster: bool = Field(False, description="Use the Pod's own service account.")
    uid: str | None = Field(
        None, description="The UID of its kube-system namespace; another answer is refused."
    )
    allow: KubeconfigAllow = KubeconfigAllow()

    @model_validator(mode="after")
    def _one_way(self) -> ClusterSettings:
        if self.in_cluster == (self.kubeconfig is not None):
            raise ValueError("give either kubeconfig or in_cluster: true")
        return self


class LeaseSettings(_Frozen):
    """Who leads; the values are those of Kubernetes' own controllers."""

    duration_s: Seconds = Field(15.0, description="Seconds after which another may take over.")
    renew_deadline_s: Seconds = Field(
        10.0, description="Seconds without a renewal after which we stop admitting and pushing."
    )
    retry_s: Seconds = Field(2.0, description="Seconds between renewals.")

    @model_validator(mode="after")
    def _ordered(self) -> LeaseSettings:
        if not self.retry_s < self.renew_deadline_s < self.duration_s:
            raise ValueError("must be retry_s < renew_deadline_s < duration_s")
        return self


class FuseSettings(_Frozen):
    """How many automatic rejections in an hour are believed before a person is asked."""

    service_an_hour: int = Field(
        1,
        ge=1,
        description="Rejections of one service; of one environment the newest "
        f"{REJECTIONS_MAX} are counted, so that {REJECTIONS_MAX} or more is no limit there.",
    )
    commit_an_hour: int = Field(
        3,
        ge=1,
        description="Rejections of what one commit asked for, whichever services they are of.",
    )
    fleet_an_hour: int = Field(3, ge=1, description="Rejections in the whole fleet.")

    @property
    def an_hour(self) -> Believed:
        """All of them, to be counted by."""
        return Believed(self.service_an_hour, self.commit_an_hour, self.fleet_an_hour)


class ForgeSettings(_Frozen):
    """The forge that serves the env repo, asked over its API; its credential is a file, read at every use."""

    kind: Literal["gitea"] = Field(
        description="Whose API it speaks; Forgejo's is Gitea's in what is asked."
    )
    url: str = Field(
        description="The env repo's page, `https://host/owner/name`; plain http to loopback alone."
    )
    token_file: LocalPath = Field(
        description="A file holding a token that may read the repository, and write its pull requests."
    )
    ca_file: LocalPath | None = Field(
        None, description="Certificates to trust instead of the system's."
    )
    timeout_s: Seconds = Field(
        10.0, description="Seconds one request may take, from its first byte to the answer's last."
    )


class GateSettings(_Frozen):
    """One gate of policies' `http_gates`: who is asked, over HTTP; its secret is a file, read at every use."""

    url: str = Field(description="Where questions are sent; https, plain http to loopback alone.")
    secret_file: LocalPath = Field(
        description="A file holding the secret that questions are signed with, as Standard Webhooks has it: "
        '`echo "whsec_$(openssl rand -base64 32)"`.'
    )
    ca_file: LocalPath | None = Field(
        None, description="Certificates to trust instead of the system's."
    )
    timeout_s: Seconds = Field(10.0, description="Seconds one question may take, in all.")
    poll_s: Seconds = Field(
        30.0, description="Seconds between two questions about the same revision while it waits."
    )


GateName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=40)
]
"""As policies name them."""


class RegistrySettings(_Frozen):
    """How one registry is asked for tags; its credentials are a file, read at every use."""

    config_file: LocalPath | None = Field(
        None,
        description="A docker config with a user and a password for it, as `docker login` and Kubernetes' "
        "`.dockerconfigjson` have it; without it anonymously.",
    )
    ca_file: LocalPath | None = Field(
        None, description="Certificates to trust instead of the system's."
    )
    plain_http: bool = Field(False, description="Ask without TLS; on this machine itself alone.")
    poll_s: Seconds = Field(
        300.0,
        description="Seconds between two looks at the tags of a repository; after errors up to an hour.",
    )
    timeout_s: Seconds = Field(10.0, description="Seconds one request may take in all.")


class Settings(_Frozen):
    """Everything an operator may set; a changed file reloads the fields in RELOADABLE."""

    repo: RepoSettings
    forge: ForgeSettings | None = Field(
        None, description="The forge that serves the env repo; without one nothing is asked of any."
    )
    gates: dict[GateName, GateSettings] = Field(
        default_factory=dict, description="Gates of policies' `http_gates`, by name."
    )
    registries: dict[str, RegistrySettings] = Field(
        default_factory=dict,
        description="Registries that `image_policy` may follow, by address, as in `registry.example.com:5000`; "
        "no other is asked.",
    )
    clusters: dict[str, ClusterSettings] = Field(
        default_factory=dict, description="Credentials of fleet.yaml's clusters, by name."
    )
    kubeconfig: LocalPath | None = Field(
        None, description="One kubeconfig whose contexts are named as fleet.yaml's clusters."
    )
    kubeconfig_allow: KubeconfigAllow = KubeconfigAllow()
    home: str | None = Field(
        None, description="The cluster that holds the lease and the promotion records."
    )
    mode: Mode = Field(
        Mode.OBSERVE, description="observe writes nothing; the stricter mode counts."
    )
    namespace: str = Field(
        "reconciler-system", description="The reconciler's own namespace in every cluster."
    )
    bootstrap: bool = Field(
        True,
        description="Make that namespace and the records' definitions where they are not there; "
        "needs the right to create any, so an installer that has made them turns it off.",
    )
    installation: Name = Field(
        "default",
        description="Names this installation in the records that it writes; those of another are left alone.",
    )
    installation_formerly: tuple[Name, ...] = Field(
        (),
        description="Names that it had: records that carry one are taken over, and get the new name as "
        "they are written.",
    )
    listen: str = Field("127.0.0.1:8080", description="Address of the board; loopback by default.")
    probes_listen: str = Field(
        "127.0.0.1:8081", description="Address of /healthz, /readyz and /metrics."
    )
    state_dir: LocalPath = Field(
        Path("/var/lib/reconciler"), description="The Git mirror; may be lost at any time."
    )
    request_timeout_s: Seconds = Field(
        10.0, description="Seconds one request to an API server may take."
    )
    stop_timeout_s: Seconds = Field(
        20.0, description="Seconds a stop waits for work under way before it leaves."
    )
    fresh_s: Seconds = Field(
        60.0, description="Seconds without word from a watch after which what it said is unknown."
    )
    lease: LeaseSettings = LeaseSettings()
    fuses: FuseSettings = FuseSettings()
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="auto is text at a terminal and JSON elsewhere."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least important line that is written."
    )

    def registry_poll_s(self, repository: str) -> float:
        """Returns the seconds between two looks at an image repository."""
        host = repository.partition("/")[0]
        found = self.registries.get(host)
        return (found or RegistrySettings()).poll_s


RELOADABLE = frozenset({"mode", "fuses", "log_level", "repo.poll_s", "repo.accept_history"})
"""What a changed file puts into effect at once; any other change asks for a restart."""
