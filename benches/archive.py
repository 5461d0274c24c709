"""How fast `wysiwyh convert` is on archives, beside others that do the same in the same run.

    python benches/archive.py WYSIWYH SUBJECT... [--scene FILE] [--rows N]

WYSIWYH is the program, and the subjects are these, all of which `make bench` runs. Data come from
the stacks in WYSIWYH_DATA.

- scene: 12 bands of 10980 x 10980 numbers of 16 bits, deflated in tiles of 512; --rows of them are
  used (a multiple of 64, 2048 by default), and --scene takes a stack that is there already. Beside
  gdal_translate, which only reads the same pixels with one thread, and a pipeline of rasterio,
  TensorFlow and scipy, which does in Python what a first attempt would: tiles, the encoder of the
  original WYSIWYH, an inverse transform, a WAV file. It runs with one thread and with TensorFlow's
  own choice; the time that its imports take does not count.
- product: a folder like a Sentinel-2 product, with bands of JPEG 2000 at three resolutions, 4096 x
  4096 pixels of 10 m. Beside gdal_translate of one band after the other. It tells how much of the
  files was read, which shows whether a tile is decoded twice; and the same with --gsd 60.
- chips: 200 small scenes, the stacks in turn. Beside gdal_translate of one after the other, and
  rasterio that reads all of them in one process.
- overviews: the scene of `scene` with overviews, heard with --gsd 60. Beside gdal_translate that
  averages to 60 m.

Every contender runs three times in turn, and medians count: of the time on the clock, and of the
processor time of all cores, which other work on the machine disturbs less. The order of bands,
tiles and chips is the same for all.
"""

import argparse
import importlib.util
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

CHIP, VALUES, CYCLE, SLOT, JOIN = 64, 128, 3840, 4800, 480
ROUNDS = 3
FILES = {
    10: ["B02", "B03", "B04", "B08"],
    20: ["B01", "B05", "B06", "B07", "B8A", "B11", "B12", "SCL"],
    60: ["B09"],
}
BLOCKS = {10: 1024, 20: 640, 60: 192}
ORDER = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"]


def stacks():
    folder = Path(os.environ["WYSIWYH_DATA"]) / "sentinel2"
    return sorted(folder.glob("*.tif"))


