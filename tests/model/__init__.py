"""Every order of events on a small fleet: the real plan, carried out step by step, in all interleavings."""
