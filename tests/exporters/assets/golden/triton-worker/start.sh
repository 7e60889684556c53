#!/usr/bin/env bash
# Starts Triton with plan quickstart-7f3a9c; what follows goes to tritonserver.
# Written by `autotune export --to triton`.
set -euo pipefail
models=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)/models
ln -sfn -- /cache/artifacts/5e5e5e "$models/autotune/1"
exec tritonserver --model-repository="$models" \
    --host-policy=instance_0,cpu-cores=0-1 \
    --host-policy=instance_0,numa-node=0 \
    --host-policy=instance_1,cpu-cores=2-3 \
    --host-policy=instance_1,numa-node=0 \
    "$@"
