"""One file per target, from a plan to the text of its files."""
