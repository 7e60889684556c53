"""torch.compile's Inductor, ahead of time."""
