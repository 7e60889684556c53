"""Examples of documents of studies, plans, fleets and the machine; a test holds them to their schemas."""

from __future__ import annotations

from typing import Any, Final

Example = dict[str, Any]

_CONFIGURATION: Final[Example] = {
    "instances": 2,
    "threads_per_instance": 4,
    "placement": "close",
    "sockets": "0",
    "smt": False,
    "backend": "onnxruntime",
    "precision": "int8-dynamic",
}

OUTLOOK: Final[Example] = {
    "schema": "autotune.outlook/1",
    "study": "quickstart",
    "models": ["random:minilm-l6"],
    "configurations": 48,
    "trials_at_most": 48,
    "rounds_at_most": 12,
    "estimate_s": 300.0,
    "notes": [],
}

STUDIES: Final[Example] = {
    "studies": [
        {
            "schema": "autotune.study/1",
            "name": "quickstart",
            "created_s": 1790000000.0,
            "model": "random:minilm-l6",
            "objective": "throughput",
            "trials": 24,
            "failed": 1,
            "last_s": 1790000260.0,
            "plans": 1,
            "newest_plan": "quickstart-7f3a9c",
            "score": 212.5,
            "gain": 1.84,
        }
    ],
    "count": 1,
    "next": None,
}

STORED_STUDY: Final[Example] = {
    "schema": "autotune.study/1",
    "name": "quickstart",
    "created_s": 1790000000.0,
    "model": "random:minilm-l6",
    "model_digest": "5e" * 32,
    "spec": {"name": "quickstart", "model": "random:minilm-l6"},
    "machine": {"schema": "autotune.machine/1", "allowed": "0-7"},
    "versions": {"autotune": "0.1.0", "onnxruntime": "1.23.0"},
    "trials": 24,
    "states": {"measured": 23, "unsupported": 1},
    "best": {"number": 17, "score": 212.5, "gain": 1.84},
    "plans": ["quickstart-7f3a9c"],
}

TRIALS: Final[Example] = {
    "study": "quickstart",
    "trials": [
        {
            "number": 17,
            "baseline": False,
            "configuration": _CONFIGURATION,
            "in_words": "2 x 4 threads, close, sockets 0, onnxruntime int8-dynamic",
            "started_s": 1790000200.0,
            "ended_s": 1790000206.5,
            "state": "measured",
            "score": 212.5,
            "violations": {},
            "reason": None,
        }
    ],
    "next": None,
}

PLANS: Final[Example] = {
    "plans": [
        {
            "id": "quickstart-7f3a9c",
            "study": "quickstart",
            "objective": "throughput",
            "configuration": _CONFIGURATION,
            "score": 212.5,
            "gain": 1.84,
            "default_ratio": 1.2,
            "created_s": 1790000300.0,
            "origin": "",
            "verification": {"verdict": "holds", "job": "0f3a9c1d2e4b5a68", "ended_s": 1790090300.0},
        }
    ],
    "count": 1,
    "next": None,
}

PLAN: Final[Example] = {
    "schema": "autotune.plan/5",
    "id": "quickstart-7f3a9c",
    "created_s": 1790000300.0,
    "objective": "throughput",
    "scenario": "offline",
    "configuration": _CONFIGURATION,
    "instances": [{"cpus": [0, 1, 2, 3], "memory_nodes": [0], "env": {}, "worker": {}}],
    "estimate": {"objective_value": 212.5, "throughput_sps": 212.5},
    "baseline": None,
    "gain": 1.84,
    "confirmation": {"verdict": "better", "rounds": 3},
    "machine": {"schema": "autotune.machine/1", "allowed": "0-7"},
    "versions": {"autotune": "0.1.0"},
    "model": {"source": "random:minilm-l6"},
    "study": {"name": "quickstart", "spec": {}},
    "trial": 17,
    "warnings": [],
}

