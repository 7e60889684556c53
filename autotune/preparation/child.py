"""The child that makes one artifact, and the fork server that begins with its imports done."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from autotune.backends.ending import (
    MORE_MEMORY,
    WANT_OF_MEMORY,
    WANT_OF_SPACE,
    says_nothing_of_model,
    want_behind,
)
from autotune.backends.loading import load_session
from autotune.backends.protocol import (
    CompilesShapes,
    Derivation,
    DerivesPrecisions,
    EngineReport,
    ExportsForShapes,
    PreparesKnobs,
    Session,
)
from autotune.backends.reference import REFERENCE, Request, read_reference_outputs, reference_requests
from autotune.backends.registry import get_backend
from autotune.backends.torch.reduced_model import write_reduced_model
from autotune.backends.torch.transformers_model import import_torch_and_transformers
from autotune.backends.words import first_cause
from autotune.errors import AutotuneError, MemoryShortageError, PreparationError, UnsupportedError
from autotune.files import is_out_of_space
from autotune.model.agreement import LEAST_COSINE, Agreement, measure_agreement
from autotune.model.artifacts.cache import unusable
from autotune.model.calibration import CalibrationSource
from autotune.model.child import answer_parent
from autotune.model.exported import only_shapes, read_export, write_export
from autotune.model.folders.sentence_modules import modules_from_json
from autotune.model.fork_server import is_fork_server, serve_forks
from autotune.model.inputs import INPUTS_FILE, InputsDescription
from autotune.model.sources import ResolvedModel
from autotune.model.stream_source import source_from_json
from autotune.model.texts.labelled import EvaluationSource
from autotune.preparation.assessing import Assessing, assess
from autotune.preparation.calibration import CALIBRATION, write_calibration
from autotune.preparation.evaluation import EVALUATION, write_evaluation
from autotune.preparation.look_run import time_requests
from autotune.preparation.reference import open_reference, write_reference
from autotune.preparation.streams import STREAM, write_stream
from autotune.spec.configuration import Precision
from autotune.spec.knobs import Knobs, parse_knobs
from autotune.spec.named_file import DataFile, NamedFile, TextsFile, by_name


def handle(request: dict[str, Any]) -> dict[str, Any]:
    """Make the artifact, load it, compare it, or take a step of a look; answer with what was found.

    Raises:
        AutotuneError: it cannot be made; in one sentence.
    """
    with _explained(request):
        if "looking" in request:
            return _look(request)
        if not _write_other(request):
            _write_artifact(request)
            if "reference" in request:
                return _verify(request)
        return {"observed_precision": request["name"]["precision"], "agreement": None, "export": None}


def _look(request: dict[str, Any]) -> dict[str, Any]:
    """Take a step of `autotune.preparation.looking`: reduce the model, build an artifact, or run that."""
    batch, tokens = request["shape"]
    directory = Path(request["directory"])
    match request["looking"]:
        case "reduce":
            layers, whole_layers = write_reduced_model(_model(request), (batch, tokens), directory)
            return {"layers": layers, "whole_layers": whole_layers}
        case "build":
            begin = time.perf_counter()
            _write_artifact(request)
            return {"seconds": time.perf_counter() - begin}
        case _:
            backend = get_backend(request["name"]["backend"])
            return {"seconds": time_requests(backend, directory, _precision(request), (batch, tokens))}


def _write_other(request: dict[str, Any]) -> bool:
    """Write what no engine loads, if it is that which is asked for."""
    directory, what = Path(request["directory"]), request["name"]["backend"]
    if what == REFERENCE:
        write_reference(_model(request), directory)
    elif what == CALIBRATION:
        stated = _stated(request["source"], TextsFile)
        source = CalibrationSource(**_paths(request["source"], "texts", "tokenizer") | stated)
        write_calibration(Path(request["reference"]), source, directory)
    elif what == EVALUATION:
        stated = _stated(request["source"], DataFile)
        labelled = EvaluationSource(**_paths(request["source"], "data", "tokenizer") | stated)
        write_evaluation(Path(request["reference"]), labelled, directory)
    elif what == STREAM:
        reference = request.get("reference")
        made_from = None if reference is None else Path(reference)
        write_stream(source_from_json(request["source"]), made_from, directory)
    elif "assessing" in request:
        names = ("artifact", "reference", "calibration", "evaluation")
        assess(Assessing(**_paths(request["assessing"], *names)), directory)
    else:
        return False
    return True


def _write_artifact(request: dict[str, Any]) -> None:
    backend = get_backend(request["name"]["backend"])
    precision = _precision(request)
    directory = Path(request["directory"])
    if "shapes" in request:
        shapes = tuple((batch, tokens) for batch, tokens in request["shapes"])
        cast(CompilesShapes, backend).compile_shapes(Path(request["base"]), shapes, directory)
    elif "base" in request:
        deriving = cast(DerivesPrecisions, backend)
        deriving.derive(_derivation(request), directory)
    elif knobs := _knobs(request):
        cast(PreparesKnobs, backend).prepare_with(_model(request), precision, knobs, directory)
    elif isinstance(backend, ExportsForShapes) and request.get("own_shapes"):
        own = [(batch, tokens) for batch, tokens in request["own_shapes"]]
        backend.prepare_for(_model(request), precision, own, directory)
    else:
        backend.prepare(_model(request), precision, directory)
    if "reference" in request:
        shutil.copy(Path(request["reference"]) / INPUTS_FILE, directory / INPUTS_FILE)
    if "base" in request and (export := read_export(Path(request["base"]))) is not None:
        write_export(directory, export)


def _verify(request: dict[str, Any]) -> dict[str, Any]:
    """Load the artifact as a worker would; precision and knobs must be as asked, its answers near.

    Raises:
        UnsupportedError: they are not.
    """
    directory, precision = Path(request["directory"]), _precision(request)
    backend = get_backend(request["name"]["backend"])
    session = load_session(backend, directory, precision, threads=1, knobs=_knobs(request))
    alone = only_shapes(directory)
    compared = reference_requests(directory if alone else Path(request["reference"]))
    outputs = [_run(session, inputs, request) for inputs in compared]
    report = session.report()
    session.close()
    if report.precision != precision:
        raise UnsupportedError(
            f"{report.engine} runs this model at {report.precision} when asked for {precision}",
            remedy=f"leave {precision} out of search.precisions",
        )
    _require_knobs(report, _knobs(request))
    answers = _answers(request, compared) if alone else read_reference_outputs(Path(request["reference"]))
    export = read_export(directory)
    return {
        "observed_precision": report.precision,
        "agreement": asdict(_compare(request, answers, outputs)),
        "export": None if export is None else asdict(export),
    }


def _run(session: Session, inputs: Request, request: dict[str, Any]) -> Any:
    """Run a request that the reference has answered.

    Raises:
        UnsupportedError: the engine does not answer it; in its words.
    """
    try:
        return session.run(inputs)
    except Exception as error:
        if says_nothing_of_model(error):
            raise
        name = request["name"]
        raise UnsupportedError(
            f"{name['backend']} does not run this model at {name['precision']}: {first_cause(error)}",
            remedy=f"leave {name['precision']} out of search.precisions, or {name['backend']} out of"
            " search.backends",
        ) from error


def _answers(request: dict[str, Any], requests: Iterable[Request]) -> list[Any]:
    """What the reference answers to other requests than those that it has answered."""
    return list(map(open_reference(Path(request["reference"])), requests))


def _require_knobs(report: EngineReport, asked: Knobs) -> None:
    """Make sure that the engine has what was turned in preparation.

    Raises:
        UnsupportedError: it has not.
    """
    for name, value in asked.items():
        if report.knobs.get(name) != value:
            raise UnsupportedError(
                f"{report.engine} has {name} {report.knobs.get(name, 'unknown')} at {report.precision} "
                f"when it was prepared {value}",
                remedy=f"leave {name}={value} out",
            )


def _compare(request: dict[str, Any], answers: list[Any], outputs: list[Any]) -> Agreement:
    """How near the outputs are; at fewer bits than fp32's, what is near enough is for the study to say.

    Raises:
        UnsupportedError: they are no answers, or at fp32 not the reference's.
    """
    name = request["name"]
    try:
        found = measure_agreement(answers, outputs)
        if name["precision"] == "fp32" and found.cosine < LEAST_COSINE:
            raise ValueError(f"its cosine to the reference is {found.cosine:.5f}")
    except ValueError as error:
        raise UnsupportedError(
            f"{name['backend']} answers wrongly at {name['precision']}: {error}",
            remedy=f"leave {name['backend']} or {name['precision']} out of the study",
        ) from error
    return found


@contextmanager
def _explained(request: dict[str, Any]) -> Iterator[None]:
    """Turn whatever an engine raises into an error of ours; the traceback goes to stderr."""
    try:
        yield
    except AutotuneError as error:
        if (want := want_behind(error.__cause__)) is not None:
            raise _explain(want, request) from error
        raise
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        raise _explain(error, request) from error


def _explain(error: BaseException, request: dict[str, Any]) -> PreparationError:
    words = str(error)
    if isinstance(error, MemoryError) or any(phrase in words for phrase in WANT_OF_MEMORY):
        return MemoryShortageError(
            f"not enough memory to prepare {request['model']['source']}",
            remedy=MORE_MEMORY,
        )
    if any(phrase in words for phrase in WANT_OF_SPACE):
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if isinstance(error, OSError) and _is_of_cache(error, Path(request["root"])):
        return unusable(Path(request["root"]), error)
    first = next(iter(words.splitlines()), "")
    what = request["name"]["backend"]
    is_ours = what in (REFERENCE, CALIBRATION, EVALUATION, STREAM)
    return PreparationError(
        f"{what} cannot prepare {request['model']['source']}: {type(error).__name__}: {first}",
        remedy="this is most likely a bug in autotune: please report it, with the model's config.json"
        if is_ours
        else "this is most likely a bug in the engine or in autotune; leave the engine out to go on",
    )


def _is_of_cache(error: OSError, root: Path) -> bool:
    """Whether the cache cannot be written; a folder that a library keeps elsewhere is another matter."""
    if is_out_of_space(error):
        return True
    is_there = error.filename is None or Path(os.fsdecode(error.filename)).is_relative_to(root)
    return error.errno in (errno.EROFS, errno.EACCES) and is_there


def _model(request: dict[str, Any]) -> ResolvedModel:
    described = request["model"]
    path, inputs, modules = described["path"], described["inputs"], described.get("modules")
    return ResolvedModel(
        **{
            **described,
            "path": None if path is None else Path(path),
            "inputs": None if inputs is None else InputsDescription(**inputs),
            "modules": None if modules is None else modules_from_json(modules),
        }
    )


def _derivation(request: dict[str, Any]) -> Derivation:
    calibration = request.get("calibration")
    return Derivation(
        base=Path(request["base"]),
        precision=_precision(request),
        isa=frozenset(request["isa"]),
        calibration=None if calibration is None else Path(calibration),
    )


def _paths(described: dict[str, Any], *names: str) -> dict[str, Any]:
    """The values with those of these names turned into paths, where they are not None."""
    return {
        name: Path(value) if name in names and value is not None else value
        for name, value in described.items()
    }


def _stated(source: dict[str, Any], kind: type[NamedFile]) -> dict[str, NamedFile | None]:
    """What the study says of a source's file."""
    stated = source["stated"]
    return {"stated": None if stated is None else kind.model_validate(by_name(stated))}


def _precision(request: dict[str, Any]) -> Precision:
    return cast(Precision, request["name"]["precision"])


def _knobs(request: dict[str, Any]) -> Knobs:
    """Those that are turned in preparation."""
    return parse_knobs(request["name"]["knobs"])


def _import_slowly() -> None:
    """Import what preparing most artifacts begins with; a child that needs it says what is missing."""
    with suppress(ImportError):
        import_torch_and_transformers()


if __name__ == "__main__":
    if is_fork_server():
        serve_forks(handle, _import_slowly)
    else:
        answer_parent(handle)
