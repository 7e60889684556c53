"""What `autotune tune` prints at its end, and the lines before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autotune.cli.progress import show
from autotune.cli.winner import print_winner
from autotune.events import Progress
from autotune.jobs.progress import trial_ended
from autotune.plan.document import Plan
from autotune.spec.configuration import Configuration
from autotune.spec.study import StudySpec
from autotune.store.records import StudyRecord, TrialRecord
from autotune.store.store import open_store
from autotune.testing.plans import DEFAULT, build_default, build_measurement, build_plan

SPEC = StudySpec.model_validate(
    {"name": "quickstart", "model": "fake:model.json", "problem": {"batch_size": 8, "sequence_length": 16}}
)
PLAN = build_plan()


def trial(number: int, configuration: Configuration, *, baseline: bool = False) -> TrialRecord:
    return TrialRecord("quickstart", number, configuration, baseline, 0.0, 1.0, build_measurement(), 30.0)


def printed(plan: Plan, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    url = f"sqlite:///{folder}/autotune.db"
    with open_store(url) as store:
        store.create_study(StudyRecord("quickstart", 0.0, {}, {}, {}, "d", "m"))
        store.record_trial(trial(0, DEFAULT, baseline=True))
        store.record_trial(trial(7, plan.configuration))
    print_winner(plan, SPEC, url)
    return capsys.readouterr().out


def test_the_end_of_a_study_tells_the_plan_beside_the_default_its_rivals_and_where_the_time_went(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(PLAN, tmp_path, capsys).splitlines()
    begin = lines.index(f"plan {PLAN.id}: {PLAN.configuration}")
    assert lines[begin + 1 : begin + 4] == [
        "gain over the baseline: 3.00x (95 %: 2.80x to 3.20x)",
        "beside what people start today: 1.24x the best default (95 %: 1.18x to 1.31x): "
        "1 x default threads, unpinned, sockets 0, fake int8-dynamic",
        "It beats the baseline with 95 % confidence, in 3 rounds of fresh processes.",
    ]
    end = next(number for number, line in enumerate(lines) if line.startswith("stored in"))
    assert [line.partition(":")[0] for line in lines[end - 4 : end]] == [
        "not told apart from it so far",
        "likely worse (93 %)",
        "time",
        "not tried, as preparing it would not have fitted",
    ]
    assert "Blocks of one launch vary by 1.2 %" in " ".join(lines)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"default": None, "spent": None, "unprepared": ()}, ""),
        ({"default": build_default(said="plan", ratio=1.0, ratio_range=None)}, "the best default itself"),
    ],
)
def test_what_is_not_known_is_not_printed(
    changes: dict[str, Any], word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = PLAN.confirmation.model_copy(update=changes)
    text = printed(PLAN.model_copy(update={"confirmation": done}), tmp_path, capsys)
    assert ("best default" in text) == bool(word)
    assert word in text
    assert ("time: " in text) == ("spent" not in changes)


@pytest.mark.parametrize(
    ("configuration", "is_baseline", "begins"),
    [
        (DEFAULT, True, "baseline: 1 x default threads"),
        (DEFAULT, False, "default: 1 x default threads"),
        (PLAN.configuration, False, "2 x 1 threads"),
    ],
)
def test_a_finished_trial_names_what_people_start_today(
    configuration: Configuration, is_baseline: bool, begins: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show(trial_ended(SPEC, trial(1, configuration, baseline=is_baseline), Progress(2, 60), None))
    assert capsys.readouterr().err.startswith(f"[ 2/60] {begins}")
