"""A real registry of the distribution project, with a user, to which tests push as people do."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.controlplane.process import Process
from tests.controlplane.requiring import require_tool
from tests.ports import free_port

USER = "puller"
PASSWORD = "canary-registry-password"
HASH = "$2b$04$rrfN7DLGNI1h1bRfm.up4O0WCJhVtaBMdUMHD3Ofy4YVGSVG3PfX2"
"""The password's, by bcrypt, which is the only one that it takes."""

START_S = 30.0

_CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}/storage}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}", secret: a-secret-of-the-tests}}
auth: {{htpasswd: {{realm: tests, path: {folder}/htpasswd}}}}
"""

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


class Distribution:
    """A registry of its own; started by `serve_registry`.

    Args:
        folder: Where everything goes.
        program: The program.
    """

    def __init__(self, folder: Path, program: Path) -> None:
        self.host = f"127.0.0.1:{free_port()}"
        port = self.host.partition(":")[2]
        (folder / "htpasswd").write_text(f"{USER}:{HASH}\n")
        config = folder / "config.yml"
        config.write_text(_CONFIG.format(folder=folder, port=port))
        self._process = Process([str(program), "serve", str(config)], folder / "registry.log")
        self._pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def config_file(self, folder: Path, password: str = PASSWORD) -> Path:
        """Writes a docker config that knows this registry."""
        auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
        file = folder / "docker-config.json"
        file.write_text(json.dumps({"auths": {self.host: {"auth": auth}}}))
        return file

    def push_image(
        self, repository: str, tags: list[str], *, kind: str = IMAGE, of: str = ""
    ) -> str:
        """Pushes an image's manifest under tags, one after the other; returns its digest.

        Args:
            repository: The path.
            tags: Its tags.
            kind: The manifest's media type.
            of: What makes it another image.
        """
        config = self._blob(repository, json.dumps({"os": "linux", "of": of}).encode())
        config_kind = "application/vnd.oci.image.config.v1+json"
        if kind == DOCKER:
            config_kind = "application/vnd.docker.container.image.v1+json"
        manifest = {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": {"mediaType": config_kind, **config},
            "layers": [],
        }
        return self._manifest(repository, tags, kind, manifest)

    def push_index(self, repository: str, tag: str, image: str, *, kind: str = INDEX) -> str:
        """Pushes an index of one image that is there; returns its digest."""
        inner = IMAGE if kind == INDEX else DOCKER
        size = int(
            self._send("HEAD", f"/v2/{repository}/manifests/{image}", accept=inner)[
                "Content-Length"
            ]
        )
        entry = {"mediaType": inner, "digest": image, "size": size}
        platform = {"platform": {"os": "linux", "architecture": "amd64"}}
        index = {"schemaVersion": 2, "mediaType": kind, "manifests": [{**entry, **platform}]}
        return self._manifest(repository, [tag], kind, index)

    def delete(self, repository: str, digest: str) -> None:
        """Deletes an image, with the tags that name it."""
        self._send("DELETE", f"/v2/{repository}/manifests/{digest}")

    def begin(self) -> None:
        """Waits until it answers."""
        until_s = time.monotonic() + START_S
        while not self._answers():
            assert time.monotonic() < until_s and not self._process.has_ended, (
                self._process.last_words
            )
            time.sleep(0.02)

    def end(self) -> None:
        """Ends it."""
        self._process.end()

    def _answers(self) -> bool:
        try:
            self._send("GET", "/v2/")
        except OSError:
            return False
        return True

    def _blob(self, repository: str, octets: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(octets).hexdigest()}"
        place = self._send("POST", f"/v2/{repository}/blobs/uploads/")["Location"]
        place = place.partition(self.host)[2] or place
        self._send("PUT", f"{place}&digest={digest}", octets, "application/octet-stream")
        return {"digest": digest, "size": len(octets)}

    def _manifest(self, repository: str, tags: list[str], kind: str, tree: dict[str, Any]) -> str:
        octets = json.dumps(tree).encode()
        for tag in tags:
            self._send("PUT", f"/v2/{repository}/manifests/{tag}", octets, kind)
        return f"sha256:{hashlib.sha256(octets).hexdigest()}"

    def _send(
        self, method: str, path: str, body: bytes | None = None, kind: str = "", accept: str = ""
    ) -> http.client.HTTPMessage:
        headers = {"Authorization": f"Basic {self._pair}"}
        headers |= {"Content-Type": kind} if kind else {}
        headers |= {"Accept": accept} if accept else {}
        request = urllib.request.Request(
            f"http://{self.host}{path}", method=method, data=body, headers=headers
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            message: http.client.HTTPMessage = response.headers
            return message


@contextmanager
def serve_registry(folder: Path) -> Iterator[Distribution]:
    """Starts a registry, and ends it."""
    server = Distribution(folder, require_tool("registry", "registry"))
    try:
        server.begin()
        yield server
    finally:
        server.end()
