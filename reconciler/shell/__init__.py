"""The loop that observes, plans, acts and records; nothing here may know a library of the world."""
