//! Cubes in HDF5 and NetCDF files whose bands come last, such as NEON's
//! surface reflectance (NEON.DP3.30006) and what many laboratories write: an
//! array of rows, columns and bands, and somewhere else in the file a list of
//! as many wavelengths.
//!
//! GDAL takes the rows of such a cube for bands.

use gdal::spatial_ref::SpatialRef;

use super::super::arrays::{self, ArrayName, Order};
use super::super::bands::{self, micrometres};
use super::super::layer::Law;
use super::super::library;
use super::{Piece, Product};
use crate::error::{Error, Fault, Result};
use crate::frame::{Band, GeoReference, Unit};
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
    let arrays = arrays::all(file)?;
    let found = &arrays.numbers;
    let lists = |word: &'static str| {
        found.iter().filter_map(move |(name, sizes)| match sizes[..] {
            [length] if last(name).to_ascii_lowercase().contains(word) => Some((name, length)),
            _ => None,
        })
    };
    let Some((list, length)) = lists("wavelength").next() else { return Ok(None) };
    let widths = lists("fwhm").find(|found| found.1 == length).map(|(name, _)| name.as_str());
    let mut cubes = found.iter().filter_map(|(name, sizes)| match sizes[..] {
        [rows, _, bands] if bands == length && rows != length => Some(name),
        _ => None,
    });
    let (Some(cube), None) = (cubes.next(), cubes.next()) else { return Ok(None) };
    let Some(spectrum) = Spectrum::read(file, list, widths)? else { return Ok(None) };
    let pieces = pieces(file, cube, &spectrum)?;
    let georeference = place(file, &arrays.texts)?;
    let mut said = vec![format!("the last axis of its array {cube} is that of its {}", last(list))];
    if georeference.is_none() {
        said.push("not on a map".to_owned());
    }
    let model = format!("cube of {}", count(pieces.len(), "band"));
    Ok(Some(Product { georeference, ..Product::new(path, model, pieces, said) }))
}

/// Where a cube lies, by ENVI's `map info` in one of the `texts` of the file at
/// `file`; its projection by a code of EPSG beside it, or by what it says of UTM.
/// One that is turned lies nowhere.
fn place(file: &str, texts: &[String]) -> Result<Option<GeoReference>> {
    let named = |names: &[&str]| {
        let plain = |text: &str| last(text).to_ascii_lowercase().replace([' ', '_'], "");
        let mut found = texts.iter().filter(|text| names.contains(&plain(text).as_str()));
        // Of several, none is known to be that of the cube.
        found.next().filter(|_| found.next().is_none())
    };
    let text = |names: &[&str]| named(names).map_or(Ok(None), |name| arrays::text(file, name));
    let Some(info) = text(&["mapinfo"])? else { return Ok(None) };
    let Some(transform) = transform(&info) else { return Ok(None) };
    let code = text(&["epsgcode", "epsg"])?.and_then(|code| code.trim().parse().ok());
    let Some(code) = code.or_else(|| utm(&info)) else { return Ok(None) };
    let wkt = library::call(Fault::Input, file, || SpatialRef::from_epsg(code)?.to_wkt());
    Ok(wkt.ok().map(|crs_wkt| GeoReference { transform, crs_wkt }))
}

/// The fields of `map info`, without what the last ones are called.
fn fields(info: &str) -> Vec<&str> {
    info.split(['{', '}', ',']).map(str::trim).filter(|field| !field.is_empty()).collect()
}

/// The transform of `map info`: projection, column and row of a corner, counted
/// from 1, its place, and the size of a pixel (NV5, ENVI Header Files).
fn transform(info: &str) -> Option<[f64; 6]> {
    let fields = fields(info);
    let number = |at: usize| fields.get(at)?.parse().ok().filter(|n: &f64| n.is_finite());
    let turned = fields.iter().filter_map(|field| field.strip_prefix("rotation")).any(|angle| {
        angle.trim_start_matches([' ', '=']).trim().parse::<f64>().is_ok_and(|angle| angle != 0.0)
    });
    let (width, height) = (number(5)?, number(6)?);
    let x = number(3)? - (number(1)? - 1.0) * width;
    let y = number(4)? + (number(2)? - 1.0) * height;
    (!turned && width > 0.0 && height > 0.0).then_some([x, width, 0.0, y, 0.0, -height])
}

