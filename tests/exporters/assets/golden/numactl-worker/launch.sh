#!/usr/bin/env bash
# quickstart-7f3a9c: 2 x 2 threads, close, sockets 0, fake fp32
# model fake:model.json, offline, for throughput
# Built CPU, fingerprint f0e7dd3ebbfd0bb1
#
# Starts exactly the processes that `autotune tune` measured, has them work together for a while, and prints
# each one's latency and the summed throughput. Written by `autotune export --to numactl`.
set -euo pipefail

plan=quickstart-7f3a9c
python=/opt/autotune/bin/python
artifact=''
requests=''
seconds=10
format=()

usage() {
    printf 'usage: %s [--seconds N] [--json]\n\n' "${0##*/}"
    printf 'Starts the processes of plan %s, measures them for N seconds (default 10),\n' "$plan"
    printf 'and prints the latency of each (%s) and the summed throughput.\n' 2
}

fail() { # STATUS PROBLEM REMEDY
    printf '%s: %s\n  %s\n' "${0##*/}" "$2" "$3" >&2
    exit "$1"
}

# False where one of the cpus cannot be used, and `words` says why: taskset takes a list of which any can be.
can_use() { # CPUS
    local range cpu
    for range in ${1//,/ }; do
        for ((cpu = ${range%-*}; cpu <= ${range#*-}; cpu++)); do
            words=$(taskset -c "$cpu" true 2>&1 >/dev/null) || return 1
        done
    done
}

# Becomes the command, pinned; empty CPUS or NODES leave that alone. Cpus alone need no more than taskset. Where the
# kernel does not permit to bind memory (some containers) or knows no NUMA, it is pinned to the cpus alone, as
# `autotune tune` does.
pinned() { # CPUS NODES COMMAND...
    local words='' refusal cpus=()
    [ -z "$1" ] || cpus=(--physcpubind="$1")
    # Nothing but the command may write to stdout, which is read: numactl ends its complaints there.
    if [ -z "$1$2" ]; then
        exec "${@:3}"
    elif [ -z "$2" ]; then
        if can_use "$1"; then
            exec taskset -c "$1" "${@:3}"
        fi
    elif words=$(numactl "${cpus[@]}" --membind="$2" true 2>&1 >/dev/null); then
        exec numactl "${cpus[@]}" --membind="$2" "${@:3}"
    elif refusal=$words && ! numactl --membind="$2" true >/dev/null 2>&1 && can_use "$1"; then
        printf '%s: warning: memory is not bound to nodes, numactl cannot be used here: %s\n' \
            "${0##*/}" "${refusal%%$'\n'*}" >&2
        [ -n "$1" ] || exec "${@:3}"
        exec taskset -c "$1" "${@:3}"
    fi
    fail 1 "cpus $1 cannot be used here: ${words%%$'\n'*}" "run: autotune tune, on this machine and in this container"
}

check_tools() {
    command -v numactl >/dev/null ||
        fail 127 "numactl is not installed" "install it: apt install numactl, or dnf install numactl"
}

signal_all() { # SIGNAL; false where no process is left
    local pids
    mapfile -t pids < <(jobs -pr)
    [ ${#pids[@]} -gt 0 ] && kill -s "$1" "${pids[@]}"
}

while [ $# -gt 0 ]; do
    case $1 in
        -h | --help)
            usage
            exit 0
            ;;
        --seconds | --seconds=*)
            if [ "$1" = --seconds ]; then
                [ $# -gt 1 ] || fail 2 "--seconds needs a number" "for example: --seconds 30"
                shift
            fi
            seconds=${1#--seconds=}
            [[ $seconds =~ ^[0-9]{1,6}([.][0-9]{1,6})?$ && $seconds =~ [1-9] ]] ||
                fail 2 "--seconds $seconds is not a number of seconds" "for example: --seconds 30"
            ;;
        --json) format=(--json) ;;
        *)
            fail 2 "unknown argument: $1" "see ${0##*/} --help"
            ;;
    esac
    shift
done

[ -x "$python" ] ||
    fail 1 "the Python that was measured is gone: $python" "install autotune there again, or run: autotune tune"
[ -z "$artifact" ] || [ -d "$artifact" ] ||
    fail 1 "the prepared model is gone from the cache: $artifact" "run: autotune tune, which prepares it again"
[ -z "$requests" ] || [ -d "$requests" ] ||
    fail 1 "the prepared requests are gone from the cache: $requests" "run: autotune tune, which prepares them again"
check_tools

directory=$(mktemp -d "${TMPDIR:-/tmp}/autotune-launch.XXXXXXXX") ||
    fail 1 "no temporary folder can be made in ${TMPDIR:-/tmp}" "set TMPDIR to a folder that can be written"
case $directory in /*) ;; *) directory=$PWD/$directory ;; esac

stop() {
    local status=$? tenths=0
    trap - EXIT
    trap '' INT TERM HUP
    exec 2>/dev/null # bash would announce every process that it ends
    while [ $((tenths++)) -lt 20 ] && signal_all TERM; do
        sleep 0.1
    done
    signal_all KILL || true
    wait
    rm -f -- "$directory"/*.in "$directory"/*.out "$directory"/commands.json
    rmdir -- "$directory"
    exit "$status"
}
trap stop EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# As the measured ones: the root as working folder, nothing of this shell's environment.
cd /

# Reads commands from INDEX.in and answers on INDEX.out; opening waits for the other end.
start() { # INDEX CPUS NODES COMMAND...
    mkfifo -m 600 "$directory/$1.in" "$directory/$1.out"
    (pinned "${@:2}") <"$directory/$1.in" >"$directory/$1.out" &
}

# What each process is to prove of itself before it is measured.
printf '%s\n' '{"schema": "autotune.commands/1", "scenario": "offline", "configuration": {"instances": 2, "threads_per_instance": 2, "placement": "close", "sockets": "0", "smt": false, "backend": "fake", "precision": "fp32", "model": "", "padding": "", "batching": "", "knobs": "", "cores": 0}, "instances": [{"cpus": [0, 1], "memory_nodes": [0]}, {"cpus": [2, 3], "memory_nodes": [0]}], "rate": null}' >"$directory/commands.json"

start 0 0-1 0 env -i \
    PATH=/usr/bin:/bin \
    OMP_NUM_THREADS=2 \
    /opt/autotune/bin/python -P -m autotune.worker.worker --backend fake --precision fp32 --artifact /cache/artifacts/5e5e5e --sequence-length 128 --threads 2 --seed 0 --warmup-s 5 --instances 2 --batch-size 8 --instance 0

start 1 2-3 0 env -i \
    PATH=/usr/bin:/bin \
    OMP_NUM_THREADS=2 \
    /opt/autotune/bin/python -P -m autotune.worker.worker --backend fake --precision fp32 --artifact /cache/artifacts/5e5e5e --sequence-length 128 --threads 2 --seed 0 --warmup-s 5 --instances 2 --batch-size 8 --instance 1

"$python" -P -m autotune.trial.conduct --workers "$directory" --seconds "$seconds" "${format[@]}" </dev/null &
wait "$!"
