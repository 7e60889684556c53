"""The tests that every exporter passes: subclass `ExporterContract` in a test module.

```python
class TestSystemdExporter(ExporterContract):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return SystemdExporter()

    def read_back(self, files: Mapping[str, str], folder: Path) -> Sequence[Command]:
        ...  # what these files start, found by parsing or by running them
```
"""

from __future__ import annotations

import dataclasses
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest

from autotune.exporters.protocol import Exporter
from autotune.exporters.registry import exporters
from autotune.placement.placement import Command
from autotune.testing.plans import PROGRAM, build_commands, build_plan

HOSTILE = (
    "a'; touch CANARY; '",
    'b"; touch CANARY; "',
    "$(touch CANARY) `touch CANARY` ${HOME}",
    "c\ntouch CANARY\n#",
    "d\r\n\x1b[31m\ttab \\ back\\\\slash %s %% {{ 7 * 7 }} {% raw %}",
    "-e !! ~ * ? [a-z] && || | > CANARY < &",
    "é 漢 \u202e \u2028 \x85 \u00a0",
    "",
)
"""Text that must come through a target's files as it is; `CANARY` is a file that must not appear."""

_IMPURE = ("open", "os.", "shutil.", "socket.", "subprocess.", "tempfile.")
_events: list[list[str]] = []


class ExporterContract(ABC):
    """What `Exporter` promises, as tests."""

    @pytest.fixture
    @abstractmethod
    def exporter(self) -> Exporter:
        """The exporter under test."""

    @abstractmethod
    def read_back(self, files: Mapping[str, str], folder: Path) -> Sequence[Command]:
        """Find out what these files start, in order of the instances, without the exporter's help.

        Args:
            folder: an empty one, to write the files to where they have to be run.
        """

    @pytest.fixture
    def program(self) -> str:
        """The program that the plans' commands start; override it where `read_back` runs them."""
        return PROGRAM

    def test_is_registered_under_its_name(self, exporter: Exporter) -> None:
        """It is found by its entry point."""
        assert type(exporters()[exporter.name]) is type(exporter)

    def test_paths_are_relative_and_stay_in_the_folder(self, exporter: Exporter) -> None:
        """No path is absolute or leads upwards."""
        paths = [PurePosixPath(path) for path in exporter.render(build_plan())]
        assert paths
        assert not any(path.is_absolute() or ".." in path.parts or not path.name for path in paths)

    def test_what_is_to_be_run_is_among_its_files(self, exporter: Exporter) -> None:
        """`executable` names rendered paths."""
        assert exporter.executable <= set(exporter.render(build_plan()))

    def test_the_same_plan_gives_the_same_text_anywhere(
        self, exporter: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither the environment, nor the working folder, nor the exporter's past matters."""
        before = exporter.render(build_plan())
        monkeypatch.chdir(tmp_path)
        for name in list(os.environ):
            monkeypatch.delenv(name)
        assert type(exporter)().render(build_plan()) == before

    def test_rendering_touches_nothing(self, exporter: Exporter) -> None:
        """No file, no process, no network; what its module loads once does not count."""
        exporter.render(build_plan())
        with _recorded_events() as events:
            exporter.render(build_plan())
        assert not events

    @pytest.mark.parametrize(("pinned", "memory_nodes"), [(True, (0,)), (True, ()), (False, ())])
    @pytest.mark.parametrize("instances", [1, 3])
    def test_the_files_start_exactly_the_plans_commands(
        self,
        exporter: Exporter,
        program: str,
        tmp_path: Path,
        instances: int,
        pinned: bool,
        memory_nodes: tuple[int, ...],
    ) -> None:
        """Cpus, memory nodes, arguments and environment come through unchanged."""
        commands = build_commands(instances, program=program, pinned=pinned, memory_nodes=memory_nodes)
        files = exporter.render(build_plan(commands))
        assert tuple(self.read_back(files, tmp_path)) == commands

    @pytest.mark.parametrize("text", HOSTILE)
    def test_hostile_text_comes_through_as_it_is(
        self, exporter: Exporter, program: str, tmp_path: Path, text: str
    ) -> None:
        """As an argument or a variable it arrives; as a name it does nothing."""
        canary = tmp_path / "canary"
        hostile = text.replace("CANARY", str(canary))
        command = dataclasses.replace(
            build_commands(1, program=program)[0],
            argv=(program, hostile, "--last"),
            environment={"HOSTILE": hostile, "PATH": "/usr/bin:/bin"},
        )
        plan = build_plan(
            [command],
            model={"source": hostile, "digest": hostile},
            study={"name": hostile, "spec": {}},
            machine={"model_name": hostile, "fingerprint": hostile},
            versions={hostile: hostile},
            warnings=(hostile,),
        )
        assert tuple(self.read_back(exporter.render(plan), tmp_path)) == (command,)
        assert not canary.exists()


@contextmanager
def _recorded_events() -> Iterator[list[str]]:
    """Collect what the interpreter reports as touching the world outside."""
    if not hasattr(_recorded_events, "hooked"):
        sys.addaudithook(_record)
        vars(_recorded_events)["hooked"] = True
    events: list[str] = []
    _events.append(events)
    try:
        yield events
    finally:
        _events.remove(events)


def _record(event: str, arguments: tuple[object, ...]) -> None:
    if _events and event.startswith(_IMPURE):
        _events[-1].append(f"{event} {arguments[:1]}")
