//! A model for the sensor that is heard, learned from what it shows.
//!
//! Pictures are gathered by the slot clock, evenly over a time that the user
//! gives. The closed-form model is then computed on a thread of its own, which
//! gives way to everything else, and stored where the sensor's profile is
//! looked for: it speaks from the next run on.

use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use ndarray::{Array3, Zip};

use crate::dataset::{Dataset, Gathered, Part};
use crate::digest::Digest;
use crate::error::{Error, Fault, Result};
use crate::frame::Frame;
use crate::profile::Profile;
use crate::staging::{self, StagedFile};
use crate::synth::SLOT_S;
use crate::train::{self, Settings};

/// So many pictures are gathered at most, and at least for a model.
const PICTURES: u64 = 200;
const FEWEST: u64 = 30;

/// So many pictures that follow each other stay together when some are held
/// out: neighbours in time are too much alike.
const TOGETHER: u64 = 10;

/// Views in which less than this share of the variance lies between pictures
/// are too still; see [`change`]. It is 0.01 to 0.07 in recordings of cameras
/// that stand still (a trail camera with an animal, two hand cameras on a
/// tripod), 0.4 to 0.9 in flights of HIT-UAV, and 0.6 with the simulated camera,
/// which is carried about.
const STILL: f64 = 0.2;

/// Gathers, then computes.
#[derive(Debug)]
pub(super) struct Learner {
    profile: Profile,
    place: PathBuf,
    /// Slots in which pictures are gathered, and those that have gone by.
    slots: u64,
    slot: u64,
    gathered: Gathered,
    pictures: u64,
    /// The slot from which the next picture is wanted.
    due: u64,
    computing: Option<JoinHandle<Result<String>>>,
}

impl Learner {
    /// A learner for the sensor of `profile` that gathers for `slots` slots.
    ///
    /// # Errors
    ///
    /// If the model could not be stored, or would speak for whatever has other bands
    /// in each file.
    pub fn new(profile: &Profile, slots: u64) -> Result<Self> {
        if profile.listed_bands().is_none() {
            let what = format!("{} is no single sensor, and a model is one's own", profile.name);
            return Err(Error::usage("--learn", what).hint(
                "name the sensor: --sensor NAME (`wysiwyh sensors list`), or write a profile for it",
            ));
        }
        let place = Profile::own_model(&profile.name).ok_or_else(|| {
            Error::new(Fault::Output, "--learn", "there is no folder for the model")
                .hint("set XDG_CONFIG_HOME or HOME")
        })?;
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder).map_err(|e| Error::output(folder, e))?;
        }
        staging::check_place(&place)?;
        Ok(Self {
            gathered: Gathered::new(profile, 0),
            profile: profile.clone(),
            place,
            slots,
            slot: 0,
            pictures: 0,
            due: 0,
            computing: None,
        })
    }

    /// Looks at the new picture of a slot, if there is one; a sentence where
    /// something is done.
    pub fn see(&mut self, frame: Option<&Frame>) -> Option<String> {
        if let Some(computing) = self.computing.take_if(|computing| computing.is_finished()) {
            return Some(told(computing));
        }
        let (slot, step) = (self.slot, self.slots.div_ceil(PICTURES).max(1));
        self.slot += 1;
        if slot < self.slots {
            // What did not come in time, as while a camera was away, is not
            // made up for.
            let due = slot >= self.due;
            if let Some(frame) = frame.filter(|frame| due && frame.valid_fraction() > 0.5) {
                self.gathered.add(&format!("part {}", self.pictures / TOGETHER), frame);
                self.pictures += 1;
                self.due = (slot / step + 1) * step;
            }
            return None;
        }
        (slot == self.slots).then(|| self.compute())
    }

    /// Begins to compute the model.
    fn compute(&mut self) -> String {
        let (pictures, seconds) = (self.pictures, self.slot.min(self.slots) as f64 * SLOT_S);
        if pictures < FEWEST {
            return format!(
                "No model is learned: {pictures} pictures were gathered in {seconds:.0} s, and it \
                 takes {FEWEST}."
            );
        }
        let next = Gathered::new(&self.profile, 0);
        let gathered = std::mem::replace(&mut self.gathered, next);
        let (profile, place) = (self.profile.clone(), self.place.clone());
        self.computing =
            Some(std::thread::spawn(move || apart(|| learn(gathered, &profile, &place))));
        format!("{pictures} pictures were gathered in {seconds:.0} s; the model is being computed.")
    }

    /// The end of the sound: computes what there is, and waits for it.
    pub fn finish(mut self, say: &mut dyn FnMut(&str)) {
        if self.slot <= self.slots {
            say(&self.compute());
        }
        if let Some(computing) = self.computing {
            say(&told(computing));
        }
    }
}

