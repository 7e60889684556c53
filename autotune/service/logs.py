"""The service's log: one line for each event on stderr, as text or JSON, without secrets."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from autotune.service.redaction import redacted

LogFormat = Literal["text", "json"]

LOGGERS: Final = ("autotune", "uvicorn", "uvicorn.error")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class LineFormatter(logging.Formatter):
    """Writes a record as one line, whatever stands in it.

    Args:
        form: of the line.
        secrets: texts that are hidden wherever they stand.
    """

    def __init__(self, form: LogFormat, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._form, self._secrets = form, tuple(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        fields: Mapping[str, Any] = getattr(record, "fields", {})
        values: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._safe(record.getMessage()),
            **{
                name: self._safe(value) if isinstance(value, str) else value for name, value in fields.items()
            },
        }
        if record.exc_info:
            values["error"] = self._safe(self.formatException(record.exc_info), keep_lines=True)
        if self._form == "json":
            return json.dumps(values)
        told = " ".join(f"{name}={_CONTROL.sub(' ', str(value))}" for name, value in values.items())
        return told.removeprefix("time=")

    def _safe(self, text: str, *, keep_lines: bool = False) -> str:
        hidden = redacted(text, self._secrets)
        return hidden if keep_lines else _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", hidden)


def begin_logging(form: LogFormat, secrets: Iterable[str] = ()) -> None:
    """Have everything that the service and its server say go to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(form, secrets))
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler] if "." not in name else []
        logger.propagate = "." in name
        logger.setLevel(logging.INFO)
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # it warns of every request that is none
