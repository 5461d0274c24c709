"""How much of a picture a code keeps: ours and others, on the same flights.

    python benches/code.py WYSIWYH DATA [--seed N] [--values K] [--seconds S]

WYSIWYH is the program and DATA the folder `hituav` (see datasets/). Needs
numpy; with tensorflow-cpu installed the network of the original WYSIWYH takes
part, too. `make bench-code` installs both and runs it.

Ours is trained by `wysiwyh train` and scored by `wysiwyh evaluate`, through
16-bit sound, flight by flight. The others get the very frames that `wysiwyh
convert --npy` sends of the same training flights with their mirror images,
and are never sounded:

- PCA: principal components of the pixels.
- DCT: the cosine coefficients of largest variance (zonal coding). With one
  band this is KLT x DCT as well, since a single band has no spectrum.
- original: the convolutional autoencoder of github.com/muxamilian/wysiwyh,
  its architecture, losses, batch of 64 and random averaging of the logits, on
  one band. It was meant for 100 000 steps of plain SGD at 0.1, which is days
  on a core; `--optimiser adam` goes further in little time, and is the default.
  The statistics of its normalisation follow with momentum 0.9, since there are
  too few steps for the usual 0.99.

PSNR in dB has peak 1 over counts 0 to 255. Intervals are 95 %, of the
difference ours - other, bootstrapped over the flights that none was fitted to.
"""

import argparse
import json
import pathlib
import struct
import subprocess
import tempfile
import time

import numpy as np