/// What came of it. A thread that panicked has said so itself.
fn told(computing: JoinHandle<Result<String>>) -> String {
    match computing.join() {
        Ok(Ok(sentence)) => sentence,
        Ok(Err(error)) => format!("No model is learned: {error}"),
        Err(_) => "No model is learned.".to_owned(),
    }
}

/// Runs `work` on one thread that gives way to all others, where the system
/// lets it.
fn apart<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).start_handler(|_| {
        // Linux gives a thread a priority of its own by its number.
        let Ok(thread) = fs::read_link("/proc/thread-self") else { return };
        let number = thread.file_name().unwrap_or_default();
        let mut renice = Command::new("renice");
        renice.args(["-n", "10", "-p"]).arg(number).stdin(Stdio::null());
        let _ = renice.stdout(Stdio::null()).stderr(Stdio::null()).status();
    });
    pool.build().map_err(|e| Error::new(Fault::Device, "learning", e))?.install(work)
}

/// Copies what lies at `place`, if anything does, to a name of its own, by what is in it:
/// sounds that a model made need it, and one that cannot be read here may be of a later
/// version.
fn keep(place: &Path, name: &str) -> Result<()> {
    if !place.is_file() {
        return Ok(());
    }
    let (digest, _) = Digest::of_file(place).map_err(|e| Error::input(place, e))?;
    let hash = digest.to_string();
    let kept = place.with_file_name(format!("{name}-{hash:.12}.safetensors"));
    let mut staged = StagedFile::create(&kept)?;
    File::open(place)
        .and_then(|mut before| io::copy(&mut before, staged.file()))
        .map_err(|e| Error::output(&kept, e))?;
    staged.finish()
}

/// Computes the model and stores it at `place`; what lies there is kept.
fn learn(gathered: Gathered, profile: &Profile, place: &Path) -> Result<String> {
    let dataset = gathered.dataset()?;
    let change = change(&dataset);
    let settings = Settings::default();
    let model = train::analytic(&dataset, profile, &settings, &mut |_| ControlFlow::Continue(()))?;
    keep(place, &profile.name)?;
    model.save(place)?;
    let mut text = format!(
        "The model is learned and stored as {}: from the next run on it speaks for {}.",
        place.display(),
        profile.name
    );
    if change < STILL {
        text += &format!(
            " But the view was too still to learn much from: {:.1} % of the variance lay between \
             pictures, and it should be {:.0} %. Carry the camera about and learn again.",
            100.0 * change,
            100.0 * STILL
        );
    }
    Ok(text)
}

/// The share, 0..1, of the variance of all readings that lies between the
/// pictures: the mean over pixels of the variance over time, by the variance
/// over pixels and time.
fn change(dataset: &Dataset) -> f64 {
    let parts = [Part::Train, Part::Choose, Part::Report];
    let pictures: Vec<_> = parts.into_iter().flat_map(|part| dataset.pictures(part)).collect();
    let Some(first) = pictures.first() else { return 0.0 };
    let mut sum = Array3::<f64>::zeros(first.dim());
    let mut square = 0.0;
    for picture in &pictures {
        Zip::from(&mut sum).and(picture).for_each(|sum, &value| {
            *sum += f64::from(value);
            square += f64::from(value).powi(2);
        });
    }
    let (count, pixels) = (pictures.len() as f64, sum.len() as f64);
    let mean_square = square / (count * pixels);
    let within = sum.iter().map(|sum| (sum / count).powi(2)).sum::<f64>() / pixels;
    let mean = sum.sum() / (count * pixels);
    (mean_square - within) / (mean_square - mean * mean).max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Band, Unit};

    #[test]
    fn what_has_other_bands_in_each_file_learns_nothing() {
        for name in ["generic-picture", "generic-scene", "enmap"] {
            let error = Learner::new(&Profile::find(name).unwrap(), 600).unwrap_err();
            assert!(error.to_string().contains(name) && error.advice().is_some(), "{error}");
        }
    }

    #[test]
    fn pictures_are_as_far_apart_after_a_gap_as_before() {
        let profile = Profile::find("hituav-lwir").unwrap();
        let mut learner = Learner {
            gathered: Gathered::new(&profile, 0),
            profile,
            place: PathBuf::new(),
            slots: 5 * PICTURES,
            slot: 0,
            pictures: 0,
            due: 0,
            computing: None,
        };
        let band = [Band::new("LWIR", Unit::Counts)];
        let frame = Frame::new(Array3::zeros((1, 5, 6)), band.into(), 0.0);
        let mut taken = vec![];
        for slot in 0..600 {
            let before = learner.pictures;
            assert_eq!(learner.see((!(100..400).contains(&slot)).then_some(&frame)), None);
            taken.extend((learner.pictures > before).then_some(slot));
        }
        let expected = (0..600).step_by(5).filter(|slot| !(100..400).contains(slot));
        assert!(taken.iter().copied().eq(expected), "{taken:?}");
    }
}
