from __future__ import annotations

from pathlib import Path

import pytest

from autotune.errors import StudyFileError
from autotune.model.texts.labelled import EvaluationSource, Labelled, LabelledRow, read_labelled
from autotune.spec.named_file import DataFile
from autotune.spec.quality import Metric

GOOD: dict[Metric, str] = {
    "accuracy": '{"text": "good", "label": 1}',
    "f1": '{"text": "good", "label": "positive", "id": 7}',
    "spearman": '{"text": "good", "text_pair": "fine", "score": 4}',
}


def rows(tmp_path: Path, metric: Metric, *lines: str) -> tuple[LabelledRow, ...]:
    file = tmp_path / "data.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    return read_labelled(file, metric).rows


def labelled(
    tmp_path: Path, metric: Metric, content: str, name: str = "data.jsonl", **stated: str
) -> Labelled:
    """What is read of a file with this content."""
    (tmp_path / name).write_text(content, encoding="utf-8")
    asked = DataFile.model_validate({"path": name, **stated}) if stated else None
    return read_labelled(tmp_path / name, metric, asked)


@pytest.mark.parametrize(
    ("metric", "row"),
    [
        ("accuracy", LabelledRow("line 1", "good", None, 1, None)),
        ("f1", LabelledRow("line 1", "good", None, "positive", None)),
        ("spearman", LabelledRow("line 1", "good", "fine", None, 4.0)),
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


@pytest.mark.parametrize(
    ("metric", "content", "name", "first"),
    [
        ("f1", "sentence,label\ngood,pos\nbad,neg\n", "a.csv", ("good", None, "pos", None)),
        ("f1", "label;text\n1;good\n0;bad\n", "a.txt", ("good", None, "1", None)),
        ("f1", "text\ttarget\ngood\t1\nbad\t0\n", "a.tsv", ("good", None, "1", None)),
        (
            "accuracy",
            '[{"text": "good", "labels": [1]}, {"text": "x", "labels": [0]}]',
            "a.json",
            ("good", None, 1, None),
        ),
        ("spearman", "sentence1,sentence2,score\na,b,4.5\nc,d,1\n", "a.csv", ("a", "b", None, 4.5)),
        ("spearman", "text,text_pair,score\na,,4.5\nc,d,1\n", "a.csv", ("a", None, None, 4.5)),
        (
            "spearman",
            '{"query": "a", "passage": "b", "label": 3}\n{"query": "a", "passage": "c", "label": 0}',
            "a",
            ("a", "b", None, 3.0),
        ),
        (
            "f1",
            '{"query": "q", "text": "a", "label": 1}\n{"text": "b", "label": 0, "class": 3}',
            "a",
            ("a", None, 1, None),
        ),
    ],
    ids=str,
)
def test_texts_and_labels_are_found_in_the_common_formats(
    tmp_path: Path, metric: Metric, content: str, name: str, first: tuple[object, ...]
) -> None:
    row = labelled(tmp_path, metric, content, name).rows[0]
    assert (row.text, row.text_pair, row.label, row.score) == first


@pytest.mark.parametrize(
    ("content", "stated", "first"),
    [
        ("body,stars\ngood,5\nbad,1\n", {"key": "body", "label": "stars"}, ("good", None, "5")),
        ("text,stars\ngood,5\nbad,1\n", {"label": "stars"}, ("good", None, "5")),
        ("a,b,label\nx,y,5\nz,w,1\n", {"key": "a", "pair": "b"}, ("x", "y", "5")),
    ],
    ids=str,
)
def test_what_a_study_states_of_its_data_wins(
    tmp_path: Path, content: str, stated: dict[str, str], first: tuple[object, ...]
) -> None:
    row = labelled(tmp_path, "f1", content, "a.csv", **stated).rows[0]
    assert (row.text, row.text_pair, row.label) == first


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        ("body,stars\ngood,5\nbad,1\n", "a.csv", "line 2: it has no 'text', but body, stars"),
        ("text,target,class\na,1,1\nb,2,2\n", "a.csv", "it has target and class"),
        ("query,content,label\na,b,1\nc,d,2\n", "a.csv", "it has query and content"),
        ('{"text": "a", "labels": [1, 2]}\n{"text": "b", "labels": [1]}', "a", "'labels' holds 2 values"),
        ("good\nbad\n", "a.txt", "line 1: not JSON"),
        ('"good"\n"bad"\n', "a.txt", "line 1: not a JSON object"),
    ],
    ids=str,
)
def test_data_of_which_nobody_can_tell_what_is_meant_are_refused_with_what_to_write(
    tmp_path: Path, content: str, name: str, told: str
) -> None:
    with pytest.raises(StudyFileError) as caught:
        labelled(tmp_path, "f1", content, name)
    assert told in caught.value.problem
    assert f"`data: {{path: {name}, key: NAME, label: NAME}}`" in caught.value.remedy


def test_what_is_read_otherwise_than_documented_is_known_by_that(tmp_path: Path) -> None:
    documented = '{"text": "a", "label": 1, "stars": 2}\n{"text": "b", "label": 0, "stars": 3}'
    assert labelled(tmp_path, "f1", documented).how == ""
    assert labelled(tmp_path, "f1", documented, label="label").how == ""
    other = labelled(tmp_path, "f1", documented, label="stars")
    assert other.how
    assert (other.reading.in_words, other.reading.keys) == ("JSON Lines", ("text", "stars"))


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
