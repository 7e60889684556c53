"""How the sequences of a study may be put together and filled up, and for which engines that is of use.

Filled up to the longest of all, a request takes as long whatever is in it, so that there is nothing to sort.
Only `offline` has more than one request's sequences at hand, and requests of one sequence are not sorted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from autotune.errors import PlacementError, StudyFileError
from autotune.model.arranging import MAX_SHAPES, buckets
from autotune.spec.configuration import Batching, Configuration, Padding
from autotune.spec.problem import MAX_LENGTH, Problem
from autotune.spec.scenario import traits_of
from autotune.spec.study import StudySpec

Serving = tuple[Padding, Batching]

ONE_LENGTH: Serving = ("", "")
"""Of a study whose sequences are all alike."""

USUAL: Serving = ("max", "arrival")
"""What people do: `padding="max_length"`, request by request."""

UNFILLED: Serving = ("none", "arrival")
"""Request by request with nothing but their own tokens, where each is one sequence: all that a model without
an attention mask can be given."""

PROMISING: tuple[Serving, ...] = (
    *(("none", "sorted"), ("none", "tokens"), ("bucket", "sorted"), ("none", "arrival")),
    *(("bucket", "tokens"), ("bucket", "arrival"), USUAL),
)
"""All there are, those with the least padding first."""


def usual_serving(spec: StudySpec, unmasked: Collection[str] = ()) -> Serving:
    """Give the baseline's way to serve requests.

    Args:
        unmasked: the variants that are known to have no attention mask.
    """
    if not spec.problem.is_stream:
        return ONE_LENGTH
    return USUAL if keeps_answers(spec, spec.variants[0], USUAL, unmasked) else UNFILLED


def keeps_answers(spec: StudySpec, variant: str, serving: Serving, unmasked: Collection[str]) -> bool:
    """Whether a model can be served so: one without an attention mask is given nothing that fills up."""
    return variant not in unmasked or spec.problem.is_uniform or serving == UNFILLED


def servings(spec: StudySpec, unmasked: Sequence[str] = ()) -> tuple[Serving, ...]:
    """Give the ways to serve requests that a study may try, most promising first.

    Args:
        unmasked: the variants that are known to have no attention mask.

    Raises:
        StudyFileError: the bounds of the study leave nothing, or nothing for one of its models.
    """
    if not spec.problem.is_stream:
        return (ONE_LENGTH,)
    if spec.problem.is_uniform:
        return (USUAL,)
    search = spec.search
    found = tuple(
        (padding, batching)
        for padding, batching in PROMISING
        if (search.padding == "auto" or padding in search.padding)
        and (search.batching == "auto" or batching in search.batching)
        and (batching == "arrival" or traits_of(spec.scenario).has_all_at_hand)
        and (batching != "sorted" or spec.problem.batch_size > 1)
    )
    if not found:
        raise StudyFileError(
            f"{', '.join(search.batching)} makes no difference to requests of one sequence",
            path="search.batching",
            remedy="allow arrival or tokens, or raise problem.batch_size",
        )
    if unmasked and UNFILLED not in found:
        raise StudyFileError(
            f"{unmasked[0] or spec.models[0]} has no attention mask: padding would change its answers",
            path="search.padding" if search.padding != "auto" else "search.batching",
            remedy="allow padding none with batching arrival, or export it with a mask",
        )
    return tuple(
        way for way in found if any(keeps_answers(spec, variant, way, unmasked) for variant in spec.variants)
    )


def require_serving(configuration: Configuration, spec: StudySpec) -> None:
    """Make sure that a configuration says how the study's sequences are put together and filled up.

    Raises:
        PlacementError: it does not, or does where all are of one length, or as the scenario does not permit.
    """
    padding, batching = configuration.padding, configuration.batching
    if not spec.problem.is_stream and (padding or batching):
        raise PlacementError(
            f"{configuration} arranges sequences, and those of the study are all alike",
            remedy="leave padding and batching out",
        )
    if not spec.problem.is_stream:
        return
    if not (padding and batching):
        raise PlacementError(
            f"{configuration} does not say how sequences of different lengths share requests",
            remedy="add such as padding=none,batching=sorted",
        )
    if batching != "arrival" and not traits_of(spec.scenario).has_all_at_hand:
        raise PlacementError(
            f"scenario {spec.scenario} has one request at a time, of which {batching} makes nothing",
            remedy="write batching=arrival",
        )


def is_compilable(spec: StudySpec, serving: Serving) -> bool:
    """Whether an engine that compiles for every shape can have code for all of them."""
    return spec.problem.cache is None and _shape_count(spec, serving) <= MAX_SHAPES


def compilable_in_words(name: str, spec: StudySpec) -> str | None:
    """What a study does not try with an engine that compiles for every shape; None where it tries all."""
    left_out = [serving for serving in servings(spec) if not is_compilable(spec, serving)]
    if not spec.problem.is_stream or not left_out:
        return None
    if len(left_out) == len(servings(spec)):
        return f"{name} compiles for every shape of request, and these have more than {MAX_SHAPES}"
    named = ", ".join(f"{padding} and {batching}" for padding, batching in left_out)
    return f"{name} with padding and batching {named}: it compiles for every shape of request"


def _shape_count(spec: StudySpec, serving: Serving) -> int:
    """The most `(batch, tokens)` that requests may have."""
    padding, batching = serving
    if batching == "tokens":
        return MAX_SHAPES + 1  # as many sequences as fit, so that nobody knows
    lengths = _length_count(spec.problem, padding)
    traits = traits_of(spec.scenario)
    is_split = traits.is_split and spec.problem.batch_size > 1
    # The last request of a file may have fewer sequences than the others.
    return lengths * (2 if is_split else 1) + traits.has_all_at_hand


def _length_count(problem: Problem, padding: Padding) -> int:
    longest = problem.longest or MAX_LENGTH
    if padding == "none":
        values = None if problem.lengths is None else problem.lengths.values
        return longest if values is None else len(set(values))
    return 1 if padding in ("", "max") else len(buckets(longest))
