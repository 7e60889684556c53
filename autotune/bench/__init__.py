"""The waist: orders in, results out; what a host is, and the one that this process runs on."""
