"""Shipped doubles and contract tests, for autotune's own tests and for other people's backends and exporters."""
