"""A plan is not handed on whose prepared model was changed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import ExportError
from autotune.model.artifacts.manifest import Manifest, record_files, write_manifest
from autotune.plan.document import Plan, format_plan
from autotune.plan.prepared import folders_gone, refuse_changed
from autotune.testing.plans import build_plan


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[[str], Path]:
    """Make a finished artifact of this name."""

    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "weights").write_bytes(b"w" * 100)
        os.utime(folder / "weights", ns=(1, 1))
        manifest = Manifest(
            key=name,
            backend="fake",
            precision="fp32",
            model_digest="d",
            model_source="fake:it",
            versions={},
            isa=(),
            created_s=0.0,
            files=record_files(folder),
            observed_precision="fp32",
        )
        write_manifest(folder, manifest)
        return folder

    return make


def plan_of(**folders: Path) -> Plan:
    """A plan whose instances read these."""
    plan = build_plan()
    update = {name: str(folder) for name, folder in folders.items()}
    instances = tuple(
        instance.model_copy(update={"worker": instance.worker.model_copy(update=update)})
        for instance in plan.instances
    )
    return plan.model_copy(update={"instances": instances})


@pytest.mark.parametrize("kind", ["artifact", "requests"])
def test_other_weights_of_the_same_size_are_refused(prepared: Callable[[str], Path], kind: str) -> None:
    folder = prepared(kind)
    plan = plan_of(**{kind: folder})
    refuse_changed(plan)
    (folder / "weights").write_bytes(b"x" * 100)
    with pytest.raises(ExportError) as raised:
        refuse_changed(plan)
    assert str(folder) in raised.value.problem
    assert raised.value.problem.endswith("was changed: weights")
    assert raised.value.remedy == "run: autotune tune, which prepares it again"


def test_another_time_is_a_change_where_the_manifest_is_of_before_there_were_digests(
    prepared: Callable[[str], Path],
) -> None:
    folder = prepared("artifact")
    manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
    (file,) = manifest.files
    files = (file.model_copy(update={"sha256": ""}),)
    write_manifest(folder, manifest.model_copy(update={"files": files}))
    refuse_changed(plan_of(artifact=folder))
    os.utime(folder / "weights", ns=(2, 2))
    with pytest.raises(ExportError, match="was changed: weights"):
        refuse_changed(plan_of(artifact=folder))
    (folder / "weights").unlink()
    with pytest.raises(ExportError, match="was changed: weights"):
        refuse_changed(plan_of(artifact=folder))


def test_what_lies_on_another_machine_is_left_to_it_and_a_damaged_manifest_is_not(
    prepared: Callable[[str], Path],
) -> None:
    refuse_changed(plan_of(artifact=Path("/nowhere")))
    (gone,) = folders_gone(plan_of(artifact=Path("/nowhere")))
    assert gone.endswith("in /nowhere")
    folder = prepared("artifact")
    assert not list(folders_gone(plan_of(artifact=folder)))
    (folder / "manifest.json").write_text("{")
    with pytest.raises(ExportError, match=r"was changed: manifest\.json"):
        refuse_changed(plan_of(artifact=folder))


def test_the_command_refuses_it_and_writes_nothing(
    prepared: Callable[[str], Path], run_command: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    folder = prepared("artifact")
    (tmp_path / "its.json").write_text(format_plan(plan_of(artifact=folder)))
    words: list[Any] = ["export", "./its.json", "--to", "numactl", "-o", "launch", "--json"]
    code, out, _ = run_command(tmp_path, *words)
    assert (code, len(json.loads(out))) == (0, 2)
    (folder / "weights").write_bytes(b"x" * 100)
    for target in (["--to", "numactl", "-o", "again"], ["--bundle", "again"]):
        code, out, err = run_command(tmp_path, "export", "./its.json", *target)
        assert (code, out) == (14, "")
        assert "was changed: weights" in " ".join(err.split())
        assert not (tmp_path / "again").exists()


def test_what_was_changed_and_kept_its_time_is_found_where_every_byte_is_read(
    prepared: Callable[[str], Path],
) -> None:
    folder = prepared("artifact")
    (folder / "weights").write_bytes(b"x" * 100)
    os.utime(folder / "weights", ns=(1, 1))
    refuse_changed(plan_of(artifact=folder))
    with pytest.raises(ExportError, match="was changed: weights"):
        refuse_changed(plan_of(artifact=folder), digests=True)


def test_the_command_says_what_is_gone_and_writes_for_where_it_is_there(
    prepared: Callable[[str], Path], run_command: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    folder = prepared("artifact")
    (tmp_path / "its.json").write_text(format_plan(plan_of(artifact=folder)))
    words: list[Any] = ["export", "./its.json", "--to", "numactl", "-o", "launch", "--json"]
    assert "is not here" not in run_command(tmp_path, *words)[2]
    folder.rename(tmp_path / "elsewhere")
    code, out, err = run_command(tmp_path, *words)
    assert (code, len(json.loads(out))) == (0, 2)
    said = " ".join(err.split())
    assert f"in {folder} is not here. Where the plan is served it must be there" in said
