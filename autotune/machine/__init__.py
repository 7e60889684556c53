"""Reads what a machine is and what this process may use of it."""
