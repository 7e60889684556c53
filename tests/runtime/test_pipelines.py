"""`pipeline()` answers as transformers' pipelines do, text by text."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autotune.errors import ServingError
from autotune.runtime.pipelines import FUNCTIONS, make_pipeline

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]

PlanFile = Callable[..., Path]

TEXT, PAIR = "a b c", {"text": "a b c", "text_pair": "d e"}
LONG = " ".join("abcdefghij" * 12)
INPUTS: list[Any] = [TEXT, [TEXT, "j j", LONG], PAIR, [PAIR, {"text": "c"}], [TEXT]]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"top_k": None},
    {"top_k": 1},
    {"top_k": 2, "function_to_apply": "sigmoid"},
    {"function_to_apply": "none"},
    {"batch_size": 2},
]

CLASSIFY = """
import json, sys
{make}
inputs, options = json.loads(sys.argv[2]), json.loads(sys.argv[3])
print(json.dumps([[classify(each, truncation=True, **option) for option in options] for each in inputs]))
"""
EXTRACT = """
import json, sys
{make}
print(json.dumps([extract(each, truncation=True) for each in json.loads(sys.argv[2])]))
"""
OURS = "import autotune.runtime\n{name} = autotune.runtime.pipeline({task!r})"
THEIRS = "import transformers\n{name} = transformers.pipeline({task!r}, model=sys.argv[1], device='cpu')"


def alike(ours: Any, theirs: Any) -> bool:
    """Whether two answers have one form, the same labels, and scores that differ by rounding alone."""
    if isinstance(theirs, float):
        return isinstance(ours, float) and bool(np.isclose(ours, theirs, atol=1e-5))
    if isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(alike(ours[key], theirs[key]) for key in theirs)
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(ours) == len(theirs) and all(map(alike, ours, theirs))
    return bool(ours == theirs)


@pytest.mark.slow
@pytest.mark.parametrize(
    "config", [{}, {"problem_type": "multi_label_classification"}, {"problem_type": "regression"}]
)
def test_texts_are_classified_as_the_library_does(
    plan_file: PlanFile,
    in_process: Callable[..., Any],
    served_models: Path,
    tmp_path: Path,
    config: dict[str, Any],
) -> None:
    folder = tmp_path / "classifier"
    shutil.copytree(served_models / "classifier", folder)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    plan = plan_file(folder, {"batch_size": 2, "sequence_length": 12})
    words = str(folder), json.dumps(INPUTS), json.dumps(OPTIONS)
    names = {"name": "classify", "task": "text-classification"}
    ours = in_process(plan, CLASSIFY.format(make=OURS.format(**names)), *words)
    theirs = in_process(plan, CLASSIFY.format(make=THEIRS.format(**names)), *words, launched=False)
    for given, mine, expected in zip(INPUTS, ours, theirs, strict=True):
        for option, one, wanted in zip(OPTIONS, mine, expected, strict=True):
            assert alike(one, wanted), (given, option, one, wanted)


@pytest.mark.slow
def test_features_are_extracted_as_the_library_does(
    plan_file: PlanFile, in_process: Callable[..., Any], served_models: Path
) -> None:
    texts = json.dumps([TEXT, [TEXT, LONG, "j"], ["c"]])
    words = str(served_models / "encoder"), texts
    names = {"name": "extract", "task": "feature-extraction"}
    plan = plan_file("encoder")
    ours = in_process(plan, EXTRACT.format(make=OURS.format(**names)), *words)
    theirs = in_process(plan, EXTRACT.format(make=THEIRS.format(**names)), *words, launched=False)
    assert alike(ours, theirs)


def test_a_regression_has_no_function_and_one_label_a_sigmoid() -> None:
    assert FUNCTIONS["none"](np.array([2.0], np.float32)).tolist() == [2.0]
    assert FUNCTIONS["sigmoid"](np.array([0.0], np.float32)).tolist() == [0.5]
    assert FUNCTIONS["softmax"](np.array([1e4, 1e4], np.float32)).tolist() == [0.5, 0.5]


REFUSED = """
import json
import autotune.runtime
from autotune.errors import ServingError
classify = autotune.runtime.pipeline("sentiment-analysis")
said = []
for given, options in (("a", {"max_length": 3}), ("a", {"function_to_apply": "relu"}), ([["a", "b"]], {})):
    try:
        classify(given, **options)
    except ServingError as error:
        said.append(str(error))
try:
    autotune.runtime.pipeline("feature-extraction", classify.session)("a")
except ServingError as error:
    said.append(str(error))
print(json.dumps(said))
"""


def test_what_was_not_measured_is_refused(plan_file: PlanFile, in_process: Callable[..., Any]) -> None:
    cut, function, pair, features = in_process(plan_file("classifier"), REFUSED)
    assert "max_length=3" in cut
    assert "function_to_apply='relu' is unknown" in function
    assert "is not a text" in pair
    assert "no vectors of its tokens" in features


def test_an_unknown_task_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(ServingError, match="'summarization' is no task here"):
        make_pipeline("summarization", object())  # type: ignore[arg-type]
