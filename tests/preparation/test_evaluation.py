from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autotune.errors import StudyFileError
from autotune.preparation.evaluation import has_classes, require_metric, score_answers


def logits(*classes: int) -> list[Any]:
    """An answer `(1, 3)` for each class that should come first."""
    return [np.eye(3, dtype=np.float32)[[one]] for one in classes]


def test_accuracy_is_the_share_of_labels_that_come_first() -> None:
    assert score_answers("accuracy", "classes", (0, 1, 2, 2), logits(0, 1, 2, 0)) == 0.75


def test_f1_is_the_mean_over_classes_however_rare() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn computes f1")
    # Class 0: precision 3/4, recall 1; class 1: precision 1, recall 1/2.
    found = score_answers("f1", "classes", (0, 0, 0, 1, 1), logits(0, 0, 0, 0, 1))
    assert found == pytest.approx((6 / 7 + 2 / 3) / 2)


def test_spearman_of_numbers_is_of_their_order_alone() -> None:
    answers = [np.array([[value]], dtype=np.float32) for value in (0.1, 0.2, 100.0)]
    assert score_answers("spearman", "number", (1.0, 2.0, 3.0), answers) == pytest.approx(1.0)
    assert score_answers("spearman", "number", (3.0, 2.0, 1.0), answers) == pytest.approx(-1.0)


@pytest.mark.parametrize("tokens", [True, False], ids=["vectors of tokens", "one vector"])
def test_spearman_of_embeddings_is_of_the_cosine_of_each_pair(tokens: bool) -> None:
    def embedded(angle: float) -> Any:
        vector = np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)
        # Two tokens whose mean points along the vector.
        apart = np.array([3, -3], dtype=np.float32)
        return np.stack([vector + apart, vector - apart])[np.newaxis] if tokens else vector[np.newaxis]

    pairs = [embedded(angle) for pair in ((0.0, 0.1), (0.0, 1.0), (0.5, 3.0)) for angle in pair]
    assert score_answers("spearman", "embedding", (0.9, 0.5, 0.1), pairs) == pytest.approx(1.0)


def test_answers_without_any_order_correlate_with_nothing() -> None:
    answers = [np.ones((1, 1), dtype=np.float32)] * 3
    assert score_answers("spearman", "number", (1.0, 2.0, 3.0), answers) == 0.0


@pytest.mark.parametrize(
    ("named", "classes"),
    [
        ("BertForSequenceClassification", True),
        ("BertForTokenClassification", True),
        ("BertForMaskedLM", True),
        ("BertModel", False),
        ("ElectraForPreTraining", False),
    ],
)
def test_classes_are_told_by_the_name_of_the_models_class(tmp_path: Path, named: str, classes: bool) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": [named]}))
    assert has_classes(tmp_path) == classes


def test_f1_is_refused_where_nothing_computes_it_with_the_command_that_helps() -> None:
    with pytest.raises(
        StudyFileError, match="f1 is computed by scikit-learn, which is not installed"
    ) as caught:
        require_metric("f1", {"scipy"})
    assert caught.value.path == "quality.metric"
    assert "pip install scikit-learn" in caught.value.remedy


@pytest.mark.parametrize("metric", ["accuracy", "spearman", None])
def test_every_other_metric_needs_nothing_more(metric: Any) -> None:
    require_metric(metric, set())


def test_a_model_without_a_configuration_has_no_known_classes(tmp_path: Path) -> None:
    assert not has_classes(tmp_path)
