//! Which model speaks for a source, and how: from a user's settings to a
//! sensor and a sonifier that fit each other.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::frame::{Band, Unit};
use crate::model::Model;
use crate::profile::{Kind, Match, Polarity, Profile};
use crate::sensor::{self, Object, Options, Sensor, Source};
use crate::sonifier::Sonifier;
use crate::spectrum::{Mapping, Preset};

/// Difference between the kelvin and the degree Celsius (BIPM, SI brochure).
const CELSIUS_ZERO_K: f64 = 273.15;

/// A user's choice of model and sound; what is `None` follows the source.
#[derive(Clone, Debug)]
pub struct Voice {
    /// A model file; comes before `sensor`.
    pub model: Option<PathBuf>,
    /// A profile by name or path; its shipped model speaks unless `model`
    /// is given.
    pub sensor: Option<String>,
    /// What the sound is made for.
    pub preset: Preset,
    /// Physical values that mean 0 and 1, in place of the model's range.
    pub span: Option<Span>,
    /// Which end is loud, in place of the profile's choice.
    pub polarity: Option<Polarity>,
    /// Seeds the phases and the simulated camera.
    pub seed: u64,
    /// How sources are read; what is to do with chips, seed and length follows
    /// from the rest.
    pub reading: Options,
}

impl Voice {
    /// The model that speaks for `source`: the given file, the shipped model
    /// of the given sensor, or that of the profile that recognises the
    /// source.
    ///
    /// # Errors
    ///
    /// If there is no such model, or the source cannot be opened.
    pub fn model_for(&self, source: &str) -> Result<Model> {
        match (&self.model, &self.sensor) {
            (Some(path), _) => Model::load(path),
            (None, Some(name)) => shipped(&Profile::find(name)?),
            (None, None) => {
                shipped(&recognise(source, &Options { seed: self.seed, ..self.reading.clone() })?)
            }
        }
    }

    /// Opens `source` the way `model` takes it: scenes in chips of the
    /// model's grid, everything else whole. `frames` stops it early.
    ///
    /// # Errors
    ///
    /// If the source cannot be opened, or its bands are not the model's.
    pub fn open(
        &self,
        source: &str,
        model: &Model,
        frames: Option<usize>,
    ) -> Result<Box<dyn Sensor>> {
        let profile = match &self.sensor {
            Some(name) => &Profile::find(name)?,
            None => model.profile(),
        };
        let chip = (profile.source == Kind::Scene).then(|| model.grid()[0]);
        let options = Options { chip, seed: self.seed, frames, ..self.reading.clone() };
        let sensor = sensor::open(source, Some(profile), &options)?;
        model.accepts(&sensor.source().bands)?;
        Ok(sensor)
    }

    /// A sonifier for `model` with this voice's mapping, span and polarity.
    ///
    /// # Errors
    ///
    /// If the mapping or the span does not fit the model.
    pub fn sonifier(&self, model: Model) -> Result<Sonifier> {
        let mut mapping = Mapping::preset(self.preset, model.profile().frequencies_hz);
        mapping.values = mapping.values.min(model.values());
        let range = match &self.span {
            Some(span) => Some(span.range(model.bands())?),
            None => None,
        };
        let mut sonifier = Sonifier::new(model, mapping, self.seed)?;
        if let Some(range) = range {
            sonifier = sonifier.with_range(range);
        }
        if let Some(polarity) = self.polarity {
            sonifier = sonifier.with_polarity(polarity);
        }
        Ok(sonifier)
    }
}

/// The model that ships with `profile`.
fn shipped(profile: &Profile) -> Result<Model> {
    if Profile::shipped_model(&profile.name).is_none() {
        let what = format!("no model ships for the sensor {}", profile.name);
        let mut hint = format!(
            "train one: wysiwyh train DATA... --sensor {} -o MODEL, then pass --model MODEL",
            profile.name
        );
        if let Some(other) = substitute(profile) {
            hint.push_str(&format!("; --sensor {other} speaks too, made for another sensor"));
        }
        return Err(Error::usage("--sensor", what).hint(hint));
    }
    Model::shipped(&profile.name)
}

/// A sensor of the same kind whose shipped model takes the bands of `profile`
/// in physical units; counts of two cameras do not compare.
fn substitute(profile: &Profile) -> Option<String> {
    let bands = profile.listed_bands().filter(|_| profile.unit() != Unit::Counts)?;
    let fits = |other: &Profile| {
        other.source == profile.source
            && Profile::shipped_model(&other.name).is_some()
            && Model::shipped(&other.name).is_ok_and(|model| model.accepts(bands).is_ok())
    };
    Profile::shelf().ok()?.into_iter().find(fits).map(|other| other.name)
}

