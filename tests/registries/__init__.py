"""A real OCI registry for tests, on loopback; nothing here may know the reconciler."""
