"""Some of a sensor's bands through the model of all of them, beside a model trained for these alone.

    python benches/subsets.py WYSIWYH DATA

WYSIWYH is the program and DATA the folder `sentinel2`. Both kinds of model are trained on the same places
and speak for scenes of the place that they have not seen: red, green and blue; near and short-wave infrared;
and all bands but one. What came back through the WAV is scored: PSNR in dB, peak 1, mean over tiles.
Needs numpy, and gdal_translate.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import tomllib

import numpy as np

HOUSE = pathlib.Path(__file__).resolve().parent.parent
PROFILE = tomllib.loads((HOUSE / "sensors/sentinel2-l2a.toml").read_text())
NAMES = [band["name"] for band in PROFILE["bands"]]
SUBSETS = {"red, green, blue": ["B02", "B03", "B04"], "near and short-wave infrared": ["B08", "B11", "B12"]}
SUBSETS |= {f"without {name}": [other for other in NAMES if other != name] for name in NAMES}


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def record(model):
    with open(model, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        return json.loads(json.loads(file.read(size))["__metadata__"]["wysiwyh"])["record"]


def narrowed(scene, kept, place):
    """`scene` with the bands called `kept`, under their names."""
    numbers = [word for name in kept for word in ("-b", str(1 + NAMES.index(name)))]
    run("gdal_translate", "-q", "-of", "VRT", *numbers, scene, place)
    text = place.read_text()
    for name in kept:
        text = text.replace("<Description>bands</Description>", f"<Description>{name}</Description>", 1)
    place.write_text(text)


def sensor(kept, place):
    """A profile of the bands called `kept`."""
    lines = ['name = "some"', 'title = ""', 'source = "scene"', 'tested = "never"', "from_above = true",
             "range = [0.0, 1.0]", "group_fields = 3"]
    for band in PROFILE["bands"]:
        if band["name"] in kept:
            lines += ["[[bands]]", *(f"{key} = {json.dumps(value)}" for key, value in band.items())]
    place.write_text("\n".join(lines))


def score(program, scenes, folder, *voice):
    """Mean PSNR of the tiles of `scenes` through the WAV."""
    tiles = []
    for scene in scenes:
        run(program, "convert", scene, "-o", folder, "--npy", *voice)
        run(program, "listen", folder / f"{scene.stem}.wav", "-o", folder / scene.stem, *voice[:2])
        sent, back = (np.load(path) for path in
                      (folder / f"{scene.stem}.npy", folder / scene.stem / "frames.npy"))
        tiles += [-10 * np.log10(np.nanmean((a - b) ** 2)) for a, b in zip(sent, back)]
    return np.mean(tiles)


def main():
    program, data = map(pathlib.Path, sys.argv[1:])
    scenes = sorted(data.glob("*.tif"))
    print("bands | model of all | model of these | difference")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        whole = folder / "whole.safetensors"
        run(program, "train", data, "--sensor", "sentinel2-l2a", "-o", whole)
        unseen = record(whole)["report_groups"]
        for number, (title, kept) in enumerate(SUBSETS.items()):
            own = folder / str(number)
            (own / "scenes").mkdir(parents=True)
            for scene in scenes:
                narrowed(scene, kept, own / "scenes" / f"{scene.stem}.vrt")
            sensor(kept, own / "some.toml")
            run(program, "train", own / "scenes", "--sensor", own / "some.toml", "-o", own / "some.safetensors")
            assert record(own / "some.safetensors")["report_groups"] == unseen
            last = [path for path in sorted((own / "scenes").glob("*.vrt"))
                    if any(path.stem.startswith(group) for group in unseen)]
            through = score(program, last, own / "all", "--model", whole, "--sensor", "sentinel2-l2a")
            direct = score(program, last, own / "these", "--model", own / "some.safetensors")
            print(f"{title} | {through:.2f} | {direct:.2f} | {through - direct:+.2f}", flush=True)


if __name__ == "__main__":
    main()
