"""Stand-ins for the world that keep their ports' contracts."""
