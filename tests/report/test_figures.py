"""The figures: what is drawn of which values, and the files that come of it."""

from __future__ import annotations

import io
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from autotune.machine.document import machine_document
from autotune.measurement.conditions import disturbance
from autotune.placement.place import place
from autotune.placement.placement import Command, WorkerProgram
from autotune.plan.claims import STANDINGS
from autotune.plan.document import PlanStudy
from autotune.plan.evidence import Spent
from autotune.report.distributions import MAX_RUNNERS_UP
from autotune.report.dossier import Dossier
from autotune.report.effects import parameter_effects
from autotune.report.figures import disturbances, history, latency, placement, scaling, spent
from autotune.report.figures.catalogue import NAMES, draw_all
from autotune.report.figures.history import best_so_far
from autotune.report.figures.picture import MARK, Missing, Picture, encoded
from autotune.report.outcome import outcome
from autotune.spec.configuration import Configuration
from autotune.testing.machines import build_machine
from autotune.testing.plans import build_assignment, build_estimate, build_plan

SVG = "{http://www.w3.org/2000/svg}"

Pictures = tuple[Picture | Missing, ...]


class Drawing:
    """A figure's SVG file, by the ids of its groups."""

    def __init__(self, picture: Picture | Missing) -> None:
        assert isinstance(picture, Picture)
        self.root = ET.fromstring(encoded(picture, "svg"))
        self.groups = {element.get("id", ""): element for element in self.root.iter(f"{SVG}g")}

    def markers(self, group: str) -> int:
        """How many markers or patches a group has."""
        element = self.groups[group]
        uses = len(list(element.iter(f"{SVG}use")))
        return uses or len(list(element.iter(f"{SVG}path")))

    def texts(self) -> list[str]:
        return [" ".join("".join(element.itertext()).split()) for element in self.root.iter(f"{SVG}text")]


@pytest.fixture(scope="module")
def drawn(pictures: Pictures) -> Callable[[str], Drawing]:
    by_name = {one.name: one for one in pictures}
    return lambda name: Drawing(by_name[name])


def test_the_history_has_a_marker_for_every_trial(drawn: Callable[[str], Drawing], rich: Dossier) -> None:
    drawing = drawn("history")
    expected = Counter(outcome(trial).replace(" ", "-") for trial in rich.trials)
    assert {"measured", "raced-out", "failed", "disturbed", "misses-a-limit"} == set(expected)
    assert {kind: drawing.markers(f"trials-{kind}") for kind in expected} == dict(expected)
    assert drawing.markers("trial-of-plan") == 1
    assert {"baseline", "default"} <= set(drawing.groups)


def test_the_best_so_far_never_gets_worse(rich: Dossier) -> None:
    scores = [score for _, score in best_so_far(rich)]
    assert scores == sorted(scores)
    by_latency = replace(rich, plan=rich.plan.model_copy(update={"objective": "latency_p50"}))
    assert [score for _, score in best_so_far(by_latency)] == sorted(
        (score for _, score in best_so_far(by_latency)), reverse=True
    )


def test_latencies_are_drawn_of_plan_runners_up_default_and_baseline(
    drawn: Callable[[str], Drawing], rich: Dossier
) -> None:
    curves = [name for name in drawn("latency").groups if name.startswith("latency-")]
    rivals = [f"latency-trial-{rival.trial}" for rival in rich.plan.confirmation.rivals][:MAX_RUNNERS_UP]
    default_takes_the_place_of_one = rivals[: MAX_RUNNERS_UP - 1]
    assert set(curves) == {
        *("latency-plan", "latency-default", "latency-baseline", "latency-limit"),
        *default_takes_the_place_of_one,
    }
    assert "percentile-plan-p50" in drawn("latency").groups


def test_every_run_of_the_confirmation_is_drawn(drawn: Callable[[str], Drawing], rich: Dossier) -> None:
    drawing = drawn("confirmation")
    expected = Counter(rich.contender(run).replace(" ", "-") for run in rich.runs)
    assert {name: drawing.markers(f"runs-{name}") for name in expected} == dict(expected)


def test_every_finalist_has_its_ratio_and_ties_are_named(
    drawn: Callable[[str], Drawing], rich: Dossier
) -> None:
    texts = drawn("finalists").texts()
    for rival in rich.plan.confirmation.rivals:
        assert f"trial {rival.trial}, {STANDINGS[rival.standing]}" in texts
    assert {"twin", "default"} <= set(texts)
    assert "tie-zone" in drawn("finalists").groups


