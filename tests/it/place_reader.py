"""Whether footprints hold the ground of their chips, in the eyes of shapely and PROJ.

Standard input: JSON with `crs`, `transform` (GDAL's order), `rows`, `columns`, `chip`, and
`footprints`, each with `position` (row, column of the upper left pixel) and `wkb` (hexadecimal).
Standard output: JSON with the number of `invalid` footprints, of random `points` that were looked
at, and of those that are in another footprint than their chip's, or in several (`wrong`).
"""

import json
import sys

import numpy as np
import shapely
from rasterio.warp import transform

POINTS, BORDER = 20000, 0.02

told = json.load(sys.stdin)
chip, t = told["chip"], told["transform"]
shapes = shapely.from_wkb([bytes.fromhex(place["wkb"]) for place in told["footprints"]])
positions = np.array([place["position"] for place in told["footprints"]])

random = np.random.default_rng(1)
places = random.uniform(0, [told["rows"], told["columns"]], (POINTS, 2))
# Between the points of an outline its edges are straight; close to them nothing is asked.
within = places % chip / chip
places = places[((within > BORDER) & (within < 1 - BORDER)).all(1)]
x = t[0] + places[:, 1] * t[1] + places[:, 0] * t[2]
y = t[3] + places[:, 1] * t[4] + places[:, 0] * t[5]
found = np.column_stack(transform(told["crs"], "OGC:CRS84", x, y))

tree = shapely.STRtree(shapes)
point, shape = tree.query(shapely.points(found), predicate="within")
hits = np.bincount(point, minlength=len(places))
own = (positions[shape] == places[point] // chip * chip).all(1)
wrong = (hits != 1).sum() + (~own).sum()
print(json.dumps({
    "invalid": int((~shapely.is_valid(shapes)).sum()),
    "points": len(places),
    "wrong": int(wrong),
}))
