"""The study file's `model`: one source, or a list of variants to choose from."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from autotune.spec.model_source import model_fault
from autotune.spec.part import LIST, WORD, as_tuple, distinct, form, refuse

MAX_SOURCE = 4_096
"""Characters of one."""
MAX_VARIANTS = 32
"""More are a question of which model to train, not of how to serve it."""


def listed(model: str | tuple[str, ...]) -> tuple[str, ...]:
    """The sources of a study's models: a single one is a list of one."""
    return (model,) if isinstance(model, str) else model


def _known_model(source: str) -> str:
    fault = model_fault(source)
    if fault is not None:
        refuse(fault)
    return source


def _few(models: tuple[str, ...]) -> tuple[str, ...]:
    if len(models) > MAX_VARIANTS:
        refuse(f"{len(models)} models are too many to choose from: at most {MAX_VARIANTS}")
    return models


def _alone(models: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """A list of one leaves no choice: it is its only model."""
    return models[0] if isinstance(models, tuple) and len(models) == 1 else models


Source = Annotated[str, Field(max_length=MAX_SOURCE), AfterValidator(_known_model)]

Models = Annotated[
    Annotated[Source, Tag(WORD)]
    | Annotated[
        tuple[Source, ...],
        Field(min_length=1),
        BeforeValidator(as_tuple),
        AfterValidator(distinct),
        AfterValidator(_few),
        Tag(LIST),
    ],
    Discriminator(form),
    AfterValidator(_alone),
]
"""One source as a text; or two and more, each once."""
