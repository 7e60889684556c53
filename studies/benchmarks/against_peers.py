"""Prints a plan's speed beside every engine as its own documentation starts it, in turns, for four problems.

    python studies/benchmarks/against_peers.py [--problems distilbert bert minilm roberta] [--minutes 3 5]
        [--rounds 5] [--seconds 3] [--json FILE] [--resume FILE] [--folder DIR] [--also LINE]

For each problem `autotune tune` runs once for each budget, as a process, from an empty cache and store, and
its plan is exported as a launch script. Then launch scripts and peers (see `peer.py`, and OpenVINO's own
`benchmark_app`) run in rounds of random order, each a fresh process of so many seconds. After the first round
peers slower than 0.4 of the best are dropped, after later ones those slower than 0.6. A peer that fails is
left out, and named. The peers' int8 is their own; their fp32 models are those that autotune prepares.

Asked, at each budget: plan / best peer of at least 1.0 for each problem, and of 1.2 at the median. For the
problem with a latency objective, the inverse of the median latency is compared.

With `--json` all figures are appended to a file of JSON lines as they come; `--resume` skips what this file
has a result of, and appends to it. With `--folder` everything stays there, and a finished tune is not
repeated. `--also 'measure: {disturbed: keep}'` adds a line to every study file, which the results name.
Nothing else should run on the machine: the default takes 45 minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autotune.errors import AutotuneError
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.inputs import make_inputs
from autotune.model.sources import resolve_model
from autotune.plan.document import parse_plan
from autotune.preparation.preparing import end_fork_server, prepare_artifact
from autotune.statistics.paired import Interval, mean_interval, paired_ratio

PEER = Path(__file__).with_name("peer.py")
LEAST = 1.0
"""Asked of plan / best peer for each problem."""
LEAST_MEDIAN = 1.2
"""Asked of the median over problems, at each budget."""
KEPT_SHARES = (0.4, 0.6)
"""After the first round, and after each later one: a peer stays whose best run is at least this of the best
peer's mean. The first is less than a half: a host at half its speed for a while must not drop the best."""
TIMEOUT_S = 900.0
"""For a preparation, and for a run: a cold `torch.compile` of a large model takes minutes."""
FLAGS = (
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
)
SETTINGS = (
    "OMP_",
    "GOMP_",
    "KMP_",
    "MKL_",
    "OPENBLAS_",
    "DNNL_",
    "ONEDNN_",
    "MALLOC_",
    "LD_PRELOAD",
    "AUTOTUNE_",
)
"""How variables begin that would be settings: every process starts as from a fresh shell."""


@dataclass(frozen=True)
class Problem:
    """What is tuned for and compared: requests of one shape."""

    name: str
    model: str
    batch: int
    tokens: int
    objective: str = "throughput"

    def study(self, minutes: float, also: str) -> str:
        """The study file, as a user would write it, and the line `also`."""
        return (
            f"model: {self.model}\n"
            f"problem: {{batch_size: {self.batch}, sequence_length: {self.tokens}}}\n"
            f"objective: {self.objective}\n"
            f"budget: {{minutes: {minutes:g}}}\n"
            f"{also}\n"
        )

    def __str__(self) -> str:
        return f"{self.model.removeprefix('random:')} {self.batch} x {self.tokens}, {self.objective}"


PROBLEMS = {
    problem.name: problem
    for problem in (
        Problem("distilbert", "random:distilbert-base", 8, 128),
        Problem("bert", "random:bert-base", 1, 128, objective="latency"),
        Problem("minilm", "random:minilm-l6", 1, 32),
        Problem("roberta", "random:roberta-base", 4, 64),
    )
}


@dataclass(frozen=True)
class Run:
    """What one run of a few seconds showed."""

    samples_per_s: float
    latency_p50_s: float
    cosine: float | None = None
    """Of its answer to eager PyTorch's; None where the answer is not shown."""

    def score(self, objective: str) -> float:
        """More is better: samples per second, or the inverse of the median latency in seconds."""
        return 1 / self.latency_p50_s if objective == "latency" else self.samples_per_s


