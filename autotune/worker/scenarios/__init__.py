"""What an instance does in a measuring window: a module for each scenario."""
