"""`autotune schema`: the JSON Schema of study files, for editors."""

from __future__ import annotations

from autotune.cli import output


def schema() -> None:
    """Print the JSON Schema of study files, for editors that complete and check YAML."""
    from autotune.spec.schema import study_schema

    output.result_json(study_schema())
