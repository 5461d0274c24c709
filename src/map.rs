//! Where the sound lies on the Earth: footprints and mosaics.
//!
//! A scene is tiled into chips, and each chip becomes a slot of sound. The
//! footprints say which stretch of the sound is which place; a mosaic puts
//! the decoded chips back onto the map.

use std::path::Path;

use ndarray::{ArrayView4, Axis};

use crate::error::{Error, Result};
use crate::frame::Band;
use crate::sensor::Scene;

// Coordinates and GeoTIFF are GDAL's business; without it both are refused.
#[cfg_attr(not(feature = "gdal"), path = "map/absent.rs")]
mod earth;

pub use earth::{Geopackage, Mosaic};

/// Corners of an area in order: (longitude, latitude) in degrees.
type Ring = Vec<(f64, f64)>;

/// An area on the Earth: one outline, or two where it crosses the
/// antimeridian, in longitude and latitude in degrees on WGS 84.
#[derive(Clone, Debug, PartialEq)]
pub struct Footprint(Vec<Ring>);

impl Footprint {
    /// The area with these corners, (longitude, latitude) in order round it.
    /// Corners that span more than half the globe, which no scene does
    /// otherwise, lie on both sides of the antimeridian.
    pub fn new(corners: &[(f64, f64)]) -> Self {
        Self(halves(corners).into_iter().map(closed).collect())
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
    let on_earth = |corners: &[(f64, f64)]| corners.iter().all(|(x, y)| (x + y).is_finite());
    let footprint = |corners: &[(f64, f64)]| on_earth(corners).then(|| Footprint::new(corners));
    Ok(corners(scene, positions)?.chunks_exact(4).map(footprint).collect())
}

/// Writes a scene as a GeoTIFF of 32-bit floats, one band per band, with the
/// scene's geo-reference if it has one.
///
/// `chips` are `[frame, band, row, column]` in the bands' units, `positions`
/// row and column of each chip's upper left pixel in `scene`. Pixels that no
/// chip covers are NaN, which the file declares as missing. The file appears
/// under its name only when it is complete.
///
/// # Errors
///
/// If shapes disagree, a chip lies outside the scene, or the file cannot be
/// written.
pub fn write_mosaic(
    path: &Path,
    scene: &Scene,
    bands: &[Band],
    chips: ArrayView4<f32>,
    positions: &[[u32; 2]],
) -> Result<()> {
    if chips.len_of(Axis(0)) != positions.len() {
        let what = format!("{} for {} chips", positions.len(), chips.len_of(Axis(0)));
        return Err(Error::usage("positions of the mosaic", what));
    }
    let mut mosaic = Mosaic::create(path, scene, bands)?;
    for (chip, &position) in chips.outer_iter().zip(positions) {
        mosaic.place(position, chip)?;
    }
    mosaic.finish()
}

/// Longitude and latitude of the four corners of each chip: upper left, lower
/// left, lower right, upper right. Those that are nowhere are infinite.
fn corners(scene: &Scene, positions: &[[u32; 2]]) -> Result<Ring> {
    let Some(georeference) = &scene.georeference else {
        return Err(Error::input("scene", "has no geo-reference, so its place is unknown"));
    };
    let points = positions
        .iter()
        .flat_map(|&[row, column]| {
            let edge = |start: u32, size: usize| (start as usize + scene.chip).min(size) as f64;
            let (top, bottom) = (f64::from(row), edge(row, scene.rows));
            let (left, right) = (f64::from(column), edge(column, scene.columns));
            [(top, left), (bottom, left), (bottom, right), (top, right)]
        })
        .map(|(row, column)| georeference.locate(row, column))
        .collect();
    earth::longitudes_latitudes(&georeference.crs_wkt, points)
}

/// `ring` running counter-clockwise, as GeoParquet can promise of outer
/// rings, and ending where it begins.
fn closed(mut ring: Ring) -> Ring {
    let next = ring.iter().cycle().skip(1);
    let twice_area: f64 = ring.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum();
    if twice_area < 0.0 {
        ring.reverse();
    }
    ring.extend(ring.first().copied());
    ring
}

/// `corners` as one ring, or as two rings cut at the antimeridian where they
/// span more than half the globe, which no chip does otherwise.
fn halves(corners: &[(f64, f64)]) -> Vec<Ring> {
    let west = corners.iter().map(|corner| corner.0).fold(f64::INFINITY, f64::min);
    let east = corners.iter().map(|corner| corner.0).fold(f64::NEG_INFINITY, f64::max);
    if east - west <= 180.0 {
        return vec![corners.to_vec()];
    }
    let turned = |&(x, y): &(f64, f64)| (if x < 0.0 { x + 360.0 } else { x }, y);
    let unrolled: Ring = corners.iter().map(turned).collect();
    let beyond = clip(&unrolled, |x| x - 180.0);
    vec![clip(&unrolled, |x| 180.0 - x), beyond.iter().map(|&(x, y)| (x - 360.0, y)).collect()]
}

/// The part of `ring` where `inside` is not negative, by the algorithm of
/// Sutherland and Hodgman (Communications of the ACM 17, 1974).
fn clip(ring: &[(f64, f64)], inside: impl Fn(f64) -> f64) -> Ring {
    let mut clipped = Ring::new();
    for (&a, &b) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        let (from, to) = (inside(a.0), inside(b.0));
        if from >= 0.0 {
            clipped.push(a);
        }
        if from * to < 0.0 {
            let share = from / (from - to);
            clipped.push((a.0 + share * (b.0 - a.0), a.1 + share * (b.1 - a.1)));
        }
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_run_counter_clockwise_and_close() {
        let clockwise = vec![(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0)];
        let ring = closed(clockwise);
        assert_eq!(ring, [(1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0), (1.0, 0.0)]);
        assert_eq!(closed(ring[..4].to_vec()), ring);
    }

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
        let scene = Scene {
            rows: 4,
            columns: 4,
            chip: 2,
            route: Default::default(),
            factor: 1,
            georeference: None,
        };
        let error = footprints(&scene, &[[0, 0]]).unwrap_err();
        assert_eq!(error.to_string(), "scene: has no geo-reference, so its place is unknown");
    }
}
