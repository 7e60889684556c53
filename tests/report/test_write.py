from __future__ import annotations

import os
from pathlib import Path

import pytest

from autotune.errors import ExportError
from autotune.report.figures.picture import MARK
from autotune.report.write import check_folder_to_make, check_targets, write_files

OURS = f"<meta name=generator content='{MARK}'>".encode()


def test_files_are_written_with_their_folders(tmp_path: Path) -> None:
    target = tmp_path / "figures" / "a.svg"
    write_files({target: OURS, tmp_path / "r.html": b"page"})
    assert target.read_bytes() == OURS
    assert {path.name for path in tmp_path.rglob("*")} == {"figures", "a.svg", "r.html"}


def test_a_file_of_a_report_may_be_written_again(tmp_path: Path) -> None:
    (tmp_path / "r.html").write_bytes(OURS)
    check_targets([tmp_path / "r.html", tmp_path / "new.html"])


def test_a_file_of_other_origin_is_replaced_only_when_forced(tmp_path: Path) -> None:
    (tmp_path / "r.html").write_text("mine")
    with pytest.raises(ExportError, match="--force"):
        check_targets([tmp_path / "r.html"])
    check_targets([tmp_path / "r.html"], force=True)


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_file_is_never_replaced(tmp_path: Path, force: bool) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, words in (("folder", "is a folder"), ("pipe", "no regular file")):
        with pytest.raises(ExportError, match=words):
            check_targets([tmp_path / name], force=force)
    with pytest.raises(ExportError, match="no regular file"):
        check_targets([Path("/dev/null")], force=force)


def test_a_link_is_replaced_itself_and_only_when_forced(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(OURS)
    (tmp_path / "r.html").symlink_to("precious")
    with pytest.raises(ExportError, match="no regular file"):
        check_targets([tmp_path / "r.html"])
    check_targets([tmp_path / "r.html"], force=True)
    write_files({tmp_path / "r.html": b"page"})
    assert (tmp_path / "precious").read_bytes() == OURS


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"there is no folder .*nowhere"):
        check_targets([tmp_path / "nowhere" / "r.html"])


def test_a_folder_whose_name_is_too_long_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 300)
    with pytest.raises(ExportError, match="File name too long") as caught:
        check_targets([folder / "a.html"])
    assert "-o" in caught.value.remedy
    for figures in (folder, folder / "below"):
        with pytest.raises(ExportError, match="File name too long"):
            check_folder_to_make(figures)


def test_the_longest_name_of_a_file_is_written(tmp_path: Path) -> None:
    target = tmp_path / f"{'x' * 250}.html"
    check_targets([target])
    write_files({target: OURS})
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_a_folder_is_made_below_one_that_is_there(tmp_path: Path) -> None:
    check_folder_to_make(tmp_path / "figures")
    check_folder_to_make(tmp_path)
    with pytest.raises(ExportError, match="there is no folder"):
        check_folder_to_make(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="is no folder"):
        check_folder_to_make(tmp_path / "file")
    with pytest.raises(ExportError, match="is no folder"):
        check_targets([tmp_path / "file" / "r.html"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ExportError, match="cannot be written"):
        check_targets([tmp_path / "r.html"])
