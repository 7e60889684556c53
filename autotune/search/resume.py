"""Whether a stored study may go on: measurements of different things are never mixed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from pydantic import ValidationError

from autotune.errors import ResumeError
from autotune.model.stored_study import read_stored_study, study_document
from autotune.spec.aim import PRICED

FREE = ("name", "model", "head", "digests", "unmasked", "budget", "price", "launch")
"""Parts of a study file that may change between runs: the name is the key, models and what of them is served
are compared by the models' digests, a budget bounds how much is measured and not what, the user's server is
not measured, and a price changes no measurement, but for what an objective makes of it: then it must stay."""

NAMES_OF_PRICES = tuple(f"price.{name}" for name in ("type", "provider", "region", "table", "date"))
"""What names a price and where it stands: scores are of the price alone."""

_LISTED = 4
"""Values of a parameter that a sentence names."""


class HasModels(Protocol):
    """What a study in a store knows of its models."""

    @property
    def spec(self) -> Mapping[str, Any]:
        """The study file's values."""
        ...

    @property
    def model_source(self) -> str:
        """As it is written; of several, one after the other."""
        ...

    @property
    def model_digest(self) -> str:
        """Of all together."""
        ...


FILES = ("quality.texts", "quality.data", "problem.texts", "problem.lengths.file")
"""Files, of which what is read is compared by digests: neither their names nor what is stated of them."""

WITHIN_OTHERS = ("problem.texts_file_digest",)
"""What another digest holds too: that of the texts and the tokenizer. Older studies have it alone."""


def refuse_differences(name: str, differences: Sequence[str]) -> None:
    """Refuse to go on with a study when anything differs.

    Raises:
        ResumeError: names every difference, old and new.
    """
    if differences:
        raise ResumeError(
            f"study {name!r} was begun with something else: {'; '.join(differences)}",
            remedy="rename the study (--name NEW), use another store (--store URL), or restore what differs",
        )


def study_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Which values of two study documents differ: `objective.percentile: 50.0 -> 99.0`.

    What the old one does not know has its default: it is of an older version.
    """
    return mapping_differences(_compared(_today(old)), _compared(new))


def _today(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A study's values with those that it lacks; a part of them, or what is none, as it is."""
    try:
        return study_document(read_stored_study(document))
    except ValidationError:
        return document


def model_differences(old: HasModels, new: HasModels) -> list[str]:
    """Which models of two studies differ.

    A single one is known by its digest, wherever it lies. Of several, configurations name the sources too,
    and the first is the baseline's.
    """
    then, now = old.spec.get("model"), new.spec.get("model")
    if isinstance(then, list) != isinstance(now, list) or (isinstance(then, list) and then != now):
        return [f"model: {old.model_source} -> {new.model_source}"]
    if not isinstance(then, list):
        return mapping_differences(
            {f"model {old.model_source}": old.model_digest}, {f"model {old.model_source}": new.model_digest}
        )
    return mapping_differences(_digests(old), _digests(new))


def _digests(study: HasModels) -> dict[str, str]:
    sources, digests = study.spec["model"], study.spec.get("digests", ())
    return {f"model {source}": digest for source, digest in zip(sources, digests, strict=False)}


def mapping_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Which keys of two flat mappings differ, as `key: old -> new`; a missing one is `none`."""
    keys = sorted(old.keys() | new.keys())
    return [
        f"{key}: {old.get(key, 'none')} -> {new.get(key, 'none')}"
        for key in keys
        if old.get(key) != new.get(key)
    ]


def choice_differences(old: Mapping[str, Sequence[Any]], new: Mapping[str, Sequence[Any]]) -> list[str]:
    """Which parameters have other values to choose from: `backend inductor: not there then`.

    Args:
        old: by parameter; what it lacks is not compared.
    """
    both = [(name, {*old[name]}, {*new[name]}) for name in new if name in old]
    added = [f"{name} {_listed(now - then)}: not there then" for name, then, now in both if now - then]
    lost = [f"{name} {_listed(then - now)}: no longer there" for name, then, now in both if then - now]
    return added + lost


def _listed(values: Iterable[Any]) -> str:
    """A few of them, ascending, and how many more there are."""
    words = sorted(map(str, values))
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return ", ".join(words[:_LISTED]) + more


def _compared(document: Mapping[str, Any]) -> dict[str, Any]:
    free = set(FREE) - ({"price"} if _is_priced(document) else set())
    leaves = _leaves({key: value for key, value in document.items() if key not in free})
    left_out = (*WITHIN_OTHERS, *NAMES_OF_PRICES)
    return {path: value for path, value in leaves if not _is_file(path) and path not in left_out}


def _is_priced(document: Mapping[str, Any]) -> bool:
    aim = document.get("objective")
    return isinstance(aim, Mapping) and aim.get("kind") in PRICED


def _is_file(path: str) -> bool:
    return path in FILES or path.startswith(tuple(f"{file}." for file in FILES))


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _leaves(part, f"{path}.{key}" if path else str(key))
    else:
        yield path, value
