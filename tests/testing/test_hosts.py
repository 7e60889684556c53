from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from autotune.measurement.measurement import Block, Conditions
from autotune.measurement.statistics import block_seconds, block_throughput_sps
from autotune.testing.hosts import HOSTS
from autotune.testing.nature import LAUNCH_NOISE, WeatheredNature, Workers
from autotune.testing.replays import read_recording, replayed
from autotune.testing.weather import MULTIPLICATION_S, WeatherMaker

RECORDINGS = sorted((Path(__file__).parents[2] / "studies/benchmarks/noise").glob("*.json"))


def measured(
    make: WeatherMaker,
    *,
    seed: int = 1,
    blocks: int = 200,
    request_s: float = 0.1,
    block_s: float = 1.0,
    instances: int = 1,
) -> list[Block]:
    """Blocks one after the other, without what launches have of their own."""
    return run_on(
        WeatheredNature(make(seed), seed), Workers(request_s, instances=instances), blocks, block_s=block_s
    )


def run_on(nature: WeatheredNature, workers: Workers, blocks: int, *, block_s: float = 1.0) -> list[Block]:
    now_s, found = 0.0, []
    for _ in range(blocks):
        block, now_s = nature.block(workers, now_s, block_s)
        found.append(block)
    return found


def log_values(blocks: Sequence[Block], request_s: float = 0.1) -> list[float]:
    return [math.log(block_throughput_sps(block) * request_s) for block in blocks]


def seen(blocks: Sequence[Block], look: Callable[[Conditions], float | None]) -> list[float]:
    found = [look(block.conditions) for block in blocks if block.conditions is not None]
    return [value for value in found if value is not None]


def of_seeds(name: str, seeds: int = 5) -> list[list[Block]]:
    return [measured(HOSTS[name], seed=seed) for seed in range(seeds)]


@pytest.mark.parametrize("name", HOSTS)
def test_the_same_seed_gives_the_same_blocks_and_another_one_others(name: str) -> None:
    blocks = measured(HOSTS[name], blocks=5)
    assert measured(HOSTS[name], blocks=5) == blocks
    assert measured(HOSTS[name], blocks=5, seed=2) != blocks


@pytest.mark.parametrize("name", HOSTS)
def test_a_block_is_back_to_back_and_ends_with_the_first_completion_after_its_window(name: str) -> None:
    for block in measured(HOSTS[name], blocks=50):
        (instance,) = block.instances
        assert instance.starts_s == (block.start_s, *instance.ends_s[:-1])
        assert instance.ends_s[-2] < block.start_s + 1.0 <= instance.ends_s[-1]


def test_hosts_have_the_noise_that_their_names_say() -> None:
    for name, asked in (("quiet", 0.01), ("noise 3 %", 0.03), ("noise 10 %", 0.1), ("noise 30 %", 0.3)):
        spreads = [statistics.stdev(log_values(blocks)) for blocks in of_seeds(name)]
        assert statistics.fmean(spreads) == pytest.approx(asked, rel=0.2), name


def test_neighbouring_seconds_are_alike_as_in_the_recordings() -> None:
    logs = [log_values(blocks) for blocks in of_seeds("noise 10 %")]
    alike = [statistics.correlation(values[:-1], values[1:]) for values in logs]
    assert statistics.fmean(alike) == pytest.approx(0.6, abs=0.1)


def test_the_probe_sees_of_noise_what_it_saw_of_the_recorded_one() -> None:
    slopes, shares = [], []
    for seed in range(5):
        weather = HOSTS["noise 10 %"](seed)
        blocks = run_on(WeatheredNature(weather, seed), Workers(0.1), 200)
        around = [weather.around(block.start_s, block.instances[0].ends_s[-1]) for block in blocks]
        speeds = [-statistics.fmean(map(math.log, (*one.before_s, *one.after_s))) for one in around]
        values = log_values(blocks)
        slopes.append(statistics.linear_regression(speeds, values).slope)
        shares.append(statistics.correlation(speeds, values) ** 2)
    assert statistics.fmean(slopes) == pytest.approx(0.8, abs=0.12)
    assert statistics.fmean(shares) == pytest.approx(0.4, abs=0.1)


def test_requests_at_the_same_time_meet_the_same_host_however_long_they_take() -> None:
    """So that the ratio of two that run beside each other is their true one."""
    short, long = (
        log_values(
            measured(HOSTS["regimes 60 s"], seed=3, blocks=1, request_s=request_s, block_s=200.0), request_s
        )
        for request_s in (0.05, 0.2)
    )
    assert short == pytest.approx(long, abs=0.01)


def test_two_regimes_halve_the_speed_and_the_probe_shows_it() -> None:
    blocks = measured(HOSTS["regimes 60 s"], blocks=400)
    values, probes_s = log_values(blocks), seen(blocks, lambda conditions: conditions.probe_s)
    shares = [probe_s / MULTIPLICATION_S for probe_s in probes_s]
    slow = [value for value, share in zip(values, shares, strict=True) if share > 1.7]
    fast = [value for value, share in zip(values, shares, strict=True) if share < 1.2]
    assert math.exp(statistics.median(slow) - statistics.median(fast)) == pytest.approx(0.5, rel=0.05)


def test_regimes_change_as_often_as_asked() -> None:
    for name, asked_s in (("regimes 10 s", 10.0), ("regimes 60 s", 60.0)):
        changes, seconds = 0, 0.0
        for seed in range(20):
            blocks = measured(HOSTS[name], seed=seed, blocks=400)
            slow = [value < math.log(0.7) for value in log_values(blocks)]
            changes += sum(one != other for one, other in pairwise(slow))
            seconds += blocks[-1].start_s - blocks[0].start_s
        assert seconds / changes == pytest.approx(asked_s, rel=0.35), name


