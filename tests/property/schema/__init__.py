"""Properties of the schema floor."""
