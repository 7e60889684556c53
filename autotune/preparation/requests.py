"""What the parent asks of a child that prepares, and what the child answers: one JSON document each.

| work                                  | the child                                            | answers   |
|---|---|---|
| `write reference`                     | writes the model at fp32, and its answers            | `Made`    |
| `write calibration`, `… evaluation`   | writes requests, and the reference's answers         | `Made`    |
| `write stream`                        | writes the requests that instances are given         | `Made`    |
| `make artifact`                       | makes what an engine loads, and compares its answers | `Made`    |
| `assess`                              | compares an artifact's answers, and writes how near  | `Made`    |
| `reduce model`                        | writes a few of the model's layers                   | `Reduced` |
| `build artifact`                      | makes what an engine loads, and times that           | `Took`    |
| `time requests`                       | runs an artifact, and times that                     | `Took`    |

An error takes the place of the answer; see `autotune.model.child`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

from pydantic_core import to_jsonable_python

from autotune.backends.protocol import Shape
from autotune.backends.reference import REFERENCE
from autotune.model.agreement import Agreement
from autotune.model.assessment import Inputs
from autotune.model.calibration import CalibrationSource
from autotune.model.exported import Export
from autotune.model.folders.sentence_modules import modules_from_json
from autotune.model.inputs import InputsDescription
from autotune.model.sources import ResolvedModel
from autotune.model.stream_source import StreamSource, source_from_json, source_to_json
from autotune.model.texts.labelled import EvaluationSource
from autotune.preparation.names import ASSESSMENT, CALIBRATION, EVALUATION, LOOK, STREAM
from autotune.spec.configuration import Precision
from autotune.spec.named_file import DataFile, NamedFile, TextsFile, by_name


@dataclass(frozen=True)
class WriteReference:
    """Write the model at fp32, and its answers to a few requests."""

    maker: ClassVar[str] = REFERENCE


@dataclass(frozen=True)
class WriteCalibration:
    """Write requests that scales are calibrated and answers compared on, and the reference's answers."""

    maker: ClassVar[str] = CALIBRATION

    reference: Path
    source: CalibrationSource


@dataclass(frozen=True)
class WriteEvaluation:
    """Write labelled requests, and what the reference reaches on them."""

    maker: ClassVar[str] = EVALUATION

    reference: Path
    source: EvaluationSource


@dataclass(frozen=True)
class WriteStream:
    """Write the requests of a study's problem; of a fake model, without a reference."""

    maker: ClassVar[str] = STREAM

    reference: Path | None
    source: StreamSource


@dataclass(frozen=True)
class MakeArtifact:
    """Make what an engine loads, load it, and compare its answers with the reference's.

    Attributes:
        isa: flags as in `Machine.isa`, ascending.
        knobs: that are turned in making it, as `autotune.spec.knobs` writes them.
        reference: None of a fake model, whose answers are compared with nothing.
        base: the artifact that it is made from; None where that is the model.
        compiled: `(batch, tokens)` of the requests that the engine compiles the base for; empty where it
            compiles for none.
        exported: of the requests that a way of export is proved at, and may hold for alone.
        calibration: requests that scales are calibrated on; None where none are.
    """

    backend: str
    precision: Precision
    isa: tuple[str, ...] = ()
    knobs: str = ""
    reference: Path | None = None
    base: Path | None = None
    compiled: tuple[Shape, ...] = ()
    exported: tuple[Shape, ...] = ()
    calibration: Path | None = None

    @property
    def maker(self) -> str:
        """The engine."""
        return self.backend


@dataclass(frozen=True)
class Assess:
    """Compare the answers of a finished artifact.

    Attributes:
        artifact: of the engine.
        threads: intra-op threads to load it with.
        calibration: requests, made of these `inputs`, and the reference's answers.
        evaluation: labelled texts; None where the study has none.
        knobs: that change what is answered, as `autotune.spec.knobs` writes them.
    """

    backend: str
    precision: Precision
    artifact: Path
    threads: int
    reference: Path
    calibration: Path
    inputs: Inputs
    evaluation: Path | None
    knobs: str = ""

    @property
    def maker(self) -> str:
        """As the assessment is named."""
        return f"{ASSESSMENT}-{self.backend}"


