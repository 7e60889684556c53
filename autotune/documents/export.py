"""What a target makes of a plan, as a document."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from autotune.exporters.options import OptionRow
from autotune.exporters.protocol import Exported, Exporter

SCHEMA: Final = "autotune.export/1"
TARGETS_SCHEMA: Final = "autotune.targets/1"


def export_document(plan_id: str, exporter: Exporter, exported: Exported) -> dict[str, Any]:
    """Write the files of a target as one JSON document, with all that the target does not keep."""
    return {
        "schema": SCHEMA,
        "plan": plan_id,
        "target": exporter.name,
        "files": [
            {
                "path": path,
                "text": text,
                "executable": path in exported.executable,
                "size_bytes": len(text.encode()),
            }
            for path, text in exported.files.items()
        ],
        "losses": [asdict(loss) for loss in exported.losses],
        "notes": list(exported.notes),
    }


def target_document(exporter: Exporter, options: list[OptionRow]) -> dict[str, Any]:
    """Write what a target is, what it keeps of a plan, and what can be set of it."""
    return {
        "name": exporter.name,
        "summary": exporter.summary,
        "programs": sorted(exporter.programs),
        "keeps": asdict(exporter.keeps),
        "options": [asdict(option) for option in options],
    }