def test_dropped_blocks_are_drawn_apart_from_kept_ones(
    drawn: Callable[[str], Drawing], rich: Dossier
) -> None:
    drawing = drawn("disturbances")
    results = [trial.result for trial in rich.trials] + [run.result for run in rich.runs]
    kept = [block.conditions for result in results for block in getattr(result, "blocks", ())]
    dropped = sum(len(getattr(result, "dropped", ())) for result in results)
    disturbed = sum(conditions is not None and bool(disturbance(conditions)) for conditions in kept)
    assert min(dropped, disturbed) > 3
    assert drawing.markers("speed-kept") == len(kept) - disturbed
    assert drawing.markers("speed-kept-disturbed") == disturbed
    assert drawing.markers("speed-dropped") == dropped
    assert drawing.markers("given-up") == 1


@pytest.mark.parametrize(
    ("treatment", "counted", "lost"),
    [
        ("correct", "disturbed, corrected", "not counted: quota, heat or a lost cpu"),
        ("keep", "disturbed, counted all the same", "not counted: quota, heat or a lost cpu"),
        ("drop", "disturbed, counted all the same", "disturbed, not counted"),
        ("again", "disturbed, counted all the same", "disturbed, measured again"),
    ],
)
def test_what_became_of_blocks_is_named_as_the_study_asked(
    rich: Dossier, treatment: str, counted: str, lost: str
) -> None:
    spec = {**rich.spec, "measure": {"disturbed": treatment}}
    plan = rich.plan.model_copy(update={"study": PlanStudy(name="encoder", spec=spec)})
    texts = Drawing(disturbances.picture(replace(rich, plan=plan))).texts()
    assert {"counted", counted, lost, "speed against", "the usual"} <= set(texts)


def test_the_time_that_was_spent_is_one_bar_with_a_part_for_each_thing() -> None:
    picture = spent.picture(Dossier(build_plan()))
    drawing = Drawing(picture)
    parts = (
        "preparing 48 s",
        "looking 12 s",
        "loading 21 s",
        "warming up 14 s",
        "measuring 39 s",
        "waiting 6 s",
    )
    assert set(parts) <= set(drawing.texts())
    bars = [path.get("id") for path in drawing.root.iter(f"{SVG}g") if "spent-" in path.get("id", "")]
    assert bars == [f"spent-{part.rpartition(' ')[0].rpartition(' ')[0].replace(' ', '-')}" for part in parts]
    assert isinstance(picture, Picture)
    assert picture.description.startswith("Of 140 s: preparing 48 s (34%), looking 12 s (9%)")


def test_what_took_no_time_has_no_part() -> None:
    plan = build_plan()
    done = plan.confirmation.model_copy(update={"spent": Spent(measuring_s=30.0, waiting_s=0.2)})
    texts = Drawing(spent.picture(Dossier(plan.model_copy(update={"confirmation": done})))).texts()
    assert [text for text in texts if text.endswith(" s")] == ["measuring 30 s"]


def test_an_older_document_does_not_say_where_the_time_went() -> None:
    plan = build_plan()
    done = plan.confirmation.model_copy(update={"spent": None})
    assert isinstance(spent.picture(Dossier(plan.model_copy(update={"confirmation": done}))), Missing)


def test_defaults_are_no_choices_of_the_search(rich: Dossier) -> None:
    unpinned = [trial for trial in rich.trials if trial.configuration.placement == "unpinned"]
    assert len(unpinned) > 2
    assert not {trial.number for trial in scaling.searched(rich)} & {trial.number for trial in unpinned}
    assert all(0 not in [value.value for value in effect.values] for effect in parameter_effects(rich))


def plan_on(
    dossier_machine: dict[str, object], configuration: Configuration, *cpus: tuple[int, ...]
) -> Dossier:
    commands = [
        Command(WorkerProgram("/bin/x", build_assignment()), {}, mine, (0,) if mine else ()) for mine in cpus
    ]
    plan = build_plan(commands, machine=dossier_machine)
    return Dossier(plan.model_copy(update={"configuration": configuration}))


MACHINES = {
    "two cpus": (build_machine(packages=1, nodes_per_package=1, cores_per_node=2, threads_per_core=1), 2, 1),
    "two sockets, four nodes, SMT": (
        build_machine(packages=2, nodes_per_package=2, l3_per_node=2, allowed=range(30)),
        4,
        3,
    ),
    "eight sockets of 64 cores": (build_machine(packages=8, nodes_per_package=1, cores_per_node=64), 64, 8),
    "memory-only nodes": (build_machine(packages=1, nodes_per_package=2, memory_only_nodes=2), 2, 2),
}


