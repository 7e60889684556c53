"""The second stage of the main job, with the fake backend in real processes."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import ResumeError, StudyFileError
from autotune.events import SecondStageBegan, TrialBegan, TrialEnded
from autotune.exporters.numactl import SCRIPT, NumactlExporter, NumactlOptions
from autotune.exporters.write import write_export
from autotune.jobs.finalists import choose_finalists
from autotune.jobs.reviving import Origin, differences
from autotune.jobs.tuning import Tuned, tune
from autotune.measurement.measurement import Failure, Measurement
from autotune.placement.preloads import find_preload
from autotune.plan.describe import describe
from autotune.plan.document import Plan
from autotune.plan.launch import launch_of
from autotune.spec.load import load_study
from autotune.store.records import TrialRecord
from autotune.store.store import read_store
from autotune.testing.fake_model import SCHEMA
from autotune.testing.fake_plans import ONE, FakeStudy
from autotune.testing.listener import Listener

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="a search over one cpu has nothing to choose"
)

MODEL: dict[str, Any] = {
    "schema": SCHEMA,
    "serial_s": 0.016,
    "parallel_s_per_token": 8e-4,
    "thread_efficiency": 0.5,
    "knobs": {"spinning": {"off": 6.0}, "optimization": {"basic": 0.5}, "allocator": {"jemalloc": 6.0}},
}
"""What a knob gains is so much that a few rounds show it on a host that is busy with other tests, too."""
STUDY: dict[str, Any] = {
    "name": "small",
    "model": "fake:model.json",
    "problem": {"batch_size": 2, "sequence_length": 16},
    "objective": "throughput",
    "search": {
        "placements": ["close"],
        "instances": [1],
        "threads": [2],
        "precisions": ["fp32"],
        "knobs": {"spinning": "off", "optimization": "basic"},
    },
    "measure": {
        "warmup": "100ms",
        "block": "50ms",
        "blocks": 2,
        "max_blocks": 2,
        "disturbed": "keep",  # other tests may run on this host
        "trial_timeout": "20s",
    },
    "confirm": {"finalists": 2, "rounds": 6},
    "budget": {"trials": 50, "minutes": 9.0},  # less than it takes for a twin to run in the rounds, too
}


class Folder:
    """A folder with a study, its model and its store."""

    def __init__(self, path: Path, *, model: dict[str, Any] | None = None, **search: Any) -> None:
        self.path = path
        self.url = f"sqlite:///{path}/autotune.db"
        study = {**STUDY, "search": {**STUDY["search"], **search}}
        (path / "model.json").write_text(json.dumps({**MODEL, **(model or {})}))
        (path / "study.yaml").write_text(json.dumps(study))

    def tune(self, listener: Listener | None = None) -> Tuned:
        heard = listener or Listener()
        return tune(self.path / "study.yaml", store=self.url, emit=heard, stop=heard.stop)

    def plan(self, listener: Listener | None = None) -> Plan:
        """Tune to the end."""
        tuned = self.tune(listener)
        assert tuned.plan is not None
        assert not tuned.stopped
        return tuned.plan

    def trials(self) -> tuple[TrialRecord, ...]:
        with read_store(self.url) as store:
            return store.trials("small")

    def knobs(self) -> list[str]:
        return [one.configuration.knobs for one in self.trials()]


@pytest.fixture
def folder(tmp_path: Path, own_cache: Path) -> Folder:
    return Folder(tmp_path)


def second_stages(listener: Listener) -> list[int]:
    """After how many trials the second stage began."""
    return [began.progress.finished for began in listener.heard(SecondStageBegan)]


def test_a_knob_that_helps_is_in_the_plan_beside_the_same_without_and_one_that_does_not_is_not(
    folder: Folder,
) -> None:
    listener = Listener()
    plan = folder.plan(listener)
    assert plan.configuration.knobs == "spinning=off"
    assert second_stages(listener) == [2]
    began, ended = listener.heard(TrialBegan), listener.heard(TrialEnded)
    assert [trial.number for trial in began] == [trial.number for trial in ended]
    assert {trial.host for trial in began} == {trial.host for trial in ended} == {socket.gethostname()}
    assert ended[0].name == "baseline"
    assert ended[0].progress.best == ended[0].number
    assert folder.knobs() == ["", "", "optimization=basic", "spinning=off"]
    assert plan.commands()[0].worker.assignment.knobs == plan.configuration.knobs
    assert "knobs      spinning=off" in describe(plan)
    for trial in folder.trials():
        assert isinstance(trial.result, Measurement), trial.result
        spinning = "off" if "spinning=off" in trial.configuration.knobs else "on"
        assert {one.knobs["spinning"] for one in trial.result.observations} == {spinning}
    (rival,) = plan.confirmation.rivals
    assert rival.configuration.knobs == ""
    finalists = choose_finalists(folder.trials(), load_study(folder.path / "study.yaml"))
    assert [one.configuration.knobs for one in finalists.best] == ["spinning=off", ""]


def test_a_study_that_is_stopped_in_the_second_stage_goes_on_there(folder: Folder) -> None:
    assert folder.tune(Listener(stop_after=3, of=TrialEnded)).stopped
    before = folder.trials()
    assert [bool(one.configuration.knobs) for one in before] == [False, False, True]
    listener = Listener()
    folder.tune(listener)
    assert folder.trials()[:3] == before
    assert len({one.configuration for one in folder.trials()}) == len(folder.trials())
    assert second_stages(listener) == [3]


def test_a_worker_that_does_not_have_its_knobs_fails_its_trial_alone(tmp_path: Path, own_cache: Path) -> None:
    folder = Folder(tmp_path, model={"faults": [{"fault": "wrong_knobs"}]}, knobs={"spinning": "off"})
    plan = folder.plan()
    assert plan.configuration.knobs == ""
    failures = [one.result for one in folder.trials() if isinstance(one.result, Failure)]
    assert {failure.reason for failure in failures} == {"spinning is on, not off"}


OUT_OF_ORDER = '''
from autotune.testing.fake_backend import FakeBackend

class Backend(FakeBackend):
    """An engine for which nothing can be prepared."""
    name = "broken"

    def prepare(self, model, precision, directory):
        raise RuntimeError("out of order")
'''
PREPARE = """
import json, sys
from dataclasses import replace
from pathlib import Path
from autotune.bench.local import LocalHost
from autotune.bench.orders import Orders
from autotune.preflight.setup import set_up
from autotune.bench.here import machine_here
from autotune.preflight.survey import survey
from autotune.spec.load import load_study

