//! Everything that turns frames of one kind into codes and back.
//!
//! It is kept in one safetensors file, of which nothing is executable: its
//! metadata holds the format version, the profile, the physical range, and the
//! training record with held-out scores; its tensors hold the linear path and,
//! if training was worth keeping, the network. Large arrays are stored as f16.

mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::autoencoder::Autoencoder;
use crate::autoencoder::linear::Linear;
use crate::autoencoder::loadings::Loadings;
use crate::autoencoder::transfer::{Mixing, Sight, neighbours};
use crate::digest::Digest;
use crate::error::{Error, Fault, Result};
use crate::evaluate::{Comparison, Scores};
use crate::frame::{Band, Frame, Unit, gaps};
use crate::intake;
use crate::profile::Profile;
use crate::staging::StagedFile;
pub(crate) use file::array;

/// A model file larger than this is refused before it is read.
const MAX_BYTES: u64 = 256 << 20;

/// How a model came to be, and how well it does on groups it has not seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Groups (flights, places, clips) it was fitted or chosen on.
    pub trained_groups: Vec<String>,
    /// Groups its scores were measured on.
    pub report_groups: Vec<String>,
    /// Number of pictures it was fitted or chosen on, without windows and
    /// mirror images of them.
    pub pictures: usize,
    /// Seed of the split and of the augmentation.
    pub seed: u64,
    /// Shrinkage of the covariance, chosen on groups of their own.
    pub shrinkage: f32,
    /// Name and hash of the model that training began with, if it did with one.
    pub prior: Option<String>,
    /// As how many examples that model counted; chosen as the shrinkage was.
    pub prior_examples: f32,
    /// Steps of training after which the network was best; 0: the linear path
    /// alone.
    pub network_steps: u64,
    /// The channels that the network was trained and chosen for, as `train
    /// --channel` has them; none without a network.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// Scores on the report groups, measured on what came back through sound.
    pub scores: Scores,
    /// How other linear codes of as many values do there, by their names.
    pub peers: BTreeMap<String, Comparison>,
}

/// Another sensor than a model's own, through which the model sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// The sensor's bands.
    pub bands: Vec<Band>,
    /// Per band, the physical values that mean 0 and 1.
    pub range: Vec<[f64; 2]>,
    /// Rows and columns of the pictures.
    pub grid: [usize; 2],
    /// How the bands vary together, where no wavelength tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loadings: Option<Loadings>,
}

impl View {
    /// How its bands follow from those of a model, `own`, whose pictures `linear` describes.
    fn mixing(&self, linear: &Linear, own: Sight<'_>) -> Mixing {
        match &self.loadings {
            Some(loadings) => loadings.mixing(own.bands.len()),
            None => Mixing::between(linear, own, Sight { bands: &self.bands, range: &self.range }),
        }
    }
}

/// A trained code for frames of one kind.
#[derive(Clone, Debug)]
pub struct Model {
    name: String,
    autoencoder: Autoencoder,
    /// Whom it speaks for.
    profile: Profile,
    bands: Vec<Band>,
    range: Vec<[f64; 2]>,
    view: Option<View>,
    record: Record,
    /// The file itself: writing it out anew need not give the same bytes, and
    /// the hash names these.
    file: Vec<u8>,
    hash: String,
}

impl Model {
    /// A model of `autoencoder` for frames of `bands`, whose physical values
    /// `range`, per band, mean 0 and 1.
    ///
    /// # Errors
    ///
    /// If it cannot be written as a model file.
    pub fn new(
        autoencoder: Autoencoder,
        profile: Profile,
        bands: Vec<Band>,
        range: Vec<[f64; 2]>,
        record: Record,
    ) -> Result<Self> {
        let (name, file, hash) = (profile.name.clone(), Vec::new(), String::new());
        let view = None;
        let model = Self { name, autoencoder, profile, bands, range, view, record, file, hash };
        // What is stored is f16: read it back, so that a fresh model sounds
        // exactly as it will after loading.
        Self::from_bytes(&model.to_bytes()?, "new model")
    }

    /// Reads the model file at `path`.
    ///
    /// # Errors
    ///
    /// If it is missing, no model file, larger than 256 MiB, damaged, or of a later
    /// format.
    pub fn load(path: &Path) -> Result<Self> {
        Self::from_bytes(&intake::read(path, MAX_BYTES)?, &path.display().to_string())
    }

