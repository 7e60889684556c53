"""Commands that speak to a service."""
