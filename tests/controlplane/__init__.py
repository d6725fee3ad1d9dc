"""A real control plane for tests: etcd, the API server, its controllers and scheduler, and kwok for Pods."""
