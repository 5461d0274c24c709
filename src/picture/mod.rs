//! Frames as pictures for eyes: previews, their legends and contact sheets.

mod font;
mod sheet;

use std::cmp::Ordering;
use std::io::Write;
use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{ImageResult, Rgb, RgbImage};
use ndarray::ArrayView3;

use crate::error::{Error, Result};
use crate::frame::{Band, Unit};
use crate::sensor::rounded;
use crate::staging::StagedFile;

pub use sheet::{SheetRow, contact_sheet};

/// "Inferno" by Nathaniel J. Smith and Stéfan van der Walt (matplotlib's
/// colour maps of 2015, CC0): 33 of its points, equally spaced.
///
/// It is perceptually uniform and dark to bright, so that it reads the same
/// in grey and for colour-blind people. Straight lines between the points are
/// within 2 of 255 of the published 256 entries.
const INFERNO: [u32; 33] = [
    0x000004, 0x040312, 0x0b0724, 0x150b37, 0x210c4a, 0x2e0a5a, 0x3c0965, 0x4a0c6b, 0x57106d,
    0x63146e, 0x70196e, 0x7d1e6d, 0x89226a, 0x962766, 0xa32b61, 0xaf315c, 0xbb3755, 0xc63e4d,
    0xd14644, 0xdb4f3b, 0xe35932, 0xeb6528, 0xf1711e, 0xf67f14, 0xf98d0a, 0xfb9c06, 0xfcab0f,
    0xfbba1f, 0xf9ca32, 0xf5d949, 0xf2e865, 0xf3f586, 0xfcffa4,
];

/// The two greys of the chequers that mean "no reading"; no colour map here
/// and no chequered scene looks like them.
const NO_READING: [u8; 2] = [96, 136];

/// The colour that stands for `value`, 0 dark to 1 bright; values outside are
/// clamped.
pub fn colour(value: f32) -> Rgb<u8> {
    let at = value.clamp(0.0, 1.0) * (INFERNO.len() - 1) as f32;
    let below = (at as usize).min(INFERNO.len() - 2);
    let share = at - below as f32;
    let [low, high] = [INFERNO[below], INFERNO[below + 1]].map(u32::to_be_bytes);
    Rgb([1, 2, 3].map(|c| {
        let (low, high) = (f32::from(low[c]), f32::from(high[c]));
        (low + share * (high - low)).round() as u8
    }))
}

/// A picture of `data`, `[band, row, column]` in physical units, one pixel
/// per grid cell.
///
/// `range` holds for each band the values that are shown darkest and
/// brightest. With three bands or more the picture is a composite: the bands
/// whose common names are `red`, `green` and `blue`, else the last, middle
/// and first by wavelength, else the first three. Fewer bands show the first
/// one in [`colour`]s. Reflectance and radiance are linear in light, so a
/// composite of them gets the transfer curve that screens expect (sRGB,
/// IEC 61966-2-1). Cells without a reading are grey chequers.
pub fn preview(data: ArrayView3<f32>, range: &[[f64; 2]], bands: &[Band]) -> RgbImage {
    let (count, rows, columns) = data.dim();
    let level = |band: usize, row: usize, column: usize| {
        let [low, high] = range.get(band).copied().unwrap_or([0.0, 1.0]);
        normalised(data[(band, row, column)], low, high)
    };
    let chosen = composite(&bands[..count.min(bands.len())]);
    let encode = if is_linear_light(bands) { srgb } else { |level: f32| level };
    RgbImage::from_fn(columns as u32, rows as u32, |x, y| {
        let (row, column) = (y as usize, x as usize);
        let shown = match chosen.map(|chosen| chosen.map(|band| level(band, row, column))) {
            Some([Some(red), Some(green), Some(blue)]) => {
                Some(Rgb([red, green, blue].map(|level| to_byte(encode(level)))))
            }
            Some(_) => None,
            None if count > 0 => level(0, row, column).map(colour),
            None => None,
        };
        shown.unwrap_or_else(|| Rgb([NO_READING[(row / 2 + column / 2) % 2]; 3]))
    })
}

/// What the colours of [`preview`] mean, in one short line.
pub fn legend(range: &[[f64; 2]], bands: &[Band]) -> String {
    let span = |band: usize| match (bands.get(band), range.get(band)) {
        (Some(band), Some([low, high])) => {
            format!("{} to {} {}", rounded(*low), rounded(*high), band.unit)
        }
        _ => "0 to 1".to_owned(),
    };
    match composite(bands) {
        Some(chosen) => {
            let [red, green, blue] = chosen.map(|band| bands[band].name.as_str());
            format!("red {red}, green {green}, blue {blue}; {}", span(chosen[0]))
        }
        None => {
            let name = bands.first().map_or("", |band| band.name.as_str());
            format!("{name} dark to bright {}", span(0)).trim_start().to_owned()
        }
    }
}

