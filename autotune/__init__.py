"""autotune: finds, proves and exports the fastest way to serve a transformer encoder on a CPU machine."""