setup = set_up(survey(load_study(Path("study.yaml")), machine_here()), base=Path(), offline=True)
host, orders, dropped = LocalHost(setup), Orders("s"), []
for knobs in ("", "spinning=off"):
    one = replace(setup.space.configurations[0], knobs=knobs)
    found = host.run(orders.search(one))
    if found.pair_wide and found.may_pass:
        dropped.append(knobs)
    assert "out of order" in found.reason, found
print(json.dumps(dropped))
"""
"""For which knobs an engine is not tried again, as nothing could be prepared."""


def test_what_goes_wrong_with_a_knob_speaks_for_that_configuration_alone(
    tmp_path: Path, own_cache: Path, install_backend: Callable[[str, str, str], Path]
) -> None:
    plugins = install_backend("broken", "broken", OUT_OF_ORDER)
    Folder(tmp_path, backends=["broken"])
    path = os.pathsep.join(filter(None, (str(plugins), os.environ.get("PYTHONPATH"))))
    ended = subprocess.run(
        [sys.executable, "-P", "-c", PREPARE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == [""]


def test_a_library_that_is_not_there_is_refused_before_anything_is_measured(
    tmp_path: Path,
    own_cache: Path,
) -> None:
    folder = Folder(tmp_path, knobs={"allocator": "/nowhere/liballoc.so"})
    with pytest.raises(StudyFileError, match=r"/nowhere/liballoc.so is not on this host") as caught:
        folder.tune()
    assert caught.value.path == "search.knobs.allocator[0]"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Something that may be preloaded, as far as a study can tell before it does."""
    file = tmp_path / "liballoc.so"
    file.write_bytes(b"first build")
    return file


def test_a_study_is_not_mixed_with_another_build_of_a_library_that_it_may_preload(
    tmp_path: Path, own_cache: Path, library: Path
) -> None:
    folder = Folder(tmp_path, knobs={"allocator": str(library)})
    assert folder.tune(Listener(stop_after=1, of=TrialEnded)).stopped
    library.write_bytes(b"second build")
    with pytest.raises(ResumeError, match=f"preloaded {library}: sha256 [0-9a-f]+ -> sha256 [0-9a-f]+"):
        folder.tune()


def test_a_study_that_was_stored_before_builds_were_goes_on(
    tmp_path: Path, own_cache: Path, library: Path
) -> None:
    folder = Folder(tmp_path, knobs={"allocator": str(library)})
    assert folder.tune(Listener(stop_after=1, of=TrialEnded)).stopped
    with sqlite3.connect(tmp_path / "autotune.db") as database:
        (versions,) = database.execute("select versions from autotune_studies").fetchone()
        older = {name: one for name, one in json.loads(versions).items() if str(library) not in name}
        assert older != json.loads(versions)
        database.execute("update autotune_studies set versions = ?", (json.dumps(older),))
    assert folder.tune(Listener(stop_after=1, of=TrialEnded)).stopped
    assert len(folder.trials()) == 2


def test_a_plan_is_stale_with_another_build_of_what_it_preloads_if_it_says_which(
    own_study: FakeStudy, library: Path
) -> None:
    older = own_study.plan(2.0, replace(ONE, knobs=f"allocator={library}"))
    assert differences(older, Origin(own_study.folder)).all() == ()
    other = {**older.versions, f"preloaded {library}": "sha256 00"}
    plan = older.model_copy(update={"versions": other})
    (told,) = differences(plan, Origin(own_study.folder)).versions
    assert told.startswith(f"preloaded {library}: sha256 00 -> sha256 ")


@pytest.mark.skipif(find_preload("allocator", "jemalloc") is None, reason="jemalloc is not installed")
def test_a_preloaded_allocator_is_proven_planned_and_exported(tmp_path: Path, own_cache: Path) -> None:
    folder = Folder(tmp_path, knobs={"allocator": "jemalloc"})
    plan = folder.plan()
    library = str(find_preload("allocator", "jemalloc"))
    assert plan.configuration.knobs == "allocator=jemalloc"
    assert plan.commands()[0].environment["LD_PRELOAD"] == library
    assert any(library in warning for warning in plan.warnings)
    assert plan.versions["preloaded jemalloc"].startswith("sha256 ")
    if shutil.which("numactl") is None:
        pytest.skip("numactl is not installed")
    exported = NumactlExporter().render(launch_of(plan), NumactlOptions())
    write_export(exported.files, tmp_path / "launch", executable=exported.executable)
    script = tmp_path / "launch" / SCRIPT
    ended = subprocess.run(
        ["bash", str(script), "--seconds", "0.2"], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    script.write_text(script.read_text().replace(library, "/nowhere/libjemalloc.so.2"))
    ended = subprocess.run(
        ["bash", str(script), "--seconds", "0.2"], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 1
    assert "allocator is glibc, not jemalloc" in ended.stderr
