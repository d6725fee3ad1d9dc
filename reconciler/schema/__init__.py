"""Env repo text to model: pydantic at the edge; nothing here may know Git, a cluster or a clock."""
