"""Every engine can be installed for servers by an extra, which the manual names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import autotune
from autotune.backends.protocol import LoadsWith
from autotune.backends.registry import backends, get_backend

ROOT = Path(autotune.__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
BROUGHT = {"jaxlib": "jax"}
"""Distributions that come with another one, at its version."""


@pytest.mark.parametrize("engine", sorted(name for name in backends() if name != "fake"))
def test_the_manual_names_an_extra_that_brings_all_that_a_server_loads(engine: str) -> None:
    manual = (ROOT / "docs" / "runtime.md").read_text()
    row = re.search(rf"^\|[^|]*`{engine}`[^|]*\| `pip install '\.\[([a-z0-9-]+)\]'` \|$", manual, re.M)
    assert row is not None, f"docs/runtime.md has no row for {engine}"
    brought = {Requirement(text).name for text in EXTRAS[row[1]]}
    backend = get_backend(engine)
    loading = backend.loads_with if isinstance(backend, LoadsWith) else backend.packages
    assert brought >= {BROUGHT.get(name, name) for name in loading} | {"numpy", "tokenizers"}