/// The profile of the shelf that recognises `source`; the simulated camera
/// has its own.
///
/// # Errors
///
/// If the source cannot be opened, is raw pixels, or no profile or more than
/// one fits it.
pub fn recognise(source: &str, options: &Options) -> Result<Profile> {
    if options.raw.is_some() {
        return Err(Error::usage("--raw", "pixels do not say which instrument they are of")
            .hint("name it: --sensor NAME (`wysiwyh sensors list`), or --model FILE"));
    }
    if sensor::is_simulated(source) {
        return Profile::find("simulated-lwir");
    }
    let shelf = Profile::shelf()?;
    if let Some(profile) = shelf.iter().find(|profile| named(&profile.matching, source)) {
        return Ok(profile.clone());
    }
    // What is known of the object tells nothing of the instrument, and a source
    // that takes no such knowledge is refused when it is opened to be heard.
    let options =
        Options { chip: None, frames: Some(1), object: Object::default(), ..options.clone() };
    let sensor = sensor::open(source, None, &options)?;
    let found = sensor.source();
    let mut fitting: Vec<_> = shelf.into_iter().filter(|p| fits(&p.matching, found)).collect();
    // Who asks for more knows the instrument better.
    let most = fitting.iter().map(|profile| marks(&profile.matching)).max();
    fitting.retain(|profile| Some(marks(&profile.matching)) == most);
    match (fitting.pop(), fitting.pop()) {
        (Some(profile), None) => Ok(profile),
        (first, _) => {
            let fit = if first.is_some() { "more than one sensor" } else { "no sensor" };
            let what = format!("{fit} on the shelf is known by its {} bands", found.bands.len());
            Err(Error::input(source, what)
                .hint("name it: --sensor NAME (`wysiwyh sensors list`), or --model FILE"))
        }
    }
}

/// Whether the name of `source` alone says which instrument it is.
fn named(matching: &Match, source: &str) -> bool {
    let name = Path::new(source).file_name().unwrap_or_default().to_string_lossy();
    matching.file_name.iter().any(|text| name.contains(text.as_str()))
}

/// Whether number of bands, format and model say so; a profile that asks for
/// more than a source can show is not recognised by less.
fn fits(matching: &Match, source: &Source) -> bool {
    let driver = matching.driver.is_empty()
        || source.driver.as_ref().is_some_and(|driver| matching.driver.contains(driver));
    let model = matching.model.is_empty()
        || source
            .model
            .as_ref()
            .is_some_and(|model| matching.model.iter().any(|text| model.contains(text.as_str())));
    let bands = matching.bands.is_none_or(|bands| bands == source.bands.len());
    let hidden = [&matching.usb, &matching.file_name];
    let asks = marks(matching) > 0 && hidden.iter().all(|list| list.is_empty());
    asks && driver && model && bands
}

/// How many of the marks that [`fits`] looks at are asked for.
fn marks(matching: &Match) -> usize {
    let lists = [&matching.driver, &matching.model];
    lists.iter().filter(|list| !list.is_empty()).count() + usize::from(matching.bands.is_some())
}

/// Two physical values, `LO..HI`, that shall mean 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Means 0.
    pub low: f64,
    /// Means 1.
    pub high: f64,
    /// The unit that was written; the bands' own where none was.
    pub unit: Option<Unit>,
}

impl FromStr for Span {
    type Err = String;

    /// Reads `20C..40C`, `293K..313K`, or plain numbers as in `0..0.4`.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (low, high) =
            text.split_once("..").ok_or("write two values as LO..HI, for example 20C..40C")?;
        let ((low, low_unit), (high, high_unit)) = (quantity(low)?, quantity(high)?);
        let unit = match (low_unit, high_unit) {
            (Some(a), Some(b)) if a != b => {
                return Err(format!("the two ends have different units, {a} and {b}"));
            }
            (a, b) => a.or(b),
        };
        if !(low < high && low.is_finite() && high.is_finite()) {
            return Err(format!("the span starts at {low} and ends at {high}"));
        }
        Ok(Self { low, high, unit })
    }
}

