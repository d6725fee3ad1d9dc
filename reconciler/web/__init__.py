"""The read-only board and the probes; nothing here can change anything."""
