"""What the parts of a study file are made of: their base, bounded values, choices, and how they refuse."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

FAULT = "autotune"
"""Type of the validation errors raised here; their context tells the place within the value (`at`)."""
WORD, LIST = "<word>", "<list>"
"""Names of the two forms of a `Choices`, and of a `CoreCount`, in the locations of validation errors."""

MAX_CHOICES = 1_000
MAX_COUNT = 65_536

T = TypeVar("T")


def refuse(fault: str, *at: str | int) -> NoReturn:
    """Raise the validation error of a value that pydantic itself would let pass.

    Args:
        fault: what is wrong, with the value in it.
        at: the place within the value.
    """
    raise PydanticCustomError(FAULT, "{fault}", {"fault": fault, "at": at})


def as_tuple(value: Any) -> Any:
    """A list as a tuple; anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


def distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    """The values, each of which must be there once."""
    for index, value in enumerate(values):
        if value in values[:index]:
            refuse(f"{value!r} is there twice: name each choice once", index)
    return values


def form(value: Any) -> str:
    """Which of the two forms a value has, as `Discriminator` asks."""
    return WORD if isinstance(value, str) else LIST


Auto = Literal["auto"]

Choices = Annotated[
    Annotated[Auto, Tag(WORD)]
    | Annotated[
        tuple[T, ...],
        Field(min_length=1, max_length=MAX_CHOICES),
        BeforeValidator(as_tuple),
        AfterValidator(distinct),
        Tag(LIST),
    ],
    Discriminator(form),
]
"""`auto`, or the values to choose from, each once."""

Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]
Percentile = Annotated[float, Field(ge=1, le=99.99)]
Seconds = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
FileName = Annotated[str, Field(min_length=1, max_length=4_096)]


class Part(BaseModel):
    """Base of every part of a study file: frozen, unknown keys refused, no coercion between types."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
