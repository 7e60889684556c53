"""Artifacts, and the cache that keeps them."""
