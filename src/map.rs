//! Where the sound lies on the Earth: footprints and mosaics.
//!
//! A scene is tiled into chips, and each chip becomes a slot of sound. The
//! footprints say which stretch of the sound is which place; a mosaic puts
//! the decoded chips back onto the map.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::error::{Error, Result};
use crate::sensor::Scene;

// Coordinates and GeoTIFF are GDAL's business; without it both are refused.
#[cfg_attr(not(feature = "gdal"), path = "map/absent.rs")]
mod earth;
mod outline;

use earth::Way;
pub use earth::{Geopackage, Mosaic};

/// Corners of an area in order: (longitude, latitude) in degrees.
type Ring = Vec<(f64, f64)>;

/// An area on the Earth: one outline, or two where it crosses the
/// antimeridian, in longitude and latitude in degrees on WGS 84.
#[derive(Clone, Debug, PartialEq)]
pub struct Footprint(Vec<Ring>);

impl Footprint {
    /// The area inside `ring`, (longitude, latitude) in order round it, each
    /// less than half the globe from the next. It may cross the antimeridian,
    /// and hold a pole.
    pub fn new(ring: &[(f64, f64)]) -> Self {
        Self(outline::parts(ring).into_iter().map(outline::closed).collect())
    }

    /// Its geometry as ISO well-known binary, little-endian: a polygon, or a
    /// multipolygon of two.
    pub fn wkb(&self) -> Vec<u8> {
        let polygon = |ring: &Ring| {
            let points = ring.iter().flat_map(|&(x, y)| [x, y]).flat_map(f64::to_le_bytes);
            let counts = [1, ring.len() as u32].into_iter().flat_map(u32::to_le_bytes);
            wkb_head(POLYGON).chain(counts).chain(points).collect::<Vec<u8>>()
        };
        match &self.0[..] {
            [ring] => polygon(ring),
            rings => {
                let count = (rings.len() as u32).to_le_bytes();
                let polygons = rings.iter().flat_map(polygon);
                wkb_head(MULTIPOLYGON).chain(count).chain(polygons).collect()
            }
        }
    }

    /// The name of its geometry's type.
    pub fn kind(&self) -> &'static str {
        if self.0.len() == 1 { "Polygon" } else { "MultiPolygon" }
    }

    /// West, south, east and north of all its corners. Across the
    /// antimeridian that is from -180 to 180, so that who compares numbers
    /// misses nothing.
    pub fn bounds(&self) -> [f64; 4] {
        let nowhere = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
        self.0.iter().flatten().fold(nowhere, |[west, south, east, north], &(x, y)| {
            [west.min(x), south.min(y), east.max(x), north.max(y)]
        })
    }
}

/// Types of geometries in well-known binary (OGC 06-103r4, table 7).
const POLYGON: u32 = 3;
/// See [`POLYGON`].
const MULTIPOLYGON: u32 = 6;

/// Byte order and type of a geometry.
fn wkb_head(kind: u32) -> impl Iterator<Item = u8> {
    std::iter::once(1).chain(kind.to_le_bytes())
}

/// The footprint of every chip. `positions` are row and column of each chip's
/// upper left pixel in `scene`; only the part of a chip that lies in the scene
/// counts. A chip with a corner that is nowhere on the Earth, as beside its disc
/// in the picture of a weather satellite, has none.
///
/// # Errors
///
/// If the scene has no geo-reference, or one that is not understood.
pub fn footprints(scene: &Scene, positions: &[[u32; 2]]) -> Result<Vec<Option<Footprint>>> {
    Atlas::default().footprints(scene, positions)
}

/// The ways from maps to longitude and latitude. To find one takes far longer
/// than to go it, so each is found once, for all scenes on one map.
#[derive(Debug, Default)]
pub struct Atlas {
    /// By the map's reference system.
    ways: HashMap<String, Option<Way>>,
}

