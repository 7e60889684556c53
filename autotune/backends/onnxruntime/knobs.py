"""Knobs of ONNX Runtime: what they are called, how a session is told of them, and how it tells them back.

A knob more is a declaration, a line in `read_knobs`, and what `turn` and `in_force` do with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from autotune.backends.onnx.graph import FUSION_KEY
from autotune.spec.configuration import Precision
from autotune.spec.knob import Knob
from autotune.spec.knobs import Knobs

OPTIMIZATIONS: Mapping[str, str] = {
    "all": "ORT_ENABLE_ALL",
    "extended": "ORT_ENABLE_EXTENDED",
    "basic": "ORT_ENABLE_BASIC",
    "disabled": "ORT_DISABLE_ALL",
}
"""Names of levels by the knob's value."""

SPINNING_OPTION: Final = "session.intra_op.allow_spinning"
"""Source: ONNX Runtime, onnxruntime_session_options_config_keys.h."""

FUSION: Final = Knob(
    "fusion", ("off", "on"), "whether ONNX Runtime's attention is one operator, fused ahead", prepares=True
)
OPTIMIZATION: Final = Knob("optimization", tuple(OPTIMIZATIONS), "how far ONNX Runtime rewrites a graph")
SPINNING: Final = Knob(
    "spinning", ("on", "off"), "whether idle threads of ONNX Runtime stay awake", waits=True
)


def read_knobs(precisions: tuple[Precision, ...]) -> Mapping[Knob, tuple[Precision, ...]]:
    """Give the precisions at which each can matter, of those that the engine has."""
    return {
        FUSION: ("fp32", "int8-dynamic"),
        # Rewriting is what makes int8 arithmetic of static int8, and of weights in fewer bits.
        OPTIMIZATION: ("fp32", "int8-dynamic"),
        SPINNING: precisions,
    }


def turn(knobs: Knobs, options: Any) -> None:
    """Tell the options of a session what is turned when it is made."""
    import onnxruntime

    # Optimising here takes a tenth of a second; a graph optimised ahead ran no faster.
    level = OPTIMIZATIONS[knobs.get(OPTIMIZATION.name, OPTIMIZATION.usual)]
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    is_spinning = knobs.get(SPINNING.name, SPINNING.usual) == "on"
    options.add_session_config_entry(SPINNING_OPTION, str(int(is_spinning)))


def in_force(options: Any, stated: Mapping[str, str]) -> dict[str, str]:
    """Read back from what the session keeps.

    Args:
        options: of the session.
        stated: the model's metadata.
    """
    levels = {level: name for name, level in OPTIMIZATIONS.items()}
    is_spinning = options.get_session_config_entry(SPINNING_OPTION) == "1"
    return {
        FUSION.name: stated.get(FUSION_KEY, "unknown"),
        OPTIMIZATION.name: levels[options.graph_optimization_level.name],
        SPINNING.name: "on" if is_spinning else "off",
    }
