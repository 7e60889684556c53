"""What anybody would write to measure ONNX Runtime: one file, one loop, nothing of autotune.

    python plain_onnxruntime_loop.py MODEL.onnx CPUS BATCH TOKENS

CPUS is a list such as 0,1, with one thread for each. Says `ready`; then, for every line on stdin, which is a
number of seconds, loops for so long and prints samples per second.
"""

import os
import sys
import time


def main() -> None:
    path, cpus, batch, tokens = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    mask = [int(cpu) for cpu in cpus.split(",")]
    os.sched_setaffinity(0, mask)
    import numpy as np
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = len(mask)
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    words = np.random.default_rng(0).integers(1000, 20_000, (batch, tokens))
    values = {
        "input_ids": words,
        "attention_mask": np.ones(words.shape),
        "token_type_ids": np.zeros(words.shape),
    }
    feed = {one.name: values[one.name].astype(np.int64) for one in session.get_inputs()}
    for _ in range(3):
        session.run(None, feed)
    print("ready", flush=True)
    for line in sys.stdin:
        seconds, count, start = float(line), 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            session.run(None, feed)
            count += batch
        print(count / elapsed, flush=True)


if __name__ == "__main__":
    main()