impl Atlas {
    /// See [`footprints`].
    ///
    /// # Errors
    ///
    /// Likewise.
    pub fn footprints(
        &mut self,
        scene: &Scene,
        positions: &[[u32; 2]],
    ) -> Result<Vec<Option<Footprint>>> {
        let Some(georeference) = &scene.georeference else {
            return Err(Error::input("scene", "has no geo-reference, so its place is unknown"));
        };
        let way = match self.ways.entry(georeference.crs_wkt.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Way::from(&georeference.crs_wkt)?),
        };
        let Some(way) = way else { return Ok(vec![None; positions.len()]) };
        let rings = |positions: &[[u32; 2]], edge: usize| -> Result<Vec<Ring>> {
            let points = positions.iter().flat_map(|&position| around(scene, position, edge));
            let points = points.map(|(row, column)| georeference.locate(row, column)).collect();
            let points = way.longitudes_latitudes(points)?;
            Ok(points.chunks_exact(4 * edge).map(<[_]>::to_vec).collect())
        };
        let mut chips = rings(positions, 1)?;
        let coarse: Vec<usize> =
            (0..chips.len()).filter(|&chip| outline::is_coarse(&chips[chip])).collect();
        let again: Vec<[u32; 2]> = coarse.iter().map(|&chip| positions[chip]).collect();
        for (chip, ring) in coarse.into_iter().zip(rings(&again, EDGE)?) {
            if on_earth(&ring) {
                chips[chip] = ring;
            }
        }
        Ok(chips.iter().map(|ring| on_earth(ring).then(|| Footprint::new(ring))).collect())
    }
}

/// So many points of an edge are found where its ends alone do not tell how it
/// runs.
const EDGE: usize = 32;

/// Row and column of the points round the chip at `position` of `scene`,
/// `edge` for each of its edges, from the upper left corner on to the lower left.
fn around(scene: &Scene, position: [u32; 2], edge: usize) -> impl Iterator<Item = (f64, f64)> {
    let end = |start: u32, size: usize| (start as usize + scene.chip).min(size) as f64;
    let [top, left] = position.map(f64::from);
    let (bottom, right) = (end(position[0], scene.rows), end(position[1], scene.columns));
    let corners = [(top, left), (bottom, left), (bottom, right), (top, right)];
    (0..4 * edge).map(move |at| {
        let (from, to) = (corners[at / edge], corners[(at / edge + 1) % 4]);
        let share = (at % edge) as f64 / edge as f64;
        (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1))
    })
}

/// Whether all points of `ring` are somewhere.
fn on_earth(ring: &[(f64, f64)]) -> bool {
    ring.iter().all(|(x, y)| (x + y).is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_across_the_antimeridian_is_cut_in_two() {
        let corners = [(179.0, 1.0), (179.0, 0.0), (-177.0, 0.0), (-177.0, 1.0)];
        let footprint = Footprint::new(&corners);
        let halves: [Ring; 2] = [
            vec![(179.0, 1.0), (179.0, 0.0), (180.0, 0.0), (180.0, 1.0), (179.0, 1.0)],
            vec![(-180.0, 0.0), (-177.0, 0.0), (-177.0, 1.0), (-180.0, 1.0), (-180.0, 0.0)],
        ];
        assert_eq!(footprint.0, halves);
        assert_eq!(footprint.bounds(), [-180.0, 0.0, 180.0, 1.0]);
        let wkb = footprint.wkb();
        assert_eq!(wkb[..14], [1, 6, 0, 0, 0, 2, 0, 0, 0, 1, 3, 0, 0, 0]);
        assert_eq!(wkb.len(), 9 + 2 * (13 + 5 * 16));
    }

    #[test]
    fn what_is_missing_is_said() {
        let scene = Scene::new([4, 4], 2, Default::default());
        let error = footprints(&scene, &[[0, 0]]).unwrap_err();
        assert_eq!(error.to_string(), "scene: has no geo-reference, so its place is unknown");
    }
}
