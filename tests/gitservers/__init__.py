"""Real Git servers for tests, on loopback; nothing here may know the reconciler beyond its Git adapter."""
