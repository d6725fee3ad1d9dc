"""The loop and what it keeps, over fakes of its ports."""