@dataclass(frozen=True)
class Entrant:
    """A launch script or a peer.

    Attributes:
        command: from seconds and a file for its result to what is started.
        read: its run, from what it printed and that file.
        failure: why it cannot be started; empty = it can.
    """

    name: str
    command: Callable[[float, Path], Sequence[str]]
    read: Callable[[str, Path], Run]
    failure: str = ""

    def run(self, seconds: float) -> Run:
        """Start it once, in a fresh process.

        Raises:
            RuntimeError: it failed; with the end of what it said.
        """
        if self.failure:
            raise RuntimeError(self.failure)
        with tempfile.TemporaryDirectory() as name:
            result = Path(name) / "result.json"
            return self.read(run_command(self.command(seconds, result)), result)


@dataclass(frozen=True)
class Tuned:
    """What a tune left.

    Attributes:
        wall_s: of `autotune tune`.
        configuration: of the plan, in words.
        stated: what the plan says of itself: its gain, and whatever it says of defaults.
    """

    wall_s: float
    plan: str
    configuration: str
    stated: dict[str, Any]
    script: str

    def __str__(self) -> str:
        stated = ", ".join(f"{name} {json.dumps(value)}" for name, value in self.stated.items())
        return f"{self.configuration} ({self.plan}: {stated}; tuned in {self.wall_s:.0f} s)"


def fresh_environment() -> dict[str, str]:
    """This process's variables, without those that set an engine up."""
    return {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}


def run_command(command: Sequence[str], **variables: str) -> str:
    """Give what the command prints on stdout.

    Raises:
        RuntimeError: it failed or took too long; with the end of what it said.
    """
    environment = {**fresh_environment(), **variables}
    try:
        ran = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"it took longer than {TIMEOUT_S:g} s") from error
    if ran.returncode:
        raise RuntimeError(f"exit status {ran.returncode}: {last_line(ran.stderr or ran.stdout)}")
    return ran.stdout


def last_line(printed: str) -> str:
    """The last line that says something."""
    return next((line.strip() for line in reversed(printed.splitlines()) if line.strip()), "nothing was said")


def read_peer(_: str, result: Path) -> Run:
    """The run of `peer.py`, from the file that it wrote."""
    document = json.loads(result.read_bytes())
    return Run(document["samples_per_s"], document["latency_p50_s"], document.get("cosine"))


def read_launch(printed: str) -> Run:
    """The run of a launch script, from what `--json` has it print."""
    document = json.loads(printed)
    return Run(document["throughput_sps"], document["latency_p50_s"])


def read_benchmark_app(printed: str, batch: int) -> Run:
    """The run of `benchmark_app`, by its own clock, from its last lines.

    Raises:
        RuntimeError: a figure is missing.
    """
    figures = {}
    for name in ("Count", "Duration", "Median"):
        found = re.search(rf"{name}:\s+([0-9.]+)", printed)
        if found is None:
            raise RuntimeError(f"benchmark_app printed no {name}: {last_line(printed)}")
        figures[name] = float(found[1])
    return Run(batch * figures["Count"] / (figures["Duration"] / 1e3), figures["Median"] / 1e3)


def stated_of_defaults(plan: Mapping[str, Any]) -> dict[str, Any]:
    """What a plan document says of the best default, short; nothing where it says nothing."""
    default = (plan.get("confirmation") or {}).get("default")
    if not default:
        return {}
    engine = default["configuration"]
    return {
        "times the best default": round(default["ratio"], 3),
        "which is": f"{engine['backend']} {engine['precision']}",
    }


