"""The cache finds what is complete, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from autotune.errors import CacheError, PreparationError
from autotune.model.artifacts.artifact import Artifact
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.artifacts.location import cache_root

Store = Callable[..., Artifact]

HOLDER = """
import sys
from autotune.model.artifacts.cache import ArtifactCache
with ArtifactCache().exclusively("1" * 64):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_what_is_stored_is_found(cache: ArtifactCache, store: Store) -> None:
    stored = store("a", 123)
    assert cache.find(stored.key) == stored
    assert stored.size_bytes == 123
    assert (stored.directory / "weights").stat().st_size == 123


def test_what_was_never_stored_is_not_found(cache: ArtifactCache) -> None:
    assert cache.find("0" * 64) is None
    assert cache.entries() == ()


def truncate(directory: Path) -> None:
    (directory / "weights").chmod(0o644)
    (directory / "weights").write_bytes(b"")


def rewrite(directory: Path) -> None:
    (directory / "weights").chmod(0o644)
    (directory / "weights").write_bytes(b"W" * 10)


def lose_file(directory: Path) -> None:
    (directory / "weights").unlink()


def add_file(directory: Path) -> None:
    (directory / "more").touch()


def lose_manifest(directory: Path) -> None:
    (directory / "manifest.json").unlink()


def spoil_manifest(directory: Path) -> None:
    (directory / "manifest.json").chmod(0o644)
    (directory / "manifest.json").write_text('{"key":')


@pytest.mark.parametrize("damage", [truncate, rewrite, lose_file, add_file, lose_manifest, spoil_manifest])
def test_a_damaged_artifact_is_not_found_and_can_be_stored_again(
    cache: ArtifactCache, store: Store, damage: Callable[[Path], None]
) -> None:
    stored = store("a")
    damage(stored.directory)
    assert cache.find(stored.key) is None
    assert [entry.manifest for entry in cache.entries()] == [None]
    assert cache.find(store("a").key) == stored


def test_an_artifact_under_another_key_is_not_found(cache: ArtifactCache, store: Store) -> None:
    stored = store("a")
    shutil.copytree(stored.directory, stored.directory.parent / ("0" * 64), copy_function=shutil.copy2)
    assert cache.find("0" * 64) is None


def test_an_artifact_can_be_read_by_all_and_written_by_nobody(store: Store) -> None:
    files = list(store("a").directory.iterdir())
    assert {file.stat().st_mode & 0o777 for file in files} == {0o444}


def test_an_unfinished_artifact_is_never_found_and_leaves_nothing(cache: ArtifactCache) -> None:
    key = "1" * 64
    with cache.exclusively(key), cache.staging(key) as directory:
        (directory / "weights").touch()
    assert cache.find(key) is None
    assert list((cache.root / "staging").iterdir()) == []


def test_entries_come_least_recently_used_first_and_finding_is_use(
    cache: ArtifactCache, store: Store
) -> None:
    old, new = store("old", unused_s=1000), store("new", unused_s=10)
    assert [entry.key for entry in cache.entries()] == [old.key, new.key]
    before_s = time.time() - 1
    cache.find(old.key)
    last = cache.entries()[-1]
    assert (last.key, last.last_used_s >= before_s) == (old.key, True)


def test_removing_takes_the_artifact_and_what_was_left_behind(cache: ArtifactCache, store: Store) -> None:
    stored = store("a")
    leftover = cache.root / "staging" / f"{stored.key}-killed"
    leftover.mkdir()
    assert cache.remove([stored.key]) == (stored.key,)
    assert cache.entries() == ()
    assert not leftover.exists()


def test_who_waits_for_an_artifact_is_told_so_and_for_how_long_it_did(cache: ArtifactCache) -> None:
    said: list[str] = []
    seconds: list[float] = []
    with subprocess.Popen(
        [sys.executable, "-P", "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"

        def let_go(text: str) -> None:
            said.append(text)
            assert holder.stdin
            holder.stdin.close()

        waiting = ArtifactCache(cache.root, on_wait=let_go, on_waited=seconds.append)
        with waiting.exclusively("1" * 64, "prepares a model") as waited_s:
            assert holder.wait() == 0
        with waiting.exclusively("1" * 64, "prepares a model") as nothing_s:
            pass
    assert said == [f"another process with the cache {cache.root} prepares a model; waiting for it to end"]
    assert seconds == [waited_s]
    assert waited_s > 0
    assert nothing_s == 0


def test_what_is_being_made_is_neither_removed_nor_swept(cache: ArtifactCache, store: Store) -> None:
    key = store("a").key
    with cache.exclusively(key), cache.staging(key) as directory:
        assert cache.remove([key]) == ()
        cache.sweep()
        assert directory.exists()
    assert cache.remove([key]) == (key,)


def test_sweeping_deletes_what_killed_preparations_left(cache: ArtifactCache, store: Store) -> None:
    kept = store("a")
    leftover = cache.root / "staging" / f"{'2' * 64}-killed"
    leftover.mkdir()
    cache.sweep()
    assert not leftover.exists()
    assert cache.find(kept.key) == kept


def test_a_cache_that_cannot_be_written_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = ArtifactCache(tmp_path / "file" / "cache")
    with pytest.raises(PreparationError, match="AUTOTUNE_CACHE"), cache.exclusively("0" * 64):
        pass


@pytest.mark.parametrize(
    ("chosen", "user", "expected"),
    [
        ("/a/b", "/c", "/a/b"),
        ("", "/c", "/c/autotune"),
        ("", "relative", "/home/me/.cache/autotune"),
        ("~/x", "/c", "/home/me/x"),
    ],
)
def test_the_cache_lies_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, chosen: str, user: str, expected: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("AUTOTUNE_CACHE", chosen)
    monkeypatch.setenv("XDG_CACHE_HOME", user)
    assert cache_root() == Path(expected)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [("", "user .* without HOME"), ("~nobody-of-this-name/x", "AUTOTUNE_CACHE=~nobody-of-this-name/x")],
)
def test_where_there_is_no_home_the_cache_asks_for_a_place(
    monkeypatch: pytest.MonkeyPatch, chosen: str, words: str
) -> None:
    monkeypatch.setenv("AUTOTUNE_CACHE", chosen)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", _unknown_user)
    with pytest.raises(CacheError, match=words) as caught:
        cache_root()
    assert "AUTOTUNE_CACHE" in caught.value.remedy


def _unknown_user(uid: int) -> NoReturn:
    """As Python says it of a user that is in no list, such as one that a container was started with."""
    raise KeyError(f"getpwuid(): uid not found: {uid}")
