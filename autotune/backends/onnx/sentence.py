"""The modules of sentence-transformers behind an ONNX graph, in ONNX's own operators.

They become a part of the graph, so that engines run and quantise them like the rest. Runs in a child process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from autotune.backends.onnx.opset import opset_of
from autotune.backends.sentence_model import LEAST_COUNT, Weights
from autotune.backends.sentence_numpy import LAYER_NORM_EPSILON, LEAST_LENGTH
from autotune.errors import ModelError
from autotune.model.folders.sentence_modules import SentenceModule
from autotune.model.inputs import InputsDescription

Array = np.ndarray[Any, Any]

PREFIX = "autotune/sentence/"
"""How the names of everything begin that is put into a graph."""

LEAST_OPSET = 11
"""The first with sums along an axis (CumSum), and comparisons of fp32. Source: ONNX, Operators.md."""

AXES_ARE_INPUTS: Mapping[str, int] = {"ReduceSum": 13, "ReduceMax": 18, "ReduceMean": 18, "ReduceL2": 18}
"""From which opset on an operator takes its axes as an input. Source: ONNX, Operators.md."""

TOKENS, NUMBERS = 1, -1
"""Axes of `(batch, tokens, numbers)`."""


def serve_behind(
    model: Any,
    output: str,
    described: Sequence[tuple[SentenceModule, Weights]],
    inputs: InputsDescription,
) -> None:
    """Make what the modules give the only output of a graph; without modules, the output itself.

    Args:
        output: of the graph, float `(batch, tokens, numbers)`.
        described: the modules in order, with their weights.
        inputs: of the graph; where none is a mask, every token counts.

    Raises:
        ModelError: the graph is written in operators that are too old.
    """
    from onnx import TensorProto, helper

    answered = next(one for one in model.graph.output if one.name == output)
    if described:
        _require_opset(model)
        operators = _Operators(model)
        kind = answered.type.tensor_type.elem_type
        hidden = output if kind == TensorProto.FLOAT else operators.cast(output)
        embedding = _modules(operators, hidden, described, inputs)
        answered = helper.make_tensor_value_info(embedding, TensorProto.FLOAT, None)
    else:
        answered = type(answered).FromString(answered.SerializeToString())
    del model.graph.output[:]
    model.graph.output.append(answered)


def _require_opset(model: Any) -> None:
    """Refuse a graph whose operators cannot express the modules.

    Raises:
        ModelError: it is of an older opset.
    """
    if (opset := opset_of(model)) < LEAST_OPSET:
        raise ModelError(
            f"the ONNX file is written in opset {opset}, and modules behind it need {LEAST_OPSET}",
            remedy="export it again with opset_version=17, or write `head: none` to serve the graph as it is",
        )


class _Operators:
    """Adds operators to a graph; each method gives the name of what it computes."""

    def __init__(self, model: Any) -> None:
        self._graph = model.graph
        self._opset = opset_of(model)
        self._count = 0

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """An operator with one output."""
        from onnx import helper

        name = self._name(kind)
        self._graph.node.append(helper.make_node(kind, [*inputs], [name], name=name, **attributes))
        return name

    def constant(self, value: Array | float) -> str:
        """Weights, or a number, which is fp32."""
        from onnx import numpy_helper

        name = self._name("weights")
        array = np.asarray(value, dtype=np.float32) if isinstance(value, float) else value
        self._graph.initializer.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def reduce(self, kind: str, values: str, axis: int, *, keeps: bool = False) -> str:
        """A sum or the like along one axis, which is kept with one element or goes."""
        if self._opset >= AXES_ARE_INPUTS[kind]:
            return self.add(kind, values, self.constant(np.array([axis], np.int64)), keepdims=int(keeps))
        return self.add(kind, values, axes=[axis], keepdims=int(keeps))

    def cast(self, values: str) -> str:
        """The same at fp32."""
        from onnx import TensorProto

        return self.add("Cast", values, to=TensorProto.FLOAT)

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{PREFIX}{self._count}/{kind}"


def _modules(
    operators: _Operators,
    hidden: str,
    described: Sequence[tuple[SentenceModule, Weights]],
    inputs: InputsDescription,
) -> str:
    """The embedding that modules make of hidden states."""
    answer = hidden
    for module, weights in described:
        if module.kind == "Pooling":
            answer = _pool(operators, answer, _counted(operators, inputs), module.modes)
        else:
            answer = _LAYERS[module.kind](operators, answer, module, weights)
    return answer


def _counted(operators: _Operators, inputs: InputsDescription) -> str:
    """Float `(batch, tokens, 1)`: 1 for tokens, 0 for padding."""
    from onnx import TensorProto, helper

    masks = [name for name, kind in inputs.arrays.items() if kind == "ones"]
    if masks:
        mask = operators.cast(masks[0])
    else:
        tokens = next(name for name, kind in inputs.arrays.items() if kind == "tokens")
        one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
        mask = operators.add("ConstantOfShape", operators.add("Shape", tokens), value=one)
    # A zero in the place of a dimension stands for that of the input.
    return operators.add("Reshape", mask, operators.constant(np.array([0, 0, 1], np.int64)))


def _pool(operators: _Operators, hidden: str, counted: str, modes: Sequence[str]) -> str:
    """See `autotune.backends.torch.sentence_model.pool`."""
    parts = [_POOLING[mode](operators, hidden, counted) for mode in modes]
    return parts[0] if len(parts) == 1 else operators.add("Concat", *parts, axis=NUMBERS)


def _first(operators: _Operators, hidden: str, _: str) -> str:
    return operators.add("Gather", hidden, operators.constant(np.array(0, np.int64)), axis=TOKENS)


def _greatest(operators: _Operators, hidden: str, counted: str) -> str:
    is_token = operators.add("Greater", counted, operators.constant(0.0))
    least = operators.constant(float(np.finfo(np.float32).min))
    return operators.reduce("ReduceMax", operators.add("Where", is_token, hidden, least), TOKENS)


def _sums(operators: _Operators, hidden: str, weights: str) -> tuple[str, str]:
    """Of what tokens have, each times its weight, and of these weights."""
    weighted = operators.add("Mul", hidden, weights)
    count = operators.add(
        "Max", operators.reduce("ReduceSum", weights, TOKENS), operators.constant(LEAST_COUNT)
    )
    return operators.reduce("ReduceSum", weighted, TOKENS), count


def _mean(operators: _Operators, hidden: str, counted: str) -> str:
    return operators.add("Div", *_sums(operators, hidden, counted))


def _mean_by_root(operators: _Operators, hidden: str, counted: str) -> str:
    total, count = _sums(operators, hidden, counted)
    return operators.add("Div", total, operators.add("Sqrt", count))


def _places(operators: _Operators, counted: str) -> str:
    """Float `(batch, tokens, 1)`: 1 for the first token, 2 for the second, and so on; padding goes on."""
    return operators.add("CumSum", counted, operators.constant(np.array(TOKENS, np.int64)))


def _weighted_mean(operators: _Operators, hidden: str, counted: str) -> str:
    return _mean(operators, hidden, operators.add("Mul", _places(operators, counted), counted))


def _last(operators: _Operators, hidden: str, counted: str) -> str:
    last = operators.reduce("ReduceSum", counted, TOKENS, keeps=True)
    is_last = operators.cast(operators.add("Equal", _places(operators, counted), last))
    total, _ = _sums(operators, hidden, operators.add("Mul", is_last, counted))
    return total


def _normalized(operators: _Operators, answer: str, _: SentenceModule, __: Weights) -> str:
    length = operators.reduce("ReduceL2", answer, NUMBERS, keeps=True)
    return operators.add("Div", answer, operators.add("Max", length, operators.constant(LEAST_LENGTH)))


def _layer_normalized(operators: _Operators, answer: str, _: SentenceModule, weights: Weights) -> str:
    centred = operators.add("Sub", answer, operators.reduce("ReduceMean", answer, NUMBERS, keeps=True))
    squares = operators.add("Mul", centred, centred)
    variance = operators.reduce("ReduceMean", squares, NUMBERS, keeps=True)
    spread = operators.add("Sqrt", operators.add("Add", variance, operators.constant(LAYER_NORM_EPSILON)))
    scaled = operators.add(
        "Mul", operators.add("Div", centred, spread), operators.constant(weights["weight"])
    )
    return operators.add("Add", scaled, operators.constant(weights["bias"]))


def _dense(operators: _Operators, answer: str, module: SentenceModule, weights: Weights) -> str:
    product = operators.add("MatMul", answer, operators.constant(weights["weight"].T))
    if module.has_bias:
        product = operators.add("Add", product, operators.constant(weights["bias"]))
    return _ACTIVATIONS[module.activation](operators, product)


def _gelu(operators: _Operators, values: str) -> str:
    """Source: torch.nn.GELU, without an approximation."""
    curve = operators.add("Erf", operators.add("Mul", values, operators.constant(math.sqrt(0.5))))
    half = operators.add("Mul", values, operators.constant(0.5))
    return operators.add("Mul", half, operators.add("Add", curve, operators.constant(1.0)))


_POOLING: Mapping[str, Callable[[_Operators, str, str], str]] = {
    "cls": _first,
    "max": _greatest,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_by_root,
    "weightedmean": _weighted_mean,
    "lasttoken": _last,
}
_LAYERS: Mapping[str, Callable[[_Operators, str, SentenceModule, Weights], str]] = {
    "Dense": _dense,
    "LayerNorm": _layer_normalized,
    "Normalize": _normalized,
}
_ACTIVATIONS: Mapping[str, Callable[[_Operators, str], str]] = {
    "GELU": _gelu,
    "Identity": lambda _, values: values,
    "ReLU": lambda operators, values: operators.add("Relu", values),
    "SiLU": lambda operators, values: operators.add("Mul", values, operators.add("Sigmoid", values)),
    "Sigmoid": lambda operators, values: operators.add("Sigmoid", values),
    "Tanh": lambda operators, values: operators.add("Tanh", values),
}
