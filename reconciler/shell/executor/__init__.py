"""The work on one cluster: deliver, observe, return; nothing here may know Git, a pin or another cluster."""
