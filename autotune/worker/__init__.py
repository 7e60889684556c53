"""What runs inside an instance, the load generator and the probe."""
