//! Which model speaks for a source, and how: from a user's settings to a
//! sensor and a sonifier that fit each other.

mod first;
mod recognise;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::autoencoder::loadings::Loadings;
use crate::dataset::{self, GRID};
use crate::degree::Degree;
use crate::ears::Ears;
use crate::error::{Error, Result};
use crate::frame::{Band, CELSIUS_ZERO_K, Unit};
use crate::listen;
use crate::model::{Model, Models, View};
use crate::profile::{Kind, Polarity, Profile};
use crate::recorder::is_session;
use crate::sensor::{self, Options, Sensor, Session, Source};
use crate::sink::Header;
use crate::sonifier::Sonifier;
use crate::spectrum::{Axis, Mapping, Preset};

pub use self::recognise::recognise;

/// A user's choice of model and sound; what is `None` follows the source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voice {
    /// A model file; comes before `sensor`.
    pub model: Option<PathBuf>,
    /// A profile by name or path; its shipped model speaks unless `model`
    /// is given.
    pub sensor: Option<String>,
    /// What the sound is made for.
    pub preset: Preset,
    /// Number of values in a code, in place of the preset's or, where it has
    /// fewer, the model's.
    pub values: Option<usize>,
    /// Physical values that mean 0 and 1, in place of the model's range.
    pub span: Option<Span>,
    /// Which end is loud, in place of the profile's choice.
    pub polarity: Option<Polarity>,
    /// Who listens.
    pub listener: Listener,
    /// Seeds the phases and the simulated camera.
    pub seed: u64,
    /// How sources are read; what is to do with chips, seed and length follows
    /// from the rest.
    pub reading: Options,
}

/// What suits the listener, in place of the profile's frequencies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Listener {
    /// The lowest frequency in hertz.
    pub low_hz: Option<f64>,
    /// The highest one.
    pub high_hz: Option<f64>,
    /// How values are spaced between them, in place of the preset's spacing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axis: Option<Axis>,
    /// What the listener's ears hear; the frequencies above come before it.
    pub ears: Option<Ears>,
}

impl Listener {
    fn fit(&self, mapping: &mut Mapping) {
        if let Some(ears) = &self.ears {
            ears.fit(mapping);
        }
        mapping.low_hz = self.low_hz.unwrap_or(mapping.low_hz);
        mapping.high_hz = self.high_hz.unwrap_or(mapping.high_hz);
        mapping.axis = self.axis.unwrap_or(mapping.axis);
    }
}

/// A source that is open, and who speaks for it.
#[derive(Debug)]
pub struct Ready {
    /// The frames to come.
    pub sensor: Box<dyn Sensor>,
    /// Frames to sound.
    pub sonifier: Sonifier,
}

impl Voice {
    /// Whoever speaks for the profile called `sensor`, all else as the source
    /// and the model have it.
    pub fn of_sensor(sensor: &str, reading: Options) -> Self {
        Self {
            model: None,
            sensor: Some(sensor.to_owned()),
            preset: Preset::Data,
            values: None,
            span: None,
            polarity: None,
            listener: Listener::default(),
            seed: 0,
            reading,
        }
    }

    /// Opens `source` and finds who speaks for it: the given model; the
    /// user's own or else the shipped model of the given sensor, or of the
    /// profile that recognises the source; or, where none ships for it, a general model seen through
    /// that sensor. `frames` stops the source early.
    ///
    /// Scenes are opened in chips of the model's grid, everything else whole.
    ///
    /// # Errors
    ///
    /// If the source cannot be opened or recognised, no model takes its bands,
    /// or the mapping or the span does not fit the model.
    pub fn ready(&self, source: &str, frames: Option<usize>) -> Result<Ready> {
        self.ready_with(&mut Models::default(), source, frames)
    }

