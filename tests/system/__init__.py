"""What tests need from the system itself."""
