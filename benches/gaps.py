"""What the readings beside gaps keep, and what an empty band leaves of the others.

    python benches/gaps.py WYSIWYH HITUAV SENTINEL2

WYSIWYH is the program, HITUAV and SENTINEL2 are the folders of that data. Every fifth picture of flights that the
drone's model has not seen loses two rows above and below, or a corner: PSNR in dB of the rest. The first stack of
Sentinel-2 loses its band B01: RMS error of each band in reflectance, with and without it, after `listen`.
Needs numpy, Pillow and rasterio.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import rasterio
from PIL import Image

warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)

HOUSE = pathlib.Path(__file__).resolve().parent.parent
# What is missing, by the rows and columns of the grid as shares of its sides.
HOLES = {
    "nothing": lambda down, across: down < 0,
    "two rows above and below": lambda down, across: (down < 2 / 51) | (down > 48.5 / 51),
    "a corner": lambda down, across: down + across <= 0.6,
}


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done.stdout


def save(path, bands, **about):
    count, rows, columns = bands.shape
    shape = {"count": count, "height": rows, "width": columns, "dtype": bands.dtype}
    with rasterio.open(path, "w", driver="GTiff", **shape, **about) as file:
        file.write(bands)


def unseen(folder):
    """Every fifth picture of flights that the model was not trained on, as on its grid."""
    with open(HOUSE / "sensors/hituav-lwir.safetensors", "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        about = json.loads(json.loads(file.read(size))["__metadata__"]["wysiwyh"])
    rows, columns = about["grid"]
    trained = tuple(f"{group}_" for group in about["record"]["trained_groups"])
    paths = [path for path in sorted(folder.glob("*.jpg")) if not path.name.startswith(trained)][::5]
    shrunk = (Image.open(path).convert("L").resize((columns, rows), Image.BOX) for path in paths)
    return {path.stem: np.asarray(picture, np.float32) for path, picture in zip(paths, shrunk)}


def pictures(program, folder, place):
    sent = unseen(folder)
    for name in HOLES:
        gaps = place / name.replace(" ", "-")
        gaps.mkdir()
        for stem, picture in sent.items():
            down, across = (np.arange(size) / size for size in picture.shape)
            hole = HOLES[name](down[:, None] + 0 * across, across + 0 * down[:, None])
            save(gaps / f"{stem}.tif", np.where(hole, np.nan, picture).astype(np.float32)[None])
        for values in [64, 256]:
            told = run(program, "evaluate", "hituav-lwir", gaps, "--values", values, "--plain")
            psnr = re.search(r"PSNR from the code: (\S+) dB", told)[1]
            print(f"{len(sent)} pictures without {name}, {values} values: {psnr} dB", flush=True)


def bands(program, folder, place):
    stack = sorted(folder.glob("*.tif"))[0]
    with rasterio.open(stack) as file:
        whole = file.read()
    emptied = whole.copy()
    emptied[0] = 0
    truth = None
    for name, numbers in [("whole", whole), ("emptied", emptied)]:
        out = place / name
        save(place / f"{name}.tif", numbers, nodata=0)
        run(program, "convert", "--sensor", "sentinel2-l2a", "--npy", place / f"{name}.tif", "-o", out)
        run(program, "listen", out / f"{name}.wav", "-o", out / "heard")
        truth = np.load(out / f"{name}.npy") if truth is None else truth
        error = np.load(out / "heard/frames.npy") - truth
        rms = " ".join(f"{value:.4f}" for value in np.sqrt(np.nanmean(error**2, axis=(0, 2, 3))))
        print(f"{stack.name}, B01 {name}, RMS error of B01 to B12: {rms}", flush=True)


def main():
    program, hituav, sentinel2 = (pathlib.Path(word).resolve() for word in sys.argv[1:4])
    with tempfile.TemporaryDirectory() as place:
        pictures(program, hituav, pathlib.Path(place))
        bands(program, sentinel2, pathlib.Path(place))


main()
