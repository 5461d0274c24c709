//! What the TIFF file of one lens says of itself, and its picture in physical
//! units.

use std::path::{Path, PathBuf};

use ndarray::{Array2, Axis};
use tiff::decoder::ifd::Value;
use tiff::tags::Tag;

use crate::error::{Error, Result};
use crate::frame::{Band, CELSIUS_ZERO_K, Unit};
use crate::sensor::markup::{attribute, content, elements};
use crate::sensor::stack::{self, Stack};

const XMP: Tag = Tag::Unknown(700);
const BLACK_LEVEL: Tag = Tag::Unknown(50714);
const EXPOSURE_TIME: Tag = Tag::Unknown(33434);
const ISO_SPEED_RATINGS: Tag = Tag::Unknown(34855);
const ISO_SPEED: Tag = Tag::Unknown(34867);
const FOCAL_LENGTH: Tag = Tag::Unknown(37386);
const FOCAL_PLANE_X_RESOLUTION: Tag = Tag::Unknown(41486);

/// Thermal bands begin above this wavelength in micrometres.
const THERMAL_UM: f32 = 5.0;

/// Exposures that early firmware wrote for 273 and 274 microseconds, in
/// seconds (micasense/imageprocessing, `metadata.py`).
const LEGACY_EXPOSURE_S: f64 = 1.0 / 6329.0;

/// One lens of a camera, by its file.
#[derive(Debug)]
pub(super) struct Lens {
    path: PathBuf,
    /// Make and model of the camera.
    pub model: String,
    /// Name, wavelength and unit.
    pub band: Band,
    /// Its focal length in pixels.
    pub focal_px: Option<f64>,
    law: Law,
}

/// How stored numbers become readings.
#[derive(Debug)]
enum Law {
    /// As they are.
    Counts,
    /// Hundredths of a kelvin, as degrees Celsius.
    Thermal,
    Radiance(Radiance),
}

/// MicaSense's radiometric model: see [`Radiance::at`].
#[derive(Debug)]
struct Radiance {
    black: f64,
    exposure_s: f64,
    /// `a1 / (gain * exposure * 65536)`: what a count above black is worth.
    factor: f64,
    /// `a2` and `a3`, for the rows that wait longer to be read.
    rows: [f64; 2],
    /// Column and row of the middle of the vignetting, and the coefficients
    /// of the polynomial from the linear one; `None` where unknown.
    vignetting: Option<([f64; 2], Vec<f64>)>,
}

impl Lens {
    /// Whether the file at `path` is by a camera of several lenses. DJI also
    /// makes others; the files of those name no band.
    pub fn is_one(path: &Path) -> bool {
        let make = || {
            let path = path.to_string_lossy();
            let mut decoder = stack::decoder(&path).ok()?;
            stack::guard(&path, 0, || decoder.get_tag_ascii_string(Tag::Make)).ok()
        };
        let names_its_band = || {
            let tags = Tags::read(&path.to_string_lossy());
            tags.is_ok_and(|tags| stated(&tags.xmp, "BandName").is_some())
        };
        make().is_some_and(|make| match make.trim() {
            "MicaSense" | "Parrot" => true,
            "DJI" => names_its_band(),
            _ => false,
        })
    }

