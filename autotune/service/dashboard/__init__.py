"""Optuna's own dashboard, read-only, in a process of its own behind the service's gate."""
