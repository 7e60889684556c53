"""What a series would measure and has shown, and a list of them, as documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from autotune.documents.figures import interval_document
from autotune.series.file import SeriesFile
from autotune.series.judging import Judgement
from autotune.series.listing import ListedSeries
from autotune.series.result import SeriesResult
from autotune.series.running import SeriesOutlook
from autotune.series.standing import PointStanding

SCHEMA: Final = "autotune.study-run/1"
OUTLOOK_SCHEMA: Final = "autotune.study-outlook/1"


def series_document(result: SeriesResult, folder: Path) -> dict[str, Any]:
    """Write what a series has shown as one JSON document; the runs stand in the folder's own."""
    record = result.standings.record
    return {
        "schema": SCHEMA,
        "series": record.name,
        "title": result.series.title,
        "complete": record.is_complete,
        "rounds": record.rounds,
        "folder": str(folder),
        "points": [_point_document(point) for point in result.standings.points],
        "claims": [_judgement_document(judgement) for judgement in result.claims],
        "beside": [_judgement_document(judgement) for judgement in result.beside],
        "targets": [_judgement_document(judgement) for judgement in result.targets],
        "quietness": result.standings.quietness,
    }


def _point_document(standing: PointStanding) -> dict[str, Any]:
    chosen = standing.point.configuration
    return {
        "name": standing.point.name,
        "configuration": None if chosen is None else chosen.parameters(),
        "cores": standing.point.cores,
        "unmeasured": standing.unmeasured or None,
        "throughput_sps": interval_document(standing.throughput),
        "median_s": interval_document(standing.median),
        "ratio": interval_document(standing.ratio),
        "missed": list(standing.missed),
        "cost_per_million": interval_document(standing.cost),
        "latencies": [latency.model_dump(mode="json") for latency in standing.latencies],
        "requests": standing.requests,
        "runs": standing.runs,
        "memory_bytes": standing.memory_bytes,
        "hit_rate": standing.hit_rate,
    }


def _judgement_document(judgement: Judgement) -> dict[str, Any]:
    return {
        "claim": judgement.claim.claim,
        "stated": judgement.claim.stated,
        "check": judgement.claim.check,
        "verdict": judgement.verdict,
        "found": interval_document(judgement.found),
        "reason": judgement.reason,
    }


def series_outlook_document(file: SeriesFile, ahead: SeriesOutlook) -> dict[str, Any]:
    """Write what a series would measure as one JSON document."""
    return {
        "schema": OUTLOOK_SCHEMA,
        "series": file.name,
        "title": file.series.title,
        "rounds": ahead.rounds,
        "estimate_s": ahead.estimate_s,
        "points": [
            {
                "name": point.name,
                "configuration": None if point.configuration is None else point.configuration.parameters(),
                "unmeasured": point.skipped or None,
            }
            for point in ahead.points
        ],
    }


def listing_document(listed: ListedSeries) -> dict[str, Any]:
    """Write a line of the list of series as JSON."""
    return {
        "series": str(listed.folder),
        "title": listed.title,
        "points": listed.points,
        "result": listed.result,
    }
