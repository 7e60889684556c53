"""Examines a store and the machine under it: what is broken, and what would make measurements better."""
