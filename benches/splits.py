"""How much survives, as means over several splits into seen and unseen groups.

    python benches/splits.py WYSIWYH DATA... --sensor NAME [--seeds 0 1 2] [--values 64 128 256 512]

WYSIWYH is the program, and DATA what a sensor's model is trained on, such as
the folder `hituav` (see datasets/). For each seed and number of values a model
is trained, in closed form; the seed chooses the split. `train` scores it on the
groups held out, and PCA and KLT x DCT of as many values beside it, fitted to
the same pictures and never sounded. More than 256 values get an axis up to 8 kHz.

Prints PSNR in dB, peak 1: the mean over the splits and in brackets the worst
of them; then what is gained over the better of the two others, mean, and in
brackets the lowest end of the 95 % intervals over the groups of a split, for
splits with more than one unseen group. Needs numpy.
"""

import argparse
import pathlib
import tempfile

from subsets import HOUSE, record, run

CHANNELS = {"noise": "noise 20 dB", "MP3": "MP3 128k", "Opus": "Opus 64k"}
WIDE = 256


def profile(sensor, values, folder):
    """The profile of `sensor`, with an axis wide enough for `values`."""
    if values <= WIDE:
        return sensor
    wide = folder / f"{sensor}.toml"
    wide.write_text("frequencies_hz = [60.0, 8000.0]\n" + (HOUSE / "sensors" / wide.name).read_text())
    return wide


def trained(program, data, sensor, seed, values):
    """The record of a model of `values` values, trained on the split of `seed`."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = folder / "model.safetensors"
        run(program, "train", *data, "--sensor", profile(sensor, values, folder),
            "--seed", seed, "--values", values, "-o", model)
        return record(model)


def mean_and_worst(figures):
    """The mean of `figures`, and the smallest of them."""
    return f"{sum(figures) / len(figures):.2f} ({min(figures):.2f})"


def row(records, values):
    """A row of the table: what the models of `records` leave, and others."""
    at = str(values)
    cells = [mean_and_worst([record["scores"]["psnr_sound_db"][at] for record in records])]
    for channel in CHANNELS.values():
        cells.append(mean_and_worst([record["scores"]["channels"][channel]["psnr_db"] for record in records]))
    others = [record["peers"] for record in records]
    cells += [mean_and_worst([peers[name]["psnr_db"][at] for peers in others]) for name in ("PCA", "KLT x DCT")]
    # Absent where there are too few pictures for as many values.
    best = [min(peers.values(), key=lambda peer: peer.get("gain_db", float("inf"))) for peers in others]
    lowest = [peer["interval_db"][0] for peer in best if peer.get("interval_db")]
    gained = sum(peer["gain_db"] for peer in best) / len(best)
    return [at, *cells, f"{gained:.2f}" + (f" ({min(lowest):.2f})" if lowest else "")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--sensor", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--values", type=int, nargs="+", default=[64, 128, 256, 512])
    asked = parser.parse_args()
    head = ["Numbers", "file", *CHANNELS, "PCA", "KLT x DCT", "gained"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}", flush=True)
    for values in asked.values:
        records = [trained(asked.program, asked.data, asked.sensor, seed, values) for seed in asked.seeds]
        print(f"| {' | '.join(row(records, values))} |", flush=True)


if __name__ == "__main__":
    main()
