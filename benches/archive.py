"""How fast `wysiwyh convert` is, beside two peers on the same scene in the same run.

    python benches/archive.py WYSIWYH SCENE [ROWS]

WYSIWYH is the program, SCENE a Sentinel-2 stack of 12 bands, ROWS how many of its rows are used (a
multiple of 64, 2048 by default). The peers are gdal_translate, which only reads the same pixels with
one thread, and a pipeline of rasterio, numpy and scipy that does in Python what a first attempt would:
tiles, a dense encoder of 128 values, an inverse transform, a WAV file. Every one runs three times in
turn, and medians count. Without a SCENE one is made of the stacks in WYSIWYH_DATA, 10980 x 10980
pixels in tiles of 512, beside this run's other files.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import scipy.fft
import scipy.io.wavfile
from rasterio.transform import from_origin
from rasterio.windows import Window

CHIP, VALUES, CYCLE, SLOT, JOIN = 64, 128, 3840, 4800, 480
ROUNDS = 3


def make_scene(path, side=10980):
    """A scene of real texture: the stacks side by side, turned at random."""
    folder = Path(os.environ["WYSIWYH_DATA"]) / "sentinel2"
    stacks = [rasterio.open(file).read() for file in sorted(folder.glob("*.tif"))]
    size = stacks[0].shape[1]
    random = np.random.default_rng(1)
    profile = dict(
        driver="GTiff", width=side, height=side, count=12, dtype="uint16", crs="EPSG:32634",
        transform=from_origin(300000, 6100020, 10, 10), nodata=0, tiled=True, blockxsize=512,
        blockysize=512, compress="deflate", predictor=2, interleave="band", BIGTIFF="YES",
    )
    rows = np.zeros((12, 0, side), "uint16")
    with rasterio.open(path, "w", **profile) as scene:
        for top in range(0, side, 512):
            while rows.shape[1] < 512:
                picks = [stacks[random.integers(len(stacks))] for _ in range(-(-side // size))]
                line = [np.rot90(pick, random.integers(4), (1, 2)) for pick in picks]
                rows = np.concatenate([rows, np.concatenate(line, 2)[:, :, :side]], 1)
            height = min(512, side - top)
            scene.write(rows[:, :height], window=Window(0, top, side, height))
            rows = rows[:, height:]


def pipeline(scene, rows, sound):
    """Tiles to sound, a row of tiles at a time."""
    random = np.random.default_rng(0)
    weights = random.standard_normal((12 * CHIP * CHIP, VALUES)).astype("float32") / 222
    phases = np.exp(2j * np.pi * random.random(CYCLE // 2 + 1)).astype("complex64")
    bins = np.linspace(5, 400, VALUES).astype(int)
    fade = np.linspace(0, 1, JOIN, dtype="float32")
    samples = []
    with rasterio.open(scene) as source:
        across = -(-source.width // CHIP)
        for top in range(0, rows, CHIP):
            strip = source.read(window=Window(0, top, source.width, CHIP)).astype("float32") * 1e-4
            strip = np.pad(strip, ((0, 0), (0, 0), (0, across * CHIP - source.width)))
            chips = strip.reshape(12, CHIP, across, CHIP).transpose(2, 0, 1, 3).reshape(across, -1)
            code = 1 / (1 + np.exp(-(chips @ weights)))
            spectrum = np.zeros((across, CYCLE // 2 + 1), "complex64")
            spectrum[:, bins] = 10 ** ((code - 1) * 2) * phases[bins]
            cycles = scipy.fft.irfft(spectrum, CYCLE).astype("float32")
            slots = np.concatenate([cycles, cycles[:, : SLOT - CYCLE]], 1)
            slots[1:, :JOIN] = slots[1:, :JOIN] * fade + slots[:-1, -JOIN:] * (1 - fade)
            samples.append(slots.reshape(-1))
    sound_16 = (np.concatenate(samples) * 32767 * 100).clip(-32768, 32767).astype("int16")
    scipy.io.wavfile.write(sound, 48000, sound_16)


def measured(command):
    """Seconds that `command` takes, and the most memory it has at once in MiB."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{command[0]} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def main():
    program, *rest = sys.argv[1:]
    rows = int(rest[1]) if len(rest) > 1 else 2048
    os.environ["GDAL_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        scene = Path(rest[0]) if rest else folder / "scene.tif"
        if not rest:
            make_scene(scene)
        with rasterio.open(scene) as source:
            width = source.width
            rows = min(rows, source.height // CHIP * CHIP)
        chips = rows // CHIP * -(-width // CHIP)
        window = ["-srcwin", "0", "0", str(width), str(rows)]
        contenders = {
            "gdal_translate": ["gdal_translate", "-q", *window, "-of", "MEM", str(scene), "none"],
            "wysiwyh convert": [
                program, "convert", str(scene), "-o", str(folder / "out"), "--sensor",
                "sentinel2-l2a", "--duration", "1e9", "--frames", str(chips), "--force",
            ],
            "Python pipeline": [
                sys.executable, __file__, "--pipeline", str(scene), str(rows), str(folder / "a.wav"),
            ],
        }
        times, memory = {name: [] for name in contenders}, {}
        for _ in range(ROUNDS):
            for name, command in contenders.items():
                took_s, mebibytes = measured(command)
                times[name].append(took_s)
                memory[name] = max(memory.get(name, 0), mebibytes)
    medians = {name: statistics.median(found) for name, found in times.items()}
    print(f"{scene.name}: {rows} x {width} pixels, 12 bands, {chips} tiles, {os.cpu_count()} cores")
    for name, found in times.items():
        spread = f"{min(found):.2f} to {max(found):.2f}"
        rate = f"{chips / medians[name]:.0f} tiles/s, {memory[name]:.0f} MiB at most"
        print(f"{name}: {medians[name]:.2f} s ({spread}), {rate}")
    ours = medians["wysiwyh convert"]
    print(f"of the reading limit: {medians['gdal_translate'] / ours:.2f} (floor 0.4, aim 0.7)")
    print(f"times as fast as the Python pipeline: {medians['Python pipeline'] / ours:.2f} (aim 3)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--pipeline"]:
        pipeline(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        main()