    /// Likewise for one of many sources: what was read for one before is in
    /// `models`.
    ///
    /// # Errors
    ///
    /// Likewise.
    pub fn ready_with(
        &self,
        models: &mut Models,
        source: &str,
        frames: Option<usize>,
    ) -> Result<Ready> {
        let mut speaking = |profile: Profile| -> Result<_> {
            let model = models.of_sensor(&profile.name)?;
            Ok((profile, model))
        };
        let (profile, model) = match (&self.sensor, &self.model) {
            (Some(name), None) => speaking(Profile::find(name)?)?,
            (None, None) => speaking(recognise(source, &self.options())?)?,
            (Some(name), Some(path)) => (Profile::find(name)?, Some(models.load(path)?)),
            (None, Some(path)) => {
                let model = models.load(path)?;
                // A model made for one camera speaks for any that has its bands.
                let profile = match sensor::camera::is_one(source) {
                    true => sensor::camera::recognise(source, Some(model.profile()))?,
                    false => model.profile().clone(),
                };
                (profile, Some(model))
            }
        };
        let side = model.as_ref().map_or(GRID, |model| model.grid()[0]);
        let chip = (profile.source == Kind::Scene).then_some(side);
        let options = Options { chip, frames, ..self.options() };
        let mut sensor = sensor::open(source, Some(&profile), &options)?;
        let bands = sensor.source().bands.clone();
        // Where bands of the sensor are missing, its model speaks for the others, and
        // where they come in another order, in that order.
        let part = model.as_ref().and_then(|model| model.part_of(&bands));
        if let (Some(model), None) = (&model, &part) {
            model.accepts(&bands).map_err(|error| error.within(source))?;
        }
        let own = part.as_deref().or(model.as_ref().map(Model::range));
        let stated = self.stated(&bands, &profile, own)?;
        let unknown = model.is_none() && Loadings::are_needed(&bands);
        let (range, loadings) = match stated.iter().copied().collect() {
            Some(range) if !unknown => (range, None),
            _ => {
                let shown;
                (sensor, shown) =
                    first::look(source, sensor, &profile, &options, &stated, unknown)?;
                shown
            }
        };
        let model = match model {
            Some(model) if part.is_none() => model,
            Some(model) => seen(&model, &profile, sensor.source(), range.clone(), None)?,
            None => {
                let general = general(&profile, sensor.source())?;
                seen(&general, &profile, sensor.source(), range.clone(), loadings)?
            }
        };
        Ok(Ready { sensor, sonifier: self.sonifier(model, range)? })
    }

    /// Refuses what a sound of this preset is not: the original's is of one
    /// channel, and no session holds it.
    ///
    /// # Errors
    ///
    /// If it is the original's, and is to be `stereo` or `recorded`.
    pub fn check(&self, stereo: bool, recorded: bool) -> Result<()> {
        let refused = |what, hint| Err(Error::usage("--original", what).hint(hint));
        match self.preset {
            Preset::Original if stereo => {
                refused("its sound is of one channel", "leave out --stereo")
            }
            Preset::Original if recorded => refused(
                "no session holds its sound",
                "leave out --rrd, --connect, --serve and --view",
            ),
            _ => Ok(()),
        }
    }

    /// One sentence where a model of the user's own, `model`, speaks in place
    /// of the one that ships.
    pub fn own_model(&self, model: &Model) -> Option<String> {
        let name = &model.profile().name;
        let own = Profile::own_model(name).filter(|own| self.model.is_none() && own.is_file())?;
        Some(format!("Your own model for {name} speaks: {}.", own.display()))
    }

    /// Opens the session at `source` to be heard again as it was, by the codes
    /// that were sent, the model and the mapping, and what it says of its sound:
    /// none where `source` is no session, and where another model is given or
    /// pictures are to be turned, so that their codes are others, or to go faster
    /// or slower, which they cannot.
    ///
    /// # Errors
    ///
    /// If the session cannot be read, its model is not here, or something is known of
    /// objects, which no session can follow.
    pub fn again(&self, source: &str) -> Result<Option<(Ready, Header)>> {
        let (path, Options { raw, turn, speed, object, .. }) = (Path::new(source), &self.reading);
        let changed = raw.is_some() || !turn.is_none() || !speed.is_own();
        if changed || !is_session(path) {
            return Ok(None);
        }
        object.refuse(source)?;
        let session = Session::open(path)?.coded();
        let header = session.header().clone();
        if let Some(given) = &self.model
            && Model::load(given)?.hash() != header.model_hash
        {
            return Ok(None);
        }
        let sonifier = listen::sonifier(path, &header, self.model.as_deref())?;
        sonifier.model().accepts(&session.source().bands)?;
        Ok(Some((Ready { sensor: Box::new(session), sonifier }, header)))
    }

