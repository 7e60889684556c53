"""How near an artifact's answers are to the fp32 reference's, and whether that is near enough for a study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from autotune.errors import PreparationError, StudyFileError
from autotune.spec.quality import Metric, Quality

ASSESSMENT_FILE = "assessment.json"

ROUNDING = 1e-9
"""Of the difference of two metrics: 0.9 - 0.89 is more than 0.01."""

Inputs = Literal["texts", "random", "none"]


@dataclass(frozen=True)
class LabelledScore:
    """A metric of labelled texts.

    Attributes:
        rows: how many.
        reference: the fp32 reference's; value: the artifact's.
        of: the model whose reference that is, where it is another than the artifact's; else empty.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    metric: Metric
    rows: int
    reference: float
    value: float
    of: str = ""

    @property
    def drop(self) -> float:
        """By how much the artifact is worse; negative where it is better."""
        return self.reference - self.value


@dataclass(frozen=True)
class Assessment:
    """How near an artifact's answers are to the fp32 reference's.

    Attributes:
        inputs: what both answered to: `texts` of the study, `random` tokens; `none` of a fake model, which
            computes nothing that could be compared.
        sequences: how many.
        fault: why the answers cannot be used, whatever a study allows; empty where they may be. Where they
            cannot be compared at all, the rest is None.
        cosine: similarity to the reference's answers: the mean over sequences; where an answer is one number
            for each class, whose own cosine is little more than its sign, that of all answers as one vector.
        least_cosine: of one sequence's answer.
        max_difference: greatest difference of one number, as a share of the reference's greatest.
        top1: share of the sequences (of a head for tokens: of the tokens) for which the same class comes
            first; None for a model without classes.
        labelled: None where the study has no labelled texts.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    inputs: Inputs
    sequences: int
    fault: str = ""
    cosine: float | None = None
    least_cosine: float | None = None
    max_difference: float | None = None
    top1: float | None = None
    labelled: LabelledScore | None = None


EXEMPT = Assessment(inputs="none", sequences=0)
"""Of a fake model."""

UNCOMPARED = (
    "The models are not compared with each other: the fastest is chosen, whatever it answers. Name labelled "
    "texts (quality.data) to know what a smaller one costs, and to bound it."
)
"""Of a study of several models without labelled texts."""


def shortfalls(assessment: Assessment, limits: Quality) -> Iterator[str]:
    """In what an artifact falls short of a study's limits, with figures; nothing if it may be used."""
    if assessment.fault:
        yield assessment.fault
    if _is_less(assessment.cosine, limits.cosine):
        # As many decimals as tell it from a limit near 1.
        decimals = max(4, len(f"{limits.cosine:.8f}".rstrip("0")) - 1)
        least = f" (least {assessment.least_cosine:.{decimals}f})"
        yield f"cosine {assessment.cosine:.{decimals}f}{least}, below quality.cosine {limits.cosine:.8g}"
    if _is_less(limits.max_difference, assessment.max_difference):
        limit = f"quality.max_difference {limits.max_difference:g}"
        yield f"largest difference {assessment.max_difference:.3f} of the largest number, above {limit}"
    if _is_less(assessment.top1, limits.top1):
        yield f"top-1 agreement {assessment.top1:.1%}, below quality.top1 {limits.top1:g}"
    scored = assessment.labelled
    if scored is not None and scored.drop > limits.max_drop + ROUNDING:
        whose = f" (of {scored.of})" if scored.of else ""
        change = f"{scored.reference:.4f}{whose} -> {scored.value:.4f}"
        limit = f"quality.max_drop {limits.max_drop:g}"
        yield f"{scored.metric} {change} on {scored.rows} rows, a drop of {scored.drop:.4f}, above {limit}"


def held_to_fp32(assessment: Assessment, least_cosine: float) -> Assessment:
    """Give the same, with a fault where answers at fp32 are not the reference's: no study allows that.

    Args:
        least_cosine: of the mean over sequences; answers with less differ by more than rounding.
    """
    cosine = assessment.cosine
    if cosine is None or cosine >= least_cosine:
        return assessment
    fault = f"cosine {cosine:.5f} at fp32, where the model's own answers have at least {least_cosine:g}"
    return replace(assessment, fault=fault)


def refuse_void_limits(assessment: Assessment, limits: Quality) -> None:
    """Refuse a limit on what the answers do not have: whatever they are would keep it.

    Raises:
        StudyFileError: there is one.
    """
    is_compared = assessment.cosine is not None
    if is_compared and limits.top1 is not None and assessment.top1 is None:
        raise StudyFileError(
            "the model does not answer with a number for each class, as far as its configuration says",
            path="quality.top1",
            remedy="leave it out; or, beside an ONNX file, put the model's config.json, whose `architectures`"
            " tells",
        )


def limits_in_words(quality: Quality) -> str:
    """What a study asks of every configuration's answers, and on what they are compared."""
    compared_on = f"texts of {quality.texts.path}" if quality.texts else "sequences of random tokens"
    return f"{', '.join(_limits(quality))}; compared with fp32 on {quality.sequences} {compared_on}"


def _limits(quality: Quality) -> Iterator[str]:
    if quality.cosine is not None:
        yield f"cosine at least {quality.cosine:g}"
    if quality.max_difference is not None:
        yield f"largest difference at most {quality.max_difference:g} of the largest number"
    if quality.top1 is not None:
        yield f"top-1 agreement at least {quality.top1:g}"
    if quality.data is not None:
        yield f"{quality.metric} on {quality.data.path} at most {quality.max_drop:g} less"


def write_assessment(directory: Path, assessment: Assessment) -> None:
    """Write `assessment.json` into `directory`."""
    (directory / ASSESSMENT_FILE).write_bytes(_ADAPTER.dump_json(assessment, indent=2) + b"\n")


def read_assessment(directory: Path) -> Assessment:
    """The inverse of `write_assessment`.

    Raises:
        PreparationError: the file is not one of ours.
    """
    file = directory / ASSESSMENT_FILE
    try:
        return _ADAPTER.validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise PreparationError(
            f"{file} is no assessment: {error}", remedy="prune the cache and try again"
        ) from error


_ADAPTER = TypeAdapter(Assessment)


def _is_less(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value < limit
