"""Starts the worker where launch scripts and plans of version 0.1.0 look for it."""

from __future__ import annotations

from autotune.worker.worker import main

if __name__ == "__main__":
    raise SystemExit(main())
