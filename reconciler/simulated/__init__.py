"""Clusters that exist only in this process: a small API server and the controllers behind it.

Nothing here may know the reconciler's decisions; it knows Kubernetes alone.
"""
