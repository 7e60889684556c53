"""Looks at engines before any is tried: a few of the model's own layers, on one thread of this machine.

A reduced model (`autotune.model.reduced`) is written once; of it each engine builds an artifact at each
precision and answers a few requests, in processes of their own that are forked with the slow imports done.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from autotune.backends.asking import environment_of
from autotune.backends.ending import reply_of
from autotune.backends.protocol import Shape
from autotune.backends.registry import base_precision, get_backend
from autotune.errors import AutotuneError, CacheError, UnsupportedError
from autotune.machine.counters import oom_kills
from autotune.model.artifacts.artifact import Artifact, ArtifactName
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.looked import Look, Refused
from autotune.model.reduced import why_not_reduced
from autotune.model.sources import ResolvedModel
from autotune.preparation.children import FORK_SERVER, run_on_server
from autotune.preparation.kept_looks import EnginePrecision, find_look, keep_look, look_names, looks_key
from autotune.preparation.requests import (
    AnswerKind,
    BuildArtifact,
    ChildRequest,
    MakeArtifact,
    Reduced,
    ReduceModel,
    TimeRequests,
    Took,
    answer_from_json,
)
from autotune.spec.configuration import Precision

LOOK_TIMEOUT_S = 20.0
"""For each of a look's steps. Source: on two cpus of an AMD EPYC (Zen 4) the longest step, the export of a
BERT's layer to ONNX, takes 3 s."""

STARTING_S = 60.0
"""More, for the first step, which waits for the imports. Source: 5 s there."""

BUILDING_SHARE = 0.6
"""Of the looks' time: later no build begins ahead of its turn, so that what is built can be run."""

Tell = Callable[[EnginePrecision, Look | Refused], None]


@dataclass(frozen=True)
class Looks:
    """What looks showed.

    Attributes:
        seen: by engine and precision, in the order of the looks; those that were not looked at are missing:
            compilers, and those whose turn came after the deadline.
        reason: why no engine can be looked at with this model; empty where they can.
        waited_s: for another process that looked at engines with the same model, before these began.
    """

    seen: Mapping[EnginePrecision, Look | Refused] = field(default_factory=dict)
    reason: str = ""
    waited_s: float = 0.0


@dataclass(frozen=True)
class LookedOn:
    """The machine on which looks are taken.

    Attributes:
        key: identifies it, such as `autotune.machine.document.fingerprint`.
        isa: flags as in `Machine.isa`.
    """

    key: str
    isa: frozenset[str]


@dataclass(frozen=True)
class Pace:
    """How long looks may take, and how many are built at once.

    Attributes:
        deadline_s: by `time.monotonic`; no look begins after it, and one that has begun ends by its timeouts.
            In the past: only what is in the cache. Waiting for another process that looks puts it off.
        timeout_s: for each step of a look: building what it is derived from, building it, and running it.
        at_once: how many are built side by side, ahead of their turn.
    """

    deadline_s: float
    timeout_s: float = LOOK_TIMEOUT_S
    at_once: int = 1


