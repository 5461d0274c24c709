//! Cubes in HDF5 and NetCDF files whose bands come last, such as NEON's
//! surface reflectance (NEON.DP3.30006) and what many laboratories write: an
//! array of rows, columns and bands, and somewhere else in the file a list of
//! as many wavelengths.
//!
//! GDAL takes the rows of such a cube for bands.

use super::super::arrays::{self, ArrayName, Order};
use super::super::bands::{self, micrometres};
use super::super::layer::Law;
use super::{Piece, Product};
use crate::error::Result;
use crate::frame::{Band, Unit};
use crate::sensor::count;

/// How the names of such files end.
const ENDINGS: [&str; 5] = [".h5", ".hdf5", ".he5", ".nc", ".nc4"];

/// What programs call scale, offset and the number of missing readings.
const SCALES: [&str; 2] = ["scale_factor", "Scale_Factor"];
const OFFSETS: [&str; 2] = ["add_offset", "Add_Offset"];
const MISSING: [&str; 3] = ["_FillValue", "Data_Ignore_Value", "missing_value"];
const UNITS: [&str; 2] = ["units", "Units"];

/// Whether the file called `name` may hold one.
pub(super) fn is_metadata(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The cube in the file at `file`, if there is exactly one.
pub(super) fn product(path: &str, file: &str) -> Result<Option<Product>> {
    let found = arrays::all(file)?;
    let mut lists = found.iter().filter_map(|(name, sizes)| match sizes[..] {
        [length] if last(name).to_ascii_lowercase().contains("wavelength") => Some((name, length)),
        _ => None,
    });
    let Some((list, length)) = lists.next() else { return Ok(None) };
    let mut cubes = found.iter().filter_map(|(name, sizes)| match sizes[..] {
        [rows, _, bands] if bands == length && rows != length => Some(name),
        _ => None,
    });
    let (Some(cube), None) = (cubes.next(), cubes.next()) else { return Ok(None) };
    let Some(wavelengths) = arrays::list(file, list)? else { return Ok(None) };
    pieces(file, cube, (list, &wavelengths)).map(|pieces| {
        let said = vec![
            format!("the last axis of its array {cube} is that of its {}", last(list)),
            "not on a map".to_owned(),
        ];
        let model = format!("cube of {}", count(pieces.len(), "band"));
        Some(Product::new(path, model, pieces, said))
    })
}

/// The bands of the array `cube` in the file at `file`, whose wavelengths are
/// in the array `list`.
fn pieces(file: &str, cube: &str, (list, wavelengths): (&str, &[f64])) -> Result<Vec<Piece>> {
    let number = |names: &[&str]| -> Result<Option<f64>> {
        let text = arrays::property(file, cube, names)?;
        Ok(text.and_then(|text| text.trim().parse().ok()).filter(|number: &f64| number.is_finite()))
    };
    let stated = arrays::property(file, cube, &UNITS)?.and_then(|text| bands::known_unit(&text));
    let reflectance = last(cube).to_ascii_lowercase().contains("reflectance");
    let unit = stated.unwrap_or(if reflectance { Unit::Reflectance } else { Unit::Counts });
    let scale = match number(&SCALES)?.filter(|scale| *scale != 0.0).unwrap_or(1.0) {
        // A divisor, as no reflectance comes near a factor above 1.
        divisor if unit == Unit::Reflectance && divisor > 1.0 => 1.0 / divisor,
        scale => scale,
    };
    let offset = number(&OFFSETS)?.unwrap_or(0.0);
    let missing: Vec<f64> = number(&MISSING)?.into_iter().collect();
    let units = arrays::property(file, list, &UNITS)?.unwrap_or_default();
    let array = ArrayName { path: cube.to_owned(), order: Order::BandsLast };
    let piece = |(at, &centre): (usize, &f64)| Piece {
        path: file.to_owned(),
        array: Some(array.clone()),
        index: at + 1,
        band: Band {
            wavelength_um: micrometres(centre, None, &units, "").map(|(centre, _)| centre),
            scale,
            offset,
            ..Band::new((at + 1).to_string(), unit)
        },
        missing: missing.clone(),
        law: Law::Linear,
    };
    Ok(wavelengths.iter().enumerate().map(piece).collect())
}

/// The name of an array without its groups.
fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
