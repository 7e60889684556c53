from __future__ import annotations

import gc
import os
import signal
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import hypothesis
import psutil
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

from autotune.bench.lock import NAME
from autotune.cli.main import run
from autotune.testing.fake_plans import FakeStudy
from autotune.testing.fake_trial import processes_of

RunCommand = Callable[..., tuple[int, str, str]]

QUIET = (
    "test_noisy_host.py",
    "trial/test_agreement_with_a_plain_loop.py",
    "trial/server/test_load.py",
    "trial/test_run.py",
    "worker/test_scenarios.py",
    "trial/server/test_scenario.py",
    "trial/test_speed.py",
    "trial/test_watch.py",
)
"""Files of tests that judge what they time. Single tests that do, or that look at all that runs on the host,
are marked where they stand."""

MEASURING = (
    "jobs/test_tuning.py",
    "jobs/test_measuring.py",
    "test_second_stage.py",
    "test_changed_machine.py",
    "test_limits.py",
    "test_variants.py",
    "test_defaults.py",
    "test_requests.py",
    "test_cost.py",
    "series/test_running.py",
    "series/test_engines.py",
    "cli/test_verify.py",
    "cli/test_compare.py",
    "cli/test_curve.py",
    "test_by_cores.py",
    "test_no_gain.py",
    "cli/test_descriptors.py",
    "test_cost_of_quickstart.py",
    "test_plugin_engine.py",
    "test_choices_that_come_and_go.py",
    "cli/test_series.py",
    "jobs/test_doubting.py",
    "test_model_faults.py",
    "test_kept_version.py",
    "test_own_server.py",
    "bench/test_hosts.py",
    "queue/test_jobs_run.py",
    "queue/test_faults.py",
    "cli/test_upkeep.py",
    "client/test_with_a_service.py",
    "service/pages/test_journeys.py",
    "service/pages/test_looks.py",
)
"""Files whose tests run trials, longest first. One process at a time can do that on a host, so that a second
such file would only wait for the first."""

LONGEST = (
    "emulator/test_sockets.py",
    *MEASURING,
    "backends/test_matrix.py",
    "backends/test_torch_graphs.py",
    "backends/test_answers.py",
    "emulator/test_fake_numa.py",
    "backends/test_jax.py",
    "backends/test_engine_knobs.py",
    "backends/test_sentence_models.py",
    "backends/test_models.py",
    "preparation/test_preparing.py",
    "backends/test_engines.py",
)
"""The files that take longest, which begin first. By the alphabet, a file of six minutes came last, while
the other cores had nothing to do."""


hypothesis.settings.register_profile("no deadline", deadline=None)  # a test judges behaviour, not speed
hypothesis.settings.load_profile("no deadline")


def pytest_configure(config: pytest.Config) -> None:
    """Have the signals that tests send reach what they start.

    They do so even where a job's shell ignores them. What a process ignores, its children ignore
    too; and a shell starts `command &` ignoring Ctrl-C.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage while five thousand tests are collected, nor among them later.

    Each process of a run collects them all, and a quarter of that time went into looking.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files without any test that `-m` asks for, where it asks for `quiet` or `slow` ones alone."""
    if not collection_path.match("test_*.py"):
        return None
    asked = _asked_marks(str(config.getoption("markexpr")))
    text = collection_path.read_text(encoding="utf-8") if asked else ""
    is_quiet = collection_path.relative_to(Path(__file__).parent).as_posix() in QUIET
    lacking = [mark for mark in asked if f"mark.{mark}" not in text and not (mark == "quiet" and is_quiet)]
    return True if lacking else None


def _asked_marks(expression: str) -> list[str]:
    """Give which of `quiet` and `slow` every test must have by an expression; none where it has an `or`."""
    parts = [] if " or " in expression else [part.strip() for part in expression.split(" and ")]
    return [mark for mark in ("quiet", "slow") if mark in parts]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need the host for themselves, and put the longest files first."""
    for item in items:
        if _file(item) in QUIET:
            item.add_marker("quiet")
    gone = [file for file in (*QUIET, *LONGEST) if not (Path(__file__).parent / file).is_file()]
    assert not gone, f"files are named that are not there: {gone}"
    places = {file: place for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(_file(item), len(places)))


def _file(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).as_posix()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Give out files by `OneMeasures`, where files are what is given out."""
    return OneMeasures(config, log) if config.getoption("dist") == "loadfile" else None


