//! Sentinel-2 Level-1C and Level-2A in the SAFE format.
//!
//! Everything that turns stored numbers into reflectance is taken from the
//! product's own metadata (ESA, Sentinel-2 Products Specification Document):
//! `reflectance = (DN + ADD_OFFSET) / QUANTIFICATION_VALUE`. Neither the date
//! nor the baseline tells the offset: archives were reprocessed, and some
//! providers remove it.

use super::super::layer::Law;
use super::{Piece, Product, file_name, folder, lacks, listing, text};
use crate::error::{Error, Result};
use crate::frame::{Band, Unit};
use crate::sensor::count;
use crate::sensor::markup::{content, elements};
use crate::sensor::naming::same_name;

/// The bands, by their `band_id`: name, STAC common name, and for products
/// that do not state them the centre and width in micrometres of Sentinel-2A
/// (ESA, Sentinel-2 Spectral Response Functions, COPE-GSEG-EOPG-TN-15-0007).
const BANDS: [(&str, &str, f32, f32); 13] = [
    ("B01", "coastal", 0.4427, 0.021),
    ("B02", "blue", 0.4927, 0.066),
    ("B03", "green", 0.5598, 0.036),
    ("B04", "red", 0.6646, 0.031),
    ("B05", "rededge071", 0.7041, 0.015),
    ("B06", "rededge075", 0.7405, 0.015),
    ("B07", "rededge078", 0.7828, 0.020),
    ("B08", "nir", 0.8328, 0.106),
    ("B8A", "nir08", 0.8647, 0.021),
    ("B09", "nir09", 0.9451, 0.020),
    ("B10", "cirrus", 1.3735, 0.031),
    ("B11", "swir16", 1.6137, 0.091),
    ("B12", "swir22", 2.2024, 0.175),
];

/// Whether the file called `name` describes a product.
pub(super) fn is_metadata(name: &str) -> bool {
    matches!(name, "MTD_MSIL1C.xml" | "MTD_MSIL2A.xml")
}

/// The product named as `path`, whose metadata file is at `metadata`.
pub(super) fn product(path: &str, metadata: &str) -> Result<Option<Product>> {
    let xml = text(metadata, "xml:SENTINEL2")?;
    let granules = elements(&xml, "Granule").count().max(elements(&xml, "Granules").count());
    if granules > 1 {
        let what = format!("holds {}, as products before 2016 do", count(granules, "granule"));
        return Err(
            Error::input(path, what).hint("name one of its pictures, in GRANULE/*/IMG_DATA")
        );
    }
    let quantification = quantification(&xml).ok_or_else(|| lacks(metadata, "quantification"))?;
    let level = content(&xml, "PRODUCT_TYPE").and_then(|kind| kind.strip_prefix("S2MSI"));
    let level = level.and_then(|level| level.get(..2)).unwrap_or("?");
    let spacecraft = content(&xml, "SPACECRAFT_NAME").unwrap_or("Sentinel-2");
    let missing = special_values(&xml);
    let folder = folder(metadata);
    let files = listing(folder, true);
    let images: Vec<&str> = ["IMAGE_FILE", "IMAGE_FILE_2A"]
        .iter()
        .flat_map(|name| elements(&xml, name))
        .map(|image| image.content.trim())
        .collect();
    let (mut pieces, mut absent) = (Vec::new(), Vec::new());
    for (id, &(name, ..)) in BANDS.iter().enumerate() {
        let mut found: Vec<(u32, &&str)> =
            images.iter().filter_map(|image| Some((resolution(image, name)?, image))).collect();
        found.sort_unstable();
        // Only what lies in the folder counts, whatever the metadata names.
        let file = found.iter().find_map(|(_, image)| {
            let file = format!("{image}.jp2");
            files.binary_search(&file).is_ok().then_some(file)
        });
        match file {
            Some(file) => pieces.push(Piece {
                path: format!("{folder}/{file}"),
                array: None,
                index: 1,
                band: band(&xml, id, quantification),
                missing: missing.clone(),
                law: Law::Linear,
            }),
            None if found.is_empty() => {}
            None => absent.push(name),
        }
    }
    if pieces.is_empty() {
        let what = format!("none of its {} is there", count(images.len(), "picture"));
        return Err(Error::input(path, what).hint("unpack the whole product"));
    }
    // The metadata of some baselines does not list it, but it is there.
    let mut classes: Vec<(u32, &String)> = files
        .iter()
        .filter_map(|file| Some((resolution(file.strip_suffix(".jp2")?, "SCL")?, file)))
        .collect();
    classes.sort_unstable();
    let quality = classes
        .first()
        .map(|(_, file)| ("SCL".to_owned(), format!("{folder}/{file}")))
        .into_iter()
        .collect();
    let mut said = vec![applied(&xml, quantification)];
    if !absent.is_empty() {
        said.push(format!("no file of {}", absent.join(", ")));
    }
    let model = format!("{spacecraft} MSIL{level}");
    Ok(Some(Product { quality, ..Product::new(path, model, pieces, said) }))
}

/// The number that stored numbers are divided by.
fn quantification(xml: &str) -> Option<f64> {
    ["BOA_QUANTIFICATION_VALUE", "QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE"]
        .iter()
        .find_map(|name| content(xml, name)?.parse().ok())
        .filter(|value: &f64| value.is_finite() && *value > 0.0)
}

/// The stored numbers that mean no reading: no data, and saturated.
fn special_values(xml: &str) -> Vec<f64> {
    elements(xml, "Special_Values")
        .filter_map(|value| content(value.content, "SPECIAL_VALUE_INDEX")?.parse().ok())
        .collect()
}

