"""The HTTP service: parses requests, starts jobs as processes, renders the same events and documents."""
