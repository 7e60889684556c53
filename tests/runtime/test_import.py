"""Importing costs next to nothing, and neither it nor loading pulls in what tunes."""

from __future__ import annotations

import json
import subprocess
import sys

TUNING = {"optuna", "sqlalchemy", "alembic", "pydantic", "transformers", "torch", "typer", "rich", "scipy"}


def loaded(program: str) -> set[str]:
    words = [sys.executable, "-P", "-c", f"{program}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"]
    ended = subprocess.run(words, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(ended.stdout)}


def test_importing_it_imports_the_standard_library_alone() -> None:
    added = loaded("import autotune.runtime") - loaded("")
    assert added <= {"autotune", *sys.stdlib_module_names}, added
    assert not TUNING & added


def test_what_loads_a_session_needs_numpy_and_nothing_that_tunes() -> None:
    modules = "loading", "encoding", "pipelines", "configuring", "bundled", "start", "ray_app"
    program = "".join(f"import autotune.runtime.{name}\n" for name in modules)
    program += "from autotune.backends.registry import backends\nbackends()\n"
    added = loaded(program) - loaded("")
    assert not TUNING & added
    assert added <= {"autotune", "numpy", *sys.stdlib_module_names}, added
