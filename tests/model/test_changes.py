"""A file of an artifact that is not what it was is found, and a copy of it is not taken for one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from autotune.model.artifacts.changes import changed_files, digest_of
from autotune.model.artifacts.manifest import record_files


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    folder = tmp_path / "artifact"
    (folder / "part").mkdir(parents=True)
    (folder / "weights").write_bytes(b"w" * 100)
    (folder / "part" / "config").write_bytes(b"c" * 10)
    return folder


def records_of(folder: Path) -> list[dict[str, Any]]:
    return [record.model_dump() for record in record_files(folder)]


def overwrite(file: Path, content: bytes, *, keeps_time: bool) -> None:
    """Give a file other content, and a time that is surely another one, or the one that it had."""
    before = file.stat().st_mtime_ns
    file.write_bytes(content)
    os.utime(file, ns=(before, before if keeps_time else before + 1_000_000_000))


def test_nothing_is_found_of_what_is_as_it_was(artifact: Path) -> None:
    records = records_of(artifact)
    assert [record["name"] for record in records] == ["part/config", "weights"]
    for digests in (False, True):
        assert list(changed_files(artifact, records, digests=digests)) == []


def test_a_copy_with_other_times_is_the_same_and_another_model_of_its_size_is_not(artifact: Path) -> None:
    records = records_of(artifact)
    copy = artifact.with_name("copy")
    shutil.copytree(artifact, copy, copy_function=shutil.copyfile)
    for file in ("weights", "part/config"):
        os.utime(copy / file, ns=(1, 1))
    assert list(changed_files(copy, records)) == []
    overwrite(copy / "weights", b"x" * 100, keeps_time=False)
    assert list(changed_files(copy, records)) == ["weights"]


def test_content_that_was_changed_behind_its_time_is_found_where_digests_are_asked_for(
    artifact: Path,
) -> None:
    records = records_of(artifact)
    overwrite(artifact / "weights", b"x" * 100, keeps_time=True)
    assert list(changed_files(artifact, records)) == []
    assert list(changed_files(artifact, records, digests=True)) == ["weights"]


def test_files_that_are_gone_shorter_or_no_files_are_found(artifact: Path) -> None:
    records = records_of(artifact)
    (artifact / "weights").write_bytes(b"w")
    (artifact / "part" / "config").unlink()
    assert list(changed_files(artifact, records)) == ["part/config", "weights"]
    (artifact / "part" / "config").mkdir()
    assert "part/config" in list(changed_files(artifact, records, digests=True))


def test_a_manifest_of_before_there_were_digests_leaves_it_at_the_size(artifact: Path) -> None:
    records = [{**record, "sha256": ""} for record in records_of(artifact)]
    overwrite(artifact / "weights", b"x" * 100, keeps_time=False)
    assert list(changed_files(artifact, records, digests=True)) == []
    overwrite(artifact / "weights", b"x" * 99, keeps_time=False)
    assert list(changed_files(artifact, records)) == ["weights"]


def test_a_digest_follows_the_file(artifact: Path) -> None:
    file = artifact / "weights"
    first = digest_of(file)
    assert digest_of(file) == first
    overwrite(file, b"x" * 100, keeps_time=True)
    assert digest_of(file) != first, "the time of its change of state tells"
