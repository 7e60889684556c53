"""Whatever is asked for, by the API's description or against it, the answer is one that is described."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("schemathesis", reason="needs schemathesis (extra dev)")

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "use_after_free",
    "ensure_resource_availability",
)
"""Left out: what a description cannot say of values, and what the gate does with wrong tokens and with bodies
of requests that have none."""

CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = [400, 404, 405, 409, 413, 414, 415, 422, 431]
"""

EXAMPLES = 12
"""Of each operation, in each phase."""


@pytest.mark.slow
def test_no_request_breaks_the_service_or_gets_what_is_not_described(tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    program = [sys.executable, "-m", "tests.service.api.waiting_service", str(tmp_path)]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(program, stdout=subprocess.PIPE, stderr=log, text=True) as service,
    ):
        assert service.stdout is not None
        try:
            port, token = service.stdout.readline().split()
            tried = subprocess.run(
                [
                    *(
                        sys.executable,
                        "-m",
                        "schemathesis.cli",
                        "run",
                        f"http://127.0.0.1:{port}/openapi.json",
                    ),
                    *("-H", f"Authorization: Bearer {token}", "--exclude-tag", "events", "--workers", "1"),
                    *("--max-examples", str(EXAMPLES), "--seed", "1", "--checks", ",".join(CHECKS)),
                    *("--suppress-health-check", "all", "--generation-database", "none"),
                ],
                capture_output=True,
                text=True,
                timeout=240,
                cwd=tmp_path,
                check=False,
            )
        finally:
            service.terminate()
            service.wait(30)
    assert tried.returncode == 0, tried.stdout[-20_000:]
    assert "Traceback" not in (tmp_path / "log").read_text()