/// The code of EPSG for the zone of UTM on WGS 84 that `map info` names.
fn utm(info: &str) -> Option<u32> {
    let fields = fields(info);
    let zone = fields.get(7)?.parse().ok().filter(|zone: &u32| (1..=60).contains(zone))?;
    let wgs84 = fields.get(9)?.to_ascii_uppercase().replace([' ', '_'], "-") == "WGS-84";
    let half = match fields.get(8)?.to_ascii_lowercase().as_str() {
        "north" => 32600,
        "south" => 32700,
        _ => return None,
    };
    (fields.first()?.eq_ignore_ascii_case("UTM") && wgs84).then_some(half + zone)
}

/// Centres and widths of bands, and their units.
struct Spectrum {
    centres: Vec<f64>,
    unit: String,
    widths: Option<Vec<f64>>,
    width_unit: String,
}

impl Spectrum {
    /// Reads them from the arrays of the file at `file` that are called so.
    fn read(file: &str, centres: &str, widths: Option<&str>) -> Result<Option<Self>> {
        let unit = |array: &str| {
            Ok::<_, Error>(arrays::property(file, array, &UNITS)?.unwrap_or_default())
        };
        let (width_unit, widths) = match widths {
            Some(widths) => (unit(widths)?, arrays::list(file, widths)?),
            None => (String::new(), None),
        };
        let unit = unit(centres)?;
        let found = arrays::list(file, centres)?;
        Ok(found.map(|centres| Self { centres, unit, widths, width_unit }))
    }

    /// Centre and width of the band at `place`, in micrometres.
    fn band(&self, place: usize) -> (Option<f32>, Option<f32>) {
        let width = self.widths.as_ref().and_then(|widths| widths.get(place).copied());
        let found = self
            .centres
            .get(place)
            .and_then(|&centre| micrometres(centre, width, &self.unit, &self.width_unit));
        (found.map(|(centre, _)| centre), found.and_then(|(_, width)| width))
    }
}

/// The bands of the array `cube` in the file at `file`.
fn pieces(file: &str, cube: &str, spectrum: &Spectrum) -> Result<Vec<Piece>> {
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
    let array = ArrayName { path: cube.to_owned(), order: Order::BandsLast };
    let piece = |at: usize| {
        let (wavelength_um, fwhm_um) = spectrum.band(at);
        let band = Band::new((at + 1).to_string(), unit);
        Piece {
            path: file.to_owned(),
            array: Some(array.clone()),
            index: at + 1,
            band: Band { wavelength_um, fwhm_um, scale, offset, ..band },
            missing: missing.clone(),
            law: Law::Linear,
        }
    };
    Ok((0..spectrum.centres.len()).map(piece).collect())
}

/// The name of an array without its groups.
fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_info_says_where_the_first_pixel_lies() {
        let info = "UTM,  1.000,  1.000,       358000.00,       4704060.0,       1.0000000,       \
                    1.0000000,  18,  North,  WGS-84,  units=Meters, 0";
        assert_eq!(transform(info), Some([358000.0, 1.0, 0.0, 4704060.0, 0.0, -1.0]));
        assert_eq!(utm(info), Some(32618));
        let envi = "{UTM, 11, 21, 500100, 4000200, 10, 10, 33, South, WGS-84, units=Meters}";
        assert_eq!(transform(envi), Some([500000.0, 10.0, 0.0, 4000400.0, 0.0, -10.0]));
        assert_eq!(utm(envi), Some(32733));
        assert_eq!(transform("UTM, 1, 1, 5, 4, 1, 1, 33, North, WGS-84, rotation=12.5"), None);
        assert_eq!(transform("UTM, 1, 1, 5"), None);
        assert_eq!(utm("UTM, 1, 1, 5, 4, 1, 1, 33, North, North America 1983"), None);
    }
}
