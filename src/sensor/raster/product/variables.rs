//! Files of several rasters that are bands of one picture, such as what xarray
//! writes of a satellite scene: variables on one grid, alike in type, unit and
//! scale. Where they differ, the user has to name one.

use gdal::raster::GdalDataType;
use gdal::{Dataset, Metadata};

use super::super::layer::Layer;
use super::super::{bands, library};
use super::{Piece, Product, cube};
use crate::error::{Fault, Result};
use crate::frame::{Band, Unit};
use crate::sensor::count;

/// No file of bands has more variables; each of them is opened.
const MOST: usize = 64;

/// The file in a folder that makes it a Zarr store of several arrays.
const ZARR: &str = ".zgroup";

/// Variables that say where pixels lie.
const PLACES: [&str; 10] =
    ["lat", "lon", "latitude", "longitude", "x", "y", "xc", "yc", "crs", "spatial_ref"];

/// Whether the file called `name` may be one.
pub(super) fn is_metadata(name: &str) -> bool {
    cube::is_metadata(name) || name == ZARR
}

/// The bands in the file at `file`, if that is what its rasters are.
pub(super) fn product(path: &str, file: &str) -> Result<Option<Product>> {
    let file = file.strip_suffix(ZARR).unwrap_or(file).trim_end_matches('/');
    let inside = library::call(Fault::Input, file, || {
        let dataset = Dataset::open(file)?;
        library::forgive();
        let bands = dataset.raster_count();
        Ok(dataset.metadata_domain("SUBDATASETS").filter(|_| bands == 0).unwrap_or_default())
    })?;
    let names = inside.iter().filter_map(|part| Some(part.split_once("_NAME=")?.1));
    let names: Vec<&str> =
        names.filter(|name| !PLACES.contains(&variable(name).to_lowercase().as_str())).collect();
    if !(2..=MOST).contains(&names.len()) {
        return Ok(None);
    }
    let mut pieces = Vec::new();
    let mut first = None;
    for name in names {
        let Some((common, layer)) = raster(name)? else { return Ok(None) };
        if *first.get_or_insert(common) != common {
            return Ok(None);
        }
        let Layer { mut band, missing, law, .. } = layer;
        band.name = variable(name).to_owned();
        let (path, array, index) = (name.to_owned(), None, 1);
        pieces.push(Piece { path, array, index, band, missing, law });
    }
    let model = count(pieces.len(), "variable");
    Ok(Some(Product::new(path, model, pieces, vec!["each of them a band".to_owned()])))
}

/// What bands of one picture have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Common {
    /// Columns and rows.
    size: (usize, usize),
    kind: GdalDataType,
    unit: Unit,
    scale: f64,
    offset: f64,
}

/// What bands of one picture have in common, and the only band of the raster
/// called `name`; `None` where it has none or several.
fn raster(name: &str) -> Result<Option<(Common, Layer)>> {
    let dataset = library::call(Fault::Input, name, || {
        let dataset = Dataset::open(name)?;
        library::forgive();
        Ok(dataset)
    })?;
    if dataset.raster_count() != 1 {
        return Ok(None);
    }
    let kind = library::call(Fault::Input, name, || Ok(dataset.rasterband(1)?.band_type()))?;
    let Some(layer) = bands::layers(&dataset, name, None)?.shown.pop() else { return Ok(None) };
    let Band { unit, scale, offset, .. } = layer.band;
    let size = dataset.raster_size();
    Ok(Some((Common { size, kind, unit, scale, offset }, layer)))
}

/// The name of a variable, which GDAL's name for its raster ends in.
fn variable(name: &str) -> &str {
    name.rsplit([':', '/']).next().unwrap_or(name)
}
