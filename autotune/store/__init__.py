"""The study store: one database for Optuna's tables and ours."""
