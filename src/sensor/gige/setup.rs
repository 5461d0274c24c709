//! How a camera is set up: pixel format, the profile's features, and what its
//! counts mean then.

use aravis::prelude::*;
use aravis::{Camera, PixelFormat};

use super::device;
use crate::error::{Error, Result};
use crate::frame::{Band, CELSIUS_ZERO_K, Unit};
use crate::profile::Profile;
use crate::sensor::LIMIT;
use crate::sensor::pixels::Packing;

/// Grey pixel formats by their names in the PFNC, the deepest first and those
/// that need no unpacking before their like. A profile may want another order.
pub(super) const GREY: [&str; 9] = [
    "Mono16",
    "Mono14",
    "Mono12",
    "Mono12p",
    "Mono12Packed",
    "Mono10",
    "Mono10p",
    "Mono10Packed",
    "Mono8",
];

/// What a whole picture must look like.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Picture {
    /// The name of the pixel format.
    pub format: String,
    /// Its code in the PFNC.
    pub code: PixelFormat,
    pub packing: Packing,
    /// Rows, with those of the header.
    pub rows: usize,
    pub columns: usize,
    /// Rows at the top that hold the camera's own numbers, not readings.
    pub header_rows: usize,
}

impl Picture {
    /// What `camera` announces.
    pub fn of(name: &str, camera: &Camera) -> Result<Self> {
        let failed = |error: aravis::glib::Error| device(name, error.message());
        let code = camera.pixel_format().map_err(failed)?;
        let format = choice(camera, "PixelFormat").unwrap_or_else(|| code.raw().to_string());
        let packing = Packing::parse(&format)
            .filter(|_| GREY.contains(&format.as_str()))
            .ok_or_else(|| {
                device(name, format!("sends {format}, which is not read"))
                    .hint(format!("these are: {}", GREY.join(", ")))
            })?;
        let (_, _, columns, rows) = camera.region().map_err(failed)?;
        let (columns, rows) = (columns.max(0) as usize, rows.max(0) as usize);
        let bytes = rows.saturating_mul(columns).saturating_mul(4);
        if !(1..=LIMIT).contains(&bytes) {
            let what = format!("announces pictures of {columns} x {rows} pixels");
            return Err(device(name, what));
        }
        // Cooled science cameras of FLIR's announce 513 rows of a sensor that
        // has 512: the first is a header (Aravis, issue 444).
        let sensor_rows = camera.sensor_size().map_or(0, |(_, rows)| rows.max(0) as usize);
        let header_rows = usize::from(sensor_rows > 0 && rows == sensor_rows + 1);
        Ok(Self { format, code, packing, rows, columns, header_rows })
    }
}

/// Sets `camera` up as `profile` asks.
///
/// # Errors
///
/// If the camera offers no grey pixel format, or none of those that the
/// profile takes, or refuses a feature that it has.
pub(super) fn apply(name: &str, camera: &Camera, profile: Option<&Profile>) -> Result<()> {
    let failed = |error: aravis::glib::Error| device(name, error.message());
    let asked = profile.and_then(|profile| profile.genicam.clone()).unwrap_or_default();
    let offered = camera.dup_available_pixel_formats_as_strings().map_err(failed)?;
    let offered: Vec<&str> = offered.iter().map(|format| format.as_str()).collect();
    let wanted: Vec<&str> = match asked.formats.as_slice() {
        [] => GREY.to_vec(),
        wanted => wanted.iter().map(String::as_str).collect(),
    };
    let format = wanted.iter().find(|format| offered.contains(format)).ok_or_else(|| {
        let what = format!("offers {}, and {} is wanted", offered.join(", "), wanted.join(" or "));
        device(name, what).hint("the profile's [genicam] says which pixel formats it takes")
    })?;
    // Some cameras allow no change, and have the right one already.
    if choice(camera, "PixelFormat").as_deref() != Some(*format) {
        camera.set_pixel_format_from_string(format).map_err(failed)?;
    }
    for feature in &asked.features {
        set(name, camera, feature)?;
    }
    camera.set_acquisition_mode(aravis::AcquisitionMode::Continuous).map_err(failed)
}

/// Sets `NAME=VALUE` where the camera has the feature `NAME`.
fn set(name: &str, camera: &Camera, feature: &str) -> Result<()> {
    let (key, value) = feature.split_once('=').unwrap_or((feature, ""));
    if !camera.is_feature_available(key).unwrap_or(false) {
        return Ok(());
    }
    let Some(device) = camera.device() else { return Ok(()) };
    device.set_features_from_string(feature).map_err(|error| {
        let what = format!("its {key} cannot be set to {value}: {}", error.message());
        super::device(name, what).hint("see [genicam] in the sensor's profile")
    })
}

/// What is chosen in the enumeration `feature` of `camera`, if it has one.
///
/// Aravis is not asked for the text itself: where a camera has chosen nothing
/// that it offers, there is none, and the bindings panic.
fn choice(camera: &Camera, feature: &str) -> Option<String> {
    let chosen = camera.integer(feature).ok()?;
    let values = camera.dup_available_enumerations(feature).ok()?;
    let names = camera.dup_available_enumerations_as_strings(feature).ok()?;
    let found = values.iter().zip(names).find(|(value, _)| **value == chosen);
    found.map(|(_, name)| name.to_string())
}

