"""Answers as transformers' pipelines do, from a measured session."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np

from autotune.errors import ServingError
from autotune.runtime.asked import refuse_batch_size
from autotune.runtime.reading import TextOrPair
from autotune.runtime.session import MeasuredSession

Array = np.ndarray[Any, Any]

CONFIG_FILE = "config.json"
WITHOUT_EFFECT: Final = ("batch_size", "num_workers", "padding")
"""Requests are put together, and filled up, as they were measured."""

CLASSIFIER = "ForSequenceClassification"
"""How transformers' classes end that have a head for whole sequences."""


class TextPipeline(Protocol):
    """One task."""

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Answer a text, or each of several."""
        ...


class TextClassification:
    """The task `text-classification`: labels with their scores."""

    def __init__(self, session: MeasuredSession) -> None:
        """Classify with this session.

        Raises:
            ServingError: the plan's model has no head for that.
        """
        config = _config(session)
        named = str((config.get("architectures") or [""])[0])
        if not named.endswith(CLASSIFIER):
            raise ServingError(
                f"the model of {session.planned.plan} is {named or 'of no class'}: it classifies no texts",
                remedy=f"tune a model whose class ends with {CLASSIFIER}",
            )
        self.session = session
        self._problem_type, self._stated = config.get("problem_type"), config.get("id2label")

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Give labels and scores, in the forms in which transformers' pipeline gives them.

        Args:
            inputs: a text, a mapping of `text` and `text_pair`, or several of them.
            options: `top_k`: that many labels, None = all; `function_to_apply`: `sigmoid`, `softmax` or
                `none`.

        Raises:
            ServingError: something is asked for that was not measured.
        """
        top_k, function = options.pop("top_k", ""), options.pop("function_to_apply", None)
        _refuse_unmeasured(options)
        is_many = isinstance(inputs, list)
        answers = self.session.answers([_text(each) for each in (inputs if is_many else [inputs])])
        scored = [self._scored(logits, top_k, function) for logits in answers]
        if is_many:
            return scored
        return scored if isinstance(inputs, str) and top_k == "" else scored[0]

    def _scored(self, logits: Array, top_k: Any, function: str | None) -> Any:
        scores = FUNCTIONS[self._chosen(function, len(logits))](logits.astype(np.float32, copy=False))
        if top_k == "":
            return {"label": self._label(int(scores.argmax())), "score": scores.max().item()}
        labels = [{"label": self._label(index), "score": score.item()} for index, score in enumerate(scores)]
        labels.sort(key=lambda label: label["score"], reverse=True)
        return labels if top_k is None else labels[:top_k]

    def _chosen(self, function: str | None, labels: int) -> str:
        """Which function makes scores of the answer. Source: transformers, TextClassificationPipeline."""
        if function is not None:
            if function.lower() not in FUNCTIONS:
                raise ServingError(
                    f"function_to_apply={function!r:.60} is unknown",
                    remedy=f"there are: {', '.join(FUNCTIONS)}",
                )
            return function.lower()
        if self._problem_type == "regression":
            return "none"
        return "sigmoid" if self._problem_type == "multi_label_classification" or labels == 1 else "softmax"

    def _label(self, index: int) -> str:
        stated = self._stated or {}
        return str(stated.get(str(index), f"LABEL_{index}"))


class FeatureExtraction:
    """The task `feature-extraction`: the encoder's vector of each token."""

    def __init__(self, session: MeasuredSession) -> None:
        """Extract with this session.

        Raises:
            ServingError: the plan serves sentence embeddings.
        """
        if session.planned.served:
            raise ServingError(
                f"{session.planned.plan} serves sentence embeddings, not the vector of each token",
                remedy="use autotune.runtime.sentence_transformer(), or tune with `head: none`",
            )
        self.session = session

    def __call__(self, inputs: str | Sequence[str], **options: Any) -> Any:
        """Give nested lists `(1, tokens, width)`, of several texts a list of them.

        Raises:
            ServingError: the model does not answer with vectors of tokens, or something is asked for that was
                not measured.
        """
        _refuse_unmeasured(options)
        answers = self.session.answers([inputs] if isinstance(inputs, str) else inputs)
        for answer in answers:
            if answer.ndim != 2:
                raise ServingError(
                    f"the model answers a text with {answer.ndim} axes, which are no vectors of its tokens",
                    remedy="tune with `head: none`",
                )
        features = [answer[np.newaxis].tolist() for answer in answers]
        return features[0] if isinstance(inputs, str) else features


def make_pipeline(task: str, session: MeasuredSession) -> TextPipeline:
    """Give the pipeline of a task.

    Raises:
        ServingError: there is none, or the plan's model is not for it.
    """
    kinds: Mapping[str, Callable[[MeasuredSession], TextPipeline]] = {
        "text-classification": TextClassification,
        "sentiment-analysis": TextClassification,
        "feature-extraction": FeatureExtraction,
    }
    if task not in kinds:
        raise ServingError(f"{task!r:.60} is no task here", remedy=f"there are: {', '.join(kinds)}")
    return kinds[task](session)


def _sigmoid(logits: Array) -> Array:
    scores: Array = 1.0 / (1.0 + np.exp(-logits))
    return scores


def _softmax(logits: Array) -> Array:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    scores: Array = shifted / shifted.sum(axis=-1, keepdims=True)
    return scores


FUNCTIONS: Final[Mapping[str, Callable[[Array], Array]]] = {
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "none": lambda logits: logits,
}


def _text(given: Any) -> TextOrPair:
    if isinstance(given, Mapping) and isinstance(given.get("text"), str):
        second = given.get("text_pair")
        return given["text"] if second is None else (given["text"], second)
    if isinstance(given, str):
        return given
    raise ServingError(f"{given!r:.60} is not a text", remedy='give str, or {"text": ..., "text_pair": ...}')


def _refuse_unmeasured(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if name == "batch_size" and value is not None:
            refuse_batch_size(value)
        is_understood = name in WITHOUT_EFFECT or (name, value) in (
            ("truncation", True),
            ("return_tensors", False),
        )
        if not is_understood:
            raise ServingError(
                f"{name}={value!r:.60} is nothing that the plan's session can do",
                remedy="texts are cut and filled up as they were measured; use transformers itself for that",
            )


def _config(session: MeasuredSession) -> dict[str, Any]:
    folders = [folder for folder in (session.folder, session.planned.artifact) if folder is not None]
    file = next((folder / CONFIG_FILE for folder in folders if (folder / CONFIG_FILE).is_file()), None)
    if file is None:
        raise ServingError(
            f"the model's folder {session.planned.folder or ''} has no {CONFIG_FILE}, which names its labels",
            remedy="put it back, or serve from a bundle: autotune export REF --bundle DIR",
        )
    try:
        return dict(json.loads(file.read_bytes()))
    except (OSError, ValueError) as error:
        raise ServingError(f"{file} cannot be read: {error}", remedy="put the model's own there") from error