def tune(problem: Problem, minutes: float, also: str, folder: Path) -> Tuned:
    """Tune from an empty cache and export the plan, by the command line; or read what was tuned here before.

    Raises:
        RuntimeError: it gave no plan, or no launch script; with the end of what it said.
    """
    kept, study = folder / "tuned.json", folder / f"{problem.name}.yaml"
    asked = problem.study(minutes, also)
    if kept.exists() and study.read_text(encoding="utf-8") == asked:
        return Tuned(**json.loads(kept.read_bytes()))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    store = f"sqlite:///{folder}/study.db"
    study.write_text(asked, encoding="utf-8")
    environment = {**fresh_environment(), "AUTOTUNE_CACHE": str(folder / "cache")}
    autotune = [sys.executable, "-P", "-m", "autotune"]
    start = time.perf_counter()
    with (folder / "tune.log").open("w+", encoding="utf-8") as log:
        tuned = subprocess.run(
            [*autotune, "tune", str(study), "--store", store, "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            check=False,
        )
        wall_s = time.perf_counter() - start
        log.seek(0)
        if tuned.returncode:
            raise RuntimeError(f"no plan, exit status {tuned.returncode}:\n{log.read()[-3000:]}")
    plan, document = parse_plan(tuned.stdout), json.loads(tuned.stdout)
    export = ("export", plan.id, "--to", "numactl", "-o", str(folder / "launch"), "--store", store)
    run_command([*autotune, *export], AUTOTUNE_CACHE=environment["AUTOTUNE_CACHE"])
    stated = {"gain": plan.gain, **stated_of_defaults(document)}
    found = Tuned(wall_s, plan.id, str(plan.configuration), stated, str(folder / "launch" / "launch.sh"))
    kept.write_text(json.dumps(asdict(found)), encoding="utf-8")
    return found


def plan_entrant(name: str, tuned: Tuned) -> Entrant:
    """The exported launch script, run as a user would."""
    return Entrant(
        name,
        lambda seconds, _: ("bash", tuned.script, "--seconds", f"{seconds:g}", "--json"),
        lambda printed, _: read_launch(printed),
    )


class Peers:
    """Prepares the peers' models and their request, and lists the peers.

    Args:
        folder: where everything is put.
    """

    def __init__(self, problem: Problem, machine: Machine, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._problem, self._folder = problem, folder
        self._models: dict[str, Path] = {}
        self._failures: dict[str, str] = {}
        model = resolve_model(problem.model, base=Path(), seed=0, offline=True)
        cache = ArtifactCache(folder / "cache")
        for engine in ("pytorch", "onnxruntime", "openvino", "ctranslate2"):
            try:
                made = prepare_artifact(model, engine, "fp32", machine.isa, cache, timeout_s=TIMEOUT_S)
                self._models[engine] = made.directory
            except AutotuneError as error:
                self._failures[engine] = str(error)
        end_fork_server()
        self._quantize()
        inputs = make_inputs(self._models["pytorch"], problem.batch, problem.tokens, 0)
        np.savez(folder / "request.npz", **inputs)  # type: ignore[arg-type]
        self._inputs = {name: folder / f"{name}.npy" for name in inputs}
        for name, array in inputs.items():
            np.save(self._inputs[name], array)
        self._answer()

    def entrants(self) -> list[Entrant]:
        """Every engine as its documentation starts it."""
        hint = self._problem.objective
        launcher = (sys.executable, "-m", "torch.backends.xeon.run_cpu")
        return [
            self._scripted("PyTorch eager", "pytorch", "pytorch"),
            self._scripted("PyTorch eager by run_cpu", "pytorch", "pytorch", launcher),
            self._scripted("PyTorch torch.compile", "torch-compile", "pytorch"),
            self._scripted("PyTorch torch.jit.trace", "torchscript", "pytorch"),
            self._scripted("ONNX Runtime fp32", "onnxruntime", "onnxruntime"),
            self._scripted("ONNX Runtime int8 dynamic", "onnxruntime", "int8"),
            self._scripted("OpenVINO compile_model", "openvino", "openvino"),
            self._benchmark_app(f"OpenVINO -hint {hint}"),
            self._benchmark_app(f"OpenVINO -hint {hint} f32", "-infer_precision", "f32"),
            self._scripted("CTranslate2", "ctranslate2", "ctranslate2"),
            self._scripted("CTranslate2 int8", "ctranslate2-int8", "ctranslate2"),
        ]

    def _quantize(self) -> None:
        """Have ONNX Runtime quantise its fp32 model by its own defaults."""
        if "onnxruntime" in self._failures:
            self._failures["int8"] = self._failures["onnxruntime"]
            return
        target = self._folder / "int8"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        try:
            run_command(
                (sys.executable, str(PEER), "quantize", str(self._models["onnxruntime"]), str(target))
            )
            self._models["int8"] = target
        except RuntimeError as error:
            self._failures["int8"] = str(error)

    def _answer(self) -> None:
        """Write eager PyTorch's answer, which the others' are held against."""
        run_command(
            (
                *(sys.executable, str(PEER), "run", "pytorch", str(self._models["pytorch"])),
                *(str(self._folder / "request.npz"), "--seconds", "0.1"),
                *(
                    "--result",
                    str(self._folder / "result.json"),
                    "--answer",
                    str(self._folder / "answer.npy"),
                ),
            )
        )

    def _scripted(
        self, name: str, engine: str, model: str, launcher: Sequence[str] = (sys.executable,)
    ) -> Entrant:
        return Entrant(
            name,
            lambda seconds, result: (
                *(*launcher, str(PEER), "run", engine, str(self._models[model])),
                *(str(self._folder / "request.npz"), "--reference", str(self._folder / "answer.npy")),
                *("--seconds", f"{seconds:g}", "--result", str(result)),
            ),
            read_peer,
            self._failures.get(model, ""),
        )

    def _benchmark_app(self, name: str, *settings: str) -> Entrant:
        problem = self._problem
        shape = f"[{problem.batch},{problem.tokens}]"

        def command(seconds: float, _: Path) -> tuple[str, ...]:
            (network,) = self._models["openvino"].glob("*.xml")
            return (
                *(sys.executable, "-c", "from openvino.tools.benchmark.main import main; main()"),
                *("-m", str(network), "-d", "CPU", "-hint", problem.objective, *settings),
                *("-t", str(max(1, round(seconds)))),
                *("-shape", ",".join(f"{input_name}{shape}" for input_name in self._inputs)),
                *("-i", ",".join(f"{input_name}:{file}" for input_name, file in self._inputs.items())),
            )

        def read(printed: str, _: Path) -> Run:
            return read_benchmark_app(printed, problem.batch)

        return Entrant(name, command, read, self._failures.get("openvino", ""))


def laggards(scores: Mapping[str, Sequence[float]], share: float) -> dict[str, float]:
    """Those whose best run is less than `share` of the highest mean, each with its share of it."""
    best = max((statistics.fmean(values) for values in scores.values()), default=0.0)
    shares = {name: max(values) / best for name, values in scores.items()}
    return {name: reached for name, reached in shares.items() if reached < share}


def best_peer(scores: Mapping[str, Sequence[float]], rounds: int) -> str | None:
    """Whose mean is highest of those that ran in every round; None where none did."""
    complete = {name: statistics.fmean(values) for name, values in scores.items() if len(values) == rounds}
    return max(complete, key=lambda name: complete[name], default=None)


class Comparison:
    """Runs plans and peers in rounds, and keeps every run's score.

    Attributes:
        scores: of each entrant, round by round.
        left_out: why an entrant was left out: it failed, or is far slower than the best.
    """

    def __init__(
        self,
        problem: Problem,
        plans: Sequence[Entrant],
        peers: Sequence[Entrant],
        tell: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self.scores: dict[str, list[float]] = {}
        self.left_out: dict[str, str] = {}
        self._problem, self._plans, self._peers, self._tell = problem, plans, peers, tell

    def play(self, rounds: int, seconds: float) -> None:
        """Play all rounds, the order of each at random."""
        for number in range(1, rounds + 1):
            entrants = [
                entrant for entrant in (*self._plans, *self._peers) if entrant.name not in self.left_out
            ]
            for entrant in random.sample(entrants, len(entrants)):
                self._run(entrant, number, seconds)
            for name, share in laggards(self._peers_left(), KEPT_SHARES[min(number, 2) - 1]).items():
                self.left_out[name] = f"dropped after round {number}, its best run {share:.2f} of the best"

    def peer(self, rounds: int) -> str | None:
        """The best peer."""
        return best_peer(self._peers_left(), rounds)

    def _peers_left(self) -> dict[str, list[float]]:
        names = (peer.name for peer in self._peers if peer.name not in self.left_out)
        return {name: self.scores[name] for name in names}

    def _run(self, entrant: Entrant, number: int, seconds: float) -> None:
        about = {"kind": "run", "problem": self._problem.name, "round": number, "entrant": entrant.name}
        try:
            run = entrant.run(seconds)
        except (RuntimeError, OSError, ValueError, KeyError) as error:
            self.left_out[entrant.name] = f"failed in round {number}: {error}"
            print(f"  round {number}: {entrant.name} failed: {error}", flush=True)
            self._tell({**about, "failure": str(error)})
            return
        score = run.score(self._problem.objective)
        self.scores.setdefault(entrant.name, []).append(score)
        alike = "" if run.cosine is None else f", cosine {run.cosine:.4f}"
        print(
            f"  round {number}: {entrant.name}: {figure(score, self._problem.objective)}{alike}", flush=True
        )
        self._tell({**about, **asdict(run)})


def figure(score: float, objective: str) -> str:
    """A score in a user's unit."""
    return f"p50 {1e3 / score:.2f} ms" if objective == "latency" else f"{score:.1f} samples/s"


def interval_text(interval: Interval, objective: str) -> str:
    """An interval of scores in a user's unit, the lower number first."""
    estimate = figure(interval.estimate, objective)
    if interval.low <= 0:
        return f"{estimate} ({interval.count} round)"
    ends = (interval.low, interval.high)
    low, high = sorted(1e3 / end for end in ends) if objective == "latency" else ends
    return f"{estimate} (95 %: {low:.2f} to {high:.2f}, {interval.count} rounds)"


def judged(comparison: Comparison, plan: str, rounds: int) -> dict[str, Any]:
    """The best peer and plan / best peer; without a ratio where the plan or every peer failed."""
    peer = comparison.peer(rounds)
    if peer is None or plan in comparison.left_out:
        return {"best_peer": peer, "ratio": None}
    return {
        "best_peer": peer,
        "ratio": asdict(paired_ratio(comparison.scores[plan], comparison.scores[peer])),
    }


def verdict(value: float, least: float) -> str:
    """Whether a bound holds."""
    return f"{'holds' if value >= least else 'MISSED'} (>= {least:.1f})"


def plan_name(minutes: float) -> str:
    """How a budget's plan is called among the entrants."""
    return f"plan of {minutes:g} minutes"


def compare(
    problem: Problem, budgets: Sequence[float], options: argparse.Namespace, folder: Path, ledger: Ledger
) -> None:
    """Tune for each budget, run everything in turns, print, and append a result for each budget."""
    plans: dict[float, Tuned] = {}
    for minutes in budgets:
        print(f"{problem}: tuning for {minutes:g} minutes from an empty cache", flush=True)
        about = {"kind": "tune", "problem": problem.name, "minutes": minutes, "also": options.also}
        try:
            plans[minutes] = tune(problem, minutes, options.also, folder / f"{problem.name}-{minutes:g}")
        except (RuntimeError, AutotuneError) as error:
            print(f"  failed: {error}", flush=True)
            ledger.tell({**about, "failure": str(error)})
            ledger.tell({**about, "kind": "result", "ratio": None, "failure": str(error)})
        else:
            print(f"  {plans[minutes]}", flush=True)
            ledger.tell({**about, **asdict(plans[minutes])})
    if not plans:
        return
    peers = Peers(problem, read_machine(), folder / f"{problem.name}-peers").entrants()
    entrants = [plan_entrant(plan_name(minutes), tuned) for minutes, tuned in plans.items()]
    comparison = Comparison(problem, entrants, peers, ledger.tell)
    start = time.perf_counter()
    comparison.play(options.rounds, options.seconds)
    print(f"{problem}: {options.rounds} rounds in {time.perf_counter() - start:.0f} s", flush=True)
    figures = {name: mean_interval(scores) for name, scores in comparison.scores.items()}
    for name, interval in sorted(figures.items(), key=lambda item: -item[1].estimate):
        left_out = comparison.left_out.get(name, "")
        print(f"  {name}: {interval_text(interval, problem.objective)}; {left_out}".removesuffix("; "))
    for name in sorted(comparison.left_out.keys() - figures.keys()):
        print(f"  {name}: {comparison.left_out[name]}")
    for minutes, tuned in plans.items():
        result = {
            **{"kind": "result", "problem": problem.name, "minutes": minutes, "also": options.also},
            "tuned": asdict(tuned),
            **judged(comparison, plan_name(minutes), options.rounds),
            "figures": {name: asdict(interval) for name, interval in figures.items()},
            "left_out": comparison.left_out,
        }
        ledger.tell(result)
        print(f"  {minutes:g} minutes: {tuned}\n  {minutes:g} minutes: {result_text(result)}", flush=True)


def result_text(result: Mapping[str, Any]) -> str:
    """Plan / best peer, and whether it holds."""
    ratio = result["ratio"]
    if ratio is None:
        return f"no ratio, the plan or every peer failed: {verdict(0.0, LEAST)}"
    return (
        f"plan / best peer ({result['best_peer']}): {ratio['estimate']:.2f},"
        f" 95 %: {ratio['low']:.2f} to {ratio['high']:.2f}: {verdict(ratio['estimate'], LEAST)}"
    )


class Ledger:
    """Appends figures to a file of JSON lines as they come, and knows which results are there.

    Args:
        resumed: a file whose results count, if there is one.
        target: what is appended to; None = nothing is kept.
    """

    def __init__(self, resumed: Path | None, target: Path | None) -> None:
        self._target = target
        lines = resumed.read_text(encoding="utf-8").splitlines() if resumed and resumed.exists() else []
        self.results = results_in(lines)

    def tell(self, line: Mapping[str, Any]) -> None:
        """Append a line; a result counts at once."""
        if line["kind"] == "result":
            self.results[line["problem"], line["minutes"]] = dict(line)
        if self._target is not None:
            with self._target.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def results_in(lines: Iterable[str]) -> dict[tuple[str, float], dict[str, Any]]:
    """The last result of each problem and budget; a line that a stop cut off is no line."""
    results = {}
    for line in lines:
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if document.get("kind") == "result":
            results[document["problem"], float(document["minutes"])] = document
    return results


def median_ratio(results: Iterable[Mapping[str, Any]]) -> float:
    """The median over problems; one without a ratio counts as 0."""
    return statistics.median(result["ratio"]["estimate"] if result["ratio"] else 0.0 for result in results)


def main() -> None:
    """Compare problem by problem, and print the median at each budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--problems", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--minutes", nargs="+", type=float, default=[3.0, 5.0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="append every figure to this file")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="skip what has a result in this file")
    parser.add_argument("--also", default="", metavar="LINE", help="add this line to every study file")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="keep everything here")
    options = parser.parse_args()
    ledger = Ledger(options.resume, options.json or options.resume)
    machine = read_machine()
    flags = [flag for flag in FLAGS if flag in machine.isa]
    cpus = len(machine.allowed)
    ledger.tell({"kind": "machine", "model_name": machine.model_name, "cpus": cpus, "flags": flags})
    print(f"{machine.model_name}, {cpus} cpus: {' '.join(flags)}", flush=True)
    for problem in (PROBLEMS[name] for name in options.problems):
        budgets = [minutes for minutes in options.minutes if (problem.name, minutes) not in ledger.results]
        if not budgets:
            continue
        with tempfile.TemporaryDirectory() as folder:
            compare(problem, budgets, options, (options.folder or Path(folder)).resolve(), ledger)
    for minutes in options.minutes:
        results = [ledger.results[name, minutes] for name in options.problems]
        for result in results:
            print(f"{PROBLEMS[result['problem']]}, {minutes:g} minutes: {result_text(result)}")
        median = median_ratio(results)
        held = verdict(median, LEAST_MEDIAN)
        print(f"{minutes:g} minutes, median of {len(results)} problems: {median:.2f}: {held}")
    print(f"on {machine.model_name}, {cpus} cpus: {' '.join(flags)}")


if __name__ == "__main__":
    main()
