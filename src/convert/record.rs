//! What is written down of every scene, beside its sound: what was asked, of
//! which files, and what came of it.
//!
//! A scene whose record asks for the same of the same files is not converted
//! again, and the files of a scene whose record tells of another source are
//! nobody else's to replace. The record is the last file of a scene to get its
//! name, so where it is, everything is. All of it but [`Record::origin`] and
//! [`Record::timing`] is the same whenever and wherever the scene is converted.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::{Settings, Unit};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::intake;
use crate::model::Model;
use crate::profile::Profile;
use crate::sink::Header;
use crate::voice::Voice;

/// Version of the record's layout.
const FORMAT: u32 = 1;

/// A record larger than this is none of ours.
const MAX_BYTES: u64 = 16 << 20;

/// How the names of records end.
pub(crate) const ENDING: &str = ".record.json";

/// What became of one scene.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this layout.
    pub format: u32,
    /// See [`Unit::id`](super::Unit::id).
    pub id: String,
    /// See [`Unit::origin`](super::Unit::origin).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// What was asked for.
    pub request: Request,
    /// What came of it; `None` where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Why it failed; beside an outcome, why it could not be made again, as
    /// somebody asked later in another way or of other files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took, which differs from run to run.
    pub timing: Timing,
}

/// All that decides what a scene sounds like. Where two are equal, so are the
/// sounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The source as the user named it.
    pub source: String,
    /// The files it consisted of.
    pub input: Input,
    /// How it was to be heard.
    pub settings: Settings,
    /// SHA-256 of all that could speak: the given model, else the profiles and
    /// models at hand, the user's own ones included.
    pub speakers: String,
    /// Version of the program.
    pub version: String,
}

/// Which files a source consisted of, by name, size and time of change: to
/// read them all in order to see that nothing is to be done would take longer
/// than many a conversion. A source that is far away has none, and counts as
/// unchanged while its name is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Number of files.
    pub files: usize,
    /// Bytes of all of them.
    pub bytes: u64,
    /// SHA-256 of their list: name, bytes and nanoseconds since 1970.
    pub digest: String,
}

/// A sound, and what it was made with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What the sound says of itself, but for the places of the chips.
    pub header: Header,
    /// Number of slots of sound.
    pub slots: usize,
    /// Chips without any reading, which are not in the sound.
    pub skipped: usize,
    /// Mean power of the slots in LUFS, without gates; none where all is
    /// silent.
    pub loudness_lufs: Option<f64>,
    /// PSNR in dB of the pictures that the codes still hold: the mean over
    /// slots with a reading; none where it was left out.
    #[serde(default)]
    pub psnr_db: Option<f64>,
    /// PSNR in dB of unseen pictures from the model's sound, where the model
    /// was scored: see [`Scores`](crate::evaluate::Scores).
    pub model_psnr_db: Option<f64>,
    /// Its files, the sound first.
    pub outputs: Vec<Output>,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Its name; it lies beside the record.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of what is in it, hexadecimal.
    pub sha256: String,
}

/// How long it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Seconds from opening the scene to its last file.
    pub elapsed_s: f64,
}

impl Record {
    /// The record of the scene `unit` that was asked for so.
    pub fn new(
        unit: &Unit,
        request: Request,
        came: std::result::Result<Outcome, &Error>,
        elapsed_s: f64,
    ) -> Self {
        let (outcome, error) = match came {
            Ok(outcome) => (Some(outcome), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let (id, origin) = (unit.id.clone(), unit.origin.clone());
        let timing = Timing { elapsed_s };
        Self { format: FORMAT, id, origin, request, outcome, error, timing }
    }

    /// Reads the record at `path`.
    ///
    /// # Errors
    ///
    /// If it is missing, damaged, or of another format.
    pub fn read(path: &Path) -> Result<Self> {
        let record: Self = serde_json::from_slice(&intake::read(path, MAX_BYTES)?)
            .map_err(|e| Error::input(path, format!("is no record of a scene: {e}")))?;
        if record.format != FORMAT {
            let what = format!("has format {}, this version reads {FORMAT}", record.format);
            return Err(Error::input(path, what).hint("convert the scene again"));
        }
        Ok(record)
    }

    /// Writes it to `path`.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|e| Error::output(path, e))?;
        fs::write(path, text + "\n").map_err(|e| Error::output(path, e))
    }

    /// Whether the files that `request` asks for lie in `folder`, all of them.
    pub(super) fn answers(&self, request: &Request, folder: &Path) -> bool {
        let there = |output: &Output| {
            let found = fs::metadata(folder.join(&output.name));
            found.is_ok_and(|found| found.is_file() && found.len() == output.bytes)
        };
        let made = self.outcome.as_ref().filter(|_| self.request == *request);
        made.is_some_and(|outcome| outcome.outputs.iter().all(there))
    }

    /// The names of its files.
    pub(super) fn names(&self) -> Vec<String> {
        let outputs = self.outcome.iter().flat_map(|outcome| &outcome.outputs);
        outputs.map(|output| output.name.clone()).collect()
    }
}

impl Input {
    /// The `files` of a source as they are now.
    pub fn of(files: &[PathBuf]) -> Self {
        let (mut bytes, mut digest) = (0, Digest::default());
        for file in files {
            // What goes away meanwhile is missed when it is opened.
            let Ok(found) = fs::metadata(file) else { continue };
            let changed = found.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let changed = changed.map_or(0, |since| since.as_nanos());
            bytes += found.len();
            digest.add(format!("{}\n{} {changed}\n", file.display(), found.len()));
        }
        Self { files: files.len(), bytes, digest: digest.to_string() }
    }
}

impl Output {
    /// What lies at `path` and will be called `name`.
    pub(super) fn of(path: &Path, name: &str) -> Result<Self> {
        let (digest, bytes) = Digest::of_file(path).map_err(|e| Error::output(path, e))?;
        Ok(Self { name: name.to_owned(), bytes, sha256: digest.to_string() })
    }
}

/// See [`Request::speakers`].
///
/// # Errors
///
/// If the model or the profile that the user chose, or a model of the user's
/// own, cannot be read.
pub(super) fn speakers(voice: &Voice) -> Result<String> {
    let mut digest = Digest::default();
    let mut profiles = match &voice.sensor {
        Some(name) => vec![Profile::find(name)?],
        None => vec![],
    };
    match &voice.model {
        Some(path) => digest.add(Model::load(path)?.hash()),
        None => profiles.extend(Profile::shelf()?),
    }
    for profile in profiles {
        digest.add(serde_json::to_string(&profile).unwrap_or_default());
        if voice.model.is_none() {
            match Profile::own_model(&profile.name).filter(|path| path.is_file()) {
                Some(own) => digest.add(fs::read(&own).map_err(|e| Error::input(&own, e))?),
                None => digest.add(Profile::shipped_model(&profile.name).unwrap_or_default()),
            }
        }
    }
    Ok(digest.to_string())
}
