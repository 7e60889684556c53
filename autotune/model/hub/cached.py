"""Whether the hub's cache on this machine has a model, without the hub's client, which is large."""

from __future__ import annotations

import os
from pathlib import Path

from autotune.model.hub.fetch import DEFAULT_REVISION

FILES = ("config.json", "modules.json", "adapter_config.json")


def is_cached(repository: str) -> bool:
    """Say whether there is a snapshot of `ORG/NAME@REVISION` with a model in it, or what is left of one."""
    name, _, revision = repository.partition("@")
    folder = cache_folder() / f"models--{name.replace('/', '--')}"
    revision = revision or DEFAULT_REVISION
    try:
        named = folder / "refs" / revision
        commit = named.read_text(encoding="ascii").strip() if named.is_file() else revision
        return any((folder / "snapshots" / commit / file).is_file() for file in FILES)
    except (OSError, ValueError):
        return False


def cache_folder() -> Path:
    """Name the folder of the hub's cache. Source: huggingface_hub.constants.HF_HUB_CACHE."""
    home = os.environ.get("HF_HOME") or str(
        Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    )
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(os.path.expandvars(named or str(Path(home) / "hub"))).expanduser()