def take_looks(
    model: ResolvedModel,
    pairs: Sequence[EnginePrecision],
    shape: Shape,
    machine: LookedOn,
    cache: ArtifactCache,
    *,
    pace: Pace,
    tell: Tell | None = None,
    before_keeping: Callable[[], None] = lambda: None,
) -> Looks:
    """Look at engines and precisions in this order, until the deadline; those in the cache cost nothing.

    A look that is refused, crashes or takes too long says nothing of the others. Nothing should run beside.

    Args:
        shape: of the requests; of sequences of many lengths, one that stands for them.
        tell: is told of each answer, also of those from the cache.
        before_keeping: is called after each look; where it raises, that look is not put into the cache.

    Raises:
        CacheError: the cache cannot be written.
    """
    if reason := why_not_reduced(model):
        return Looks(reason=reason)
    names, deadline_s = look_names(model, pairs, shape, machine.isa, machine.key), pace.deadline_s
    seen: dict[EnginePrecision, Look | Refused] = {}

    def note(pair: EnginePrecision, answer: Look | Refused) -> None:
        seen[pair] = answer
        if tell is not None:
            tell(pair, answer)

    def missing() -> dict[EnginePrecision, ArtifactName]:
        """Note what is in the cache by now; the others."""
        for pair, name in names.items():
            if pair not in seen and (found := find_look(name, cache)) is not None:
                note(pair, found)
        return {pair: name for pair, name in names.items() if pair not in seen}

    if not missing() or time.monotonic() >= deadline_s:
        return Looks(_in_order(seen, names))
    key = looks_key(model, shape, machine.key)
    with cache.exclusively(key, f"looks at engines with {model.source}") as waited_s:
        if not (left := missing()):  # without what a process has seen that was waited for
            return Looks(_in_order(seen, names), waited_s=waited_s)
        with _looker(model, left, shape, machine.isa, cache, key, pace.timeout_s) as looker:
            if isinstance(looker, Refused):
                return Looks(_in_order(seen, names), looker.reason, waited_s)
            deadline_s += waited_s
            now_s = time.monotonic()
            looker.build_ahead(
                list(left), pace.at_once, until_s=now_s + BUILDING_SHARE * (deadline_s - now_s)
            )
            for pair, name in left.items():
                if time.monotonic() >= deadline_s:
                    break
                answer = looker.look(*pair)
                before_keeping()
                keep_look(name, model, answer, cache)
                note(pair, answer)
    return Looks(_in_order(seen, names), waited_s=waited_s)


def time_artifact(
    model: ResolvedModel, artifact: Artifact, shape: Shape, *, timeout_s: float
) -> float | Refused:
    """Time a request of a finished artifact as a look does: cpu seconds on one thread, in its own process.

    Raises:
        CacheError: the cache cannot be read.
    """
    work = TimeRequests(artifact.backend, artifact.precision, shape)
    request = ChildRequest(model, artifact.directory, artifact.directory.parent, work)
    what = f"a request of {artifact.backend} {artifact.precision}"
    try:
        variables = environment_of(get_backend(artifact.backend), 1)
    except UnsupportedError as error:
        return Refused(error.in_one_line)
    ran = _run(Took, request, what, timeout_s, variables)
    return ran if isinstance(ran, Refused) else ran.seconds


def _in_order(
    seen: Mapping[EnginePrecision, Look | Refused], names: Mapping[EnginePrecision, ArtifactName]
) -> dict[EnginePrecision, Look | Refused]:
    return {pair: seen[pair] for pair in names if pair in seen}


