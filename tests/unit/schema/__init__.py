"""Tests of the schema floor."""