def lines(side, height):
    """Real texture without end, `height` rows of `side` pixels at a time: stacks turned at random."""
    pictures = [rasterio.open(file).read().astype("uint16") for file in stacks()]
    size = pictures[0].shape[1]
    random = np.random.default_rng(1)
    rows = np.zeros((12, 0, side), "uint16")
    while True:
        while rows.shape[1] < height:
            picks = [pictures[random.integers(len(pictures))] for _ in range(-(-side // size))]
            line = [np.rot90(pick, random.integers(4), (1, 2)) for pick in picks]
            rows = np.concatenate([rows, np.concatenate(line, 2)[:, :, :side]], 1)
        yield rows[:, :height]
        rows = rows[:, height:]


def make_scene(path, side=10980):
    profile = dict(
        driver="GTiff", width=side, height=side, count=12, dtype="uint16", crs="EPSG:32634",
        transform=from_origin(300000, 6100020, 10, 10), nodata=0, tiled=True, blockxsize=512,
        blockysize=512, compress="deflate", predictor=2, interleave="band", BIGTIFF="YES",
    )
    with rasterio.open(path, "w", **profile) as scene:
        for top, rows in zip(range(0, side, 512), lines(side, 512)):
            height = min(512, side - top)
            scene.write(rows[:, :height], window=Window(0, top, side, height))


def make_product(folder, side=4096):
    """The files of the bands, and a metadata file that names them."""
    picture = next(lines(side, side))
    images = []
    for metres, names in FILES.items():
        for name in names:
            image = f"GRANULE/IMG_DATA/R{metres}m/T34UCF_20230823T095559_{name}_{metres}m"
            path = folder / f"{image}.jp2"
            path.parent.mkdir(parents=True, exist_ok=True)
            step = metres // 10
            if name == "SCL":
                # Vegetation where the near infrared is bright, else bare ground: no clouds.
                band = np.where(picture[7, ::step, ::step] > 2500, 4, 5).astype("uint8")
            else:
                band = picture[ORDER.index(name), ::step, ::step]
            plain = folder / "band.tif"
            profile = dict(
                driver="GTiff", width=band.shape[1], height=band.shape[0], count=1,
                dtype=band.dtype, crs="EPSG:32634",
                transform=from_origin(300000, 6100020, metres, metres),
            )
            with rasterio.open(plain, "w", **profile) as file:
                file.write(band, 1)
            block = [f"BLOCKXSIZE={BLOCKS[metres]}", f"BLOCKYSIZE={BLOCKS[metres]}"]
            options = ["REVERSIBLE=YES", "QUALITY=100", "RESOLUTIONS=6", *block]
            options = [word for option in options for word in ("-co", option)]
            command = ["gdal_translate", "-q", "-of", "JP2OpenJPEG", *options, plain, path]
            subprocess.run(command, check=True)
            plain.unlink()
            images.append(f"<IMAGE_FILE>{image}</IMAGE_FILE>")
    (folder / "MTD_MSIL2A.xml").write_text(
        "<Product><PRODUCT_TYPE>S2MSI2A</PRODUCT_TYPE><SPACECRAFT_NAME>Sentinel-2A"
        "</SPACECRAFT_NAME><Granule>" + "".join(images) + "</Granule>"
        "<BOA_QUANTIFICATION_VALUE>10000</BOA_QUANTIFICATION_VALUE>"
        "<Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT>"
        "<SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX></Special_Values></Product>"
    )
    return sorted(folder.glob("GRANULE/**/*.jp2"))


def encoder():
    """The encoder of the original WYSIWYH for 12 bands, untrained: its work is the same."""
    import tensorflow as tf

    layers, leaky = tf.keras.layers, lambda: tf.keras.layers.LeakyReLU(0.1)
    network = tf.keras.Sequential([layers.Input((CHIP, CHIP, 12))])
    for filters, stride, norm in [(32, 2, 0), (64, 2, 1), (128, 2, 1), (256, 2, 1), (512, 4, 0)]:
        network.add(layers.Conv2D(filters, 4, stride, "same", use_bias=not norm))
        if norm:
            network.add(layers.BatchNormalization())
        network.add(leaky())
    for layer in [layers.Flatten(), layers.Dense(512), leaky(), layers.Dense(VALUES)]:
        network.add(layer)
    return tf.function(lambda chips: tf.sigmoid(network(chips, training=False)))


def pipeline(scene, rows, sound, threads):
    """Tiles to sound, a row of tiles at a time. Prints what the imports took, on the clock and of
    processors."""
    start = time.perf_counter()
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    import scipy.fft
    import scipy.io.wavfile
    import tensorflow as tf

    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    print("imports", time.perf_counter() - start, time.process_time())
    encode = encoder()
    random = np.random.default_rng(0)
    phases = np.exp(2j * np.pi * random.random(CYCLE // 2 + 1)).astype("complex64")
    bins = np.linspace(5, 400, VALUES).astype(int)
    fade = np.linspace(0, 1, JOIN, dtype="float32")
    samples = []
    with rasterio.open(scene) as source:
        across = -(-source.width // CHIP)
        for top in range(0, rows, CHIP):
            strip = source.read(window=Window(0, top, source.width, CHIP)).astype("float32") * 1e-4
            strip = np.pad(strip, ((0, 0), (0, 0), (0, across * CHIP - source.width)))
            chips = strip.reshape(12, CHIP, across, CHIP).transpose(2, 1, 3, 0)
            code = encode(tf.constant(chips)).numpy()
            spectrum = np.zeros((across, CYCLE // 2 + 1), "complex64")
            spectrum[:, bins] = 10 ** ((code - 1) * 2) * phases[bins]
            cycles = scipy.fft.irfft(spectrum, CYCLE).astype("float32")
            slots = np.concatenate([cycles, cycles[:, : SLOT - CYCLE]], 1)
            slots[1:, :JOIN] = slots[1:, :JOIN] * fade + slots[:-1, -JOIN:] * (1 - fade)
            samples.append(slots.reshape(-1))
    sound_16 = (np.concatenate(samples) * 32767 * 100).clip(-32768, 32767).astype("int16")
    scipy.io.wavfile.write(sound, 48000, sound_16)


def read_all(folder):
    """Reads all rasters in `folder`, and nothing more."""
    for file in sorted(Path(folder).glob("*.tif")):
        rasterio.open(file).read()


class Measure:
    """What the runs of one command took: on the clock and of processors in seconds, of memory in
    MiB; and how many bytes it asked for."""

    def __init__(self, command, baseline=False):
        self.command, self.clock, self.processor, self.memory, self.read = command, [], [], 0, 0
        self.environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")
        if baseline:
            self.environment["GDAL_NUM_THREADS"] = "1"

    def run(self):
        start = time.perf_counter()
        child = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environment)
        said = child.stdout.read()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        took_s = time.perf_counter() - start
        counts = dict(line.split(": ") for line in open(f"/proc/{child.pid}/io"))
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = status
        if status != 0:
            sys.exit(f"{' '.join(map(str, self.command))} failed")
        first, *rest = said.split() or [b""]
        imports = [float(word) for word in rest] if first == b"imports" else [0, 0]
        self.clock.append(took_s - imports[0])
        self.processor.append(usage.ru_utime + usage.ru_stime - imports[1])
        self.memory = max(self.memory, usage.ru_maxrss / 1024)
        self.read = int(counts["rchar"])

    def __str__(self):
        spread = f"{min(self.clock):.2f} to {max(self.clock):.2f}"
        return (f"{statistics.median(self.clock):.2f} s ({spread}), "
                f"{statistics.median(self.processor):.2f} s of processors, "
                f"{self.memory:.0f} MiB at most")

    def times(self, other):
        """How many times as long `other` took, on the clock and of processors."""
        of = lambda measure: map(statistics.median, (measure.clock, measure.processor))
        return " and ".join(f"{b / a:.2f}" for a, b in zip(of(self), of(other)))


def convert(program, source, out, *rest):
    """Every run makes all anew, pixel by pixel unless `rest` says otherwise."""
    detail = [] if "--gsd" in rest else ["--duration", "1e9"]
    sources = source if isinstance(source, list) else [source]
    return [program, "convert", *sources, "-o", out, "--sensor", "sentinel2-l2a", "--force",
            *detail, *rest]


def translate(files, *rest):
    """gdal_translate of `files`, one after the other, into memory."""
    line = shlex.join(["gdal_translate", "-q", *rest, "-of", "MEM"])
    return ["sh", "-c", f'set -e; for file; do {line} "$file" none; done', "sh", *files]


def compare(title, contenders):
    """Runs `contenders` in turn, of which the first one only reads, and prints what they took."""
    for _ in range(ROUNDS):
        for measure in contenders.values():
            measure.run()
    print(f"\n{title}; {os.cpu_count()} cores")
    for name, measure in contenders.items():
        print(f"{name}: {measure}")
    (_, reader), *others = contenders.items()
    for name, measure in others:
        print(f"{name}, of the reading limit: {measure.times(reader)}")


def scene_file(folder, options):
    path = options.scene or folder / "scene.tif"
    if not path.exists():
        make_scene(path)
    return path


def scene(program, folder, options):
    path = scene_file(folder, options)
    with rasterio.open(path) as source:
        width, rows = source.width, min(options.rows, source.height // CHIP * CHIP)
    chips = rows // CHIP * -(-width // CHIP)
    ours = convert(program, path, folder / "out", "--frames", str(chips))
    python = [sys.executable, __file__, "--pipeline", path, str(rows), folder / "a.wav"]
    contenders = {
        "gdal_translate": Measure(
            translate([path], "-srcwin", "0", "0", str(width), str(rows)), baseline=True),
        "wysiwyh convert --no-scores": Measure([*ours, "--no-scores"]),
        "wysiwyh convert": Measure(ours),
        "Python pipeline, one thread": Measure([*python, "1"], baseline=True),
        "Python pipeline": Measure([*python, "0"]),
    }
    compare(f"{rows} x {width} pixels, 12 bands, deflated, {chips} tiles", contenders)
    ours = contenders["wysiwyh convert --no-scores"]
    for name in ["Python pipeline, one thread", "Python pipeline"]:
        print(f"times as fast as the {name}: {ours.times(contenders[name])}")


def product(program, folder, options):
    path = folder / "S2A_MSIL2A_20230823T095559.SAFE"
    files = make_product(path)
    contenders = {
        "gdal_translate": Measure(translate(files), baseline=True),
        "wysiwyh convert --no-scores": Measure(
            convert(program, path, folder / "out", "--no-scores")),
        "wysiwyh convert --no-scores --gsd 60": Measure(
            convert(program, path, folder / "out60", "--no-scores", "--gsd", "60")),
    }
    compare("A product of 12 bands of JPEG 2000 and classes, 4096 x 4096 pixels of 10 m", contenders)
    size = sum(file.stat().st_size for file in files)
    for name, measure in contenders.items():
        print(f"{name} reads {measure.read / size:.2f} times what is in the files")


def chips(program, folder, options):
    files = []
    (folder / "chips").mkdir()
    for index in range(200):
        files.append(folder / f"chips/chip{index:03}.tif")
        files[-1].symlink_to(stacks()[index % len(stacks())].resolve())
    contenders = {
        "rasterio in one process": Measure(
            [sys.executable, __file__, "--read", folder / "chips"], baseline=True),
        "gdal_translate of each": Measure(translate(files), baseline=True),
        "wysiwyh convert --no-scores": Measure(
            convert(program, files, folder / "out", "--no-scores")),
        "wysiwyh convert": Measure(convert(program, files, folder / "out")),
    }
    compare("200 scenes of 264 x 264 pixels, 12 bands", contenders)


def overviews(program, folder, options):
    path = folder / "coarse.tif"
    path.symlink_to(scene_file(folder, options).resolve())
    subprocess.run(
        ["gdaladdo", "-q", "--config", "COMPRESS_OVERVIEW", "DEFLATE", "-ro", "-r", "average", path,
         "2", "4", "8"], check=True)
    coarse = ["-tr", "60", "60", "-r", "average"]
    contenders = {
        "gdal_translate": Measure(translate([path], *coarse), baseline=True),
        "wysiwyh convert --no-scores": Measure(
            convert(program, path, folder / "out", "--no-scores", "--gsd", "60")),
    }
    compare("A scene with overviews, at 60 m", contenders)


def main():
    if sys.argv[1:2] == ["--pipeline"]:
        path, rows, sound, threads = sys.argv[2:]
        return pipeline(path, int(rows), sound, int(threads))
    if sys.argv[1:2] == ["--read"]:
        return read_all(sys.argv[2])
    subjects = {run.__name__: run for run in (scene, product, chips, overviews)}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("subjects", nargs="+", choices=subjects)
    parser.add_argument("--scene", type=Path, help="a stack of 12 bands instead of one made here")
    parser.add_argument("--rows", type=int, default=2048, help="of the scene [2048]")
    options = parser.parse_args()
    if "WYSIWYH_DATA" not in os.environ:
        sys.exit("error: WYSIWYH_DATA is unset\nhint: it is the folder with sentinel2/, see datasets/")
    if "scene" in options.subjects and importlib.util.find_spec("tensorflow") is None:
        sys.exit("error: tensorflow is missing\nhint: `make bench` makes an environment with it; or "
                 "python -m pip install tensorflow-cpu scipy rasterio")
    with tempfile.TemporaryDirectory() as folder:
        for subject in options.subjects:
            subjects[subject](options.program.resolve(), Path(folder), options)


if __name__ == "__main__":
    main()
