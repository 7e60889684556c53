"""Jobs that wait in the store: what is asked for, the processes that do it, and what is told of it."""