/// The resolution in metres that the picture called `image` has, if it is of
/// the band called `name`; 0 where it does not say.
fn resolution(image: &str, name: &str) -> Option<u32> {
    let image = file_name(image);
    if image.ends_with(&format!("_{name}")) {
        return Some(0);
    }
    let (stem, metres) = image.strip_suffix('m')?.rsplit_once('_')?;
    stem.ends_with(&format!("_{name}")).then(|| metres.parse().ok())?
}

/// The band of this `band_id`.
fn band(xml: &str, id: usize, quantification: f64) -> Band {
    let (name, common_name, wavelength_um, fwhm_um) = BANDS[id];
    let stated = spectrum(xml, id);
    Band {
        common_name: Some(common_name.to_owned()),
        wavelength_um: Some(stated.map_or(wavelength_um, |(centre, _)| centre)),
        fwhm_um: Some(stated.and_then(|(_, width)| width).unwrap_or(fwhm_um)),
        scale: 1.0 / quantification,
        offset: add_offset(xml, name).unwrap_or(0.0) / quantification,
        ..Band::new(name, Unit::Reflectance)
    }
}

/// Centre and width in micrometres of the band of this `band_id`, the width
/// by its spectral response, if the product states them.
fn spectrum(xml: &str, id: usize) -> Option<(f32, Option<f32>)> {
    let id = id.to_string();
    let entry =
        elements(xml, "Spectral_Information").find(|e| e.attribute("bandId") == Some(&id))?;
    let nanometres = |text: &str| text.trim().parse::<f32>().ok().filter(|v| *v > 0.0);
    let centre = nanometres(content(entry.content, "CENTRAL")?)?;
    let step = content(entry.content, "STEP").and_then(nanometres);
    let response: Vec<f32> = content(entry.content, "VALUES")
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|value| value.parse().ok())
        .collect();
    let width = half_width(&response).zip(step).map(|(steps, step)| steps * step / 1000.0);
    Some((centre / 1000.0, width))
}

/// How many steps of `response` lie between its two crossings of half its
/// maximum, the first and the last.
fn half_width(response: &[f32]) -> Option<f32> {
    let half = response.iter().copied().fold(0.0f32, f32::max) / 2.0;
    let first = response.iter().position(|&value| value > half)?;
    let last = response.iter().rposition(|&value| value > half)?;
    let beyond = |inside: usize, outside: Option<usize>| match outside {
        Some(outside) => {
            let (high, low) = (response[inside], *response.get(outside)?);
            Some((high - half) / (high - low))
        }
        None => Some(0.0),
    };
    let left = beyond(first, first.checked_sub(1))?;
    let right = beyond(last, (last + 1 < response.len()).then_some(last + 1))?;
    Some((last - first) as f32 + left + right)
}

/// The `BOA_ADD_OFFSET` or `RADIO_ADD_OFFSET` of the band called `name`.
pub(in super::super) fn add_offset(xml: &str, name: &str) -> Option<f64> {
    let id = BANDS.iter().position(|band| same_name(band.0, name))?.to_string();
    offsets(xml).find(|(band, _)| *band == id).map(|(_, offset)| offset)
}

/// All offsets that the product states, with their `band_id`.
fn offsets(xml: &str) -> impl Iterator<Item = (&str, f64)> {
    ["BOA_ADD_OFFSET", "RADIO_ADD_OFFSET"]
        .into_iter()
        .flat_map(move |name| elements(xml, name))
        .filter_map(|e| Some((e.attribute("band_id")?, e.content.trim().parse().ok()?)))
}

/// What was done to the stored numbers, for people.
fn applied(xml: &str, quantification: f64) -> String {
    let mut all: Vec<f64> = offsets(xml).map(|(_, offset)| offset).collect();
    all.sort_unstable_by(f64::total_cmp);
    match all[..] {
        [] => format!("divisor {quantification} of its metadata applied, which states no offset"),
        [low, .., high] if low != high => {
            format!("offsets {low} to {high} and divisor {quantification} of its metadata applied")
        }
        [offset, ..] => {
            format!("offset {offset} and divisor {quantification} of its metadata applied")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_belong_to_their_band() {
        let xml = "<BOA_ADD_OFFSET band_id=\"1\">-1000</BOA_ADD_OFFSET>\n\
                   <BOA_ADD_OFFSET band_id=\"8\">-900</BOA_ADD_OFFSET>";
        assert_eq!(add_offset(xml, "B02"), Some(-1000.0));
        assert_eq!(add_offset(xml, "B8A"), Some(-900.0));
        assert_eq!(add_offset(xml, "B3"), None);
        assert_eq!(add_offset(xml, "SCL"), None);
        assert!(applied(xml, 1e4).starts_with("offsets -1000 to -900 and divisor 10000"));
        assert!(applied("", 1e4).ends_with("states no offset"));
    }

    #[test]
    fn pictures_are_told_by_band_and_resolution() {
        assert_eq!(resolution("G/I/R20m/T34UCF_20230823T095559_B05_20m", "B05"), Some(20));
        assert_eq!(resolution("G/I/T34UCF_20230823T095559_B8A", "B8A"), Some(0));
        assert_eq!(resolution("G/I/T34UCF_20230823T095559_B8A", "B08"), None);
        assert_eq!(resolution("G/I/R20m/T34UCF_20230823T095559_SCL_20m", "B05"), None);
    }

    #[test]
    fn a_width_lies_between_the_crossings_of_half_the_maximum() {
        // A triangle of height 1 and base 4 is 2 wide at half its height.
        assert_eq!(half_width(&[0.0, 0.5, 1.0, 0.5, 0.0]), Some(2.0));
        assert_eq!(half_width(&[1.0, 1.0, 1.0]), Some(2.0));
        assert_eq!(half_width(&[]), None);
        assert_eq!(half_width(&[0.0, f32::NAN]), None);
    }
}
