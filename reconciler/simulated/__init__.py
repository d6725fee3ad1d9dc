"""Simulated clusters: a small API server as a state machine, with an HTTP and an in-memory front."""
