#!/usr/bin/env bash
# quickstart-7f3a9c: 2 x 2 threads, close, sockets 0, fake fp32
# model fake:model.json, offline, for throughput
# Built CPU, fingerprint f0e7dd3ebbfd0bb1
#
# Starts OpenVINO Model Server once for each instance of the plan, on the cpus and memory nodes, and with the
# environment, that `autotune tune` measured. Waits for them. When one ends, or this script is told to, all are ended.
# What follows goes to each of them. Written by `autotune export --to ovms`.
set -euo pipefail

usage() {
    printf 'usage: %s [OPTION OF OVMS...]\n\n' "${0##*/}"
    printf 'Starts the %s servers of plan %s and waits; none is started again.\n' 2 quickstart-7f3a9c
    printf 'SIGTERM and SIGINT end them all, SIGHUP, SIGUSR1 and SIGUSR2 are passed on.\n'
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

case ${1-} in
    '') ;;
    -h | --help)
        usage
        exit 0
        ;;
esac
check_tools

pids=()

stop() {
    local status=$? tenths=0
    trap - EXIT
    trap '' INT TERM HUP USR1 USR2
    exec 2>/dev/null # bash would announce every process that it ends
    signal_all TERM || true # once: servers take a second one for impatience
    while [ $((tenths++)) -lt 100 ] && [ -n "$(jobs -pr)" ]; do
        sleep 0.1
    done
    signal_all KILL || true
    wait
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for signal in HUP USR1 USR2; do
    # shellcheck disable=SC2064 # the name as it is now
    trap "signal_all $signal || true" "$signal"
done

# Says at once what a server would only say in its own words, once the others run.
check_port() { # PORT
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then
        fail 1 "port $1 is in use" "end what listens there, or export again with another --port"
    fi
}
check_port 8000
check_port 9000
check_port 8001
check_port 9001

# Before any server runs, which would otherwise be ended again.
check_folder() { # DIRECTORY
    [ -d "$1" ] || fail 1 "the working folder is not there: $1" "make it, or change launch.directory"
}

ovms=${OVMS:-ovms}
command -v -- "$ovms" >/dev/null ||
    fail 127 "OpenVINO Model Server is not there: $ovms" "install it, or name its program: OVMS=/opt/ovms/bin/ovms"

# The folder of a version is the prepared model itself.
link_model() { # ARTIFACT
    [ -f "$1/model.xml" ] ||
        fail 1 "the prepared model is not there: $1/model.xml" "mount or copy it to that path, or run: autotune tune"
    mkdir -p -- "$here/models/"autotune
    ln -sfn -- "$1" "$here/models/"autotune/1
}
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
link_model /cache/artifacts/5e5e5e

serve() { # INDEX PORT DIRECTORY CPUS NODES COMMAND...
    (
        [ -z "$3" ] || cd -- "$3"
        pinned "${@:4}"
    ) </dev/null &
    pids+=("$!")
    printf 'instance %s: process %s' "$1" "$!"
    [ -z "$2" ] || printf ', port %s' "$2"
    [ -z "$4" ] || printf ', cpus %s' "$4"
    [ -z "$5" ] || printf ', memory nodes %s' "$5"
    printf '\n'
}

serve 0 8000 '' 0-1 0 env \
    -u GOMP_CPU_AFFINITY \
    -u GOMP_SPINCOUNT \
    -u KMP_AFFINITY \
    -u KMP_BLOCKTIME \
    -u KMP_DEVICE_THREAD_LIMIT \
    -u KMP_HW_SUBSET \
    -u KMP_LIBRARY \
    -u KMP_PLACE_THREADS \
    -u MKL_DOMAIN_NUM_THREADS \
    -u MKL_DYNAMIC \
    -u OMP_DYNAMIC \
    -u OMP_PLACES \
    -u OMP_PROC_BIND \
    -u OMP_THREAD_LIMIT \
    -u OMP_WAIT_POLICY \
    OMP_NUM_THREADS=2 \
    MKL_NUM_THREADS=2 \
    OPENBLAS_NUM_THREADS=2 \
    BLIS_NUM_THREADS=2 \
    NUMEXPR_NUM_THREADS=2 \
    ORT_INTRA_OP_NUM_THREADS=2 \
    TF_NUM_INTRAOP_THREADS=2 \
    ORT_INTER_OP_NUM_THREADS=1 \
    TF_NUM_INTEROP_THREADS=1 \
    TOKENIZERS_PARALLELISM=true \
    RAYON_NUM_THREADS=2 \
    NAME=encoder-0 \
    AUTOTUNE_PLAN=/srv/launch/plan.json \
    AUTOTUNE_INSTANCE=0 \
    "$ovms" --config_path "$here/config.json" --rest_port 8000 --port 9000 \
    --file_system_poll_wait_seconds 0 "$@"

serve 1 8001 '' 2-3 0 env \
    -u GOMP_CPU_AFFINITY \
    -u GOMP_SPINCOUNT \
    -u KMP_AFFINITY \
    -u KMP_BLOCKTIME \
    -u KMP_DEVICE_THREAD_LIMIT \
    -u KMP_HW_SUBSET \
    -u KMP_LIBRARY \
    -u KMP_PLACE_THREADS \
    -u MKL_DOMAIN_NUM_THREADS \
    -u MKL_DYNAMIC \
    -u OMP_DYNAMIC \
    -u OMP_PLACES \
    -u OMP_PROC_BIND \
    -u OMP_THREAD_LIMIT \
    -u OMP_WAIT_POLICY \
    OMP_NUM_THREADS=2 \
    MKL_NUM_THREADS=2 \
    OPENBLAS_NUM_THREADS=2 \
    BLIS_NUM_THREADS=2 \
    NUMEXPR_NUM_THREADS=2 \
    ORT_INTRA_OP_NUM_THREADS=2 \
    TF_NUM_INTRAOP_THREADS=2 \
    ORT_INTER_OP_NUM_THREADS=1 \
    TF_NUM_INTEROP_THREADS=1 \
    TOKENIZERS_PARALLELISM=true \
    RAYON_NUM_THREADS=2 \
    NAME=encoder-1 \
    AUTOTUNE_PLAN=/srv/launch/plan.json \
    AUTOTUNE_INSTANCE=1 \
    "$ovms" --config_path "$here/config.json" --rest_port 8001 --port 9001 \
    --file_system_poll_wait_seconds 0 "$@"

# `wait -n` returns when one has ended, and when a signal was passed on.
while true; do
    wait -n || true
    for index in "${!pids[@]}"; do
        if ! kill -0 "${pids[index]}" 2>/dev/null; then
            status=0
            wait "${pids[index]}" || status=$?
            printf '%s: instance %s ended with exit status %s; the others are ended\n' "${0##*/}" "$index" "$status" >&2
            exit "$status"
        fi
    done
done