TARGETS: Final[Example] = {
    "schema": "autotune.targets/1",
    "targets": [
        {
            "name": "json",
            "summary": "plan.json, the plan itself",
            "programs": ["worker"],
            "keeps": {"argv": "exact", "environment": "exact", "cpus": "exact", "memory_nodes": "exact"},
            "options": [{"name": "plan", "usual": "", "meaning": "Path of plan.json where it is served."}],
        }
    ],
}

EXPORT: Final[Example] = {
    "schema": "autotune.export/1",
    "plan": "quickstart-7f3a9c",
    "target": "numactl",
    "files": [{"path": "launch.sh", "text": "#!/bin/sh\n", "executable": True, "size_bytes": 10}],
    "losses": [],
    "notes": [],
}

_PRICE: Final[Example] = {
    "currency": "USD",
    "per_hour": 0.808,
    "cores": 8,
    "name": "",
    "table": "the study file",
    "date": "",
}

COST: Final[Example] = {
    "schema": "autotune.cost/1",
    "plan": "quickstart-7f3a9c",
    "price": {**_PRICE, "per_core_hour": 0.101},
    "requests_per_s": 100.0,
    "bills": [
        {"name": "plan", "cores": 8, "per_million_samples": {"estimate": 1.06, "low": 1.0, "high": 1.1}}
    ],
    "missing": [],
}

_WORKLOAD: Final[Example] = {
    "rate_per_s": 25000.0,
    "target": {"percentile": 99.0, "max_s": 0.02},
    "headroom": 0.3,
    "spare": 1,
    "zones": 1,
}

FLEET: Final[Example] = {
    "schema": "autotune.fleet/1",
    "plan": "quickstart-7f3a9c",
    "workload": _WORKLOAD,
    "basis": "swept",
    "machines": 185,
    "needed": 184,
    "bare": 129,
    "machine": {"rate_per_s": 194.8, "utilisation": 0.98, "capacity_per_s": 199.5},
    "utilisation": 0.68,
    "latency_s": 0.0143,
    "losses": [],
    "cost": {"currency": "USD", "machine": _PRICE, "per_hour": 149.48, "per_month": 109120.4},
    "interval": None,
    "check": None,
}

CHOICE: Final[Example] = {
    "schema": "autotune.choice/1",
    "workload": _WORKLOAD,
    "budget_per_month": None,
    "ranked_by": "cost",
    "chosen": "quickstart-7f3a9c",
    "interval": None,
    "offers": [{"plan": "quickstart-7f3a9c", "study": "quickstart", "cores": 8}],
}

MACHINE: Final[Example] = {
    "schema": "autotune.machine/1",
    "architecture": "x86_64",
    "model_name": "AMD EPYC 7R13 Processor",
    "allowed": "0-7",
    "fingerprint": "0123456789abcdef",
}

ENGINES: Final[Example] = {
    "schema": "autotune.engines/1",
    "isa": ["avx2"],
    "engines": [{"name": "onnxruntime", "installed": True, "precisions": ["fp32", "int8-dynamic"]}],
    "knobs": [],
    "broken": [],
}

MODELS: Final[Example] = {
    "schema": "autotune.models/1",
    "kinds": [{"name": "random", "form": "random:NAME", "allowed": True, "where": "weights are drawn"}],
    "models": ["random:minilm-l6", "path:/srv/models/encoder"],
    "complete": True,
}

SCHEMA: Final[Example] = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"}

SCHEDULE: Final[Example] = {
    "schema": "autotune.schedule/1",
    "name": "nightly",
    "study": "quickstart",
    "machine": "server-1",
    "every_s": 86400.0,
    "on_change": True,
    "tolerance": 0.05,
    "minutes": None,
    "webhook": None,
    "priority": -10,
    "asked_by": "pipeline",
    "due_s": 1790086400.0,
}

SCHEDULES: Final[Example] = {"schedules": [SCHEDULE]}

DOCTOR: Final[Example] = {
    "schema": "autotune.doctor/1",
    "healthy": True,
    "findings": [
        {
            "area": "kernel",
            "severity": "note",
            "words": "the governor is powersave",
            "remedy": "use performance",
        }
    ],
}
