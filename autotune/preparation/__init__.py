"""Makes artifacts, references, comparisons and streams, in child processes that may import engines."""
