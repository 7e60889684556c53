from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.statistics.arrivals import poisson_times
from autotune.statistics.quantiles import upper_bound
from autotune.statistics.queueing import Floats, Queue, QueueRun, fifo_latencies, tail_bound

SERVICE_S = 0.01


def poisson(rate_per_s: float, count: int, seed: int = 1) -> Floats:
    return np.cumsum(np.random.default_rng(seed).exponential(1 / rate_per_s, count))


def run_of(rate_per_s: float, servers: int, requests: int, seed: int, settling: float = 0.1) -> QueueRun:
    """A run of a queue with service times that vary by 5 %, in ten stretches."""
    length_s = requests / rate_per_s
    arrivals = np.array(poisson_times(seed, rate_per_s, (settling * length_s, length_s)))
    services = SERVICE_S * np.random.default_rng(seed).lognormal(0, 0.05, len(arrivals))
    since = (arrivals - settling * length_s) / length_s
    stretch = np.where(since < 0, -1, np.minimum(9, np.floor(10 * since))).astype(np.intp)
    return QueueRun(
        rate_per_s, servers, arrivals, fifo_latencies(arrivals, services, servers), services, stretch
    )


def test_one_server_makes_wait_who_comes_while_it_is_busy() -> None:
    latencies = fifo_latencies(np.array([0.0, 1.0, 10.0]), np.array([3.0, 3.0, 3.0]), 1)
    assert latencies.tolist() == [3, 5, 3]


def test_of_two_servers_the_one_that_is_free_first_takes_the_next() -> None:
    latencies = fifo_latencies(np.array([0.0, 0.0, 1.0, 2.0]), np.array([4.0, 2.0, 1.0, 1.0]), 2)
    assert latencies.tolist() == [4, 2, 2, 2]


@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(0.001, 5)), min_size=1, max_size=40),
    st.integers(1, 5),
)
def test_more_servers_never_make_anybody_wait_longer(
    requests: list[tuple[float, float]], servers: int
) -> None:
    arrivals = np.cumsum([gap for gap, _ in requests])
    services = np.array([service for _, service in requests])
    fewer = fifo_latencies(arrivals, services, servers)
    more = fifo_latencies(arrivals, services, servers + 1)
    assert (fewer >= services - 1e-9).all()
    assert more[0] == pytest.approx(services[0])
    assert (more <= fewer + 1e-9).all()


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_the_mean_wait_with_constant_service_is_that_of_queueing_theory(load: float) -> None:
    """Source: the Pollaczek-Khinchine formula; half of it where service times do not vary."""
    latencies = Queue(1, (SERVICE_S,)).long_run(load / SERVICE_S)
    wait_s = float(latencies.mean()) - SERVICE_S
    assert wait_s == pytest.approx(SERVICE_S * load / (2 * (1 - load)), rel=0.05)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.7), (2, 0.8), (4, 0.8)])
def test_the_mean_wait_with_exponential_service_is_that_of_erlang(servers: int, load: float) -> None:
    """Source: A. K. Erlang's C formula: the chance that all servers are busy."""
    levels = (np.arange(4_000) + 0.5) / 4_000
    queue = Queue(servers, tuple((-SERVICE_S * np.log1p(-levels)).tolist()))
    wait_s = float(queue.long_run(load * servers / SERVICE_S).mean()) - SERVICE_S
    offered = load * servers
    terms = [offered**count / math.factorial(count) for count in range(servers)]
    busy = offered**servers / math.factorial(servers) / (1 - load)
    chance = busy / (sum(terms) + busy)
    assert wait_s == pytest.approx(chance * SERVICE_S / (servers * (1 - load)), rel=0.12)


@pytest.mark.parametrize("servers", [1, 3])
def test_at_the_highest_rate_the_percentile_is_the_limit(servers: int) -> None:
    queue = Queue(servers, (SERVICE_S, 1.1 * SERVICE_S))
    rate = queue.highest_rate(90, 3 * SERVICE_S)
    assert rate is not None
    assert 0.4 * queue.capacity_per_s < rate < queue.capacity_per_s
    assert np.percentile(queue.long_run(rate), 90) == pytest.approx(3 * SERVICE_S, rel=0.05)