    /// Reads what the file at `path` says, but not its picture.
    ///
    /// # Errors
    ///
    /// If it is damaged, or lacks what its calibration needs.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.to_string_lossy();
        let tags = Tags::read(&name)?;
        let text = |what: &str| stated(&tags.xmp, what);
        let number = |what: &str| numbers(text(what)?).first().copied();
        let micrometres = |what| number(what).map(|nm| (nm / 1000.0) as f32);
        let mut band = Band::new(text("BandName").unwrap_or("band").trim(), Unit::Counts);
        band.wavelength_um = micrometres("CentralWavelength");
        band.fwhm_um = micrometres("WavelengthFWHM");
        let heat = band.name == "LWIR" || band.wavelength_um.is_some_and(|um| um > THERMAL_UM);
        let law = match tags.make.as_str() {
            "MicaSense" if heat => Law::Thermal,
            "MicaSense" => Law::Radiance(Radiance::read(path, &tags)?),
            _ => Law::Counts,
        };
        band.unit = match law {
            Law::Counts => Unit::Counts,
            Law::Thermal => Unit::Celsius,
            Law::Radiance(_) => Unit::Radiance,
        };
        let model = format!("{} {}", tags.make, tags.model);
        Ok(Self { path: path.to_owned(), model, band, focal_px: tags.focal_px, law })
    }

    /// What is done to its numbers, for people.
    pub fn said(&self) -> &'static str {
        match self.law {
            Law::Counts => "counts as stored",
            Law::Thermal => "temperature as stored",
            Law::Radiance(_) => "radiance by the camera's calibration",
        }
    }

    /// Whether its corners stay darker than they were.
    pub fn is_uneven(&self) -> bool {
        matches!(&self.law, Law::Radiance(radiance) if radiance.vignetting.is_none())
    }

    /// Its picture in physical units, `[row, column]`.
    ///
    /// # Errors
    ///
    /// If it cannot be decoded.
    pub fn picture(&self) -> Result<Array2<f32>> {
        let mut stack = Stack::open(&self.path, None)?;
        let none = || Error::input(&self.path, "holds no picture");
        let frame = stack.next().ok_or_else(none)??;
        let mut plane = frame.data.index_axis(Axis(0), 0).to_owned();
        match &self.law {
            Law::Counts => {}
            Law::Thermal => {
                plane.mapv_inplace(|count| (f64::from(count) * 0.01 - CELSIUS_ZERO_K) as f32);
            }
            Law::Radiance(radiance) => {
                for ((row, column), value) in plane.indexed_iter_mut() {
                    *value = radiance.at(row, column, f64::from(*value)) as f32;
                }
            }
        }
        Ok(plane)
    }
}

impl Radiance {
    /// Reads the constants of the file at `path`.
    fn read(path: &Path, tags: &Tags) -> Result<Self> {
        let lacks = |what: &str| {
            Error::input(path, format!("states no {what}, so its numbers are no radiance"))
                .hint("take it as the camera wrote it: other programs drop such tags")
        };
        let list = |what| xmp(&tags.xmp, what).map(numbers);
        let calibration = "MicaSense:RadiometricCalibration";
        let Some(&[a1, a2, a3]) = list(calibration).as_deref() else {
            return Err(lacks(calibration));
        };
        let positive = |value: Option<f64>, what| {
            value.filter(|v| v.is_finite() && *v > 0.0).ok_or_else(|| lacks(what))
        };
        let mut exposure_s = positive(tags.exposure_s, "exposure time")?;
        if (exposure_s - LEGACY_EXPOSURE_S).abs() < 1e-6 {
            exposure_s = 274e-6;
        }
        let gain = positive(tags.iso, "ISO speed")? / 100.0;
        let black = tags.black.ok_or_else(|| lacks("black level"))?;
        let vignetting =
            match (list("Camera:VignettingCenter").as_deref(), list("Camera:VignettingPolynomial"))
            {
                (Some(&[column, row]), Some(k)) if !k.is_empty() => Some(([column, row], k)),
                _ => None,
            };
        // Numbers are left-aligned in 16 bits, whatever the converter has.
        let factor = a1 / (gain * exposure_s * 65536.0);
        Ok(Self { black, exposure_s, factor, rows: [a2, a3], vignetting })
    }

    /// The radiance in W m^-2 sr^-1 nm^-1 that `count` stands for:
    /// `V R (count - black) a1 / (gain exposure 2^16)` with the vignetting
    /// `V = 1 / (1 + k0 r + k1 r^2 ..)` at the distance r from its middle, and
    /// the rows' gradient `R = 1 / (1 + a2 row / exposure - a3 row)`; at least
    /// 0 (MicaSense, "RedEdge Camera Radiometric Calibration Model").
    fn at(&self, row: usize, column: usize, count: f64) -> f64 {
        let (y, x) = (row as f64, column as f64);
        let gradient = 1.0 + self.rows[0] * y / self.exposure_s - self.rows[1] * y;
        let shade = self.vignetting.as_ref().map_or(1.0, |([cx, cy], k)| {
            let r = (x - cx).hypot(y - cy);
            1.0 + r * k.iter().rev().fold(0.0, |sum, k| sum * r + k)
        });
        let value = (count - self.black) * self.factor / (gradient * shade);
        // `max` alone would make a reading of none.
        if value.is_nan() { value } else { value.max(0.0) }
    }
}

