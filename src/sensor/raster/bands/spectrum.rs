//! Where the bands of a raster lie in the spectrum, as the many conventions of
//! files have it.

use gdal::raster::RasterBand;
use gdal::{Dataset, Metadata};

/// Lists for all bands that stand at the data set.
pub(super) struct Lists {
    wavelength: Vec<f64>,
    fwhm: Vec<f64>,
    bad_bands: Vec<f64>,
    units: String,
    /// Whether the items of bands are attributes of an array of an HDF5 file, of
    /// which GDAL follows none.
    pub are_attributes: bool,
}

impl Lists {
    /// The `ENVI` domain of `dataset`; empty lists for other formats.
    pub fn of(dataset: &Dataset) -> Self {
        let item = |key| dataset.metadata_item(key, "ENVI").unwrap_or_default();
        Self {
            wavelength: numbers(&item("wavelength")),
            fwhm: numbers(&item("fwhm")),
            bad_bands: numbers(&item("bbl")),
            units: item("wavelength_units"),
            are_attributes: dataset.driver().short_name() == "HDF5Image",
        }
    }

    /// Whether `band` at `position` is marked bad.
    pub fn bad(&self, band: &RasterBand, position: usize) -> bool {
        let own = band.metadata_item("bbl", "").and_then(|text| text.trim().parse().ok());
        own.or_else(|| self.bad_bands.get(position).copied()) == Some(0.0)
    }
}

/// The value of the first item of `band` whose key ends in `name`, as those do that
/// were attributes of an array of an HDF5 file.
pub(super) fn ending(band: &RasterBand, name: &str) -> Option<String> {
    let items = band.metadata_domain("")?;
    let mut pairs = items.iter().filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| key.ends_with(name)).map(|(_, value)| value.to_owned())
}

/// The axes besides rows and columns of the variable of a NetCDF file that `band`
/// belongs to, and where it lies on each.
pub fn axes(band: &RasterBand) -> Vec<(String, String)> {
    let items = band.metadata_domain("").unwrap_or_default();
    let axis = |item: &String| {
        let (axis, value) = item.strip_prefix("NETCDF_DIM_")?.split_once('=')?;
        Some((axis.to_owned(), value.to_owned()))
    };
    items.iter().filter_map(axis).collect()
}

/// The centre of `band` in micrometres where it lies on an axis of wavelengths.
pub(super) fn along_axis(dataset: &Dataset, band: &RasterBand) -> Option<(f32, Option<f32>)> {
    let mut axes = axes(band).into_iter();
    let (axis, value) = axes.find(|(axis, _)| axis.to_ascii_lowercase().contains("wavelength"))?;
    let unit = dataset.metadata_item(&format!("{axis}#units"), "").unwrap_or_default();
    micrometres(value.trim().parse().ok()?, None, &unit, "")
}

/// Centre and width of `band` in micrometres, as the file states them.
pub(super) fn spectrum(
    band: &RasterBand,
    description: &str,
    position: usize,
    lists: &Lists,
) -> Option<(f32, Option<f32>)> {
    let item = |key: &str, domain: &str| band.metadata_item(key, domain);
    let number = |key: &str| item(key, "")?.trim().parse::<f64>().ok();
    let units = |keys: [&str; 2]| keys.iter().find_map(|k| item(k, "")).unwrap_or_default();

    let imagery = |key: &str| item(key, "IMAGERY")?.trim().parse::<f64>().ok();
    if let Some(centre) = imagery("CENTRAL_WAVELENGTH_UM") {
        return micrometres(centre, imagery("FWHM_UM"), "um", "um");
    }
    if let Some(centre) = number("wavelength") {
        let fwhm = number("fwhm").or_else(|| number("BANDWIDTH"));
        let unit = units(["wavelength_units", "WAVELENGTH_UNIT"]);
        // GDAL gives each band of an ENVI file its number, and the file their unit.
        let unit = if unit.is_empty() { lists.units.clone() } else { unit };
        return micrometres(centre, fwhm, &unit, &units(["fwhm_units", "BANDWIDTH_UNIT"]));
    }
    let suffix = |name: &str| ending(band, name);
    if let Some(centre) = suffix("center_wavelengths").and_then(|l| nth(&l, position)) {
        let fwhm = suffix("fwhm").and_then(|list| nth(&list, position));
        let unit = suffix("center_wavelengths_units").unwrap_or_default();
        return micrometres(centre, fwhm, &unit, &suffix("fwhm_units").unwrap_or_default());
    }
    if let Some(&centre) = lists.wavelength.get(position) {
        return micrometres(centre, lists.fwhm.get(position).copied(), &lists.units, "");
    }
    let (centre, unit) = described(description)?;
    micrometres(centre, None, &unit, "")
}

