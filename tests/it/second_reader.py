"""Per band of each raster named: count and sum of the readings, scale, offset,
wavelength and width as another library has them, as lines of JSON."""

import json
import sys

import numpy
import rasterio

for path in sys.argv[1:]:
    with rasterio.open(path) as source:
        bands = []
        for index in source.indexes:
            stored = source.read(index, masked=True)
            tags = source.tags(index)
            valid = numpy.ma.compressed(stored).astype(float)
            valid = valid[numpy.isfinite(valid)]
            bands.append(
                {
                    "count": len(valid),
                    "sum": float(valid.sum()),
                    "scale": source.scales[index - 1],
                    "offset": source.offsets[index - 1],
                    "wavelength": tags.get("wavelength"),
                    "fwhm": tags.get("fwhm"),
                    "bad": tags.get("bbl") == "0",
                    "alpha": source.colorinterp[index - 1].name == "alpha",
                }
            )
        print(json.dumps({"width": source.width, "height": source.height, "bands": bands}))
