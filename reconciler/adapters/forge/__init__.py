"""Forges, each over its own HTTP API: nothing here may know clusters, pins or what a status means for a gate."""
