//! Coordinates, GeoTIFF and GeoPackage, through GDAL.

mod geopackage;

use std::path::{Path, PathBuf};

use gdal::cpl::CslStringList;
use gdal::raster::Buffer;
use gdal::spatial_ref::{AxisMappingStrategy, CoordTransform, SpatialRef};
use gdal::{Dataset, DriverManager, Metadata};
use ndarray::{ArrayView3, s};
use tempfile::TempPath;

pub use self::geopackage::Geopackage;

use super::Ring;
use crate::error::{Error, Fault, Result};
use crate::frame::Band;
use crate::sensor::Scene;
use crate::sensor::raster::library;
use crate::staging::part_of;

/// The way from a map to longitude and latitude on WGS 84.
#[derive(Debug)]
pub(super) struct Way(CoordTransform);

impl Way {
    /// The way from the map whose reference system is `crs_wkt`; `None` where no way leads
    /// to the Earth, as from a map of Mars.
    pub fn from(crs_wkt: &str) -> Result<Option<Self>> {
        library::call(Fault::Input, PLACE, || {
            let (mut here, mut wgs84) =
                (SpatialRef::from_wkt(crs_wkt)?, SpatialRef::from_epsg(4326)?);
            // Rasters store x before y, whatever their reference system says.
            here.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
            wgs84.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
            let way = CoordTransform::new(&here, &wgs84).ok();
            library::forgive();
            Ok(way.map(Self))
        })
    }

    /// Longitude and latitude of map `points` (x, y). Those of points that are
    /// nowhere on the Earth are infinite.
    pub fn longitudes_latitudes(&self, points: Ring) -> Result<Ring> {
        let (mut x, mut y): (Vec<f64>, Vec<f64>) = points.into_iter().unzip();
        library::call(Fault::Input, PLACE, || {
            // It fails where one point is nowhere, and finds the others all the same.
            let _ = self.0.transform_coords(&mut x, &mut y, &mut []);
            library::forgive();
            Ok(())
        })?;
        Ok(x.into_iter().zip(y).collect())
    }
}

/// What errors name.
const PLACE: &str = "geo-reference of the scene";

/// A GeoTIFF in the making: chips are placed in any order, and the file
/// appears under its name when it is finished. Dropped before that, it leaves
/// nothing behind.
#[derive(Debug)]
pub struct Mosaic {
    dataset: Dataset,
    unfinished: TempPath,
    path: PathBuf,
    /// Where errors say it happened.
    subject: String,
    scene: Scene,
    bands: usize,
}

impl Mosaic {
    /// Begins a mosaic of `scene` at `path`, of which so many `chips` are there:
    /// 32-bit floats in the `bands`' units, with their names, wavelengths and
    /// widths; NaN where no chip will lie.
    ///
    /// # Errors
    ///
    /// If the scene or the bands are empty, the scene is too large for so few
    /// chips, or the file cannot be created.
    pub fn create(path: &Path, scene: &Scene, bands: &[Band], chips: usize) -> Result<Self> {
        check_extent(path, scene, bands.len(), chips)?;
        // GDAL fills the file by its name.
        let unfinished = part_of(path, ".tif").map_err(|e| Error::output(path, e))?;
        let unfinished = unfinished.into_temp_path();
        let subject = path.display().to_string();
        let dataset = library::call(Fault::Output, &subject, || {
            let options = options(scene.chip)?;
            let mut dataset = DriverManager::get_driver_by_name("GTiff")?
                .create_with_band_type_with_options::<f32, _>(
                    &unfinished,
                    scene.columns,
                    scene.rows,
                    bands.len(),
                    &options,
                )?;
            if let Some(georeference) = &scene.georeference {
                dataset.set_geo_transform(&georeference.transform)?;
                dataset.set_spatial_ref(&SpatialRef::from_wkt(&georeference.crs_wkt)?)?;
            }
            for (index, band) in bands.iter().enumerate() {
                describe(&mut dataset, index + 1, band)?;
            }
            Ok(dataset)
        })?;
        let (path, scene, bands) = (path.to_path_buf(), scene.clone(), bands.len());
        Ok(Self { dataset, unfinished, path, subject, scene, bands })
    }

