"""The composition root and the commands; the only place that knows every part by name."""
