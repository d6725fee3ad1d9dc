"""Frozen values every floor may use; nothing here may know a library, a file, a clock or a socket."""
