"""What stands in the place of the backend where something is named in the cache that no engine loads.

They are part of keys and manifests: another word would have everything prepared anew.
"""

from __future__ import annotations

from typing import Final

CALIBRATION: Final = "calibration"
EVALUATION: Final = "evaluation"
STREAM: Final = "requests"

ASSESSMENT: Final = "assessment"
"""Begins the name of an assessment, which goes on with its engine: `assessment-onnxruntime`."""
LOOK: Final = "look"
"""Begins the name of a look, likewise."""