/// A number with an optional `C` or `K`.
fn quantity(text: &str) -> std::result::Result<(f64, Option<Unit>), String> {
    let text = text.trim();
    let (number, unit) = if let Some(number) = text.strip_suffix('C') {
        (number.trim_end_matches('°').trim_end_matches("deg"), Some(Unit::Celsius))
    } else if let Some(number) = text.strip_suffix('K') {
        (number, Some(Unit::Kelvin))
    } else {
        (text, None)
    };
    let value = number.trim().parse().map_err(|_| format!("{text:?} is not a number"))?;
    Ok((value, unit))
}

impl Span {
    /// The span in the unit of each of `bands`: `[low, high]` per band.
    ///
    /// # Errors
    ///
    /// If the span is a temperature and a band is not.
    pub fn range(&self, bands: &[Band]) -> Result<Vec<[f64; 2]>> {
        let shift = |band: &Band| match (self.unit, band.unit) {
            (None, _) => Ok(0.0),
            (Some(written), unit) if written == unit => Ok(0.0),
            (Some(Unit::Celsius), Unit::Kelvin) => Ok(CELSIUS_ZERO_K),
            (Some(Unit::Kelvin), Unit::Celsius) => Ok(-CELSIUS_ZERO_K),
            (Some(written), unit) => {
                let what = format!("it is in {written}, but band {} is in {unit}", band.name);
                Err(Error::usage("--span", what).hint("write plain numbers in the band's unit"))
            }
        };
        bands.iter().map(|band| shift(band).map(|s| [self.low + s, self.high + s])).collect()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::frame::Frame;

    fn span(text: &str) -> Span {
        text.parse().unwrap()
    }

    #[test]
    fn spans_are_read_with_and_without_units() {
        let celsius = Span { low: 20.0, high: 40.0, unit: Some(Unit::Celsius) };
        assert_eq!(span("20C..40C"), celsius);
        assert_eq!(span("20..40C"), celsius);
        assert_eq!(span("20 degC .. 40 °C"), celsius);
        assert_eq!(span("-5..0.5"), Span { low: -5.0, high: 0.5, unit: None });
        for wrong in ["", "20", "40..20", "20C..40K", "a..b", "nan..1", "0..inf", "1..1"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_span_is_translated_to_the_unit_of_the_band() {
        let kelvin = [Band::new("LWIR", Unit::Kelvin)];
        assert_eq!(span("20C..40C").range(&kelvin).unwrap(), [[293.15, 313.15]]);
        assert_eq!(span("290..310").range(&kelvin).unwrap(), [[290.0, 310.0]]);
        let counts = [Band::new("LWIR", Unit::Counts)];
        let error = span("20C..40C").range(&counts).unwrap_err().to_string();
        assert!(error.contains("degC") && error.contains("counts"), "{error}");
    }

    #[test]
    fn a_profile_without_marks_recognises_nothing() {
        let frame = |bands: usize| {
            let bands = (0..bands).map(|b| Band::new(b.to_string(), Unit::Counts)).collect();
            Source { bands, ..Source::like(&empty(), "") }
        };
        let nothing = Match::default();
        assert!(!named(&nothing, "simulated") && !fits(&nothing, &frame(1)));
        let twelve = Match { bands: Some(12), ..Match::default() };
        assert!(fits(&twelve, &frame(12)) && !fits(&twelve, &frame(13)));
        let hardware = Match { usb: vec!["09cb:1996".into()], ..twelve };
        assert!(!fits(&hardware, &frame(12)));
        let format = Match { driver: vec!["FLIR".into()], ..Match::default() };
        let flir = Source { driver: Some("FLIR".into()), ..frame(1) };
        assert!(fits(&format, &flir) && !fits(&format, &frame(1)));
        let camera = Match { model: vec!["FLIR AX5".into(), "FLIR A35".into()], ..format };
        assert!(!fits(&camera, &flir));
        assert!(fits(&camera, &Source { model: Some("FLIR A35 9Hz".into()), ..flir.clone() }));
    }

    fn empty() -> Frame {
        Frame::new(Array3::zeros((0, 1, 1)), [].into(), 0.0)
    }

    #[test]
    fn a_sensor_without_a_model_is_told_who_else_speaks() {
        let error = shipped(&Profile::find("generic-rjpeg").unwrap()).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("generic-rjpeg"), "{error}");
        let hint = error.advice().unwrap();
        assert!(hint.contains("wysiwyh train") && hint.contains("simulated-lwir"), "{hint}");
        assert_eq!(substitute(&Profile::find("hituav-lwir").unwrap()), None);
    }
}
