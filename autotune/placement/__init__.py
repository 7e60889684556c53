"""Decides cpus, memory nodes, argv and environment of every instance; nobody else does."""
