"""The study file's `quality`: how near a configuration's answers must be, and what is compared."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from autotune.spec.named_file import DataFile, Named, TextsFile
from autotune.spec.part import Part, Share, refuse

Metric = Literal["accuracy", "f1", "spearman"]

USUAL_COSINE, USUAL_DIFFERENCE = 0.85, 0.5
"""Limits where nothing else is asked for.

Source: `studies/benchmarks/agreement.py`, of all-MiniLM-L6-v2's last hidden state: honest int8-dynamic 0.940
(PyTorch, random tokens) to 0.988 (ONNX Runtime, texts), with differences up to 0.20; with one weight matrix
in six at twice its scale 0.76 to 0.78, with all of them at 1.2 times 0.64 to 0.67.
"""


def _usual_cosine(earlier: dict[str, Any]) -> float | None:
    return None if earlier.get("data") else USUAL_COSINE


def _usual_difference(earlier: dict[str, Any]) -> float | None:
    return None if earlier.get("data") else USUAL_DIFFERENCE


class Quality(Part):
    """How near to the fp32 reference's a configuration's answers must be; otherwise it is not measured."""

    texts: Named[TextsFile] | None = None
    """A file of texts (one to a line, JSON, or a table): answers to them are compared, and int8-static is
    calibrated on them. Without it, random tokens."""
    sequences: Annotated[int, Field(ge=1, le=10_000)] = 32
    """How many sequences are compared and calibrated on, at most."""
    data: Named[DataFile] | None = None
    """Labelled texts, as JSON or a table with a header: `{"text": ..., "label": ...}`, or
    `{"text": ..., "text_pair": ..., "score": ...}`; `{path: FILE, key: NAME, label: NAME}` where they are
    called otherwise."""
    metric: Annotated[Metric | None, Field(validate_default=True)] = None
    """What `data` is scored by: accuracy or (macro) f1 of labels, or spearman of scores."""
    max_drop: Share = 0.01
    """By how much the metric may be less than the reference's; without `data` it may not be written, with it
    0.01 is usual."""
    cosine: Share | None = Field(default_factory=_usual_cosine)
    """Least cosine similarity to the reference's answers, the mean over sequences; 0.85, or no limit with
    `data`."""
    max_difference: Annotated[float, Field(gt=0)] | None = Field(default_factory=_usual_difference)
    """Largest difference of one number, as a share of the reference's largest; 0.5, or no limit with
    `data`."""
    top1: Share | None = None
    """Least share of sequences (or tokens) for which a classifier puts the same class first. No limit unless
    given, as near ties change places for nothing."""

    @field_validator("metric")
    @classmethod
    def _a_metric_and_its_data_go_together(cls, metric: Metric | None, info: ValidationInfo) -> Metric | None:
        data = info.data.get("data", metric)  # one that is wrong is not among the data
        if metric is None and isinstance(data, DataFile):
            refuse(f"missing: write what {data.path} is scored by: accuracy, f1 or spearman")
        if metric is not None and data is None:
            refuse(
                f"{metric} has nothing to be computed on: name labelled texts, as in `data: labelled.jsonl`"
            )
        return metric