@pytest.mark.parametrize("name", MACHINES)
def test_the_placement_shows_every_cpu_once_by_its_instance(name: str) -> None:
    machine, instances, threads = MACHINES[name]
    sockets = f"0-{len(machine.packages) - 1}" if len(machine.packages) > 1 else "0"
    configuration = Configuration(instances, threads, "close", sockets, False, "fake", "fp32")
    spots = [spot.cpus for spot in place(configuration, machine).instances]
    drawing = Drawing(placement.picture(plan_on(machine_document(machine), configuration, *spots)))
    shown = {group: drawing.markers(group) for group in drawing.groups if group.startswith("cpus-")}
    assert {group: count for group, count in shown.items() if "instance" in group} == {
        f"cpus-instance-{index}": threads for index in range(instances)
    }
    assert sum(shown.values()) == len(machine.online)
    assert shown.get("cpus-not-allowed", 0) == len(machine.online - machine.allowed)
    labels = [text for text in drawing.texts() if text.startswith("socket")]
    assert len(labels) == len(machine.packages)


def test_an_unpinned_plan_shows_the_cpus_that_are_open_to_it() -> None:
    machine = build_machine(packages=1, allowed=range(6))
    configuration = Configuration(1, 0, "unpinned", "0", False, "fake", "fp32")
    drawing = Drawing(placement.picture(plan_on(machine_document(machine), configuration, ())))
    assert drawing.markers("cpus-shared") == 6
    assert drawing.markers("cpus-not-allowed") == len(machine.online) - 6


@pytest.mark.parametrize("damage", [{}, {"cores": "0-3"}, {"cores": [1, 2]}, {"cores": ["x"]}, {"cores": []}])
def test_a_machine_document_without_cores_is_said_to_have_none(damage: dict[str, object]) -> None:
    found = placement.picture(Dossier(build_plan(machine=damage)))
    assert isinstance(found, Missing)
    assert "cores" in found.reason


def test_latencies_of_a_plan_alone_come_from_its_histogram(rich: Dossier) -> None:
    drawing = Drawing(latency.picture(Dossier(rich.plan)))
    assert {"latency-plan", "latency-baseline"} <= set(drawing.groups)


@pytest.mark.parametrize("histogram", [None, "", "no histogram", "HISTFAAA"])
def test_without_a_histogram_the_percentiles_are_drawn(histogram: str | None) -> None:
    estimate = build_estimate(30.0).model_copy(update={"histogram": histogram})
    drawing = Drawing(latency.picture(Dossier(build_plan(estimate=estimate))))
    assert "latency-plan" not in drawing.groups
    assert any(group.startswith("percentile-plan-p50") for group in drawing.groups)


def test_what_is_not_at_hand_is_said() -> None:
    missing = {one.name: one.reason for one in draw_all(Dossier(build_plan())) if isinstance(one, Missing)}
    assert set(missing) == set(NAMES) - {"latency", "finalists", "spent"}
    assert all(reason.endswith(".") for reason in missing.values())


def test_every_figure_becomes_a_png_and_an_svg_that_say_where_they_come_from(pictures: Pictures) -> None:
    for picture in pictures:
        assert isinstance(picture, Picture)
        png, svg = encoded(picture, "png"), encoded(picture, "svg")
        image = Image.open(io.BytesIO(png))
        image.load()
        assert image.width >= 1200
        assert ET.fromstring(svg).tag == f"{SVG}svg"
        assert MARK.encode() in png[:4096]
        assert MARK.encode() in svg[:4096]


def test_the_same_values_give_the_same_bytes(rich: Dossier) -> None:
    one, other = history.picture(rich), history.picture(rich)
    assert isinstance(one, Picture)
    assert isinstance(other, Picture)
    assert encoded(one, "svg") == encoded(other, "svg")
    assert encoded(one, "png") == encoded(other, "png")


def test_a_users_own_matplotlib_settings_change_nothing(tmp_path: Path, rich: Dossier) -> None:
    (tmp_path / "matplotlibrc").write_text("axes.facecolor: red\nsvg.fonttype: path\nlines.linewidth: 9\n")
    program = (
        "from autotune.report.figures.latency import picture\n"
        "from autotune.report.figures.picture import encoded\n"
        "from autotune.report.dossier import Dossier\n"
        "from autotune.testing.plans import build_plan\n"
        "import sys; sys.stdout.buffer.write(encoded(picture(Dossier(build_plan())), 'svg'))"
    )
    own = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=tmp_path, capture_output=True, check=True
    )
    picture = latency.picture(Dossier(build_plan()))
    assert isinstance(picture, Picture)
    assert own.stdout == encoded(picture, "svg")
    assert own.stderr == b""
