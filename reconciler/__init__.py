"""The reconciler: a merged pin reaches every cluster in order, and a bad one comes back out of Git."""
