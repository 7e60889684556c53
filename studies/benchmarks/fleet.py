"""Prints how near the arithmetic of fleets is to their replay, over random workloads.

    python -m studies.benchmarks.fleet [--workloads 100] [--json]

Each workload has service times of its own (alike, spread, of two lengths, or with stragglers), 1 to 32
instances, and a limit on p50, p90, p95 or p99 that is met at some load of the queue. The arithmetic, which
is what `autotune fleet` prints, and a replay event by event (simpy) that knows nothing of it, each say

- how many machines it takes, without headroom or spare ones: they are to differ by one at most, or by
  a tenth;
- what a request costs on machines that are given as much as they bear at the limit: by a twentieth at most.

Where the limit's percentile may lie among the stragglers or before them, both may be wrong, as a thousand
service times do not tell on which side it lies: `autotune fleet` says so, and these workloads are named.

Nothing is measured and nobody waits. A workload takes some six seconds of a core.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass

from autotune.fleet.capability import Capability, MeasuredRun
from autotune.fleet.replay import REQUESTS, keeps_to, machines_by_replay, replay
from autotune.fleet.sizing import size
from autotune.fleet.workload import LatencyTarget, Workload
from autotune.statistics.quantiles import percentile_of
from autotune.statistics.queueing import Queue

NEAREST = 1.05
"""So many times what the percentile of a lone request takes is a limit at least: how many machines keep to
one that is nearer hangs on the last digits of the service times, for whoever computes it."""
SERVICES = 1_000
"""Measured service times of one workload."""
MACHINES_SHARE, COST_SHARE = 0.10, 0.05
"""By which the two may differ."""
JUDGING = 4 * REQUESTS
"""Requests of the replays that find what one machine bears: fewer do not know a p99 well enough to judge."""
STEPS = 8
"""Halvings in which the replay finds what one machine bears: to a part in 250 of its capacity."""
KINDS = ("alike", "spread", "two lengths", "stragglers")


@dataclass(frozen=True)
class Case:
    """One random workload."""

    seed: int
    kind: str
    services_s: tuple[float, ...]
    instances: int
    workload: Workload


@dataclass(frozen=True)
class Compared:
    """What arithmetic and replay say of one workload.

    Attributes:
        bears, replay_bears: requests per second that one machine bears at the limit.
        is_on_edge: the service times do not decide whether lone requests keep to the limit, which
            `autotune fleet` says beside its figures.
    """

    seed: int
    kind: str
    instances: int
    machines: int
    replay_machines: int
    bears: float
    replay_bears: float
    is_on_edge: bool

    @property
    def cost_ratio(self) -> float:
        """Of a request on full machines, by arithmetic over by replay."""
        return self.replay_bears / self.bears

    @property
    def is_near_in_machines(self) -> bool:
        """Whether they differ by one at most, or by `MACHINES_SHARE`."""
        apart = abs(self.machines - self.replay_machines)
        return apart <= max(1.0, MACHINES_SHARE * self.replay_machines)

    @property
    def is_near_in_cost(self) -> bool:
        """Whether they differ by `COST_SHARE` at most."""
        return abs(self.cost_ratio - 1) <= COST_SHARE


def random_case(seed: int) -> Case:
    """Draw a workload."""
    draw = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    services = _services_s(draw, kind)
    instances = draw.choice((1, 2, 4, 8, 16, 32))
    percentile = draw.choice((50.0, 90.0, 95.0, 99.0))
    queue = Queue(instances, services)
    load = draw.uniform(0.35, 0.95)
    latencies = replay(services, instances, 1, load * queue.capacity_per_s, requests=20_000, seed=seed)
    max_s = max(latencies.latency_s(percentile), NEAREST * percentile_of(services, percentile))
    machines = math.exp(draw.uniform(0, math.log(300)))
    rate = machines * load * queue.capacity_per_s
    return Case(seed, kind, services, instances, Workload(rate, LatencyTarget(percentile, max_s), 0.0, 0))


def _services_s(draw: random.Random, kind: str) -> tuple[float, ...]:
    mean_s = math.exp(draw.uniform(math.log(0.002), math.log(0.2)))
    spread = draw.uniform(0.1, 0.8) if kind == "spread" else 0.05
    longer = draw.uniform(2.0, 5.0)
    share = {"two lengths": draw.uniform(0.1, 0.5), "stragglers": 0.01}.get(kind, 0.0)
    return tuple(
        mean_s * draw.lognormvariate(0.0, spread) * (longer if draw.random() < share else 1.0)
        for _ in range(SERVICES)
    )


def compare(case: Case) -> Compared:
    """Ask arithmetic and replay."""
    queue = Queue(case.instances, case.services_s)
    capability = Capability("swept", 1.0, (MeasuredRun(queue, 0.5 * queue.capacity_per_s),))
    fleet = size(capability, case.workload)
    target, rate = case.workload.target, case.workload.rate_per_s
    replayed = machines_by_replay(case.services_s, case.instances, rate, target, seed=case.seed + 1)
    assert replayed is not None  # the limit is above the service times
    return Compared(
        case.seed,
        case.kind,
        case.instances,
        fleet.machines,
        replayed,
        fleet.bearable.rate_per_s,
        borne_by_replay(case.services_s, case.instances, target, seed=case.seed + 2),
        is_on_edge=fleet.bearable.edge is not None,
    )


def borne_by_replay(
    services_s: Sequence[float], instances: int, target: LatencyTarget, *, seed: int
) -> float:
    """Find by replays what one machine bears at a target."""
    capacity = instances / statistics.fmean(services_s)
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        load = (low + high) / 2
        keeps = keeps_to(target, services_s, instances, 1, load * capacity, requests=JUDGING, seed=seed)
        low, high = (load, high) if keeps else (low, load)
    return low * capacity


def _compare_seed(seed: int) -> Compared:
    return compare(random_case(seed))


def _line(compared: Compared) -> str:
    return (
        f"{compared.seed:3}  {compared.kind:12} {compared.instances:2} instances  "
        f"{compared.machines:4} machines, {compared.replay_machines:4} by replay  "
        f"cost {compared.cost_ratio:.3f} of the replay's"
        f"{', not decided by the service times' if compared.is_on_edge else ''}"
    )


def main() -> None:
    """Print a line for each workload, and what they come to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workloads", type=int, default=100)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found: list[Compared] = []
    with ProcessPoolExecutor(asked.processes) as pool:
        for compared in pool.map(_compare_seed, range(asked.workloads)):
            found.append(compared)
            if not asked.json:
                print(_line(compared), flush=True)
    if asked.json:
        print(json.dumps([{**asdict(each), "cost_ratio": each.cost_ratio} for each in found], indent=2))
        return
    same = sum(each.machines == each.replay_machines for each in found)
    ratios = sorted(abs(each.cost_ratio - 1) for each in found)
    print(
        f"machines: {same} of {len(found)} the same, "
        f"{sum(each.is_near_in_machines for each in found)} within one or {MACHINES_SHARE:.0%}"
    )
    print(
        f"cost of a request: {sum(each.is_near_in_cost for each in found)} within {COST_SHARE:.0%}; "
        f"median {statistics.median(ratios):.2%}, most {ratios[-1]:.2%} apart"
    )
    edges = [each for each in found if each.is_on_edge]
    print(
        f"limits that the service times do not decide: {len(edges)}, of which "
        f"{sum(each.is_near_in_cost for each in edges)} within {COST_SHARE:.0%} in cost"
    )


if __name__ == "__main__":
    main()
