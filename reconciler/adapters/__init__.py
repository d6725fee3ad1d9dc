"""One outside library each, behind a port; nothing here decides anything."""