@dataclass(frozen=True)
class ReduceModel:
    """Write a few of the model's layers, as many as requests of this shape need."""

    maker: ClassVar[str] = LOOK

    shape: Shape


@dataclass(frozen=True)
class BuildArtifact:
    """Make what an engine loads, and say how long that took."""

    artifact: MakeArtifact

    @property
    def maker(self) -> str:
        """The engine."""
        return self.artifact.backend


@dataclass(frozen=True)
class TimeRequests:
    """Say how long a request of the artifact in the request's directory takes, on one thread."""

    backend: str
    precision: Precision
    shape: Shape

    @property
    def maker(self) -> str:
        """The engine."""
        return self.backend


Writing = WriteReference | WriteCalibration | WriteEvaluation | WriteStream
"""Work in which no engine of the study has a part."""

Work = Writing | MakeArtifact | Assess | ReduceModel | BuildArtifact | TimeRequests


@dataclass(frozen=True)
class ChildRequest:
    """What one child is to do.

    Attributes:
        model: as the child loads it, which may be from its reference.
        directory: where it writes, empty; of `TimeRequests` what it loads.
        root: the cache's folder.
    """

    model: ResolvedModel
    directory: Path
    root: Path
    work: Work


@dataclass(frozen=True)
class Made:
    """What a child found of what it has written.

    Attributes:
        observed_precision: as the engine read it back after loading.
        agreement: with the fp32 reference; None where it was not compared.
        export: by which way it was exported; None of what is no export.
    """

    observed_precision: str
    agreement: Agreement | None = None
    export: Export | None = None


@dataclass(frozen=True)
class Reduced:
    """How many layers a reduced model has, and how many the model has."""

    layers: int
    whole_layers: int


@dataclass(frozen=True)
class Took:
    """How long a step of a look took."""

    seconds: float


ChildAnswer = Made | Reduced | Took
AnswerKind = TypeVar("AnswerKind", bound=ChildAnswer)

_KINDS: Mapping[type[Work], str] = {
    WriteReference: "write reference",
    WriteCalibration: "write calibration",
    WriteEvaluation: "write evaluation",
    WriteStream: "write stream",
    MakeArtifact: "make artifact",
    Assess: "assess",
    ReduceModel: "reduce model",
    BuildArtifact: "build artifact",
    TimeRequests: "time requests",
}


def request_to_json(request: ChildRequest) -> dict[str, Any]:
    """Write a request as one JSON object."""
    return {
        "model": {
            **asdict(request.model),
            "path": None if request.model.path is None else str(request.model.path),
        },
        "directory": str(request.directory),
        "root": str(request.root),
        "work": _work_to_json(request.work),
    }


def request_from_json(document: Mapping[str, Any]) -> ChildRequest:
    """The inverse of `request_to_json`.

    Raises:
        KeyError, TypeError, ValueError: it is no request.
    """
    return ChildRequest(
        model=_model(document["model"]),
        directory=Path(document["directory"]),
        root=Path(document["root"]),
        work=_work_from_json(document["work"]),
    )


def answer_to_json(answer: ChildAnswer) -> dict[str, Any]:
    """Write an answer as one JSON object."""
    return asdict(answer)


def answer_from_json(kind: type[AnswerKind], document: Mapping[str, Any]) -> AnswerKind:
    """The inverse of `answer_to_json`, of an answer of this kind."""
    return cast(AnswerKind, _ANSWERS[kind](document))


