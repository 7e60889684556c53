"""Shipped doubles and contract tests, for our own tests and for other people's backends and exporters."""
