from __future__ import annotations

from autotune.documents.standing import standing_lines
from autotune.events import Progress, SpaceSurveyed, Summary, TrialBegan, TrialEnded, to_json
from autotune.store.job_records import ToldEvent

BEGAN = TrialBegan(1, "2 x 1 threads", Progress(1, 9))
ENDED = TrialEnded(1, "trial 1", "2 x 1 threads", Summary("9.0 samples/s", 9.0), Progress(2, 9))


def standing_of(*events: str) -> list[str]:
    return standing_lines(ToldEvent(number, 1.0, event) for number, event in enumerate(events, 1))


def test_a_job_stands_where_its_last_trial_ended_until_the_next_begins() -> None:
    ended = standing_of(to_json(SpaceSurveyed(("jax: none",))), to_json(BEGAN), to_json(ENDED))
    assert len(ended) == 1
    assert "9.0 samples/s" in ended[0]
    going_on = standing_of(to_json(ENDED), to_json(BEGAN))
    assert going_on[:1] == ended
    assert "2 x 1 threads" in going_on[1]


def test_what_a_later_version_told_is_passed_over() -> None:
    assert standing_of(to_json(ENDED), '{"event": "unheard_of"}', "no JSON") == standing_of(to_json(ENDED))
