"""Conditions in CEL, evaluated by a process of its own; nothing here may know what an answer leads to."""
