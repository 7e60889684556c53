"""A frozen graph of TorchScript: its file in an artifact, and the weights that it multiplies by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

MODEL_FILE = "model.torchscript.pt"

_MULTIPLICATIONS = frozenset(
    (
        *("aten::linear", "aten::matmul", "aten::mm", "aten::addmm", "aten::bmm", "aten::einsum"),
        *("aten::_convolution", "aten::conv1d", "aten::conv2d", "quantized::linear_dynamic"),
    )
)


def multiplied_weights(module: Any) -> Iterator[tuple[Any, int]]:
    """Give dtype and size of every constant matrix of a frozen graph that is multiplied by."""
    for node in module.inlined_graph.nodes():
        if node.kind() in _MULTIPLICATIONS:
            constants = (_constant(value, module) for value in _unlisted(node.inputs()))
            matrices = (constant for constant in constants if getattr(constant, "ndim", 0) >= 2)
            yield from ((matrix.dtype, matrix.numel()) for matrix in matrices)


def _unlisted(values: Iterable[Any]) -> Iterator[Any]:
    """The values, and of lists of them, which einsum takes, those in the list."""
    for value in values:
        if value.node().kind() == "prim::ListConstruct":
            yield from value.node().inputs()
        else:
            yield value


def _constant(value: Any, module: Any) -> Any:
    """What a value of the graph is before anything runs: a constant, an attribute, or one transposed."""
    import torch

    node = value.node()
    match node.kind():
        case "prim::Constant":
            found = value.toIValue()
        case "prim::GetAttr":
            found = getattr(_constant(node.inputsAt(0), module), node.s("name"))
        case "prim::Param":
            found = module if value.debugName().startswith("self") else None
        case "aten::t" | "aten::transpose":
            found = _constant(node.inputsAt(0), module)
        case _:
            found = None
    packed = isinstance(found, torch.ScriptObject)
    return torch.ops.quantized.linear_unpack(found)[0] if packed else found
