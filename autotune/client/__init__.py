"""What speaks to a service over HTTP: submits, watches, and takes plans away."""
