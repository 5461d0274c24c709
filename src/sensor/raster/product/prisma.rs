//! PRISMA Level-2B, 2C and 2D (ASI, PRISMA Products Specification Document,
//! issue 2.3): HDF5 files with one cube for each spectrometer, rows of bands
//! of columns, whose scale and wavelengths are attributes of the file.

use gdal::spatial_ref::SpatialRef;

use super::super::arrays::{self, ArrayName, Order};
use super::super::layer::Law;
use super::super::library;
use super::{Piece, Product, lacks};
use crate::error::{Error, Fault, Result};
use crate::frame::{Band, GeoReference, Unit};

/// The highest stored number, which stands for the upper end of the scale.
const HIGHEST: f64 = 65535.0;

/// Whether the file called `name` may be one.
pub(super) fn is_metadata(name: &str) -> bool {
    name.starts_with("PRS_L") && name.ends_with(".he5")
}

/// The product in the file at `file`.
pub(super) fn product(path: &str, file: &str) -> Result<Option<Product>> {
    let level = super::file_name(file).get(5..7).unwrap_or_default();
    // Radiance is stated for a micrometre.
    let (unit, factor) = match level {
        "2C" | "2D" => (Unit::Reflectance, 1.0),
        "2B" => (Unit::Radiance, 1e-3),
        _ => {
            let what = format!("is of level {level}, whose calibration is unknown here");
            return Err(Error::new(Fault::Unsupported, path, what)
                .hint("levels 2B, 2C and 2D of the same scene are read"));
        }
    };
    let mut pieces = cube(file, level, "Vnir", unit, factor)?;
    pieces.extend(cube(file, level, "Swir", unit, factor)?);
    if pieces.is_empty() {
        return Err(lacks(file, "bands"));
    }
    let wavelength = |piece: &Piece| piece.band.wavelength_um.unwrap_or_default();
    pieces.sort_by(|a, b| wavelength(a).total_cmp(&wavelength(b)));
    let georeference = if level == "2D" { place(file)? } else { None };
    let mut said = vec!["scale of its attributes applied".to_owned()];
    if georeference.is_none() {
        said.push("as the instrument swept it, not on a map".to_owned());
    }
    let model = format!("PRISMA L{level}");
    let path = path.to_owned();
    Ok(Some(Product { georeference, ..Product::new(&path, model, pieces, said) }))
}

/// The bands of one spectrometer, none where the file lacks its cube; `factor`
/// leads from the unit of the file to `unit`.
fn cube(
    file: &str,
    level: &str,
    spectrometer: &str,
    unit: Unit,
    factor: f64,
) -> Result<Vec<Piece>> {
    let name = spectrometer.to_uppercase();
    let path = format!("HDFEOS/SWATHS/PRS_L{level}_HCO/Data Fields/{name}_Cube");
    let array = ArrayName { path, order: Order::BandsBetween };
    let Some(axes) = arrays::axes(file, &array)? else { return Ok(Vec::new()) };
    let wavelengths = arrays::attribute(file, &format!("List_Cw_{spectrometer}"))?;
    let widths = arrays::attribute(file, &format!("List_Fwhm_{spectrometer}"))?;
    let end = |end: &str| {
        let name = format!("L2Scale{spectrometer}{end}");
        let value = arrays::attribute(file, &name)?.first().copied();
        value.filter(|v| v.is_finite()).ok_or_else(|| lacks(file, &name))
    };
    let (low, high) = (end("Min")?, end("Max")?);
    let piece = |at: usize, centre: f64| Piece {
        path: file.to_owned(),
        array: Some(array.clone()),
        index: at + 1,
        band: Band {
            wavelength_um: Some((centre / 1000.0) as f32),
            fwhm_um: widths.get(at).map(|width| (width / 1000.0) as f32),
            scale: factor * (high - low) / HIGHEST,
            offset: factor * low,
            ..Band::new(format!("{spectrometer} {}", at + 1), unit)
        },
        missing: vec![0.0],
        law: Law::Linear,
    };
    // Bands that the spectrometer does not have lie at 0.
    let known = wavelengths.iter().take(axes.bands).enumerate().filter(|(_, nm)| **nm > 0.0);
    Ok(known.map(|(at, &centre)| piece(at, centre)).collect())
}

/// Where a geocoded product lies: its corners are the middles of its pixels,
/// which have 30 m.
fn place(file: &str) -> Result<Option<GeoReference>> {
    let number = |name| Ok(arrays::attribute(file, name)?.first().copied());
    let (Some(epsg), Some(east), Some(north)) = (
        number("Epsg_Code")?,
        number("Product_ULcorner_easting")?,
        number("Product_ULcorner_northing")?,
    ) else {
        return Ok(None);
    };
    let wkt = library::call(Fault::Input, file, || {
        SpatialRef::from_epsg(epsg as u32).and_then(|reference| reference.to_wkt())
    });
    Ok(wkt.ok().map(|crs_wkt| GeoReference {
        transform: [east - 15.0, 30.0, 0.0, north + 15.0, 0.0, -30.0],
        crs_wkt,
    }))
}