    /// How a source is read, its chips and its length left open.
    fn options(&self) -> Options {
        Options { seed: self.seed, ..self.reading.clone() }
    }

    /// The model of a recording that says nothing about itself, and how it was
    /// heard.
    ///
    /// # Errors
    ///
    /// If neither a model nor a sensor for which one ships is chosen.
    pub fn alone(&self) -> Result<Sonifier> {
        let model = match (&self.model, &self.sensor) {
            (Some(path), _) => Model::load(path)?,
            (None, Some(name)) => {
                let profile = Profile::find(name)?;
                match Model::of_sensor(&profile.name)? {
                    Some(model) => model,
                    None => Model::shipped(&profile.name)?,
                }
            }
            (None, None) => return Err(Error::usage("--model", "no model is chosen")),
        };
        let range = match &self.span {
            Some(Span::Auto) => {
                return Err(Error::usage("--span", "a recording does not say its span")
                    .hint("give the two values that meant 0 and 1, as LO..HI"));
            }
            Some(Span::Fixed(interval)) => interval.range(model.bands())?,
            None => model.range().to_vec(),
        };
        self.sonifier(model, range)
    }

    /// Per band, the values that mean 0 and 1: the span, else those `own` to the
    /// model, else those of `profile` for the unit of its first band; else
    /// nothing, and the pictures have to say.
    fn stated(
        &self,
        bands: &[Band],
        profile: &Profile,
        own: Option<&[[f64; 2]]>,
    ) -> Result<Vec<Option<[f64; 2]>>> {
        let of_profile = |band: &Band| profile.range.filter(|_| band.unit == profile.unit());
        Ok(match (&self.span, own) {
            (Some(Span::Fixed(interval)), _) => {
                interval.range(bands)?.into_iter().map(Some).collect()
            }
            (Some(Span::Auto), _) => vec![None; bands.len()],
            (None, Some(own)) => own.iter().copied().map(Some).collect(),
            (None, None) => bands.iter().map(of_profile).collect(),
        })
    }

    /// A sonifier for `model` with this voice's mapping and polarity.
    fn sonifier(&self, model: Model, range: Vec<[f64; 2]>) -> Result<Sonifier> {
        let mut mapping = Mapping::preset(self.preset, model.profile().frequencies_hz);
        mapping.values = self.values.unwrap_or(mapping.values.min(model.values()));
        self.listener.fit(&mut mapping);
        let mut sonifier = Sonifier::new(model, mapping, self.seed)?.with_range(range);
        if let Some(polarity) = self.polarity {
            sonifier = sonifier.with_polarity(polarity);
        }
        match self.preset {
            Preset::Original => sonifier.with_original(),
            Preset::Listen | Preset::Data => Ok(sonifier),
        }
    }
}

/// A general model that can speak for the sensor of `profile`, whose pictures are
/// like `source`: one of a single band for a single band, one of several for
/// several.
fn general(profile: &Profile, source: &Source) -> Result<Model> {
    let single = |bands: &[Band]| bands.len() == 1;
    let suits = |other: &Profile| {
        let bands = other.listed_bands().filter(|_| other.general);
        bands.is_some_and(|bands| single(bands) == single(&source.bands))
    };
    let Some(other) = Profile::shelf()?.into_iter().find(suits) else {
        let what = format!("no model ships for the sensor {}", profile.name);
        let hint = format!("train one: wysiwyh train DATA... --sensor {} -o MODEL", profile.name);
        return Err(Error::usage("--sensor", what).hint(hint));
    };
    Model::shipped(&other.name)
}

/// `model` seen through the sensor of `profile`, whose pictures are like `source`
/// and mean 0 and 1 at `range`; `loadings` say how its bands vary together, where no
/// wavelength does.
fn seen(
    model: &Model,
    profile: &Profile,
    source: &Source,
    range: Vec<[f64; 2]>,
    loadings: Option<Loadings>,
) -> Result<Model> {
    let grid = match profile.source {
        Kind::Scene => [GRID; 2],
        Kind::Frames => dataset::grid(source.rows, source.columns),
    };
    let view = View { bands: source.bands.to_vec(), range, grid, loadings };
    model.through(view, profile.clone())
}

