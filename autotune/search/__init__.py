"""The legal space and the Optuna study over it."""
