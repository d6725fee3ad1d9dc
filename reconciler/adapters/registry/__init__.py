"""Image registries over the OCI distribution API: nothing here may know pins, or which tag is wanted."""