@dataclass
class _Looker:
    """Builds artifacts of one reduced model, and runs them.

    Attributes:
        reduced: the reduced model, as `Backend.prepare` takes it.
        layers, whole_layers: as in `Look`.
        bases: engines and precisions that others are derived from.
        folder: where everything is built, gone in the end.
        root: the cache's folder.
        shape: of the requests.
        isa: flags as in `Machine.isa`.
        timeout_s: for each step.
        built: seconds of what is built so far, or why it is not.
    """

    reduced: ResolvedModel
    layers: int
    whole_layers: int
    bases: frozenset[EnginePrecision]
    folder: Path
    root: Path
    shape: Shape
    isa: frozenset[str]
    timeout_s: float
    built: dict[EnginePrecision, float | Refused] = field(default_factory=dict)

    def build_ahead(self, pairs: Sequence[EnginePrecision], at_once: int, *, until_s: float) -> None:
        """Build so many side by side, what others are derived from first; none begins after `until_s`.

        Most of a build is one thread's work.
        """
        if at_once < 2:
            return
        derived = [pair for pair in pairs if _base(*pair) is not None]
        self._side_by_side(
            [*_bases(pairs), *(pair for pair in pairs if pair not in derived)], at_once, until_s
        )
        self._side_by_side(derived, at_once, until_s)

    def _side_by_side(self, pairs: Iterable[EnginePrecision], at_once: int, until_s: float) -> None:
        """Build pairs of which none is derived from another of them."""
        pool = ThreadPoolExecutor(at_once)
        try:
            for pair in dict.fromkeys(pairs):
                pool.submit(self._build_before, until_s, *pair)
            pool.shutdown()
        except BaseException:  # Ctrl-C reaches this thread alone
            pool.shutdown(wait=False, cancel_futures=True)
            FORK_SERVER.close()
            raise

    def _build_before(self, until_s: float, backend: str, precision: Precision) -> None:
        """Build it in time; what is raised here is raised again when its turn to be looked at comes."""
        if time.monotonic() < until_s:
            self._build(backend, precision)

    def look(self, backend: str, precision: Precision) -> Look | Refused:
        """Build and run one."""
        begin = time.monotonic()
        preparation_s = self._build(backend, precision)
        if isinstance(preparation_s, Refused):
            return preparation_s
        try:
            variables = environment_of(get_backend(backend), 1)
        except UnsupportedError as error:
            return Refused(error.in_one_line)
        ran = self._step(TimeRequests(backend, precision, self.shape), backend, precision, variables)
        if (backend, precision) not in self.bases:
            shutil.rmtree(self._artifact(backend, precision), ignore_errors=True)
        if isinstance(ran, Refused):
            return ran
        took_s = time.monotonic() - begin
        return Look(ran.seconds, preparation_s, self.layers, self.whole_layers, took_s)

    def _build(self, backend: str, precision: Precision) -> float | Refused:
        pair = (backend, precision)
        if pair not in self.built:
            self.built[pair] = self._build_anew(backend, precision)
        return self.built[pair]

    def _build_anew(self, backend: str, precision: Precision) -> float | Refused:
        if (base := _base(backend, precision)) is not None:
            from_base = self._build(*base)
            if isinstance(from_base, Refused):
                return from_base
        self._artifact(backend, precision).mkdir(exist_ok=True)
        work = MakeArtifact(
            backend,
            precision,
            tuple(sorted(self.isa)),
            reference=self.reduced.path,
            base=None if base is None else self._artifact(*base),
            exported=(self.shape,),
            calibration=self.reduced.path,
        )
        built = self._step(BuildArtifact(work), backend, precision, {})
        return built if isinstance(built, Refused) else built.seconds

    def _step(
        self,
        work: BuildArtifact | TimeRequests,
        backend: str,
        precision: Precision,
        variables: Mapping[str, str],
    ) -> Took | Refused:
        request = ChildRequest(self.reduced, self._artifact(backend, precision), self.root, work)
        return _run(Took, request, f"a look at {backend} {precision}", self.timeout_s, variables)

    def _artifact(self, backend: str, precision: Precision) -> Path:
        return self.folder / f"{backend}-{precision}"


@contextmanager
def _looker(
    model: ResolvedModel,
    names: Mapping[EnginePrecision, ArtifactName],
    shape: Shape,
    isa: frozenset[str],
    cache: ArtifactCache,
    key: str,
    timeout_s: float,
) -> Iterator[_Looker | Refused]:
    """Write the reduced model into a folder that is gone afterwards."""
    with cache.staging(key) as folder:
        reduced = folder / "reduced"
        reduced.mkdir()
        request = ChildRequest(model, reduced, cache.root, ReduceModel(shape))
        written = _run(Reduced, request, f"a reduced {model.source}", timeout_s + STARTING_S, {})
        if isinstance(written, Refused):
            yield written
            return
        yield _Looker(
            model.in_folder(reduced),
            written.layers,
            written.whole_layers,
            frozenset(_bases(names)),
            folder,
            cache.root,
            shape,
            isa,
            timeout_s,
        )


def _base(backend: str, precision: Precision) -> EnginePrecision | None:
    """What it is derived from; None where that is the model itself."""
    base = base_precision(backend, precision)
    return None if base is None else (backend, base)


def _bases(pairs: Iterable[EnginePrecision]) -> Iterator[EnginePrecision]:
    return (base for pair in pairs if (base := _base(*pair)) is not None)


def _run(
    answered: type[AnswerKind],
    request: ChildRequest,
    what: str,
    timeout_s: float,
    variables: Mapping[str, str],
) -> AnswerKind | Refused:
    """What a child answers, or why it does not.

    Raises:
        CacheError: the cache cannot be written.
    """
    kills = oom_kills()
    result = run_on_server(request, timeout_s, variables)
    try:
        reply = reply_of(result, what, timeout_s, oom_killed=oom_kills().since(kills))
    except CacheError:
        raise
    except AutotuneError as error:
        return Refused(error.problem, is_final=isinstance(error, UnsupportedError))
    return answer_from_json(answered, reply)
