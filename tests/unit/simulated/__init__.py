"""The toy that plays Kubernetes in the demo and in tests."""
