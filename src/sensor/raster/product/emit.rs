//! EMIT Level-1B radiance and Level-2A reflectance (LP DAAC, EMIT L1B and L2A
//! user guides): NetCDF files whose spectral axis comes last.
//!
//! GDAL shows that axis as bands from version 3.8 on; older ones take the scan
//! lines for bands. Read by its array, a file is the same for all of them.

use super::super::arrays::{self, ArrayName, Axes, Order};
use super::super::layer::Law;
use super::{Piece, Product, file_name};
use crate::error::Result;
use crate::frame::{Band, Unit};
use crate::sensor::count;

/// The array of a level: its name, the level, the unit, and the factor to it.
/// EMIT states radiance in uW cm^-2 sr^-1 nm^-1, of which 100 are 1 W m^-2.
const ARRAYS: [(&str, &str, Unit, f64); 2] =
    [("reflectance", "L2A", Unit::Reflectance, 1.0), ("radiance", "L1B", Unit::Radiance, 0.01)];

/// Whether the file called `name` may be one.
pub(super) fn is_metadata(name: &str) -> bool {
    name.contains("EMIT_L") && name.ends_with(".nc")
}

/// The cube in the file at `metadata`, if it holds one.
pub(super) fn product(path: &str, metadata: &str) -> Result<Option<Product>> {
    for (array, level, unit, scale) in ARRAYS {
        let array = ArrayName { path: array.to_owned(), order: Order::BandsLast };
        let Some(axes) = arrays::axes(metadata, &array)? else { continue };
        return cube(path, metadata, &array, &axes, (level, unit, scale)).map(Some);
    }
    Ok(None)
}

fn cube(
    path: &str,
    file: &str,
    array: &ArrayName,
    axes: &Axes,
    (level, unit, scale): (&str, Unit, f64),
) -> Result<Product> {
    let list = |name: &str| arrays::list(file, &format!("sensor_band_parameters/{name}"));
    let (wavelengths, widths) = (list("wavelengths")?, list("fwhm")?);
    let good = list("good_wavelengths")?;
    let bad = |band: usize| good.as_ref().is_some_and(|good| good.get(band) == Some(&0.0));
    let all_bad = (0..axes.bands).all(bad);
    let micrometres = |list: &Option<Vec<f64>>, band: usize| {
        list.as_ref()?.get(band).filter(|nm| **nm > 0.0).map(|nm| (nm / 1000.0) as f32)
    };
    let pieces: Vec<Piece> = (0..axes.bands)
        .filter(|&band| all_bad || !bad(band))
        .map(|band| Piece {
            path: file.to_owned(),
            array: Some(array.clone()),
            index: band + 1,
            band: Band {
                wavelength_um: micrometres(&wavelengths, band),
                fwhm_um: micrometres(&widths, band),
                scale,
                ..Band::new((band + 1).to_string(), unit)
            },
            missing: axes.nodata.into_iter().collect(),
            law: Law::Linear,
        })
        .collect();
    let mut said = Vec::new();
    if pieces.len() < axes.bands {
        let bad = count(axes.bands - pieces.len(), "band");
        said.push(format!("{bad} left out, which its good_wavelengths call bad"));
    }
    if wavelengths.is_none() {
        said.push(format!("{} states no wavelengths", file_name(file)));
    }
    said.push("as the instrument swept it, not on a map".to_owned());
    let model = format!("EMIT {level}");
    Ok(Product::new(path, model, pieces, said))
}
