"""The form in which a study is stored: what was written, with the digests and lengths that were found.

Stores, plans and series hold it as JSON. What is only in this form is never read from a study file.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar, cast

from pydantic import BeforeValidator, Field

from autotune.spec.part import Part, as_tuple
from autotune.spec.problem import MAX_LENGTH, Problem
from autotune.spec.quality import Quality
from autotune.spec.study import StudySpec


class StoredProblem(Problem):
    """The requests to serve, with what the files say that they name."""

    lengths_digest: str = ""
    """Of the file of `lengths`."""
    longest_in_file: Annotated[int, Field(ge=0, le=MAX_LENGTH)] = 0
    """Its longest, after cutting."""
    texts_digest: str = ""
    """Of `texts` and the tokenizer."""
    texts_file_digest: str = ""
    """Of `texts` alone."""

    @property
    def longest(self) -> int | None:
        """The most tokens that a sequence has, as far as it is known before texts are tokenised."""
        return super().longest or self.longest_in_file or None


class StoredQuality(Quality):
    """How near answers must be, with digests of the files that they are compared on."""

    texts_digest: str = ""
    """Of `texts` and the tokenizer."""
    data_digest: str = ""
    """Of `data` and the tokenizer."""


class StoredStudy(StudySpec):
    """A study with what was found of its models and files.

    Of several models, each of which may have a tokenizer of its own, a digest is the text of all of them in
    order, with blanks between.
    """

    problem: StoredProblem
    quality: StoredQuality = StoredQuality()
    digests: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = ()
    """Of the models, in order, where there are several."""
    unmasked: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = ()
    """The variants that have no attention mask, so that padding would change their answers."""

    @property
    def written(self) -> StudySpec:
        """What a person wrote of it."""
        return _as(StudySpec, self, problem=_as(Problem, self.problem), quality=_as(Quality, self.quality))


AnyPart = TypeVar("AnyPart", bound=Part)

_ORDER = ("name", "model", "digests", "unmasked")
"""What documents begin with, since there are any: stored texts stay what they were, byte for byte."""


def as_stored(spec: StudySpec) -> StoredStudy:
    """Give a study in the form that is stored; of one that is only written, nothing was found."""
    if isinstance(spec, StoredStudy):
        return spec
    problem, quality = _as(StoredProblem, spec.problem), _as(StoredQuality, spec.quality)
    return _as(StoredStudy, spec, problem=problem, quality=quality)


def study_document(spec: StudySpec) -> dict[str, Any]:
    """Write a study as stores, plans and series hold it; without what came later and says nothing in it."""
    unsaid: dict[str, Any] = {
        **({"launch": True} if spec.launch is None else {}),
        **({"search": {"cores"}} if spec.search.cores == "auto" else {}),
    }
    document = as_stored(spec).model_dump(mode="json", exclude=unsaid)
    return {name: document[name] for name in dict.fromkeys((*_ORDER, *document))}


def read_stored_study(document: Any) -> StoredStudy:
    """Read a document of `study_document`, or of an older version: what it does not know has its default.

    Raises:
        ValidationError: it is none.
    """
    return StoredStudy.model_validate_json(json.dumps(document))


def _as(kind: type[AnyPart], part: Part, **changed: Any) -> AnyPart:
    """Give the values of a valid part as another kind of it; what it lacks has its default."""
    shared = kind.model_fields.keys() & type(part).model_fields.keys()
    values = {name: getattr(part, name) for name in shared} | changed
    return cast(AnyPart, kind.model_construct(**values))
