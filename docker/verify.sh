#!/bin/sh
# verify.sh PREFIX: fails when what was installed, or the system it runs on, lacks something that a
# daemon would only miss in the middle of its work.
set -eu
prefix=$1
"$prefix/bin/reconciler" --version
"$prefix/bin/kubectl" version --client >/dev/null
"$prefix/bin/python" - <<'PYTHON'
import os
import shutil
import ssl
import sys

import pygit2
from reconciler.adapters.render.kustomize import find_kubectl
from reconciler.schema.shipped import builtin_policies, shipped

missing = []
for feature in (pygit2.enums.Feature.HTTPS, pygit2.enums.Feature.SSH):
    # libssh2 is in pygit2's wheel, so that no ssh program is needed.
    if not pygit2.features & feature:
        missing.append(f"pygit2 was built without {feature.name}")
paths = ssl.get_default_verify_paths()
if not (paths.cafile or (paths.capath and os.listdir(paths.capath))):
    missing.append("there are no CA certificates (the package ca-certificates)")
if shutil.which("unshare") is None:
    # Renderers run in a network namespace of their own where the kernel lets them.
    missing.append("there is no unshare (the package util-linux)")
if not str(find_kubectl()).startswith(sys.prefix):
    missing.append("kubectl is not the one of the prefix")
if not builtin_policies():
    missing.append("the built-in policies are not there")
if not (shipped("example-repo") / "fleet.yaml").is_file():
    missing.append("the example repo is not there")
sys.exit("\n".join(missing) or 0)
PYTHON
