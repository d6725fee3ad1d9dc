# syntax=docker/dockerfile:1
# The image of the daemon. Every step is a script in docker/; tests/install runs these scripts into an empty prefix and starts the
# daemon from there. The image itself is not built by the tests, which have no engine.
#
# The base is pinned by its tag. To pin it by digest, put the output of
# `docker buildx imagetools inspect python:3.13-slim-bookworm` behind the tag in both places.
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY LICENSE README.md pyproject.toml ./
COPY docker/ docker/
COPY locks/ locks/
COPY reconciler/ reconciler/
COPY policies/ policies/
COPY example-repo/ example-repo/
RUN docker/wheel.sh /dist
RUN docker/install.sh /opt/reconciler /dist
RUN docker/verify.sh /opt/reconciler
# An empty folder, to be given to the user below.
WORKDIR /var/lib/reconciler

# The same base: it brings Python where the prefix looks for it, CA certificates and util-linux.
FROM python:3.13-slim-bookworm
COPY --from=build /opt/reconciler /opt/reconciler
COPY --from=build --chown=65532:65532 /var/lib/reconciler /var/lib/reconciler
ENV PATH=/opt/reconciler/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/var/lib/reconciler \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RECONCILER_STATE_DIR=/var/lib/reconciler
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
# Nothing else is written to: the rest of the file system may be mounted read-only.
VOLUME ["/var/lib/reconciler", "/tmp"]
# The board, and health with metrics; both on loopback until the settings say otherwise.
EXPOSE 8080 8081
ENTRYPOINT ["/opt/reconciler/bin/reconciler"]
CMD ["run"]