@pytest.mark.parametrize(("name", "is_in_guest"), [("neighbour", True), ("stolen", False)])
def test_a_neighbour_takes_half_of_one_cpu_and_is_seen_where_it_is(name: str, is_in_guest: bool) -> None:
    blocks = measured(HOSTS[name], blocks=300)
    values = log_values(blocks)
    assert statistics.median(values[:50]) == pytest.approx(0.0, abs=0.02)
    assert statistics.median(values[-50:]) == pytest.approx(math.log(0.5), abs=0.02)
    last = blocks[-1].conditions
    assert last is not None
    assert last.speed is not None
    assert last.speed > 0.8
    assert (last.others_cpus, last.waited, last.steal) == pytest.approx(
        (0.5, 0.25, 0.0) if is_in_guest else (0.0, 0.0, 0.25)
    )


@pytest.mark.parametrize(
    ("name", "pinned", "unpinned"),
    [("late neighbour", 0.5, 0.5), ("late stolen", 0.5, 0.5), ("late on unpinned", 1.0, 0.1)],
)
def test_who_comes_when_the_search_is_over_slows_whom_its_name_says(
    name: str, pinned: float, unpinned: float
) -> None:
    nature = WeatheredNature(HOSTS[name](1), 1)

    def speeds(*, is_confirming: bool) -> tuple[float, float]:
        blocks = [
            run_on(nature, Workers(0.1, is_pinned=is_pinned, is_confirming=is_confirming), 20)
            for is_pinned in (True, False)
        ]
        ours, theirs = (math.exp(statistics.median(log_values(own))) for own in blocks)
        return ours, theirs

    assert speeds(is_confirming=False) == pytest.approx((1.0, 1.0), rel=0.02)
    assert speeds(is_confirming=True) == pytest.approx((pinned, unpinned), rel=0.02)


def test_every_instance_meets_the_same_weather() -> None:
    (block,) = measured(HOSTS["regimes 1 s"], blocks=1, block_s=100.0, instances=2)
    one, another = (len(instance.ends_s) for instance in block.instances)
    assert one == pytest.approx(another, rel=0.02)
    assert block.conditions is not None
    assert block.conditions.window_s == block_seconds(block)


def test_launches_in_weather_differ_by_about_a_per_cent() -> None:
    nature = WeatheredNature(HOSTS["quiet"](1), 1)
    values = []
    for _ in range(40):
        block, _ = nature.launch(Workers(0.01))(0.0, 100.0)
        values.append(block_throughput_sps(block))
    assert statistics.stdev(map(math.log, values)) == pytest.approx(LAUNCH_NOISE, rel=0.4)


def test_spikes_last_for_their_share_of_the_time() -> None:
    logs = [value for blocks in of_seeds("spikes", 10) for value in log_values(blocks)]
    # At half speed for 5 % of the time, so that this much of the work is missing.
    assert statistics.fmean(map(math.exp, logs)) == pytest.approx(0.975, abs=0.01)


@pytest.mark.parametrize("path", RECORDINGS, ids=[path.stem for path in RECORDINGS])
def test_a_replay_gives_the_values_that_were_recorded(path: Path) -> None:
    recording = read_recording(path)
    blocks = measured(replayed(recording), blocks=3 * len(recording.blocks))
    values = [block_throughput_sps(block) * 0.1 for block in blocks]
    recorded = [block.value / recording.median for block in recording.blocks]
    assert statistics.median(values) == pytest.approx(1.0, abs=0.02)
    assert statistics.stdev(values) == pytest.approx(statistics.stdev(recorded), rel=0.15)
    nearest = [min(recorded, key=lambda other: abs(other - value)) for value in values]
    assert statistics.median(map(abs, map(float.__sub__, values, nearest))) < 0.02


def test_a_replay_plays_one_block_after_the_other_at_the_speed_of_the_entrant(tmp_path: Path) -> None:
    path = tmp_path / "steps.json"
    path.write_text(json.dumps(steps([0.1, 0.2, 0.1, 0.2])), encoding="utf-8")
    for request_s, shorter in ((0.1, 1), (0.05, 2)):
        blocks = measured(replayed(read_recording(path)), blocks=4, request_s=request_s)
        values = [block_throughput_sps(block) for block in blocks]
        # The median of 10, 5, 10 and 5 requests per second is 7.5: full speed.
        fast, slow = shorter * 10 / 7.5 * 10, shorter * 5 / 7.5 * 10
        first = fast if values[0] > values[1] else slow
        assert values == pytest.approx([first, fast + slow - first] * 2, rel=0.08)
        assert {round(value, 3) for value in seen(blocks, lambda conditions: conditions.steal)} == {0.05}


def steps(request_s: Sequence[float]) -> dict[str, object]:
    blocks = [
        {
            "start_s": 1.02 * index,
            "wall_s": 1.0,
            "request_s": [[seconds] * round(1 / seconds)],
            "probe_before_s": {"0": 0.001, "1": 0.001},
            "probe_after_s": {"0": 0.002, "1": 0.001},
            "steal_s": 0.1,
            "busy_s": 2.0,
            "run_delay_s": 0.0,
        }
        for index, seconds in enumerate(request_s)
    ]
    return {"load": "fake:1:2", "batch": 1, "tokens": 128, "cpu": "fake", "blocks": blocks}


def test_a_recording_without_blocks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="holds no blocks"):
        read_recording(path)
