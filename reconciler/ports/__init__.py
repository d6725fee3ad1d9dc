"""Protocols that the shell needs from the world; nothing here may know who fulfils them."""
