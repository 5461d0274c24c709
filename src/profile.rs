//! Which instrument this is: bands, range, polarity, and how to recognise it.
//!
//! A profile is a TOML file. The shelf `sensors/` is embedded in the binary;
//! a path, or a file of the same name in the user's configuration folder
//! (`$XDG_CONFIG_HOME/wysiwyh/sensors`), comes first.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Fault, Result};
use crate::frame::{Band, Unit};

/// The embedded shelf: profile name, profile, and the trained model that
/// ships with it.
const SHELF: &[(&str, &str, Option<&[u8]>)] = &[
    (
        "simulated-lwir",
        include_str!("../sensors/simulated-lwir.toml"),
        Some(include_bytes!("../sensors/simulated-lwir.safetensors")),
    ),
    (
        "hituav-lwir",
        include_str!("../sensors/hituav-lwir.toml"),
        Some(include_bytes!("../sensors/hituav-lwir.safetensors")),
    ),
    ("generic-rjpeg", include_str!("../sensors/generic-rjpeg.toml"), None),
    ("cptv-lepton3", include_str!("../sensors/cptv-lepton3.toml"), None),
    (
        "sentinel2-l2a",
        include_str!("../sensors/sentinel2-l2a.toml"),
        Some(include_bytes!("../sensors/sentinel2-l2a.safetensors")),
    ),
];

/// Whether a source delivers whole pictures or a scene to be tiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Whole pictures, letterboxed to the model's grid.
    Frames,
    /// One large scene, tiled into chips of the model's grid.
    Scene,
}

/// Which end of the range is loud.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Polarity {
    /// High values are loud.
    #[default]
    HotLoud,
    /// Low values are loud.
    ColdLoud,
}

/// How much of the instrument has met reality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tested {
    /// Run against the instrument itself.
    Hardware,
    /// Run on real files of the instrument.
    File,
    /// Written from its documentation only.
    Never,
}

/// How a source is recognised; every field given must agree.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    /// USB `vendor:product`, four hexadecimal digits each.
    pub usb: Vec<String>,
    /// Text contained in [`crate::sensor::Source::model`].
    pub model: Vec<String>,
    /// Short names of GDAL drivers, `FLIR` for radiometric files, `CPTV`, or
    /// `raw`.
    pub driver: Vec<String>,
    /// Number of bands.
    pub bands: Option<usize>,
    /// Text contained in the file's name.
    pub file_name: Vec<String>,
}

/// The bands of an instrument: listed, or taken from each file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bands {
    /// These, in the order of the file.
    Listed(Vec<Band>),
    /// `bands = "from metadata"`: whatever the file says, as for cubes.
    FromMetadata(FromMetadata),
}

/// The only word that may stand for a list of bands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromMetadata {
    /// See [`Bands::FromMetadata`].
    #[serde(rename = "from metadata")]
    FromMetadata,
}

/// An instrument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name of the profile, equal to the file's stem.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// Whether it delivers pictures or scenes.
    pub source: Kind,
    /// How far it has been tried.
    pub tested: Tested,
    /// Which end is loud.
    #[serde(default)]
    pub polarity: Polarity,
    /// Physical values that mean 0 and 1, for all bands; absent: robust
    /// percentiles of the training frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// Size of a pixel on the ground in metres, for scenes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel_m: Option<f64>,
    /// Whether it looks straight down, so that a picture turned over is as
    /// good an example as the picture itself.
    #[serde(default)]
    pub from_above: bool,
    /// Lowest and highest frequency of the sound in hertz.
    #[serde(default = "default_frequencies_hz")]
    pub frequencies_hz: [f64; 2],
    /// Files whose names agree in this many leading `_`-separated fields are
    /// one group and never split between training and report; 0: every file
    /// is a group of its own.
    #[serde(default)]
    pub group_fields: usize,
    /// The bands.
    pub bands: Bands,
    /// How a source is recognised.
    #[serde(default, rename = "match")]
    pub matching: Match,
}

/// 60 Hz is the lowest that small speakers and headphones still render;
/// 5 kHz is the top of the original.
fn default_frequencies_hz() -> [f64; 2] {
    [60.0, 5000.0]
}

impl Profile {
    /// Reads a profile from TOML `text` that came from `origin`.
    ///
    /// # Errors
    ///
    /// If the text is no profile, or its range or frequencies are empty.
    pub fn parse(text: &str, origin: &Path) -> Result<Self> {
        let profile: Profile = toml::from_str(text).map_err(|e| {
            Error::input(origin, e.to_string().trim_end())
                .hint("see CONTRIBUTING.md, \"A new sensor\"")
        })?;
        if let Some([low, high]) = profile.range
            && (low >= high || low.is_nan() || high.is_nan())
        {
            return Err(Error::input(origin, format!("range starts at {low} and ends at {high}")));
        }
        let [low, high] = profile.frequencies_hz;
        if !(low >= 20.0 && low < high && high <= 20_000.0) {
            let what = format!("frequencies_hz is {low}..{high}, outside 20..20000");
            return Err(Error::input(origin, what));
        }
        Ok(profile)
    }

    /// The profile called `name`, or in the file `name`.
    ///
    /// # Errors
    ///
    /// If there is none, or it cannot be read.
    pub fn find(name: &str) -> Result<Self> {
        let path = Path::new(name);
        if path.extension().is_some_and(|e| e == "toml") {
            return Self::read(path);
        }
        if let Some(path) = user_shelf().map(|shelf| shelf.join(format!("{name}.toml")))
            && path.is_file()
        {
            return Self::read(&path);
        }
        match SHELF.iter().find(|entry| entry.0 == name) {
            Some((_, text, _)) => Self::parse(text, Path::new(name)),
            None => Err(Error::new(Fault::Usage, name, "no sensor profile has this name")
                .hint("`wysiwyh sensors list` shows them; a path to a .toml file works too")),
        }
    }

    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::input(path, e))?;
        Self::parse(&text, path)
    }

    /// Every profile on the embedded shelf.
    ///
    /// # Errors
    ///
    /// If a file of the shelf is damaged; a test rules that out.
    pub fn shelf() -> Result<Vec<Self>> {
        SHELF.iter().map(|(name, text, _)| Self::parse(text, Path::new(name))).collect()
    }

    /// The model file that ships for the profile called `name`, if one does.
    pub fn shipped_model(name: &str) -> Option<&'static [u8]> {
        SHELF.iter().find(|entry| entry.0 == name).and_then(|entry| entry.2)
    }

    /// The listed bands, if the profile lists them.
    pub fn listed_bands(&self) -> Option<&[Band]> {
        match &self.bands {
            Bands::Listed(bands) => Some(bands),
            Bands::FromMetadata(_) => None,
        }
    }

    /// The unit of the first listed band, or counts.
    pub fn unit(&self) -> Unit {
        self.listed_bands().and_then(|bands| bands.first()).map_or(Unit::Counts, |band| band.unit)
    }

    /// The group of the file at `path`: see [`Profile::group_fields`].
    pub fn group(&self, path: &Path) -> String {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        match self.group_fields {
            0 => stem.into_owned(),
            fields => stem.split('_').take(fields).collect::<Vec<_>>().join("_"),
        }
    }
}

/// Where the user's own profiles lie.
fn user_shelf() -> Option<PathBuf> {
    let configuration = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")))?;
    Some(configuration.join("wysiwyh/sensors"))
}
