"""Real forges for tests, on loopback; nothing here may know the reconciler."""
