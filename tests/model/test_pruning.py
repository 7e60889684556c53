"""Pruning deletes no more than it must, the least recently used first."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autotune.model.artifacts.artifact import Artifact
from autotune.model.artifacts.cache import ArtifactCache, CacheEntry
from autotune.model.artifacts.manifest import read_manifest
from autotune.model.artifacts.pruning import choose_expired, disk_bytes

Store = Callable[..., Artifact]


def test_what_has_not_been_used_for_long_goes(cache: ArtifactCache, store: Store) -> None:
    old, _ = store("old", unused_s=1000), store("new", unused_s=10)
    entries = cache.entries()
    newest_s = entries[-1].last_used_s
    chosen = choose_expired(entries, now_s=newest_s, older_than_s=500, keep_bytes=None)
    assert [entry.key for entry in chosen] == [old.key]


def test_what_is_damaged_goes_whatever_its_age(cache: ArtifactCache, store: Store) -> None:
    damaged, _ = store("damaged"), store("whole")
    (damaged.directory / "more").touch()
    chosen = choose_expired(cache.entries(), now_s=0, older_than_s=None, keep_bytes=None)
    assert [entry.key for entry in chosen] == [damaged.key]


def test_a_file_that_artifacts_share_counts_once(cache: ArtifactCache, store: Store) -> None:
    first, second = store("a", 5000), store("b", 5000)
    apart = disk_bytes(cache.entries())
    (second.directory / "weights").unlink()
    os.link(first.directory / "weights", second.directory / "weights")
    assert disk_bytes(cache.entries()) == apart - 5000


@given(sizes=st.lists(st.integers(0, 5000), max_size=6), keep_bytes=st.integers(0, 40_000))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_stays_fits_and_nothing_newer_went_before_it(
    cache: ArtifactCache, store: Store, sizes: list[int], keep_bytes: int
) -> None:
    entries = [as_entry(store(str(age), size), last_used_s=age) for age, size in enumerate(sizes)]
    chosen = choose_expired(entries, now_s=0, older_than_s=None, keep_bytes=keep_bytes)
    staying = entries[len(chosen) :]
    assert list(chosen) == entries[: len(chosen)]
    assert disk_bytes(staying) <= keep_bytes
    assert not chosen or disk_bytes([chosen[-1], *staying]) > keep_bytes


def as_entry(artifact: Artifact, last_used_s: float) -> CacheEntry:
    manifest = read_manifest(artifact.directory)
    return CacheEntry(artifact.key, Path(artifact.directory), manifest, artifact.size_bytes, last_used_s)
