"""What the user asks for: the study file and the configuration it searches."""
