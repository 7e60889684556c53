"""Charts as values that a template draws: no library, no script, colours of the style sheet."""
