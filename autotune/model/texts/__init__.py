"""Files of texts, labels and lengths that a study names."""