class OneMeasures(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives out the files in their order, but one of `MEASURING` only while no other worker has one.

    Where nothing else is left it does all the same.
    """

    def _assign_work_unit(self, node: WorkerController) -> None:
        if any(map(_measures, self._begun_by_others(node))):
            computing = next((file for file in self.workqueue if not _measures(file)), None)
            if computing is not None:
                self.workqueue.move_to_end(computing, last=False)
        super()._assign_work_unit(node)

    def remove_node(self, node: WorkerController) -> str | None:
        """Take back what a worker that ended had not done yet, and that alone.

        xdist would give out its finished files again, too, of which nobody reports anything: the others then
        wait for work, and the run never ends. Source: `LoadScopeScheduling.remove_node` of xdist 3.8.
        """
        for file, done in list(self.assigned_work[node].items()):
            pending = {test: False for test, is_done in done.items() if not is_done}
            if pending:
                self.assigned_work[node][file] = pending
            else:
                del self.assigned_work[node][file]
        crashed: str | None = super().remove_node(node)
        return crashed

    def _begun_by_others(self, node: WorkerController) -> Iterator[str]:
        for other, files in self.assigned_work.items():
            if other is not node:
                yield from (file for file, done in files.items() if not all(done.values()))


def _measures(file: str) -> bool:
    return file.removeprefix(f"{Path(__file__).parent.name}/") in MEASURING


@pytest.fixture(scope="module")
def shared_study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeStudy]:
    """A fake study and a cache for all tests of a module; they change neither."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOTUNE_CACHE", str(folder / "cache"))
        yield FakeStudy(folder)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, for its children too."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("AUTOTUNE_CACHE", str(folder))
    return folder


@pytest.fixture
def run_command() -> RunCommand:
    """Runs `autotune` in this process: (folder, *arguments) → exit code, stdout, stderr.

    Its children are processes as ever; importing all of it anew takes longer than many tests.
    """

    def run_in(folder: Path, *arguments: str) -> tuple[int, str, str]:
        with pytest.MonkeyPatch.context() as patch, StringIO() as out, StringIO() as err:
            patch.chdir(folder)
            patch.setattr(sys, "argv", ["autotune", *arguments])
            with redirect_stdout(out), redirect_stderr(err):
                code = run()
            return code, out.getvalue(), err.getvalue()

    return run_in


@pytest.fixture
def recorded_case(tmp_path: Path) -> Callable[[str], Path]:
    """Unpacks one of `assets/machines`, and gives its root folder."""

    def unpack(name: str) -> Path:
        with tarfile.open(Path(__file__).parent / "assets" / "machines" / f"{name}.tar.bz2") as tar:
            tar.extractall(tmp_path, filter="data")
        return tmp_path / name

    return unpack


@pytest.fixture
def own_study(tmp_path: Path, own_cache: Path) -> FakeStudy:
    """A fake study of the test's own."""
    return FakeStudy(tmp_path)


@pytest.fixture
def install_backend(tmp_path: Path) -> Callable[[str, str, str], Path]:
    """Installs a distribution with one backend, as pip would: (distribution, backend, code) → its folder."""
    folder = tmp_path / "plugins"

    def install(distribution: str, backend: str, code: str) -> Path:
        described = folder / f"{distribution}-1.0.dist-info"
        described.mkdir(parents=True)
        (folder / f"{distribution}.py").write_text(code)
        (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        entry = f"[autotune.backends]\n{backend} = {distribution}:Backend\n"
        (described / "entry_points.txt").write_text(entry)
        return folder

    return install


@pytest.fixture
def make_cgroup() -> Iterator[Callable[..., Path]]:
    """Makes a cgroup with a limit: (controller, value by the file of either version) → its folder.

    Skips the test where that cannot be done.
    """
    with ExitStack() as made:

        def make(controller: str, **limits: str) -> Path:
            folder = _own_cgroup(controller) / f"autotune-test-{os.getpid()}"
            try:
                folder.mkdir()
            except OSError as error:
                pytest.skip(f"no cgroup can be made here: {error}")
            made.callback(folder.rmdir)
            files = {folder / f"{controller}.{name}": value for name, value in limits.items()}
            file = next((one for one in files if one.exists()), None)
            if file is None:
                pytest.skip(f"none of {', '.join(one.name for one in files)} can be set")
            file.write_text(files[file])
            return folder

        yield make


@pytest.fixture
def memory_cgroup(make_cgroup: Callable[..., Path]) -> Path:
    """A cgroup of 300 MB, beyond which the kernel kills."""
    return make_cgroup("memory", max="300000000", limit_in_bytes="300000000")


def _own_cgroup(controller: str) -> Path:
    """The cgroup of this process, as a folder in which we may make another; skips where there is none."""
    if os.geteuid() != 0:
        pytest.skip("needs root to make a cgroup")
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        folder = Path("/sys/fs/cgroup", controller, path.lstrip("/"))
        if controller in names.split(",") and folder.is_dir():
            return folder
    unified = Path("/sys/fs/cgroup/cgroup.subtree_control")
    if unified.exists() and controller in unified.read_text().split():
        return unified.parent
    pytest.skip(f"no {controller} cgroup is mounted at its usual place")


@pytest.fixture
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """Fails the test that leaves a process, a zombie, a descriptor or a file in shared memory."""
    before, children = (_descriptors(), _shared_files()), set(psutil.Process().children())
    yield
    assert processes_of(tmp_path) == []
    # Preparing in other tests leaves a server for a while.
    assert set(psutil.Process().children()) - children == set()
    assert (_descriptors(), _shared_files()) == before


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _shared_files() -> set[str]:
    """All but the host's lock, which another test may be the first to take."""
    return {path.name for path in Path("/dev/shm").glob("*autotune*")} - {NAME}