    /// Places `chip` (`[band, row, column]`), whose upper left pixel belongs
    /// at `position` (row, column); what reaches beyond the scene is cut off.
    ///
    /// # Errors
    ///
    /// If the chip has another number of bands, lies outside the scene, or
    /// cannot be written.
    pub fn place(&mut self, position: [u32; 2], chip: ArrayView3<f32>) -> Result<()> {
        let [row, column] = position.map(|start| start as usize);
        let (bands, rows, columns) = chip.dim();
        if bands != self.bands {
            let what = format!("a chip of {bands} bands in a mosaic of {}", self.bands);
            return Err(Error::usage(&self.subject, what));
        }
        if row >= self.scene.rows || column >= self.scene.columns {
            let (rows, columns) = (self.scene.rows, self.scene.columns);
            let what =
                format!("a chip at row {row}, column {column} of a scene of {rows} x {columns}");
            return Err(Error::usage(&self.subject, what));
        }
        let size = (columns.min(self.scene.columns - column), rows.min(self.scene.rows - row));
        library::call(Fault::Output, &self.subject, || {
            let corner = (column.try_into()?, row.try_into()?);
            for (index, plane) in chip.outer_iter().enumerate() {
                let inside = plane.slice(s![..size.1, ..size.0]);
                let mut buffer = Buffer::new(size, inside.iter().copied().collect());
                self.dataset.rasterband(index + 1)?.write(corner, size, &mut buffer)?;
            }
            Ok(())
        })
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    ///
    /// If what is still in memory cannot be written, or the name not be given.
    pub fn finish(self) -> Result<()> {
        library::call(Fault::Output, &self.subject, || self.dataset.close())?;
        self.unfinished.persist(&self.path).map_err(|e| Error::output(&self.path, e.error))
    }
}

/// Tiles of a file that hold nothing take room in its directory all the same, 16
/// bytes each: so many of them may there be of any scene, half a gigabyte, ...
const TILES: usize = 1 << 25;
/// ... and so many for each that is filled.
const TILES_FOR_ONE: usize = 64;

/// Refuses the mosaic at `path` if its `scene` is larger than anything that so
/// many `chips` of `bands` bands can have been cut from, as a damaged header has
/// it.
fn check_extent(path: &Path, scene: &Scene, bands: usize, chips: usize) -> Result<()> {
    let tile = tile(scene.chip);
    let tiles = |chips: usize| chips.saturating_mul(bands);
    let all = tiles(scene.rows.div_ceil(tile).saturating_mul(scene.columns.div_ceil(tile)));
    if all <= TILES.max(tiles(chips.saturating_mul(TILES_FOR_ONE))) {
        return Ok(());
    }
    let what = format!(
        "a scene of {} x {} pixels and {bands} bands has {all} tiles, of which {} are there",
        scene.rows,
        scene.columns,
        tiles(chips)
    );
    Err(Error::output(path, what).hint("the header that states the scene is damaged"))
}

/// The side of a tile in pixels: one chip each, so that a chip is compressed
/// once; the format asks for multiples of 16.
fn tile(chip: usize) -> usize {
    chip.clamp(64, 1024).next_multiple_of(16)
}

/// How the file of a mosaic is laid out. Tiles without a chip are not in it, and
/// read as missing.
fn options(chip: usize) -> gdal::errors::Result<CslStringList> {
    let mut options = CslStringList::new();
    let tile = tile(chip).to_string();
    for (name, value) in [
        ("TILED", "YES"),
        ("BLOCKXSIZE", tile.as_str()),
        ("BLOCKYSIZE", tile.as_str()),
        ("INTERLEAVE", "BAND"),
        ("COMPRESS", "DEFLATE"),
        ("PREDICTOR", "3"),
        ("BIGTIFF", "IF_SAFER"),
        ("SPARSE_OK", "TRUE"),
    ] {
        options.set_name_value(name, value)?;
    }
    Ok(options)
}

/// Writes what is known of `band`, number `index`, as the raster reader finds
/// it again.
fn describe(dataset: &mut Dataset, index: usize, band: &Band) -> gdal::errors::Result<()> {
    let mut target = dataset.rasterband(index)?;
    target.set_no_data_value(Some(f64::NAN))?;
    target.set_description(&band.name)?;
    target.set_metadata_item("unit", &band.unit.to_string(), "")?;
    for (item, value) in [("CENTRAL_WAVELENGTH_UM", band.wavelength_um), ("FWHM_UM", band.fwhm_um)]
    {
        if let Some(value) = value {
            target.set_metadata_item(item, &value.to_string(), "IMAGERY")?;
        }
    }
    Ok(())
}
