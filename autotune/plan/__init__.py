"""The deployment plan: what to run, why, and where that was shown."""
