//! Files of several rasters that are bands of one picture, such as what xarray
//! writes of a satellite scene: variables on one grid, alike in type, unit and
//! scale. Where they differ, the user has to name one.

use std::path::Path;

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

/// The files in a folder that make it a Zarr store, of which one at least is there:
/// of a group of arrays, of one array, and of either in version 3.
const ZARR: [&str; 3] = [".zgroup", ".zarray", "zarr.json"];

/// Variables that say where pixels lie.
const PLACES: [&str; 10] =
    ["lat", "lon", "latitude", "longitude", "x", "y", "xc", "yc", "crs", "spatial_ref"];

/// Whether the file called `name` may be one.
pub(super) fn is_metadata(name: &str) -> bool {
    cube::is_metadata(name) || ZARR.contains(&name)
}

/// Whether the folder at `path` is a Zarr store.
pub(in super::super) fn is_store(path: &Path) -> bool {
    ZARR.iter().any(|name| path.join(name).is_file())
}

/// The bands in the file at `file`, if that is what its rasters are.
pub(super) fn product(path: &str, file: &str) -> Result<Option<Product>> {
    let store = ZARR.iter().find_map(|name| file.strip_suffix(name));
    let file = store.unwrap_or(file).trim_end_matches('/');
    let inside = library::call(Fault::Input, file, || {
        let dataset = Dataset::open(file)?;
        library::forgive();
        let bands = dataset.raster_count();
        Ok(dataset.metadata_domain("SUBDATASETS").filter(|_| bands == 0).unwrap_or_default())
    });
    let inside = inside.map_err(|error| match store {
        Some(_) => error.hint(
            "xarray writes stores that every version of GDAL reads with \
             `to_zarr(..., zarr_format=2)`",
        ),
        None => error,
    })?;
    let names: Vec<&str> =
        inside.iter().filter_map(|part| Some(part.split_once("_NAME=")?.1)).collect();
    let mut pieces = Vec::new();
    let mut first = None;
    for name in pictures(&names) {
        let Some((common, layers)) = raster(name)? else { return Ok(None) };
        // A list of coordinates: Zarr stores do not tell it from a picture.
        if store.is_some() && common.size.1 == 1 {
            continue;
        }
        if *first.get_or_insert(common) != common {
            return Ok(None);
        }
        let several = layers.len() > 1;
        for Layer { mut band, index, missing, law, .. } in layers {
            let variable = variable(name);
            band.name = if several { format!("{variable} {}", band.name) } else { variable };
            pieces.push(Piece { path: name.to_owned(), array: None, index, band, missing, law });
        }
    }
    let mut variables: Vec<&str> = pieces.iter().map(|piece| piece.path.as_str()).collect();
    variables.dedup();
    let said = match (variables.len(), pieces.len()) {
        (0, _) => return Ok(None),
        (1, _) => vec![],
        (all, bands) if all == bands => vec!["each of them a band".to_owned()],
        // Which of them has which bands is not ours to say.
        _ => return Ok(None),
    };
    let model = match variables[..] {
        [only] => variable(only),
        _ => count(pieces.len(), "variable"),
    };
    Ok(Some(Product::new(path, model, pieces, said)))
}

/// Those of the rasters called `names` that may be pictures; none where there are
/// too many.
fn pictures<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let place = |name: &str| PLACES.contains(&variable(name).to_lowercase().as_str());
    // An array of three axes stands beside its layers, `/array:0` and on.
    let layered = |name: &str| names.contains(&format!("{name}:0").as_str());
    let found: Vec<&str> =
        names.iter().copied().filter(|name| !place(name) && !layered(name)).collect();
    if found.len() > MOST { Vec::new() } else { found }
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

/// What bands of one picture have in common, and the bands of the raster called
/// `name`; `None` where it has none.
fn raster(name: &str) -> Result<Option<(Common, Vec<Layer>)>> {
    let dataset = library::call(Fault::Input, name, || {
        let dataset = Dataset::open(name)?;
        library::forgive();
        Ok(dataset)
    })?;
    if dataset.raster_count() == 0 {
        return Ok(None);
    }
    let kind = library::call(Fault::Input, name, || Ok(dataset.rasterband(1)?.band_type()))?;
    let layers = bands::layers(&dataset, name, None, None)?.shown;
    let Some(Band { unit, scale, offset, .. }) = layers.first().map(|first| &first.band) else {
        return Ok(None);
    };
    let (unit, scale, offset) = (*unit, *scale, *offset);
    Ok(Some((Common { size: dataset.raster_size(), kind, unit, scale, offset }, layers)))
}

/// The name of a variable, which GDAL's name for its raster ends in, with the number
/// of a layer behind it where it is one.
fn variable(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    let last = last.rsplit_once("\":").map_or(last, |(_, last)| last);
    match last.rsplit_once(':') {
        Some((variable, layer)) if layer.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{variable} {layer}")
        }
        Some((_, variable)) => variable.to_owned(),
        None => last.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_named_as_their_file_names_them() {
        for (name, own) in [
            ("NETCDF:\"a b.nc\":lst", "lst"),
            ("NETCDF:a.nc:lst", "lst"),
            ("HDF5:\"/x/a.h5\"://group/band 1", "band 1"),
            ("ZARR:\"/x/a.zarr\":/sst", "sst"),
            ("ZARR:\"/x/a.zarr\":/group/sst:12", "sst 12"),
        ] {
            assert_eq!(variable(name), own);
        }
        let names = ["Z:\"a\":/lat", "Z:\"a\":/sst:0", "Z:\"a\":/sst:1", "Z:\"a\":/sst"];
        assert_eq!(pictures(&names), names[1..3]);
    }
}