/// The bands shown as red, green and blue; none with fewer than three bands.
fn composite(bands: &[Band]) -> Option<[usize; 3]> {
    if bands.len() < 3 {
        return None;
    }
    let named = |name: &str| bands.iter().position(|b| b.common_name.as_deref() == Some(name));
    if let (Some(red), Some(green), Some(blue)) = (named("red"), named("green"), named("blue")) {
        return Some([red, green, blue]);
    }
    let wavelength = |band: &usize| bands[*band].wavelength_um;
    let mut order: Vec<usize> = (0..bands.len()).filter(|b| wavelength(b).is_some()).collect();
    if order.len() < 3 {
        return Some([0, 1, 2]);
    }
    order.sort_by(|a, b| {
        wavelength(b).partial_cmp(&wavelength(a)).unwrap_or(Ordering::Equal).then(a.cmp(b))
    });
    Some([order[0], order[order.len() / 2], order[order.len() - 1]])
}

/// Where `value` lies between `low` and `high`, 0..1; none for NaN.
fn normalised(value: f32, low: f64, high: f64) -> Option<f32> {
    let span = high - low;
    let level = if span > 0.0 { (f64::from(value) - low) / span } else { 0.0 };
    (!value.is_nan()).then_some(level.clamp(0.0, 1.0) as f32)
}

/// Whether the values are proportional to light.
fn is_linear_light(bands: &[Band]) -> bool {
    bands.first().is_some_and(|band| matches!(band.unit, Unit::Reflectance | Unit::Radiance))
}

/// The sRGB transfer function, IEC 61966-2-1.
fn srgb(linear: f32) -> f32 {
    if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 }
}

fn to_byte(level: f32) -> u8 {
    (level * 255.0).round() as u8
}

/// `picture` with every pixel repeated `factor` times each way; at least once.
pub fn enlarge(picture: &RgbImage, factor: u32) -> RgbImage {
    let factor = factor.max(1);
    RgbImage::from_fn(picture.width() * factor, picture.height() * factor, |x, y| {
        *picture.get_pixel(x / factor, y / factor)
    })
}

/// `picture` as a file in the PNG format.
///
/// # Errors
///
/// If the picture is empty.
pub fn png(picture: &RgbImage) -> ImageResult<Vec<u8>> {
    let mut png = Vec::new();
    picture.write_with_encoder(PngEncoder::new(&mut png))?;
    Ok(png)
}

