"""Configurations that are known to do well, to be measured first, and the order of the engines.

A model is prepared once for a backend at a precision, which often takes longer than several trials of it,
and a short budget sees few of them. So they come in the order of the speed that is expected of them
(`by_promise`), and all layouts of one before the next:

1. the most promising variant of the model at the fastest precision of each of the `LEADERS` most promising
   backends, in every layout of `recipe_shapes`;
2. each of the next `LEADERS` variants at its fastest, in every layout too, as the first may be refused for
   its answers;
3. the first variant at the fastest precision of every other backend, and every other variant at its fastest,
   in the first layout: a look at each, in case this machine differs;
4. what `autotune.search.order` makes of the rest, where all take turns, most promising first.

What is expected only orders: it rules nothing out, and what is measured decides from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from autotune.placement.policies import Ground
from autotune.search.bounds import Engine
from autotune.spec.configuration import Precision, Prepared

LEADERS = 3
"""Backends, and other variants of the model, that are tried in every layout of the recipes."""

MEASURED_MS: Mapping[Engine, float] = {
    ("openvino", "int8-static"): 213.0,
    ("onnxruntime", "int8-dynamic"): 294.0,
    ("ctranslate2", "int8-dynamic"): 341.0,
    ("openvino", "int8-weights"): 368.0,
    ("pytorch", "int8-dynamic"): 369.0,
    ("ctranslate2", "fp32"): 621.0,
    ("openvino", "fp32"): 628.0,
    ("inductor", "fp32"): 680.0,
    ("onnxruntime", "fp32"): 686.0,
    ("torchscript", "fp32"): 800.0,
    ("pytorch", "fp32"): 800.0,
}
"""A request of 8 x 128 tokens to DistilBERT on one thread.

Source: measured on a 2-core Xeon with AVX-512 VNNI; of PyTorch, TorchScript and Inductor at fp32 8 times a
request of 1 x 128, of PyTorch at int8 1.25 times ONNX Runtime, as in quickstart.
"""

USUAL_FP32_MS = 700.0
"""Of an engine that `MEASURED_MS` does not know."""

SPEEDUPS: Mapping[Precision, float] = {
    "fp32": 1.0,
    "int8-dynamic": 2.3,
    "int8-static": 2.2,
    "bf16": 1.5,
    "fp16": 1.5,
    "int8-weights": 1.2,
    "int4-weights": 0.8,
}
"""Over the same engine's fp32, of pairs that `MEASURED_MS` does not know.

Source: int8 as ONNX Runtime in `MEASURED_MS`, static no more than that, as its answers suffer first; bf16 and
fp16 are offered where the cpu multiplies in them, with twice the lanes, and gain on products alone;
`...-weights` compute in floating point after unpacking.
"""


def recipe_shapes(ground: Ground, budget: int) -> tuple[tuple[int, int], ...]:
    """(instances, threads per instance) of each recipe, as far as the thread budget goes.

    One instance per socket with all its cores; four cores per instance, as many as fit; one thread on
    every core.
    """
    seats = ground.terrain.root.seats
    sockets = Counter(seat.core.package for seat in seats for _ in seat.cpus)
    of_four = 4 * ground.terrain.siblings
    shapes = (
        (len(sockets), min(*sockets.values(), budget // len(sockets))),
        (min(len(ground.packing(of_four).close), budget // of_four), of_four),
        (min(len(seats), budget), 1),
    )
    return tuple(shape for shape in shapes if all(shape))


def expected_ms(engine: Engine) -> float:
    """What a request may take, for comparison with other engines only; see `MEASURED_MS`."""
    backend, precision = engine
    if engine in MEASURED_MS:
        return MEASURED_MS[engine]
    return MEASURED_MS.get((backend, "fp32"), USUAL_FP32_MS) / SPEEDUPS[precision]


def by_promise(choices: Iterable[Prepared], sizes: Mapping[str, float]) -> tuple[Prepared, ...]:
    """What may be prepared, that first of which the most speed is expected; equal ones stay in their order.

    Args:
        sizes: of the variants, as `autotune.model.size` gives them; one that is missing is taken to be as
            large as the largest.
    """
    largest = max(sizes.values(), default=1.0)

    def request_ms(one: Prepared) -> float:
        return expected_ms((one.backend, one.precision)) * sizes.get(one.model, largest)

    return tuple(sorted(choices, key=request_ms))


def leading_choices(
    promising: Sequence[Prepared],
) -> tuple[tuple[Prepared, ...], tuple[Prepared, ...]]:
    """Which to try in every layout of the recipes, and which in the first alone.

    Args:
        promising: by promise, as `by_promise` orders them; at least one.
    """
    top = promising[0].model
    engines = _first_of_each((one for one in promising if one.model == top), lambda one: one.backend)
    others = _first_of_each((one for one in promising if one.model != top), lambda one: one.model)
    return engines[:LEADERS] + others[:LEADERS], engines[LEADERS:] + others[LEADERS:]


def _first_of_each(choices: Iterable[Prepared], kind: Callable[[Prepared], str]) -> tuple[Prepared, ...]:
    first: dict[str, Prepared] = {}
    for one in choices:
        first.setdefault(kind(one), one)
    return tuple(first.values())
