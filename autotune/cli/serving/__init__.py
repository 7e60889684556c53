"""Commands that start the service and say who may use it."""
