"""What anybody would write to measure ONNX Runtime: one file, one loop, nothing of autotune.

    python plain_onnxruntime_loop.py MODEL.onnx CPUS BATCH TOKENS SECONDS

CPUS is a list such as 0,1, with one thread for each. Prints samples per second.
"""

import os
import sys
import time


def main() -> None:
    path, cpus, batch, tokens, seconds = sys.argv[1], sys.argv[2], *map(float, sys.argv[3:6])
    mask = [int(cpu) for cpu in cpus.split(",")]
    os.sched_setaffinity(0, mask)
    import numpy as np
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = len(mask)
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    shape = (int(batch), int(tokens))
    words = np.random.default_rng(0).integers(1000, 20_000, shape)
    values = {"input_ids": words, "attention_mask": np.ones(shape), "token_type_ids": np.zeros(shape)}
    feed = {one.name: values[one.name].astype(np.int64) for one in session.get_inputs()}
    for _ in range(3):
        session.run(None, feed)
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        session.run(None, feed)
        count += int(batch)
    print(count / elapsed)


if __name__ == "__main__":
    main()
