"""Linear layers that multiply int8 by int8, written so that Inductor takes its int8 kernels for them."""

from __future__ import annotations

from typing import Any

LARGEST = 127
"""Symmetric: -128 is left out, so that scales need no offset."""

SMALLEST_SCALE = 1e-12
"""Of a row of zeros, which has no scale of its own."""


def quantize_linears(model: Any) -> None:
    """Replace every linear layer of a model by its int8 one, in place.

    Weights get one scale for each output; inputs get one for each token, measured anew in every request.
    Inductor recognises the product of int8 matrices and the two scales, and packs the weights for it.
    Source: torch/_inductor/fx_passes/quantization.py, _register_smooth_quant_int_mm_pattern.
    """
    import torch

    for name, module in list(model.named_modules()):
        if type(module) is torch.nn.Linear:
            model.set_submodule(name, _int8_linear(module))


def _int8_linear(linear: Any) -> Any:
    import torch

    weight, scale = _quantize(linear.weight.detach())

    class Int8Linear(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weight", weight.t().contiguous())
            self.register_buffer("scale", scale.flatten())
            self.bias = linear.bias

        def forward(self, inputs: Any) -> Any:
            rows, row_scale = _quantize(inputs.reshape(-1, inputs.shape[-1]))
            sums = torch._int_mm(rows, self.weight).float() * row_scale * self.scale
            outputs = sums if self.bias is None else sums + self.bias
            return outputs.reshape(*inputs.shape[:-1], outputs.shape[-1])

    return Int8Linear()


def _quantize(matrix: Any) -> tuple[Any, Any]:
    """A matrix as int8, and the scale of each of its rows: fp32 `(rows, 1)`."""
    import torch

    scale = (matrix.abs().amax(dim=1, keepdim=True) / LARGEST).clamp(min=SMALLEST_SCALE)
    return (matrix / scale).round().clamp(-LARGEST, LARGEST).to(torch.int8), scale