/// What the counts of a camera mean.
#[derive(Clone, Debug, PartialEq)]
enum Meaning {
    /// The camera does not speak of temperatures.
    Unsaid,
    /// It could send temperatures and does not, for this reason.
    Counts(String),
    /// So many kelvin per count, from absolute zero.
    Kelvin(f64),
}

impl Meaning {
    /// From what the camera `said` of its features.
    ///
    /// Names and steps of FLIR's A3xx, A6xx, A50 to A700 and of its Ax5:
    /// "How do I configure my camera to stream a temperature linear signal?",
    /// FLIR customer support.
    fn of(said: impl Fn(&str) -> Option<String>) -> Self {
        if let Some(format) = said("IRFormat") {
            return match format.as_str() {
                "TemperatureLinear10mK" => Self::Kelvin(0.01),
                "TemperatureLinear100mK" => Self::Kelvin(0.1),
                _ => Self::Counts(format!("IRFormat is {format}")),
            };
        }
        let mode = match said("TemperatureLinearMode") {
            None => return Self::Unsaid,
            Some(mode) => mode,
        };
        if !["On", "true"].contains(&mode.as_str()) {
            return Self::Counts(format!("TemperatureLinearMode is {mode}"));
        }
        match said("TemperatureLinearResolution").as_deref() {
            Some("High") => Self::Kelvin(0.04),
            Some("Low") => Self::Kelvin(0.4),
            other => {
                let resolution = other.unwrap_or("unknown");
                Self::Counts(format!("TemperatureLinearResolution is {resolution}"))
            }
        }
    }
}

/// The band that `camera` sends, in the unit that `profile` expects; degrees
/// Celsius of temperatures where there is no profile.
///
/// # Errors
///
/// If the profile expects temperatures and the camera sends none.
pub(super) fn band(name: &str, camera: &Camera, profile: Option<&Profile>) -> Result<Band> {
    let said = |feature: &str| {
        let switch = || camera.boolean(feature).ok().map(|on| on.to_string());
        choice(camera, feature).or_else(switch)
    };
    let expected = profile.map(Profile::unit);
    band_of(Meaning::of(said), expected).map_err(|reason| {
        let unit = profile.map(Profile::unit).unwrap_or(Unit::Celsius);
        Error::usage(name, format!("sends counts and not {unit}: {reason}")).hint(
            "set the camera up in the sensor's profile, as in \
             [genicam] features = [\"IRFormat=TemperatureLinear10mK\"]",
        )
    })
}

/// See [`band`]; fails with the camera's reason.
fn band_of(meaning: Meaning, expected: Option<Unit>) -> std::result::Result<Band, String> {
    let mut band = Band::new("grey", Unit::Counts);
    match (meaning, expected) {
        (Meaning::Counts(reason), Some(Unit::Celsius | Unit::Kelvin)) => return Err(reason),
        (Meaning::Kelvin(kelvin), None | Some(Unit::Celsius)) => {
            (band.unit, band.scale, band.offset) = (Unit::Celsius, kelvin, -CELSIUS_ZERO_K);
        }
        (Meaning::Kelvin(kelvin), Some(Unit::Kelvin)) => {
            (band.unit, band.scale) = (Unit::Kelvin, kelvin);
        }
        _ => {}
    }
    Ok(band)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(said: &[(&str, &str)]) -> Meaning {
        Meaning::of(|name| {
            said.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn temperatures_are_known_by_what_the_camera_says() {
        let linear = |mode, resolution| {
            meaning(&[("TemperatureLinearMode", mode), ("TemperatureLinearResolution", resolution)])
        };
        assert_eq!(linear("On", "High"), Meaning::Kelvin(0.04));
        assert_eq!(linear("true", "Low"), Meaning::Kelvin(0.4));
        assert!(matches!(linear("Off", "High"), Meaning::Counts(reason) if reason.contains("Off")));
        assert!(matches!(meaning(&[("TemperatureLinearMode", "On")]), Meaning::Counts(_)));
        for (format, found) in [
            ("TemperatureLinear10mK", Meaning::Kelvin(0.01)),
            ("TemperatureLinear100mK", Meaning::Kelvin(0.1)),
            ("Radiometric", Meaning::Counts("IRFormat is Radiometric".into())),
        ] {
            assert_eq!(meaning(&[("IRFormat", format)]), found);
        }
        assert_eq!(meaning(&[]), Meaning::Unsaid);
    }

    #[test]
    fn temperatures_come_in_the_unit_that_is_expected() {
        let found = |meaning, expected| {
            band_of(meaning, expected).map(|band| (band.unit, band.scale, band.offset))
        };
        let step = Meaning::Kelvin(0.04);
        let celsius = Ok((Unit::Celsius, 0.04, -273.15));
        assert_eq!(found(step.clone(), None), celsius);
        assert_eq!(found(step.clone(), Some(Unit::Celsius)), celsius);
        assert_eq!(found(step.clone(), Some(Unit::Kelvin)), Ok((Unit::Kelvin, 0.04, 0.0)));
        let counts = Ok((Unit::Counts, 1.0, 0.0));
        assert_eq!(found(step, Some(Unit::Counts)), counts);
        assert_eq!(found(Meaning::Unsaid, Some(Unit::Celsius)), counts);
        let off = || Meaning::Counts("off".into());
        assert_eq!(found(off(), Some(Unit::Celsius)), Err("off".into()));
        assert_eq!(found(off(), None), counts);
    }
}