/// Which physical values shall mean 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Span {
    /// `auto`: the first and the last percentile of the first pictures, per
    /// band, and somewhat more where pictures have a clock. They hold for the
    /// whole sound.
    Auto,
    /// `LO..HI`.
    Fixed(Interval),
}

/// Two physical values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Means 0.
    pub low: f64,
    /// Means 1.
    pub high: f64,
    /// The unit that was written, degrees Celsius for Fahrenheit; the bands' own where
    /// none was.
    pub unit: Option<Unit>,
}

impl FromStr for Span {
    type Err = String;

    /// Reads `20C..40C`, `60F..80F`, `293K..313K`, plain numbers as in `0..0.4`, or
    /// `auto`.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if text.trim() == "auto" {
            return Ok(Self::Auto);
        }
        let (low, high) = text
            .split_once("..")
            .ok_or("write two values as LO..HI, for example 20C..40C, or auto")?;
        let ((low, below), (high, above)) = (Degree::read(low)?, Degree::read(high)?);
        let degree = match (below, above) {
            (Some(a), Some(b)) if a != b => {
                return Err(format!("the two ends have different units, {a} and {b}"));
            }
            (a, b) => a.or(b),
        };
        if !(low < high && low.is_finite() && high.is_finite()) {
            return Err(format!("the span starts at {low} and ends at {high}"));
        }
        Ok(Self::Fixed(match degree {
            None => Interval { low, high, unit: None },
            Some(Degree::Kelvin) => Interval { low, high, unit: Some(Unit::Kelvin) },
            Some(degree) => {
                let [low, high] = [low, high].map(|value| degree.celsius(value));
                Interval { low, high, unit: Some(Unit::Celsius) }
            }
        }))
    }
}

impl From<Span> for String {
    /// What [`Span::from_str`] reads.
    fn from(span: Span) -> Self {
        match span {
            Span::Auto => "auto".to_owned(),
            Span::Fixed(Interval { low, high, unit }) => {
                let sign = match unit {
                    Some(Unit::Celsius) => "C",
                    Some(Unit::Kelvin) => "K",
                    _ => "",
                };
                format!("{low}{sign}..{high}{sign}")
            }
        }
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

impl Interval {
    /// The values in the unit of each of `bands`: `[low, high]` per band.
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

    fn span(text: &str) -> Interval {
        match text.parse().unwrap() {
            Span::Fixed(interval) => interval,
            Span::Auto => panic!("{text}"),
        }
    }

    #[test]
    fn spans_are_read_with_and_without_units() {
        let celsius = Interval { low: 20.0, high: 40.0, unit: Some(Unit::Celsius) };
        assert_eq!(span("20C..40C"), celsius);
        assert_eq!(span("20..40C"), celsius);
        assert_eq!(span("20 degC .. 40 °C"), celsius);
        let warm = Interval { low: 15.0, high: 25.0, unit: Some(Unit::Celsius) };
        assert_eq!(span("59F..77 °F"), warm);
        assert_eq!(span("59..77degF"), warm);
        assert_eq!("auto".parse(), Ok(Span::Auto));
        assert_eq!(span("-5..0.5"), Interval { low: -5.0, high: 0.5, unit: None });
        for text in ["20C..40C", "290K..310.5K", "-5..0.5", "auto"] {
            assert_eq!(String::from(text.parse::<Span>().unwrap()), text);
        }
        let odd: Span = "60F..80F".parse().unwrap();
        assert_eq!(String::from(odd).parse(), Ok(odd));
        for wrong in
            ["", "20", "40..20", "20C..40K", "60F..40C", "a..b", "nan..1", "0..inf", "1..1"]
        {
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
    fn a_sensor_without_a_model_is_heard_through_a_general_one() {
        let profile = Profile::find("generic-rjpeg").unwrap();
        let frame =
            Frame::new(Array3::zeros((1, 120, 160)), profile.listed_bands().unwrap().into(), 0.0);
        let source = Source::like(&frame, "");
        let model = general(&profile, &source).unwrap();
        let model = seen(&model, &profile, &source, vec![[20.0, 30.0]], None).unwrap();
        assert_eq!((model.name(), model.grid()), ("hituav-lwir", [48, 64]));
        assert_eq!(model.profile().name, "generic-rjpeg");
        model.accepts(&frame.bands).unwrap();
    }
}
