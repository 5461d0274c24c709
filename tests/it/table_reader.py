"""What other libraries make of the table of a sound, as JSON. Arguments: the
table, and the scene that it is about."""

import json
import sys

import duckdb
import numpy
import pyarrow.parquet
import rasterio.warp
import shapely

path, scene = sys.argv[1:]
table = pyarrow.parquet.read_table(path)
metadata = table.schema.metadata
geo = json.loads(metadata[b"geo"])
outlines = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
codes = numpy.stack(table["code"].to_pylist())

# Every corner, by another GDAL and another PROJ.
with rasterio.open(scene) as source:
    chip = json.loads(metadata[b"header"])["scene"]["chip"]
    furthest = 0.0
    for outline, row, column in zip(outlines, table["row"].to_pylist(), table["column"].to_pylist()):
        bottom, right = min(row + chip, source.height), min(column + chip, source.width)
        corners = [(column, row), (column, bottom), (right, bottom), (right, row)]
        places = [source.transform * corner for corner in corners]
        expected = shapely.Polygon(zip(*rasterio.warp.transform(source.crs, "OGC:CRS84", *zip(*places))))
        furthest = max(furthest, shapely.hausdorff_distance(outline, expected))

# The recipe of the README, and the same by hand.
near = duckdb.execute(
    """
    SELECT here.chip, list(there.chip ORDER BY list_distance(here.code, there.code), there.chip)[:4]
    FROM read_parquet($1) AS here, read_parquet($1) AS there GROUP BY ALL ORDER BY here.chip
    """,
    [path],
).fetchall()
apart = numpy.linalg.norm(codes[:, None].astype(float) - codes[None], axis=2)
by_hand = [numpy.argsort(line, kind="stable")[:4].tolist() for line in apart]

print(
    json.dumps(
        {
            "columns": table.column_names,
            "version": geo["version"],
            "types": geo["columns"][geo["primary_column"]]["geometry_types"],
            "bounds_agree": numpy.allclose(
                geo["columns"]["geometry"]["bbox"], shapely.total_bounds(outlines), atol=0
            ),
            "boxes_agree": numpy.allclose(
                [list(box.values()) for box in table["bbox"].to_pylist()],
                shapely.bounds(outlines),
                atol=0,
            ),
            "all_valid": bool(shapely.is_valid(outlines).all()),
            "all_counterclockwise": bool(shapely.is_ccw(shapely.get_exterior_ring(outlines)).all()),
            "furthest_degrees": furthest,
            "codes": codes.tolist(),
            "neighbours_agree": [list(row[1]) for row in near] == by_hand,
            "nearest": [row[1][0] for row in near],
        }
    )
)
