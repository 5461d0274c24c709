"""Pictures a second in training, ours and TensorFlow's.

    taskset -c 0 python benches/speed.py WYSIWYH DATA

WYSIWYH is the program and DATA the folder `hituav`; needs tensorflow-cpu.

Ours is `wysiwyh train` from its 250th step on, so that reading and the closed
form fall out; what a step draws, crops and resizes, and the scores on the
choosing groups, are part of it. TensorFlow trains a network of the same sizes
in batches of 64, too: fixed matrices from 51 x 64 pixels to 1024 coefficients
and 512 components, then 512-64-64-1024 units, and AdamW, compiled by
tf.function. It crops nothing and scores nothing, which favours it; and it
multiplies what levels leave of components with whole matrices, where ours
leaves out most of what is 0. Both count processor seconds, as others may use
the machine, and are bound to one core by `taskset`.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import numpy as np

BATCH, FIRST, STEPS = 64, 250, 2000
COMPONENTS = 512  # two of each of 256 values


def ours(program, data):
    """Processor seconds of STEPS steps, after the first FIRST."""
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "train", data, "--sensor", "hituav-lwir", "--seed", "1", "--steps",
                   str(FIRST + STEPS), "-o", pathlib.Path(folder) / "model.safetensors"]
        training = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        spent = {}
        for line in training.stdout:
            if found := re.match(r"step (\d+):", line):
                spent[int(found[1])] = processor_seconds(training.pid)
            if FIRST + STEPS in spent:
                break
        training.kill()
        training.wait()
    return spent[FIRST + STEPS] - spent[FIRST]


def processor_seconds(process):
    """Those of a process that runs, as Linux tells them (proc(5))."""
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tensorflow():
    """Processor seconds of STEPS steps."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    draw = np.random.default_rng(0)
    normal = lambda *shape: tf.constant(draw.normal(0, 0.01, shape), tf.float32)
    cosines = normal(3264, 1024)
    analysis, synthesis = normal(1024, COMPONENTS), normal(COMPONENTS, 1024)
    layers = tf.keras.layers
    gelu = lambda: layers.Dense(64, "gelu")
    first = tf.keras.Sequential([layers.Input((COMPONENTS,)), gelu()])
    second, last = gelu(), layers.Dense(1024)
    last.build((None, 64)), second.build((None, 64))
    variables = first.trainable_variables + second.trainable_variables + last.trainable_variables
    optimiser = tf.keras.optimizers.AdamW(2e-4)
    optimiser.build(variables)

    @tf.function
    def step(pictures, kept):
        sent = pictures @ cosines
        with tf.GradientTape() as tape:
            components = (sent @ analysis) * kept
            hidden = first(components)
            back = components @ synthesis + last(hidden + second(hidden))
            loss = tf.reduce_mean(tf.math.log(tf.reduce_mean((sent - back) ** 2, 1)))
        optimiser.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    data = draw.random((2304, 3264), np.float32)

    def take(steps):
        for _ in range(steps):
            carried = 2 * 2 ** draw.integers(0, 9, BATCH)
            kept = (np.arange(COMPONENTS) < carried[:, None]).astype(np.float32)
            step(tf.constant(data[draw.integers(0, len(data), BATCH)]), tf.constant(kept))

    take(50)
    start = time.process_time()
    take(STEPS)
    return time.process_time() - start


def main():
    program, data = sys.argv[1:3]
    own, other = ours(program, data), tensorflow()
    for name, seconds in [("ours", own), ("TensorFlow", other)]:
        print(f"{name}: {BATCH * STEPS / seconds:.0f} pictures a processor second, "
              f"{1e3 * seconds / STEPS:.2f} ms a step")


if __name__ == "__main__":
    main()