def test_no_rate_meets_a_limit_below_the_service_time() -> None:
    assert Queue(2, (SERVICE_S,)).highest_rate(50, 0.9 * SERVICE_S) is None


def test_a_limit_that_nothing_comes_near_permits_the_capacity() -> None:
    queue = Queue(2, (SERVICE_S,))
    assert queue.highest_rate(50, 1e6 * SERVICE_S) == queue.capacity_per_s == pytest.approx(200)


@pytest.mark.parametrize("longer", [9, 10, 11])
def test_the_share_of_stragglers_is_that_of_the_service_times(longer: int) -> None:
    """Of a thousand. Where each request drew its own, there were 0.97 % in the long run where 1.00 % are."""
    queue = Queue(16, (SERVICE_S,) * (1_000 - longer) + (4 * SERVICE_S,) * longer)
    latencies = queue.long_run(0.05 * queue.capacity_per_s)
    assert 1_000 * int((latencies > 3 * SERVICE_S).sum()) == longer * len(latencies)


def test_a_percentile_that_lies_among_the_stragglers_has_no_rate_and_one_before_them_has() -> None:
    among, before = (
        Queue(16, (SERVICE_S,) * (1_000 - longer) + (4 * SERVICE_S,) * longer) for longer in (11, 9)
    )
    assert among.highest_rate(99, 1.1 * SERVICE_S) is None
    rate = before.highest_rate(99, 1.1 * SERVICE_S)
    assert rate is not None
    assert 0.3 * before.capacity_per_s < rate < 0.8 * before.capacity_per_s


@pytest.mark.parametrize(
    ("servers", "requests", "percentile"), [(1, 100, 90.0), (1, 300, 99.0), (2, 100, 90.0)]
)
def test_the_bound_covers_the_long_run_where_that_of_independent_values_does_not(
    servers: int, requests: int, percentile: float
) -> None:
    rate = 0.85 * servers / SERVICE_S
    arrivals = poisson(rate, 4_000_000 if servers == 1 else 500_000)
    services = SERVICE_S * np.random.default_rng(2).lognormal(0, 0.05, len(arrivals))
    truth_s = float(np.percentile(fifo_latencies(arrivals, services, servers)[5_000:], percentile))
    runs = [run_of(rate, servers, requests, seed) for seed in range(20)]
    bounds = [tail_bound(run, percentile) for run in runs]
    # At 95 % a fifth miss has a chance of 0.3 %; 3 % are the error of what is taken for the truth.
    assert sum(bound.upper_s >= 0.97 * truth_s for bound in bounds) >= 16
    assert sum(abs(math.log(bound.value_s / truth_s)) < 0.25 for bound in bounds) >= 16
    independent = (upper_bound(run.latencies_s[run.stretch >= 0].tolist(), percentile) for run in runs)
    assert sum(bound is not None and bound >= truth_s for bound in independent) <= 14


def test_who_was_never_answered_makes_the_bound_long() -> None:
    run = run_of(0.6 / SERVICE_S, 1, 100, seed=1)
    lost = np.arange(len(run.arrivals_s)) % 5 == 4
    latencies, services = run.latencies_s.copy(), run.services_s.copy()
    latencies[lost], services[lost] = 2.0, math.nan
    waiting = QueueRun(run.rate_per_s, 1, run.arrivals_s, latencies, services, run.stretch)
    assert tail_bound(waiting, 90).value_s == 2.0
    assert tail_bound(run, 90).upper_s < 0.1


def test_requests_that_all_lie_in_one_stretch_have_no_bound() -> None:
    run = run_of(50, 1, 100, seed=1)
    with pytest.raises(ValueError, match="no bound from 1 stretches"):
        tail_bound(QueueRun(50, 1, run.arrivals_s, run.latencies_s, run.services_s, 0 * run.stretch), 90)
