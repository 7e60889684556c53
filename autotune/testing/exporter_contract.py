"""The tests that every exporter passes: subclass `ExporterContract` in a test module.

```python
class TestSystemdExporter(ExporterContract):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return SystemdExporter()

    def parse(self, files: Mapping[str, str]) -> Sequence[Started]:
        ...  # what these files start, found by reading them as the target does
```

A property runs over generated plans, machines, servers and texts (`autotune.testing.launches`): what `parse`
finds is what the launch says, in every part that the target keeps. What it does not keep, its losses name.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autotune.errors import ExportError
from autotune.exporters.options import option_rows, read_options
from autotune.exporters.protocol import PARTS, Exported, Exporter, parts_of
from autotune.exporters.registry import exporters
from autotune.plan.launch import Launch, LaunchedInstance, launch_of
from autotune.spec.launch import LaunchSpec
from autotune.testing.launches import HOSTILE, PLAN_PATH, launches, literal, named
from autotune.testing.plans import build_commands, build_plan

SERVER = "/opt/srv/bin/uvicorn"
"""The program of the servers that are no generated ones."""

_IMPURE = ("open", "os.", "shutil.", "socket.", "subprocess.", "tempfile.")
_events: list[list[str]] = []

_SHARED = settings(
    deadline=None,
    # The contract's functions are each subclass's own, and exporters hold no state.
    suppress_health_check=[
        HealthCheck.differing_executors,
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
    ],
)


@dataclass(frozen=True)
class Started:
    """What a target's files start of one instance; None = they do not say, as the target does not keep it.

    Attributes:
        environment: what is set; of autotune's workers all that there is.
    """

    argv: tuple[str, ...] | None = None
    environment: Mapping[str, str] | None = None
    cpus: tuple[int, ...] | None = None
    memory_nodes: tuple[int, ...] | None = None


class ExporterContract(ABC):
    """What `Exporter` promises, as tests."""

    settings: ClassVar[tuple[str, ...]] = ()
    """Options that the tests render with, each `NAME=VALUE`."""

    @pytest.fixture
    @abstractmethod
    def exporter(self) -> Exporter:
        """The exporter under test."""

    @abstractmethod
    def parse(self, files: Mapping[str, str]) -> Sequence[Started]:
        """Find out what these files start, in order of the instances, without the exporter's help."""

    def can_express(self, launch: Launch) -> bool:  # noqa: ARG002
        """Whether the target can say all of this launch; what it cannot, it must refuse."""
        return True

    def render(self, exporter: Exporter, launch: Launch) -> Exported:
        """Render with the tests' options."""
        return exporter.render(launch, read_options(exporter, self.settings))

    def test_is_registered_under_its_name(self, exporter: Exporter) -> None:
        """It is found by its entry point."""
        assert type(exporters()[exporter.name]) is type(exporter)

    def test_its_options_are_described(self, exporter: Exporter) -> None:
        """Every option has a docstring, and there is a summary."""
        assert all(row.meaning for row in option_rows(exporter))
        assert exporter.summary

    def test_an_unknown_option_is_refused(self, exporter: Exporter) -> None:
        """With the one that was probably meant."""
        with pytest.raises(ExportError, match="has no option 'plann'") as caught:
            read_options(exporter, ["plann=/x"])
        assert "plan" in caught.value.remedy

    def test_paths_are_relative_and_stay_in_the_folder(self, exporter: Exporter) -> None:
        """No path is absolute or leads upwards."""
        for launch in usual_launches(exporter):
            paths = [PurePosixPath(path) for path in self.render(exporter, launch).files]
            assert paths
            assert not any(path.is_absolute() or ".." in path.parts or not path.name for path in paths)

    def test_what_is_to_be_run_is_among_its_files(self, exporter: Exporter) -> None:
        """`executable` names rendered paths."""
        for launch in usual_launches(exporter):
            exported = self.render(exporter, launch)
            assert exported.executable <= set(exported.files)

    def test_the_same_launch_gives_the_same_text_anywhere(
        self, exporter: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither the environment, nor the working folder, nor the exporter's past matters."""
        made = list(usual_launches(exporter))
        before = [self.render(exporter, launch) for launch in made]
        monkeypatch.chdir(tmp_path)
        for name in list(os.environ):
            monkeypatch.delenv(name)
        assert [self.render(type(exporter)(), launch) for launch in made] == before

    def test_rendering_touches_nothing(self, exporter: Exporter) -> None:
        """No file, no process, no network; what its module loads once does not count."""
        for launch in usual_launches(exporter):
            self.render(exporter, launch)
            with _recorded_events() as events:
                self.render(exporter, launch)
            assert not events

    def test_every_loss_is_told_in_a_sentence(self, exporter: Exporter) -> None:
        """Of each part that the launch has and the target does not keep exactly; and of no others."""
        for launch in usual_launches(exporter):
            losses = self.render(exporter, launch).losses
            kept = {part: exporter.keeps.of(part) for part in PARTS}
            told = {loss.part for loss in losses}
            assert told <= {part for part, keeping in kept.items() if keeping != "exact"}
            assert told >= {part for part in parts_of(launch) if kept[part] == "lost"}
            assert all(loss.words.endswith(".") for loss in losses)

    @_SHARED
    @given(data=st.data())
    def test_the_files_start_exactly_what_the_launch_says(
        self, exporter: Exporter, data: st.DataObject
    ) -> None:
        """Of any plan on any machine, with any text in it."""
        program = data.draw(st.sampled_from(sorted(exporter.programs)))
        self.check(exporter, data.draw(launches(program)))

    @pytest.mark.parametrize("text", HOSTILE)
    def test_hostile_text_comes_through_as_it_is(self, exporter: Exporter, tmp_path: Path, text: str) -> None:
        """As an argument or a variable it arrives; as a name it does nothing."""
        canary = tmp_path / "canary"
        for launch in hostile_launches(exporter, text.replace("CANARY", str(canary))):
            self.check(exporter, launch)
        assert not canary.exists()

    def check(self, exporter: Exporter, launch: Launch) -> None:
        """Compare what the files start with the launch; what the target cannot express must be refused."""
        if not self.can_express(launch):
            with pytest.raises(ExportError) as caught:
                self.render(exporter, launch)
            assert caught.value.remedy
            return
        started = self.parse(self.render(exporter, launch).files)
        assert list(started) == [expected(exporter, instance) for instance in launch.instances]


def expected(exporter: Exporter, instance: LaunchedInstance) -> Started:
    """What the files of a target are to start of an instance: nothing is found of what is lost."""
    lost = {part: None for part in PARTS if exporter.keeps.of(part) == "lost"}
    whole = Started(instance.argv, dict(instance.environment), instance.cpus, instance.memory_nodes)
    return dataclasses.replace(whole, **lost)


def usual_launches(exporter: Exporter) -> Iterator[Launch]:
    """Launches of one and of three instances, pinned and not, of everything that the target can start."""
    server = LaunchSpec(command=(SERVER, "app:app", "--port", "{port}"))
    for instances in (1, 3):
        for pinned, memory_nodes in ((True, (0,)), (True, ()), (False, ())):
            commands = build_commands(instances, pinned=pinned, memory_nodes=memory_nodes)
            plan = build_plan(commands)
            if "worker" in exporter.programs:
                yield launch_of(plan)
            if "command" in exporter.programs:
                yield launch_of(plan, server, plan_path=PLAN_PATH)


def hostile_launches(exporter: Exporter, text: str) -> Iterator[Launch]:
    """Launches that have this text wherever a text may stand."""
    (command,) = build_commands(1)
    assignment = dataclasses.replace(command.worker.assignment, artifact=Path("/cache", text), knobs=text)
    command = dataclasses.replace(
        command,
        program=dataclasses.replace(command.worker, assignment=assignment),
        environment={"HOSTILE": text, "PATH": "/usr/bin:/bin"},
    )
    plan = build_plan([command], **named(text))
    if "worker" in exporter.programs:
        yield launch_of(plan)
    if "command" in exporter.programs:
        words = (SERVER, literal(text), "--last")
        server = LaunchSpec(command=words, environment={"OTHER": literal(text)})
        yield launch_of(plan, server, plan_path=PLAN_PATH)


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
