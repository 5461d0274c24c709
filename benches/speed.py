"""Pictures a second in training, ours and TensorFlow's.

    taskset -c 0 python benches/speed.py WYSIWYH DATA

WYSIWYH is the program and DATA the folder `hituav`; needs tensorflow-cpu.

Ours is `wysiwyh train` with 2100 steps less one with 100, so that reading,
the closed form and scoring fall out; what a step draws, crops and resizes,
and the scores on the choosing groups, are part of it. TensorFlow trains a
network of the same sizes in batches of 64, too: fixed matrices from 51 x 64
pixels to 1024 coefficients and 512 components, then 512-64-64-1024 units, and
AdamW, compiled by tf.function. It crops nothing and scores nothing, which
favours it. Both count processor seconds, as others may use the machine, and
are bound to one core by `taskset`.
"""

import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

BATCH, STEPS = 64, 2000
COMPONENTS = 512  # two of each of 256 values


def ours(program, data, steps):
    """Processor seconds of a training."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [program, "train", data, "--sensor", "hituav-lwir", "--seed", "1", "--steps",
             str(steps), "-o", pathlib.Path(folder) / "model.safetensors"],
            check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


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
    own = ours(program, data, STEPS + 100) - ours(program, data, 100)
    other = tensorflow()
    for name, seconds in [("ours", own), ("TensorFlow", other)]:
        print(f"{name}: {BATCH * STEPS / seconds:.0f} pictures a processor second, "
              f"{1e3 * seconds / STEPS:.2f} ms a step")


if __name__ == "__main__":
    main()
