"""What runs of a plan on this machine: found, read back, compared with the plan, and put under load."""
