"""Runs one configuration in pinned processes and measures it."""
