"""What the engines share that begin with a transformers model in torch."""