def _work_to_json(work: Work) -> dict[str, Any]:
    plain: dict[str, Any] = to_jsonable_python(work)
    if isinstance(work, WriteStream):
        plain["source"] = source_to_json(work.source)
    return {"kind": _KINDS[type(work)], **plain}


def _work_from_json(document: Mapping[str, Any]) -> Work:
    fields = dict(document)
    return _WORKS[fields.pop("kind")](fields)


def _write_calibration(fields: dict[str, Any]) -> WriteCalibration:
    return WriteCalibration(Path(fields["reference"]), _calibration_source(fields["source"]))


def _calibration_source(fields: dict[str, Any]) -> CalibrationSource:
    return CalibrationSource(**_paths(fields, "texts", "tokenizer") | _stated(fields, TextsFile))


def _write_evaluation(fields: dict[str, Any]) -> WriteEvaluation:
    source = fields["source"]
    read = EvaluationSource(**_paths(source, "data", "tokenizer") | _stated(source, DataFile))
    return WriteEvaluation(Path(fields["reference"]), read)


def _write_stream(fields: dict[str, Any]) -> WriteStream:
    return WriteStream(_paths(fields, "reference")["reference"], source_from_json(fields["source"]))


def _make_artifact(fields: dict[str, Any]) -> MakeArtifact:
    shapes = {name: _shapes(fields[name]) for name in ("compiled", "exported")}
    paths = _paths(fields, "reference", "base", "calibration")
    return MakeArtifact(**paths | shapes | {"isa": tuple(fields["isa"])})


def _assess(fields: dict[str, Any]) -> Assess:
    return Assess(**_paths(fields, "artifact", "reference", "calibration", "evaluation"))


def _time_requests(fields: dict[str, Any]) -> TimeRequests:
    return TimeRequests(**fields | {"shape": _shape(fields["shape"])})


_WORKS: Mapping[str, Callable[[dict[str, Any]], Work]] = {
    "write reference": lambda _: WriteReference(),
    "write calibration": _write_calibration,
    "write evaluation": _write_evaluation,
    "write stream": _write_stream,
    "make artifact": _make_artifact,
    "assess": _assess,
    "reduce model": lambda fields: ReduceModel(_shape(fields["shape"])),
    "build artifact": lambda fields: BuildArtifact(_make_artifact(fields["artifact"])),
    "time requests": _time_requests,
}


def _made(document: Mapping[str, Any]) -> Made:
    agreement, export = document["agreement"], document["export"]
    return Made(
        document["observed_precision"],
        None if agreement is None else Agreement(**agreement),
        None if export is None else Export(**export | {"shapes": _shapes(export["shapes"])}),
    )


_ANSWERS: Mapping[type[Any], Callable[[Mapping[str, Any]], ChildAnswer]] = {
    Made: _made,
    Reduced: lambda document: Reduced(**document),
    Took: lambda document: Took(**document),
}


def _model(fields: dict[str, Any]) -> ResolvedModel:
    inputs, modules = fields["inputs"], fields["modules"]
    read = {
        "notes": tuple(fields["notes"]),
        "inputs": None
        if inputs is None
        else InputsDescription(**inputs | {"reserved": tuple(inputs["reserved"])}),
        "modules": None if modules is None else modules_from_json(modules),
    }
    return ResolvedModel(**_paths(fields, "path") | read)


def _paths(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The values with those of these names turned into paths, where they are not None."""
    return {
        name: Path(value) if name in names and value is not None else value for name, value in fields.items()
    }


def _stated(source: Mapping[str, Any], kind: type[NamedFile]) -> dict[str, NamedFile | None]:
    """What the study says of a source's file."""
    stated = source["stated"]
    return {"stated": None if stated is None else kind.model_validate(by_name(stated))}


def _shapes(values: Iterable[Iterable[int]]) -> tuple[Shape, ...]:
    return tuple(map(_shape, values))


def _shape(value: Iterable[int]) -> Shape:
    batch, tokens = value
    return batch, tokens