    /// The model in the file at `path`, if that is the file whose SHA-256 is
    /// `hash`, in hexadecimal. What is another file, or cannot be read, is passed
    /// over.
    ///
    /// # Errors
    ///
    /// If it is that file, and damaged or of a later format.
    pub(crate) fn of_hash(path: &Path, hash: &str) -> Result<Option<Self>> {
        match intake::read(path, MAX_BYTES) {
            Ok(bytes) if Digest::of(&bytes).to_string() == hash => {
                Self::from_bytes(&bytes, &path.display().to_string()).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The model that ships for the profile called `profile`.
    ///
    /// # Errors
    ///
    /// If none does.
    pub fn shipped(profile: &str) -> Result<Self> {
        let bytes = Profile::shipped_model(profile).ok_or_else(|| {
            Error::new(Fault::Usage, profile, "no model ships for this sensor")
                .hint("train one: `wysiwyh train DATA... --sensor NAME -o MODEL`")
        })?;
        Self::from_bytes(bytes, profile)
    }

    /// The model that speaks for the profile called `profile`: the user's own,
    /// else the one that ships, if there is either.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn of_sensor(profile: &str) -> Result<Option<Self>> {
        match Profile::own_model(profile).filter(|path| path.is_file()) {
            Some(path) => Self::load(&path).map(Some),
            None if Profile::shipped_model(profile).is_some() => Self::shipped(profile).map(Some),
            None => Ok(None),
        }
    }

    /// The model of the sensor called `name`, else the one in the file `name`.
    ///
    /// # Errors
    ///
    /// If there is neither, or it cannot be read.
    pub fn named(name: &str) -> Result<Self> {
        match Self::of_sensor(name)? {
            Some(model) => Ok(model),
            None => Self::load(Path::new(name))
                .map_err(|e| e.or_hint("give a model file, or a sensor with a model of its own")),
        }
    }

    /// Writes the model file: under a temporary name first, then renamed.
    ///
    /// # Errors
    ///
    /// If the place cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut file = StagedFile::create(path)?;
        file.file().write_all(&self.file).map_err(|e| Error::output(path, e))?;
        file.finish()
    }

    /// This model as it speaks for the sensor of `profile`, of which it was
    /// not trained on a single picture: see [`Mixing::between`]. It keeps its
    /// name and hash, and has no scores there.
    ///
    /// # Errors
    ///
    /// If eigenvalues do not converge.
    pub fn through(&self, view: View, profile: Profile) -> Result<Self> {
        let own = Sight { bands: &self.bands, range: &self.range };
        let linear = self.autoencoder.linear();
        let mixing = view.mixing(linear, own);
        let weights: Vec<f32> = view.bands.iter().map(Band::weight).collect();
        let linear = linear.through(&mixing, &weights, view.grid)?;
        let device = self.autoencoder.device();
        Ok(Self {
            autoencoder: Autoencoder::new(linear, self.autoencoder.spread, device),
            bands: view.bands.clone(),
            range: view.range.clone(),
            record: Record { scores: Scores::default(), ..self.record.clone() },
            view: Some(view),
            profile,
            ..self.clone()
        })
    }

    /// The decoder of this model's codes into bands of other wavelengths, given
    /// in um: what they most probably showed, by what the model knows of how
    /// its bands go together. `range` holds the physical values, per band,
    /// that meant 0 and 1 when the codes were made. It has no use but to
    /// decode, and leaves out what a network corrects.
    ///
    /// # Errors
    ///
    /// If a wavelength lies beyond the bands that the model was trained on, or
    /// between two of different units, or what was sent states none.
    pub fn at(&self, wavelengths_um: &[f32], range: &[[f64; 2]]) -> Result<Self> {
        // What was trained, without a view.
        let own = Self::from_bytes(&self.file, &self.name)?;
        let own_range = if self.view.is_some() { &own.range } else { range };
        let between = |&wavelength_um| own.between(wavelength_um, own_range);
        let wanted = wavelengths_um.iter().map(between).collect::<Result<Vec<_>>>()?;
        let (bands, range): (Vec<Band>, Vec<[f64; 2]>) = wanted.into_iter().unzip();
        let old = Sight { bands: &own.bands, range: own_range };
        let linear = own.autoencoder.linear();
        let wanted = Mixing::between(linear, old, Sight { bands: &bands, range: &range });
        let linear = match &self.view {
            None => linear.reading(None, &wanted)?,
            Some(view) if view.loadings.is_some() => {
                let what = format!("the bands of {} state none", self.profile.name);
                return Err(Error::usage("--wavelengths", what)
                    .hint("give the file wavelengths before it is converted"));
            }
            Some(view) => {
                let sent = view.mixing(linear, old);
                linear.reading(Some((&sent, self.autoencoder.linear())), &wanted)?
            }
        };
        let spread = self.autoencoder.spread;
        let autoencoder = Autoencoder::new(linear, spread, self.autoencoder.device());
        Ok(Self { autoencoder, bands, range, ..self.clone() })
    }

    /// The band at `wavelength_um`, and the values that mean 0 and 1 there if
    /// they do so at `range` in the model's own bands.
    fn between(&self, wavelength_um: f32, range: &[[f64; 2]]) -> Result<(Band, [f64; 2])> {
        let mut band = Band::new(format!("{wavelength_um} um"), Unit::Counts);
        band.wavelength_um = Some(wavelength_um);
        let neighbours = neighbours(&self.bands, band.wavelength_um);
        let Some(&(first, _)) = neighbours.first() else { return Err(self.beyond(wavelength_um)) };
        band.unit = self.bands[first].unit;
        let other = neighbours.iter().map(|&(i, _)| &self.bands[i]).find(|b| b.unit != band.unit);
        if let Some(other) = other {
            let (name, other, (unit, other_unit)) =
                (&self.bands[first].name, &other.name, (band.unit, other.unit));
            let what = format!(
                "{wavelength_um} um lies between {name} in {unit} and {other} in {other_unit}"
            );
            return Err(Error::usage("--wavelengths", what).hint(
                "no value is between two units; ask for a wavelength beside one of the two",
            ));
        }
        let end = |end: usize| neighbours.iter().map(|&(i, w)| f64::from(w) * range[i][end]).sum();
        Ok((band, [end(0), end(1)]))
    }

    /// The error of a wavelength about which the model knows nothing.
    fn beyond(&self, wavelength_um: f32) -> Error {
        let known = self.bands.iter().filter_map(|band| band.wavelength_um);
        let (low, high) =
            known.fold((f32::MAX, 0f32), |(low, high), um| (low.min(um), high.max(um)));
        let what = if high > 0.0 {
            format!("{wavelength_um} um, the bands of {} lie at {low} to {high} um", self.name)
        } else {
            format!("the bands of {} have no wavelengths", self.name)
        };
        Error::usage("--wavelengths", what).hint("ask for one between them, in um")
    }

    /// The sensor through which it sees, where that is not its own.
    pub fn view(&self) -> Option<&View> {
        self.view.as_ref()
    }

    /// Name of the model: that of the sensor that it was trained for, which need not
    /// be the one that it speaks for, see [`Self::through`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the model file, 64 hexadecimal digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The instrument it speaks for.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The bands it takes, in this order.
    pub fn bands(&self) -> &[Band] {
        &self.bands
    }

    /// Per band, the physical values that mean 0 and 1.
    pub fn range(&self) -> &[[f64; 2]] {
        &self.range
    }

    /// Number of code values, K.
    pub fn values(&self) -> usize {
        self.autoencoder.values()
    }

    /// Rows and columns of the pictures it takes.
    pub fn grid(&self) -> [usize; 2] {
        self.autoencoder.linear().grid
    }

    /// The values that mean 0 and 1 in `bands`, in their order, if these are some of
    /// the model's own by their names and units, each of them once, or all of them in
    /// another order; `None` if they are not, or are the model's bands as they are.
    pub fn part_of(&self, bands: &[Band]) -> Option<Vec<[f64; 2]>> {
        let place = |band: &Band| {
            let own = self.bands.iter().position(|own| own.name == band.name)?;
            (self.bands[own].unit == band.unit).then_some(own)
        };
        let places: Vec<usize> = bands.iter().map(place).collect::<Option<_>>()?;
        let all_as_they_are = places.iter().copied().eq(0..self.bands.len());
        let distinct = places.iter().collect::<BTreeSet<_>>().len() == places.len();
        (!places.is_empty() && distinct && !all_as_they_are)
            .then(|| places.into_iter().map(|own| self.range[own]).collect())
    }

    /// How it came to be, and its held-out scores.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Frame to code and back.
    pub fn autoencoder(&self) -> &Autoencoder {
        &self.autoencoder
    }

    /// Whether frames of `bands` are of the kind that the model takes: as many
    /// bands, of the same units, and wavelengths within a quarter where both
    /// sides know them.
    ///
    /// # Errors
    ///
    /// If not, naming the first band that differs.
    pub fn accepts(&self, bands: &[Band]) -> Result<()> {
        let refuse = |what: String| {
            Err(Error::usage(self.name(), what)
                .hint("name another sensor with --sensor, or a model with --model"))
        };
        if bands.len() != self.bands.len() {
            return refuse(format!(
                "the model takes {} bands, the source has {}",
                self.bands.len(),
                bands.len()
            ));
        }
        for (own, other) in self.bands.iter().zip(bands) {
            if own.unit != other.unit {
                return refuse(format!(
                    "band {} is in {} for the model, and in {} in the source",
                    own.name, own.unit, other.unit
                ));
            }
            if let (Some(a), Some(b)) = (own.wavelength_um, other.wavelength_um)
                && (a - b).abs() > 0.25 * a
            {
                return refuse(format!(
                    "band {} lies at {a} um for the model, and at {b} um in the source",
                    own.name
                ));
            }
        }
        Ok(())
    }
}

/// Models that were read before: that takes longer than to open a small source.
#[derive(Debug, Default)]
pub struct Models {
    by_path: BTreeMap<PathBuf, Model>,
    by_profile: BTreeMap<String, Option<Model>>,
}

impl Models {
    /// The model in the file at `path`.
    pub(crate) fn load(&mut self, path: &Path) -> Result<Model> {
        if let Some(known) = self.by_path.get(path) {
            return Ok(known.clone());
        }
        let model = Model::load(path)?;
        Ok(self.by_path.entry(path.to_owned()).or_insert(model).clone())
    }

