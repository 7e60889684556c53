from __future__ import annotations

from pathlib import Path

import pytest

from autotune.errors import StudyFileError
from autotune.model.labelled import EvaluationSource, LabelledRow, read_labelled
from autotune.spec.quality import Metric

GOOD: dict[Metric, str] = {
    "accuracy": '{"text": "good", "label": 1}',
    "f1": '{"text": "good", "label": "positive", "id": 7}',
    "spearman": '{"text": "good", "text_pair": "fine", "score": 4}',
}


def rows(tmp_path: Path, metric: Metric, *lines: str) -> tuple[LabelledRow, ...]:
    file = tmp_path / "data.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    return read_labelled(file, metric)


@pytest.mark.parametrize(
    ("metric", "row"),
    [
        ("accuracy", LabelledRow(1, "good", None, 1, None)),
        ("f1", LabelledRow(1, "good", None, "positive", None)),
        ("spearman", LabelledRow(1, "good", "fine", None, 4.0)),
    ],
)
def test_each_metric_reads_what_it_needs(tmp_path: Path, metric: Metric, row: LabelledRow) -> None:
    second = '{"text": "x", "text_pair": "y", "label": 0, "score": 0.5}'
    assert rows(tmp_path, metric, GOOD[metric], "", second)[0] == row


@pytest.mark.parametrize(
    ("metric", "line", "told"),
    [
        ("f1", "good,1", "not JSON"),
        ("f1", "[" * 100_000, "not JSON"),
        ("f1", "[]", "not a JSON object"),
        ("f1", '{"label": 1}', "it has no 'text'"),
        ("f1", '{"text": " ", "label": 1}', "'text' is no text"),
        ("f1", '{"text": "a", "text_pair": 3, "label": 1}', "'text_pair' is no text"),
        ("f1", '{"text": "a", "score": 1}', "it has no 'label'"),
        ("f1", '{"text": "a", "label": true}', "'label' is neither a class's number"),
        ("accuracy", '{"text": "a", "label": 0.5}', "'label' is neither a class's number"),
        ("accuracy", '{"text": "a", "label": null}', "'label' is neither a class's number"),
        ("spearman", '{"text": "a", "label": 1}', "it has no 'score'"),
        ("spearman", '{"text": "a", "score": "high"}', "'score' is not a number"),
        ("spearman", '{"text": "a", "score": NaN}', "'score' is not a number"),
        ("spearman", '{"text": "a", "score": true}', "'score' is not a number"),
    ],
)
def test_a_wrong_line_is_named_with_its_number_and_an_example(
    tmp_path: Path, metric: Metric, line: str, told: str
) -> None:
    with pytest.raises(StudyFileError) as caught:
        rows(tmp_path, metric, GOOD[metric], "", line)
    assert caught.value.path == "quality.data"
    assert f"data.jsonl, line 3: {told}" in caught.value.problem
    assert '{"text": ' in caught.value.remedy


def test_rows_that_no_metric_can_be_computed_on_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match="one row alone"):
        rows(tmp_path, "f1", GOOD["f1"])
    with pytest.raises(StudyFileError, match="every score is the same"):
        rows(tmp_path, "spearman", GOOD["spearman"], GOOD["spearman"])


def test_a_source_is_named_by_what_decides_the_metric() -> None:
    one = EvaluationSource(Path("a"), Path("t"), "d1", "f1", 128)
    assert one.digest == EvaluationSource(Path("b"), Path("u"), "d1", "f1", 128).digest
    others = (
        EvaluationSource(Path("a"), Path("t"), "d2", "f1", 128),
        EvaluationSource(Path("a"), Path("t"), "d1", "accuracy", 128),
        EvaluationSource(Path("a"), Path("t"), "d1", "f1", 64),
    )
    assert one.digest not in {other.digest for other in others}