/// The tags of a file that matter here.
struct Tags {
    make: String,
    model: String,
    xmp: String,
    black: Option<f64>,
    exposure_s: Option<f64>,
    iso: Option<f64>,
    focal_px: Option<f64>,
}

impl Tags {
    fn read(path: &str) -> Result<Self> {
        let mut decoder = stack::decoder(path)?;
        stack::guard(path, 0, || {
            let text = |value: Option<Value>| {
                value.and_then(|v| v.into_string().ok()).unwrap_or_default().trim().to_owned()
            };
            let make = text(decoder.find_tag(Tag::Make)?);
            let model = text(decoder.find_tag(Tag::Model)?);
            let xmp = decoder.find_tag(XMP)?.and_then(|v| v.into_u8_vec().ok()).unwrap_or_default();
            let black = decoder.find_tag(BLACK_LEVEL)?.and_then(|levels| mean(&levels));
            let exif = decoder.find_tag(Tag::ExifDirectory)?;
            let mut found = Self {
                make,
                model,
                xmp: String::from_utf8_lossy(&xmp).into_owned(),
                black,
                exposure_s: None,
                iso: None,
                focal_px: None,
            };
            let Some(pointer) = exif.and_then(|v| v.into_ifd_pointer().ok()) else {
                return Ok(found);
            };
            let directory = decoder.read_directory(pointer)?;
            let mut tags = decoder.read_directory_tags(&directory);
            let mut number = |tag| tags.find_tag(tag).ok().flatten().and_then(|v| mean(&v));
            found.exposure_s = number(EXPOSURE_TIME);
            found.iso = number(ISO_SPEED).or_else(|| number(ISO_SPEED_RATINGS));
            let per_mm = number(FOCAL_PLANE_X_RESOLUTION);
            found.focal_px = number(FOCAL_LENGTH)
                .zip(per_mm)
                .map(|(mm, per_mm)| mm * per_mm)
                .filter(|px| px.is_finite() && *px > 0.0);
            Ok(found)
        })
    }
}

/// The number that a tag holds, or the mean of its numbers.
fn mean(value: &Value) -> Option<f64> {
    match value {
        Value::Byte(v) => Some(f64::from(*v)),
        Value::Short(v) => Some(f64::from(*v)),
        Value::Unsigned(v) => Some(f64::from(*v)),
        Value::Float(v) => Some(f64::from(*v)),
        Value::Double(v) => Some(*v),
        Value::Rational(a, b) if *b > 0 => Some(f64::from(*a) / f64::from(*b)),
        Value::List(list) if !list.is_empty() => {
            let sum: Option<f64> = list.iter().map(mean).sum();
            Some(sum? / list.len() as f64)
        }
        _ => None,
    }
}

/// What `text` states of its lens as `name`, in the words of Pix4D or of DJI.
fn stated<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    ["Camera", "drone-dji"].iter().find_map(|prefix| xmp(text, &format!("{prefix}:{name}")))
}

/// What the property called `name` holds: the content of its element, or of
/// the only item of the list in it, or an attribute.
fn xmp<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let held = content(text, name).or_else(|| attribute(text, name))?;
    let mut items = elements(held, "rdf:li");
    Some(match (items.next(), items.next()) {
        (Some(only), None) => only.content.trim(),
        _ => held,
    })
}

/// The numbers in a property: of a list's items, or parted by commas.
fn numbers(text: &str) -> Vec<f64> {
    let parse = |word: &str| word.trim().parse().ok();
    match text.contains("<rdf:li") {
        true => elements(text, "rdf:li").filter_map(|item| parse(item.content)).collect(),
        false => text.split(',').filter_map(parse).collect(),
    }
}
