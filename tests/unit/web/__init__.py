"""Pages, without a browser."""
