"""Where a model comes from, what goes into it, and the cache of what was made of it."""
