"""One daemon, its env repo behind a real Git server, and its clusters: what whole-process tests work on."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.model.objects import KubeObject
from reconciler.model.records import PromotionRecord, Rejection
from reconciler.schema.records import read_promotion_record
from tests.gitservers.served import Served
from tests.system import envrepo
from tests.system.daemon import DaemonProcess

HOME = "dev-1"


@dataclass(frozen=True, slots=True)
class Made:
    """A commit of the branch.

    Attributes:
        trailers: The daemon's, by what follows `Reconciler-`; of several of one name the last.
    """

    commit: str
    subject: str
    trailers: Mapping[str, str]


class Installation(ABC):
    """One installation of the reconciler, and the people who merge into its env repo.

    Attributes:
        name: Of the namespace that its service is in.
        service: The service that is rolled out.
        served: The env repo.
        daemon: Its daemon, not started.

    Args:
        name: See above.
        service: See above.
        served: See above.
        kubeconfig: Its contexts are named as the clusters.
        folder: For the daemon.
        settings: More of the daemon's settings.
    """

    def __init__(
        self,
        *,
        name: str,
        service: str,
        served: Served,
        kubeconfig: Mapping[str, Any],
        folder: Path,
        settings: Mapping[str, Any],
    ) -> None:
        self.name = name
        self.service = service
        self.served = served
        folder.mkdir(parents=True, exist_ok=True)
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(json.dumps(kubeconfig))
        self.kubeconfig.chmod(0o600)
        self.daemon = DaemonProcess(
            folder,
            {
                "repo": repo_settings(served),
                "kubeconfig": str(self.kubeconfig),
                "home": HOME,
                **settings,
            },
        )

    @abstractmethod
    def record_object(self, environment: str) -> KubeObject | None:
        """Returns the service's PromotionRecord as the home holds it."""

    def record(self, environment: str) -> PromotionRecord | None:
        """Returns the service's promotion record."""
        found = self.record_object(environment)
        return read_promotion_record(found) if found is not None else None

    def is_proven(self, environment: str, version: str) -> bool:
        """Whether a version is proven in an environment, as the home's record says."""
        record = self.record(environment)
        return record is not None and any(
            p.revision.release.version == version and p.opens_gates for p in record.proofs
        )

    def rejection(self, environment: str, version: str) -> Rejection | None:
        """Returns the record's rejection of a version, or None."""
        record = self.record(environment)
        found = record.rejections if record is not None else ()
        return next((r for r in found if r.revision.release.version == version), None)

    def merge(self, files: Mapping[str, bytes | None], message: str = "A change") -> str:
        """Merges a change to the branch; returns the commit."""
        return self.served.repository.commit(files, message=message)

    def pins(self, version: str, **options: Any) -> dict[str, bytes | None]:
        """Returns the service's pins of a version."""
        return envrepo.pins(self.service, version, **options)

    def start_with(self, version: str, policy_text: str = "", replicas: int = 2) -> None:
        """Begins with an env repo whose first release is proven everywhere."""
        files = envrepo.env_repo(
            [self.service], self.name, policy_text=policy_text, replicas=replicas
        )
        self.merge({**files, **self.pins(version)}, "the env repo")
        self.daemon.start()
        self.wait_proven("prod", version)

    def wait_proven(self, environment: str, version: str) -> None:
        """Waits until a version is proven in an environment."""
        self.daemon.until(
            lambda: self.is_proven(environment, version), f"{version} is proven in {environment}"
        )

    def head(self) -> str:
        """Returns the branch's commit."""
        return self.served.repository.tip()

    def reverts(self) -> list[Made]:
        """Returns the daemon's commits on the branch, newest first."""
        return [made for made in self.made() if made.trailers]

    def made_since(self, commit: str, branch: str = "main") -> list[Made]:
        """Returns the daemon's commits on a branch after one, newest first."""
        every = self.made(f"{commit}..refs/heads/{branch}")
        return [made for made in every if made.trailers]

    def made(self, revisions: str = "refs/heads/main") -> list[Made]:
        """Returns commits with their trailers, newest first."""
        form = "--format=%H%x01%s%x01%(trailers:only,unfold)%x02"
        log = self.served.repository.git("log", form, revisions)
        rows = [row.strip("\n").split("\x01") for row in log.split("\x02") if row.strip("\n")]
        return [Made(commit, subject, _trailers(text)) for commit, subject, text in rows]

    def own_branches(self) -> list[str]:
        """Returns the branches that the daemon made for people."""
        form = "--format=%(refname:lstrip=2)"
        return self.served.repository.git(
            "for-each-ref", form, "refs/heads/reconciler/"
        ).splitlines()

    def pinned(self, environment: str) -> str:
        """Returns the digest that HEAD's pin names."""
        text = self.served.repository.read(f"environments/{environment}/{self.service}.yaml")
        return text[text.index("sha256:") :][: len("sha256:") + 64]


def repo_settings(served: Served) -> dict[str, Any]:
    """Returns the daemon's settings for a served repository."""
    access = served.access
    files = {
        "token_file": access.token_file,
        "ssh_key_file": access.ssh_key_file,
        "known_hosts_file": access.ssh_known_hosts_file,
        "ca_file": access.ca_file,
    }
    return {
        "url": access.url,
        "branch": access.branch,
        "username": access.username,
        "poll_s": 1,
        "timeout_s": 20,
        **{key: str(path) for key, path in files.items() if path is not None},
    }


def _trailers(text: str) -> dict[str, str]:
    rows = (line.partition(": ") for line in text.splitlines())
    return {
        name.removeprefix("Reconciler-"): value
        for name, _, value in rows
        if name.startswith("Reconciler-")
    }
