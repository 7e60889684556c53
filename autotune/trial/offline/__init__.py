"""The scenario `offline`: every instance works through its own requests."""
