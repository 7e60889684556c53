"""The child that makes one artifact, and the fork server that begins with its imports done."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
from autotune.backends.reference import Request, read_reference_outputs, reference_requests
from autotune.backends.registry import get_backend
from autotune.backends.torch.reduced_model import write_reduced_model
from autotune.backends.torch.transformers_model import import_torch_and_transformers
from autotune.backends.words import first_cause
from autotune.errors import AutotuneError, MemoryShortageError, PreparationError, UnsupportedError
from autotune.files import is_out_of_space
from autotune.model.agreement import LEAST_COSINE, Agreement, measure_agreement
from autotune.model.artifacts.cache import unusable
from autotune.model.child import answer_parent
from autotune.model.exported import only_shapes, read_export, write_export
from autotune.model.fork_server import is_fork_server, serve_forks
from autotune.model.inputs import INPUTS_FILE
from autotune.model.sources import ResolvedModel
from autotune.preparation.assessing import assess
from autotune.preparation.calibration import write_calibration
from autotune.preparation.evaluation import write_evaluation
from autotune.preparation.look_run import time_requests
from autotune.preparation.reference import open_reference, write_reference
from autotune.preparation.requests import (
    Assess,
    BuildArtifact,
    ChildAnswer,
    ChildRequest,
    Made,
    MakeArtifact,
    Reduced,
    ReduceModel,
    TimeRequests,
    Took,
    WriteCalibration,
    WriteEvaluation,
    WriteReference,
    WriteStream,
    Writing,
    answer_to_json,
    request_from_json,
)
from autotune.preparation.streams import write_stream
from autotune.spec.knobs import Knobs, parse_knobs


def handle(document: dict[str, Any]) -> dict[str, Any]:
    """Do what the request asks, and answer with what was found.

    Raises:
        AutotuneError: it cannot be done; in one sentence.
    """
    request = request_from_json(document)
    with _explained(request):
        return answer_to_json(_answer(request))


def _answer(request: ChildRequest) -> ChildAnswer:
    """Make the artifact, load it, compare it, or take a step of a look."""
    directory = request.directory
    match request.work:
        case MakeArtifact() as work:
            _write_artifact(request.model, work, directory)
            return (
                Made(work.precision) if work.reference is None else _verify(work, work.reference, directory)
            )
        case Assess() as work:
            assess(work, directory)
            return Made(work.precision)
        case ReduceModel(shape=shape):
            return Reduced(*write_reduced_model(request.model, shape, directory))
        case BuildArtifact(artifact=work):
            begin = time.perf_counter()
            _write_artifact(request.model, work, directory)
            return Took(time.perf_counter() - begin)
        case TimeRequests() as work:
            return Took(time_requests(get_backend(work.backend), directory, work.precision, work.shape))
        case work:
            _write(request.model, work, directory)
            return Made("fp32")


def _write(model: ResolvedModel, work: Writing, directory: Path) -> None:
    """Write what no engine of the study has a part in."""
    match work:
        case WriteReference():
            write_reference(model, directory)
        case WriteCalibration():
            write_calibration(work.reference, work.source, directory)
        case WriteEvaluation():
            write_evaluation(work.reference, work.source, directory)
        case WriteStream():
            write_stream(work.source, work.reference, directory)


def _write_artifact(model: ResolvedModel, work: MakeArtifact, directory: Path) -> None:
    backend, knobs = get_backend(work.backend), parse_knobs(work.knobs)
    if work.base is not None and work.compiled:
        cast(CompilesShapes, backend).compile_shapes(work.base, work.compiled, directory)
    elif work.base is not None:
        derivation = Derivation(work.base, work.precision, frozenset(work.isa), work.calibration)
        cast(DerivesPrecisions, backend).derive(derivation, directory)
    elif knobs:
        cast(PreparesKnobs, backend).prepare_with(model, work.precision, knobs, directory)
    elif isinstance(backend, ExportsForShapes) and work.exported:
        backend.prepare_for(model, work.precision, work.exported, directory)
    else:
        backend.prepare(model, work.precision, directory)
    if work.reference is not None:
        shutil.copy(work.reference / INPUTS_FILE, directory / INPUTS_FILE)
    if work.base is not None and (export := read_export(work.base)) is not None:
        write_export(directory, export)


def _verify(work: MakeArtifact, reference: Path, directory: Path) -> Made:
    """Load the artifact as a worker would; precision and knobs must be as asked, its answers near.

    Raises:
        UnsupportedError: they are not.
    """
    backend, knobs = get_backend(work.backend), parse_knobs(work.knobs)
    session = load_session(backend, directory, work.precision, threads=1, knobs=knobs)
    alone = only_shapes(directory)
    compared = reference_requests(directory if alone else reference)
    outputs = [_run(session, inputs, work) for inputs in compared]
    report = session.report()
    session.close()
    if report.precision != work.precision:
        raise UnsupportedError(
            f"{report.engine} runs this model at {report.precision} when asked for {work.precision}",
            remedy=f"leave {work.precision} out of search.precisions",
        )
    _require_knobs(report, knobs)
    # Of what holds for some shapes alone, these are requests that the reference has not answered yet.
    answers = list(map(open_reference(reference), compared)) if alone else read_reference_outputs(reference)
    return Made(report.precision, _compare(work, answers, outputs), read_export(directory))


def _run(session: Session, inputs: Request, work: MakeArtifact) -> Any:
    """Run a request that the reference has answered.

    Raises:
        UnsupportedError: the engine does not answer it; in its words.
    """
    try:
        return session.run(inputs)
    except Exception as error:
        if says_nothing_of_model(error):
            raise
        raise UnsupportedError(
            f"{work.backend} does not run this model at {work.precision}: {first_cause(error)}",
            remedy=f"leave {work.precision} out of search.precisions, or {work.backend} out of"
            " search.backends",
        ) from error


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


def _compare(work: MakeArtifact, answers: list[Any], outputs: list[Any]) -> Agreement:
    """How near the outputs are; at fewer bits than fp32's, what is near enough is for the study to say.

    Raises:
        UnsupportedError: they are no answers, or at fp32 not the reference's.
    """
    try:
        found = measure_agreement(answers, outputs)
        if work.precision == "fp32" and found.cosine < LEAST_COSINE:
            raise ValueError(f"its cosine to the reference is {found.cosine:.5f}")
    except ValueError as error:
        raise UnsupportedError(
            f"{work.backend} answers wrongly at {work.precision}: {error}",
            remedy=f"leave {work.backend} or {work.precision} out of the study",
        ) from error
    return found


@contextmanager
def _explained(request: ChildRequest) -> Iterator[None]:
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


def _explain(error: BaseException, request: ChildRequest) -> PreparationError:
    words = str(error)
    if isinstance(error, MemoryError) or any(phrase in words for phrase in WANT_OF_MEMORY):
        return MemoryShortageError(
            f"not enough memory to prepare {request.model.source}",
            remedy=MORE_MEMORY,
        )
    if any(phrase in words for phrase in WANT_OF_SPACE):
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if isinstance(error, OSError) and _is_of_cache(error, request.root):
        return unusable(request.root, error)
    first = next(iter(words.splitlines()), "")
    return PreparationError(
        f"{request.work.maker} cannot prepare {request.model.source}: {type(error).__name__}: {first}",
        remedy="this is most likely a bug in autotune: please report it, with the model's config.json"
        if isinstance(request.work, Writing)
        else "this is most likely a bug in the engine or in autotune; leave the engine out to go on",
    )


def _is_of_cache(error: OSError, root: Path) -> bool:
    """Whether the cache cannot be written; a folder that a library keeps elsewhere is another matter."""
    if is_out_of_space(error):
        return True
    is_there = error.filename is None or Path(os.fsdecode(error.filename)).is_relative_to(root)
    return error.errno in (errno.EROFS, errno.EACCES) and is_there


def _import_slowly() -> None:
    """Import what preparing most artifacts begins with; a child that needs it says what is missing."""
    with suppress(ImportError):
        import_torch_and_transformers()


if __name__ == "__main__":
    if is_fork_server():
        serve_forks(handle, _import_slowly)
    else:
        answer_parent(handle)
