"""Pages for people: rendered on the server, useful without the script."""