/// Writes `picture` to `path` as PNG; the file appears whole or not at all.
///
/// # Errors
///
/// If the picture is empty, or the file cannot be written.
pub fn save_png(picture: &RgbImage, path: &Path) -> Result<()> {
    let png = png(picture).map_err(|e| Error::output(path, e))?;
    let mut file = StagedFile::create(path)?;
    file.file().write_all(&png).map_err(|e| Error::output(path, e))?;
    file.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, array};

    fn band(name: &str, common_name: Option<&str>, wavelength_um: Option<f32>) -> Band {
        let common_name = common_name.map(str::to_owned);
        Band { common_name, wavelength_um, ..Band::new(name, Unit::Counts) }
    }

    #[test]
    fn one_band_runs_through_the_map_and_is_chequered_without_a_reading() {
        let data = array![[[0.0, 10.0, 5.0, f32::NAN], [-9.0, 99.0, f32::NAN, f32::NAN]]];
        let picture = preview(data.view(), &[[0.0, 10.0]], &[Band::new("LWIR", Unit::Celsius)]);
        assert_eq!(picture.dimensions(), (4, 2));
        let pixels: Vec<[u8; 3]> = picture.pixels().map(|p| p.0).collect();
        // First, last and middle point of the published map.
        assert_eq!(pixels[..3], [[0, 0, 4], [252, 255, 164], [0xbb, 0x37, 0x55]]);
        assert_eq!(pixels[3], [136; 3]);
        assert_eq!(pixels[4..], [[0, 0, 4], [252, 255, 164], [136; 3], [136; 3]]);
    }

    #[test]
    fn the_map_agrees_with_the_published_entries() {
        // Entries 32, 100 and 200 of matplotlib's 256.
        for (entry, rgb) in [(32, [33, 12, 74]), (100, [144, 37, 104]), (200, [251, 157, 7])] {
            let ours = colour(entry as f32 / 255.0).0;
            for (ours, published) in ours.iter().zip(rgb) {
                assert!((i16::from(*ours) - published).abs() <= 2, "{entry}: {ours} {published}");
            }
        }
    }

    #[test]
    fn brighter_is_never_darker() {
        let luminance = |entry: u32| {
            let linear = colour(entry as f32 / 255.0).0.map(|c| (f32::from(c) / 255.0).powf(2.2));
            0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        };
        assert!((0..255).all(|entry| luminance(entry + 1) > luminance(entry)));
    }

    #[test]
    fn common_names_win_over_wavelengths_and_wavelengths_over_order() {
        let data = Array3::from_shape_fn((4, 1, 1), |(b, _, _)| b as f32);
        let range = [[0.0, 255.0]; 4];
        let named = [
            band("a", Some("nir"), Some(0.8)),
            band("b", Some("blue"), Some(0.5)),
            band("c", Some("green"), Some(0.55)),
            band("d", Some("red"), Some(0.65)),
        ];
        assert_eq!(preview(data.view(), &range, &named).get_pixel(0, 0).0, [3, 2, 1]);
        let unnamed = [0.8, 9.0, 1.6, 2.2].map(|w| band("x", None, Some(w)));
        assert_eq!(preview(data.view(), &range, &unnamed).get_pixel(0, 0).0, [1, 2, 0]);
        let unknown = [(); 4].map(|()| band("x", None, None));
        assert_eq!(preview(data.view(), &range, &unknown).get_pixel(0, 0).0, [0, 1, 2]);
    }

    #[test]
    fn reflectance_is_encoded_for_screens() {
        let data = Array3::from_elem((3, 1, 1), 0.214_041_14);
        let bands = ["r", "g", "b"].map(|name| Band::new(name, Unit::Reflectance));
        let picture = preview(data.view(), &[[0.0, 1.0]; 3], &bands);
        // A linear 0.214 is sRGB's middle, 127.5.
        assert_eq!(picture.get_pixel(0, 0).0, [128; 3]);
    }

    #[test]
    fn a_composite_needs_all_three_readings() {
        let data = array![[[255.0, 255.0]], [[f32::NAN, 0.0]], [[0.0, 0.0]]];
        let bands = ["r", "g", "b"].map(|name| Band::new(name, Unit::Counts));
        let picture = preview(data.view(), &[[0.0, 255.0]; 3], &bands);
        assert_eq!(picture.get_pixel(0, 0).0, [96; 3]);
        assert_eq!(picture.get_pixel(1, 0).0, [255, 0, 0]);
    }

    #[test]
    fn odd_input_makes_a_picture_all_the_same() {
        let none = Array3::<f32>::zeros((0, 2, 2));
        assert_eq!(preview(none.view(), &[], &[]).get_pixel(0, 0).0, [96; 3]);
        assert_eq!(preview(Array3::zeros((1, 0, 0)).view(), &[], &[]).dimensions(), (0, 0));
        let flat = Array3::from_elem((1, 1, 1), 3.0);
        let bands = [Band::new("x", Unit::Counts)];
        assert_eq!(preview(flat.view(), &[[3.0, 3.0]], &bands).get_pixel(0, 0).0, [0, 0, 4]);
        let infinite = array![[[f32::INFINITY, f32::NEG_INFINITY]]];
        let picture = preview(infinite.view(), &[[0.0, 1.0]], &bands);
        assert_eq!(picture.get_pixel(0, 0).0, [252, 255, 164]);
        assert_eq!(picture.get_pixel(1, 0).0, [0, 0, 4]);
    }

    #[test]
    fn the_legend_names_bands_values_and_unit() {
        let lwir = [Band::new("LWIR", Unit::Celsius)];
        assert_eq!(legend(&[[-20.0, 120.25]], &lwir), "LWIR dark to bright -20 to 120.25 degC");
        let rgb = ["B4", "B3", "B2"].map(|name| Band::new(name, Unit::Reflectance));
        let words = "red B4, green B3, blue B2; 0 to 1 reflectance";
        assert_eq!(legend(&[[0.0, 1.0]; 3], &rgb), words);
    }

    #[test]
    fn enlarging_repeats_pixels() {
        let small = RgbImage::from_fn(2, 1, |x, _| Rgb([x as u8; 3]));
        let large = enlarge(&small, 3);
        assert_eq!(large.dimensions(), (6, 3));
        assert!(large.enumerate_pixels().all(|(x, _, p)| u32::from(p.0[0]) == x / 3));
        assert_eq!(enlarge(&small, 0), small);
    }

    #[test]
    fn a_png_comes_back_and_a_failed_one_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let picture = RgbImage::from_fn(3, 2, |x, y| Rgb([x as u8, y as u8, 7]));
        save_png(&picture, &path).unwrap();
        assert_eq!(image::open(&path).unwrap().to_rgb8(), picture);
        assert!(save_png(&RgbImage::new(0, 0), &folder.path().join("b.png")).is_err());
        assert!(save_png(&picture, &folder.path().join("no/c.png")).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
