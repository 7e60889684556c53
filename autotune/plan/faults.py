"""What is wrong in a plan's document, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

_SHOWN: Final = 80
"""Letters of a wrong value that are shown; of a mapping, what is said of it tells enough."""

_WORDS: Final[Mapping[str, str]] = {
    "extra_forbidden": "this key is not known here",
    "missing": "this key is missing",
    "greater_than": "it must be more than {gt}",
    "greater_than_equal": "it must be at least {ge}",
    "less_than": "it must be less than {lt}",
    "less_than_equal": "it must be at most {le}",
    "finite_number": "it must be a finite number",
    "literal_error": "it must be {expected}",
    "string_pattern_mismatch": "it must be a text of the form {pattern}",
    "too_short": "it must have {min_length} or more entries",
    "too_long": "it must have {max_length} or fewer entries",
    "string_type": "it must be a text",
    "int_type": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "int_parsing_size": "it must be a smaller number",
    "float_type": "it must be a number",
    "bool_type": "it must be true or false",
    "dict_type": "it must be a mapping",
    "model_type": "it must be a mapping",
    "dataclass_type": "it must be a mapping",
    "list_type": "it must be a list",
    "tuple_type": "it must be a list",
    "none_required": "it must be null",
}
"""By pydantic's name of a fault, what belongs there."""


def fault_in_words(error: ValidationError, *, under: tuple[str, ...] = ()) -> str:
    """Name the first wrong value of a document with its place, what is wrong with it, and the value.

    Args:
        under: the place of what was read in the document.
    """
    first: Any = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in (*under, *first["loc"])) or "plan"
    words = _WORDS.get(first["type"])
    if words is None:
        told = first["msg"].removeprefix("Value error, ")
    else:
        told = words.format_map(first.get("ctx", {}))
    shown = f"{first['input']!r:.{_SHOWN}}"
    if first["type"] == "missing" or isinstance(first["input"], dict) or told.startswith(shown):
        return f"{path}: {told}"
    return f"{path}: {told}, not {shown}"
