"""What stacks keep whose file states no wavelengths.

    python benches/unnamed.py WYSIWYH STACK.tif [CUBE.tif ...]

STACK is a stack of Sentinel-2's twelve bands, B01 to B12 without B10, such as those of
SSL4EO-S12. Parts of its bands are written as floats of no unit, in a file that states
wavelengths and in one that does not, and scored through 16-bit sound by the general model
(`wysiwyh evaluate generic-scene`). Each CUBE is scored as it is.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

import rasterio

# Centres in nanometres, of Sentinel-2A (ESA, Sentinel-2 Spectral Response Functions 3.1).
CENTRES = [443, 492, 560, 665, 704, 741, 783, 833, 865, 945, 1614, 2202]
PARTS = {"red and near infrared": [3, 7], "3 bands": [3, 2, 1], "4 bands": [3, 2, 1, 7],
         "6 bands": [1, 2, 3, 7, 10, 11], "12 bands": list(range(12))}


def score(wysiwyh, path):
    said = subprocess.run([wysiwyh, "evaluate", "generic-scene", path], check=True,
                          capture_output=True, text=True).stdout
    return float(re.search(r"PSNR after a 16-bit file: ([0-9.]+) dB", said)[1])


def main():
    wysiwyh, stack, *cubes = sys.argv[1:]
    with rasterio.open(stack) as file:
        pixels = file.read().astype("float32") * 37.0
    with tempfile.TemporaryDirectory() as folder:
        for name, bands in PARTS.items():
            path = pathlib.Path(folder) / f"{len(bands)}.img"
            scores = []
            for stated in (False, True):
                part = pixels[bands]
                place = rasterio.transform.from_origin(500_000, 4_000_000, 10, 10)
                with rasterio.open(path, "w", driver="ENVI", dtype="float32", count=len(part),
                                   height=part.shape[1], width=part.shape[2], crs="EPSG:32632",
                                   transform=place) as out:
                    out.write(part)
                if stated:
                    centres = ", ".join(str(CENTRES[band]) for band in bands)
                    with open(path.with_suffix(".hdr"), "a", encoding="utf-8") as header:
                        header.write("wavelength units = Nanometers\n"
                                     f"wavelength = {{{centres}}}\n")
                scores.append(score(wysiwyh, path))
            print(f"{name}: {scores[0]:.2f} dB without wavelengths, {scores[1]:.2f} with", flush=True)
    for cube in cubes:
        print(f"{cube}: {score(wysiwyh, cube):.2f} dB", flush=True)


main()