COUNTS = 255.0
DRAWS = 2000


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def record(model):
    """The training record in a model file."""
    with open(model, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        metadata = json.loads(file.read(size))["__metadata__"]
    return json.loads(metadata["wysiwyh"])["record"]


def flight(path):
    """The group of a file: the first four fields of its name."""
    return "_".join(path.stem.split("_")[:4])


def sent(program, model, files, folder):
    """The frames of `files` as the model gets them, `[frame, row, column]`, 0..1."""
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    for index, file in enumerate(files):
        # Folders are read in the order of the numbers in their names.
        (pictures / f"{index:06}{file.suffix}").symlink_to(file.resolve())
    run(program, "convert", pictures, "--model", model, "--npy", "-o", folder)
    (array,) = folder.glob("*.npy")
    frames = np.load(array)[:, 0] / COUNTS
    if len(frames) != len(files):
        raise SystemExit(f"{len(files)} files became {len(frames)} frames")
    return frames.astype(np.float32)


def flips(frames):
    """Frames and their mirror images, as `wysiwyh train` takes those from above."""
    return np.concatenate([frames, frames[:, ::-1], frames[:, :, ::-1], frames[:, ::-1, ::-1]])


def psnr(frames, back):
    return -10 * np.log10(np.maximum(((frames - back) ** 2).mean((1, 2)), 1e-10))


def linear(patterns, mean, frames, levels):
    """PSNR of each frame by number of orthonormal `patterns`, `[value, pixel]`."""
    flat = frames.reshape(len(frames), -1) - mean
    weights = flat @ patterns.T
    return {
        level: psnr(flat[:, None], (weights[:, :level] @ patterns[:level])[:, None])
        for level in levels
    }


def pca(training, values):
    flat = training.reshape(len(training), -1).astype(np.float64)
    mean = flat.mean(0)
    _, vectors = np.linalg.eigh((flat - mean).T @ (flat - mean))
    return vectors[:, ::-1].T[:values].astype(np.float32), mean.astype(np.float32)


def cosines(size):
    at = (np.arange(size) + 0.5) * np.arange(size)[:, None] * np.pi / size
    return np.cos(at) * np.sqrt(np.where(np.arange(size) == 0, 1, 2) / size)[:, None]


def dct(training, values):
    rows, columns = training.shape[1:]
    mean = training.mean(0)
    coefficients = cosines(rows) @ (training - mean) @ cosines(columns).T
    order = np.argsort(-(coefficients**2).mean(0), axis=None, kind="stable")[:values]
    down, across = np.unravel_index(order, (rows, columns))
    patterns = cosines(rows)[down][:, :, None] * cosines(columns)[across][:, None, :]
    return patterns.reshape(values, -1).astype(np.float32), mean.ravel()


def original(training, frames, values, levels, seconds, optimiser):
    """PSNR of each frame by level from the original's network, and its budget."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.keras.utils.set_random_seed(0)
    layers, leaky = tf.keras.layers, lambda: tf.keras.layers.LeakyReLU(0.1)
    rows, columns = training.shape[1:]
    pad = ((0, 0), (0, 64 - rows), (0, 64 - columns))
    square = lambda pictures: np.pad(pictures, pad, mode="edge")[..., None]

    encoder = tf.keras.Sequential([layers.Input((64, 64, 1))])
    for filters, stride, norm in [(32, 2, 0), (64, 2, 1), (128, 2, 1), (256, 2, 1), (512, 4, 0)]:
        encoder.add(layers.Conv2D(filters, 4, stride, "same", use_bias=not norm))
        if norm:
            encoder.add(layers.BatchNormalization(momentum=0.9))
        encoder.add(leaky())
    for layer in [layers.Flatten(), layers.Dense(512), leaky(), layers.Dense(values)]:
        encoder.add(layer)
    decoder = tf.keras.Sequential([layers.Input((values,)), layers.Dense(512), leaky()])
    decoder.add(layers.Reshape((1, 1, 512)))
    for filters, stride in [(256, 4), (128, 2), (64, 2), (32, 2)]:
        decoder.add(layers.Conv2DTranspose(filters, 4, stride, "same", use_bias=False))
        decoder.add(layers.BatchNormalization(momentum=0.9))
        decoder.add(leaky())
    decoder.add(layers.Conv2DTranspose(1, 4, 2, "same", activation="sigmoid"))

    def averaged(logits, level):
        """Groups of neighbours replaced by their mean, until `level` are left."""
        groups = tf.reshape(logits, (-1, level, values // level))
        mean = tf.reduce_mean(groups, 2, keepdims=True)
        return tf.reshape(tf.broadcast_to(mean, tf.shape(groups)), (-1, values))

    sgd = optimiser == "sgd"
    step = tf.keras.optimizers.SGD(0.1) if sgd else tf.keras.optimizers.Adam(1e-3)
    variables = encoder.trainable_variables + decoder.trainable_variables
    step.build(variables)
    even = tf.linspace(0.0, 1.0, 64 * values + 2)[1:-1]

    @tf.function(jit_compile=False)
    def train(pictures, draw):
        with tf.GradientTape() as tape:
            logits = encoder(pictures, training=True)
            means = tf.stack([averaged(logits, level) for level in levels])
            code = tf.sigmoid(tf.gather_nd(tf.transpose(means, (1, 0, 2)), draw))
            error = tf.reduce_mean((decoder(code, training=True) - pictures) ** 2)
            deviation = tf.reduce_mean((tf.sort(tf.reshape(code, [-1])) - even) ** 2)
            light, loud = tf.reduce_mean(pictures, (1, 2, 3)), tf.reduce_mean(code, 1)
            light, loud = light - tf.reduce_mean(light), loud - tf.reduce_mean(loud)
            lengths = tf.norm(light) * tf.norm(loud) + 1e-8
            loss = error + 0.01 * deviation - 0.01 * tf.reduce_sum(light * loud) / lengths
        step.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return error

    random, pictures, seen = np.random.default_rng(0), square(training), 0
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        draw = np.stack([np.arange(64), random.integers(0, len(levels), 64)], 1)
        batch = pictures[random.integers(0, len(pictures), 64)]
        train(tf.constant(batch), tf.constant(draw, tf.int32))
        seen += 64
    spent = time.monotonic() - start
    logits = encoder.predict(square(frames), verbose=0)
    curve = {}
    for level in levels:
        back = decoder.predict(tf.sigmoid(averaged(logits, level)), verbose=0)[:, :rows, :columns, 0]
        curve[level] = psnr(frames, back)
    return curve, f"{seen} images in {spent:.0f} s on one thread, {seen / spent:.0f} a second, {optimiser}"


def ours(program, model, flights, levels):
    """Mean PSNR of each flight by level, through 16-bit sound."""
    curve = {level: [] for level in levels}
    for files in flights.values():
        scores = json.loads(run(program, "evaluate", model, *files, "--json"))
        for level in levels:
            curve[level].append(scores["psnr_sound_db"][str(level)])
    return {level: np.array(means) for level, means in curve.items()}


def difference(gains, counts):
    """Mean over frames of `gains`, one per flight, and its 95 % interval."""
    draws = np.random.default_rng(0).integers(0, len(gains), (DRAWS, len(gains)))
    means = (gains * counts)[draws].sum(1) / counts[draws].sum(1)
    return (gains * counts).sum() / counts.sum(), *np.quantile(means, [0.025, 0.975])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1, help="of the split [1]")
    parser.add_argument("--values", type=int, default=128, help="length of the code [128]")
    parser.add_argument("--seconds", type=float, default=300, help="for the network, 0: none [300]")
    parser.add_argument("--optimiser", choices=["adam", "sgd"], default="adam")
    options = parser.parse_args()
    levels = [2**level for level in range(options.values.bit_length())]
    with tempfile.TemporaryDirectory() as folder:
        compare(options, levels, pathlib.Path(folder))


def compare(options, levels, folder):
    program, model = options.program.resolve(), folder / "model.safetensors"
    start = time.monotonic()
    run(program, "train", options.data, "--sensor", "hituav-lwir", "--seed", options.seed,
        "--values", options.values, "-o", model)
    spent, known = time.monotonic() - start, record(model)
    files = sorted(options.data.glob("*.jpg"))
    fitted = [file for file in files if flight(file) in known["trained_groups"]]
    flights = {name: [f for f in files if flight(f) == name] for name in known["report_groups"]}
    unseen = [file for files in flights.values() for file in files]
    training = flips(sent(program, model, fitted, folder / "fitted"))
    frames = sent(program, model, sorted(unseen), folder / "unseen")
    names = np.array([flight(file) for file in sorted(unseen)])

    curves = {
        "PCA": linear(*pca(training, options.values), frames, levels),
        "DCT": linear(*dct(training, options.values), frames, levels),
    }
    peer = known["peers"]["PCA"]
    notes = [f"ours: closed form, trained, scored and compared by `train` in {spent:.0f} s",
             f"the model's own record: PCA {peer['psnr_db'][str(levels[-1])]:.2f} dB, gain "
             "{:+.2f} ({:+.2f} to {:+.2f})".format(peer["gain_db"], *peer["interval_db"])]
    if options.seconds:
        curves["original"], note = original(
            training, frames, options.values, levels, options.seconds, options.optimiser)
        notes.append(f"original: {note}")

    own = ours(program, model, flights, levels)
    counts = np.array([len(files) for files in flights.values()], float)
    print(f"{len(fitted)} frames fitted, {len(frames)} scored, of {len(flights)} flights; "
          f"seed {options.seed}; PSNR in dB, then ours - other")
    print("numbers | ours |" + " |".join(f" {name} | gain, 95 %" for name in curves))
    for level in levels:
        cells = [f"{level} | {(own[level] * counts).sum() / counts.sum():.2f}"]
        for curve in curves.values():
            means = np.array([curve[level][names == name].mean() for name in flights])
            gain, low, high = difference(own[level] - means, counts)
            cells.append(f"{curve[level].mean():.2f} | {gain:+.2f} ({low:+.2f} to {high:+.2f})")
        print(" | ".join(cells))
    print(*notes, sep="\n")


if __name__ == "__main__":
    main()
