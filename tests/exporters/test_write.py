from __future__ import annotations

from pathlib import Path

import pytest

from autotune.errors import ExportError
from autotune.exporters.write import RECORD, write_export


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_files_are_written_below_a_new_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "launch"
    written = write_export(
        {"run.sh": "#!/bin/sh\n", "units/é.service": "x\r\n"}, folder, executable={"run.sh"}
    )
    assert written == (folder / "run.sh", folder / "units" / "é.service")
    assert written[1].read_bytes() == b"x\r\n"
    assert names(folder) == {"run.sh", "units/é.service", RECORD}
    assert written[0].stat().st_mode & 0o111
    assert not written[1].stat().st_mode & 0o111


def test_a_folder_whose_name_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="File name too long") as caught:
        write_export({"a.txt": "new"}, tmp_path / ("x" * 300))
    assert "-o" in caught.value.remedy


def test_what_an_export_wrote_may_be_written_again(tmp_path: Path) -> None:
    write_export({"plan.json": "one"}, tmp_path)
    write_export({"run.sh": "other target"}, tmp_path)
    write_export({"plan.json": "two"}, tmp_path)
    assert (tmp_path / "plan.json").read_text() == "two"


@pytest.mark.parametrize("record", [None, "", "[]", '{"plan.json": 3}', "\x00"])
def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path, record: str | None) -> None:
    (tmp_path / "plan.json").write_text("mine")
    if record is not None:
        (tmp_path / RECORD).write_text(record)
    with pytest.raises(ExportError, match="none that `autotune export` wrote") as caught:
        write_export({"a.txt": "new", "plan.json": "new"}, tmp_path)
    assert "--force" in caught.value.remedy
    assert (tmp_path / "plan.json").read_text() == "mine"
    assert not (tmp_path / "a.txt").exists()


def test_an_edited_export_is_left_alone(tmp_path: Path) -> None:
    (written,) = write_export({"plan.json": "one"}, tmp_path)
    written.write_text("edited")
    with pytest.raises(ExportError, match="was changed since its export"):
        write_export({"plan.json": "two"}, tmp_path)
    assert written.read_text() == "edited"


def test_force_replaces_even_what_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("mine")
    write_export({"plan.json": "new"}, tmp_path, force=True)
    assert (tmp_path / "plan.json").read_text() == "new"
    write_export({"plan.json": "newer"}, tmp_path)


def test_a_link_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    folder = tmp_path / "launch"
    folder.mkdir()
    (folder / "plan.json").symlink_to(precious)
    with pytest.raises(ExportError, match="none that"):
        write_export({"plan.json": "new"}, folder)
    write_export({"plan.json": "new"}, folder, force=True)
    assert precious.read_text() == "mine"
    assert (folder / "plan.json").read_text() == "new"


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x", "", ".", "a\x00b"])
def test_a_path_that_leads_out_of_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "launch"
    with pytest.raises(ExportError, match="leads out of the folder"):
        write_export({path: "x"}, folder, force=True)
    assert not list(tmp_path.iterdir())


def test_a_linked_folder_within_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "launch"
    folder.mkdir()
    (folder / "units").symlink_to(outside)
    with pytest.raises(ExportError, match="leads out of the folder"):
        write_export({"units/x": "x"}, folder, force=True)
    assert not list(outside.iterdir())


def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "launch").write_text("mine")
    for folder in (tmp_path / "launch", tmp_path / "launch" / "below"):
        with pytest.raises(ExportError, match="is a file, not a folder"):
            write_export({"x": "x"}, folder)


def test_a_folder_where_a_file_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "plan.json").mkdir()
    with pytest.raises(ExportError, match="is a folder"):
        write_export({"plan.json": "x"}, tmp_path, force=True)


def test_nothing_temporary_is_left(tmp_path: Path) -> None:
    write_export({"plan.json": "x"}, tmp_path)
    assert names(tmp_path) == {"plan.json", RECORD}