/// Centre and width in micrometres from numbers in the units named; a width
/// without a unit is in the unit of the centre.
pub fn micrometres(
    centre: f64,
    fwhm: Option<f64>,
    unit: &str,
    fwhm_unit: &str,
) -> Option<(f32, Option<f32>)> {
    let factor = |unit: &str| {
        let unit = unit.trim().to_lowercase();
        match unit.as_str() {
            "nm" => Some(1e-3),
            "um" | "\u{b5}m" | "\u{3bc}m" => Some(1.0),
            _ if unit.starts_with("nano") => Some(1e-3),
            _ if unit.starts_with("micro") => Some(1.0),
            "" | "unknown" => Some(if centre < 100.0 { 1.0 } else { 1e-3 }),
            _ => None,
        }
    };
    let sound = |value: f64| (value.is_finite() && value > 0.0).then_some(value as f32);
    let scale = factor(unit)?;
    let fwhm_scale = if fwhm_unit.trim().is_empty() { scale } else { factor(fwhm_unit)? };
    Some((sound(centre * scale)?, fwhm.and_then(|width| sound(width * fwhm_scale))))
}

/// A wavelength in running text: the first number before a unit of length.
fn described(text: &str) -> Option<(f64, String)> {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || "(),;[]".contains(c)).collect();
    let known = ["nm", "um", "\u{b5}m", "\u{3bc}m"];
    let is_unit = |word: &str| {
        let word = word.to_lowercase();
        known.contains(&word.as_str())
            || ["nanomet", "micromet", "micron"].iter().any(|u| word.starts_with(u))
    };
    words.iter().enumerate().find_map(|(at, word)| {
        let split = word.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(word.len());
        let (number, attached) = word.split_at(split);
        let unit = if attached.is_empty() { *words.get(at + 1)? } else { attached };
        Some((number.parse().ok()?, unit.to_string())).filter(|_| is_unit(unit))
    })
}

/// The numbers in `{1, 2, 3}` or `1 2 3`; NaN for a word that is none.
fn numbers(text: &str) -> Vec<f64> {
    text.split(|c: char| c.is_whitespace() || "{},".contains(c))
        .filter(|word| !word.is_empty())
        .map(|word| word.parse().unwrap_or(f64::NAN))
        .collect()
}

/// The number at `position` of a list.
fn nth(list: &str, position: usize) -> Option<f64> {
    numbers(list).get(position).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wavelengths_are_found_in_running_text() {
        let find = |text| described(text).and_then(|(v, unit)| micrometres(v, None, &unit, ""));
        assert_eq!(find("band 1 (418.24 Nanometers)"), Some((0.41824, None)));
        assert_eq!(find("B4, central wavelength 665 nm"), Some((0.665, None)));
        assert_eq!(find("366.551 nm"), Some((0.366551, None)));
        assert_eq!(find("Band 10 - 10.9\u{b5}m"), Some((10.9, None)));
        assert_eq!(find("B8A"), None);
        assert_eq!(find("10 m resolution"), None);
        assert_eq!(find("nm 5"), None);
        assert_eq!(find(""), None);
    }

    #[test]
    fn a_width_follows_the_unit_of_its_centre() {
        assert_eq!(micrometres(0.56, Some(0.036), "", ""), Some((0.56, Some(0.036))));
        assert_eq!(micrometres(560.0, Some(36.0), "", ""), Some((0.56, Some(0.036))));
        assert_eq!(micrometres(300.0, Some(0.01), "", "Micrometers"), Some((0.3, Some(0.01))));
        assert_eq!(micrometres(3.0, None, "Index", ""), None);
        assert_eq!(micrometres(-3.0, None, "nm", ""), None);
    }
}
