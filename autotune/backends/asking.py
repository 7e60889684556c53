"""Asks engines what they can do and need: a plug-in of another distribution may answer with any error."""

from __future__ import annotations

from collections.abc import Mapping

from autotune.backends.protocol import Backend
from autotune.errors import UnsupportedError
from autotune.plugins import error_in_words
from autotune.spec.configuration import Precision


def why_unsupported(backend: Backend, precision: Precision, isa: frozenset[str], model_kind: str) -> str:
    """Give what `Backend.unsupported` says, empty for None; a plug-in that breaks there cannot do it.

    Args:
        isa, model_kind: as for `Backend.unsupported`.
    """
    try:
        reason: object = backend.unsupported(precision, isa, model_kind)
    except Exception as error:
        return f"its plug-in breaks where it is asked: {error_in_words(error)}"
    if reason is None or isinstance(reason, str):
        return reason or ""
    return f"its plug-in answers with {reason!r:.80} where a reason is asked for"


def environment_of(backend: Backend, threads: int) -> dict[str, str]:
    """Give the variables that an engine must see from its start.

    Args:
        threads: as for `Backend.environment`.

    Raises:
        UnsupportedError: its plug-in breaks where it is asked, or answers with something else.
    """
    try:
        variables: object = backend.environment(threads)
    except Exception as error:
        raise _broken(backend, f"breaks where it is asked: {error_in_words(error)}") from error
    if not isinstance(variables, Mapping) or not all(
        isinstance(word, str) for pair in variables.items() for word in pair
    ):
        raise _broken(backend, f"answers with {variables!r:.80}, which is no mapping of texts")
    return dict(variables)


def _broken(backend: Backend, how: str) -> UnsupportedError:
    return UnsupportedError(
        f"{backend.name} cannot be started: its plug-in is to say which variables it needs, and {how}",
        remedy="update or remove the package that brings it",
    )