    /// The model that speaks for the profile called `name`, if one does.
    pub(crate) fn of_sensor(&mut self, name: &str) -> Result<Option<Model>> {
        if let Some(known) = self.by_profile.get(name) {
            return Ok(known.clone());
        }
        let model = Model::of_sensor(name)?;
        Ok(self.by_profile.entry(name.to_owned()).or_insert(model).clone())
    }
}

/// A frame on the model's grid as the picture that the autoencoder takes:
/// normalised by `range`, gaps filled from the readings beside them, which fade
/// towards the mean of their band; bands without any are 0.5:
/// `[band, row, column]`.
pub fn normalise(frame: &Frame, range: &[[f64; 2]]) -> Array3<f32> {
    let mut picture = frame.data.clone();
    for (mut band, &[low, high]) in picture.outer_iter_mut().zip(range) {
        let (mut gaps, scale) = (false, 1.0 / (high - low));
        band.mapv_inplace(|v| {
            let value = ((f64::from(v) - low) * scale) as f32;
            gaps |= !value.is_finite();
            value
        });
        if gaps {
            gaps::fill(band, 0.5);
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autoencoder::linear::Moments;
    use crate::random::Random;
    use burn::tensor::Device;

    /// A model of two bands of reflectance, at 1 and 2 um, and one of
    /// temperature, at 3 um.
    fn model() -> Model {
        let units = [Unit::Reflectance, Unit::Reflectance, Unit::Kelvin];
        let band = |(index, unit): (usize, Unit)| Band {
            wavelength_um: Some(index as f32 + 1.0),
            ..Band::new(format!("B{}", index + 1), unit)
        };
        let mut random = Random::new(1);
        let mut picture = || Array3::from_shape_fn((3, 8, 8), |_| random.uniform() as f32);
        let pictures: Vec<_> = (0..40).map(|_| picture()).collect();
        let linear = Moments::gather(&pictures, &[1.0; 3]).unwrap().solve(8, 0.5).unwrap();
        let autoencoder = Autoencoder::new(linear, 1.0, &Device::flex());
        let range = vec![[0.0, 1.0], [0.0, 1.0], [250.0, 350.0]];
        let bands = units.into_iter().enumerate().map(band).collect();
        let profile = Profile::find("landsat8-9-l2").unwrap();
        Model::new(autoencoder, profile, bands, range, Record::default()).unwrap()
    }

    #[test]
    fn some_of_the_bands_are_a_part_of_it_and_neither_all_nor_others() {
        let model = model();
        let own = model.bands();
        let part = [own[2].clone(), own[0].clone()];
        assert_eq!(model.part_of(&part), Some(vec![[250.0, 350.0], [0.0, 1.0]]));
        let [a, b, c] = [&own[0], &own[1], &own[2]].map(Band::clone);
        let turned = [c, a.clone(), b];
        assert_eq!(model.part_of(&turned), Some(vec![[250.0, 350.0], [0.0, 1.0], [0.0, 1.0]]));
        assert_eq!(model.part_of(&[a.clone(), a]), None);
        let others = [own[0].clone(), Band::new("B9", Unit::Reflectance)];
        let warm = [Band { unit: Unit::Kelvin, ..own[0].clone() }];
        for bands in [own, &others, &warm, &[]] {
            assert_eq!(model.part_of(bands), None, "{bands:?}");
        }
    }

    #[test]
    fn between_two_units_there_is_nothing() {
        let model = model();
        let error = model.at(&[2.5], model.range()).unwrap_err().to_string();
        assert!(error.contains("2.5 um lies between B2 in reflectance and B3 in K"), "{error}");
        let found = model.at(&[1.5, 3.0], model.range()).unwrap();
        assert_eq!(found.bands()[0].unit, Unit::Reflectance);
        // At a band of its own the one before it has no say.
        assert_eq!((found.bands()[1].unit, found.range()[1]), (Unit::Kelvin, [250.0, 350.0]));
        assert!(model.at(&[9.0], model.range()).is_err());
    }
}
