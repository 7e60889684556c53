"""What people ask for: tune, verify, compare."""
