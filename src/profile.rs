//! Which instrument this is: bands, range, polarity, and how to recognise it.
//!
//! A profile is a TOML file. The shelf `sensors/` is embedded in the binary;
//! a path, or a file of the same name in the user's configuration folder
//! (`$XDG_CONFIG_HOME/wysiwyh/sensors`), comes first.

mod bands;
mod camera;
mod genicam;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Fault, Result};
use crate::frame::{Band, Unit};
use crate::intake;

use bands::check_wavelengths;
pub use bands::{Bands, FromMetadata};
pub use camera::{Camera, FourCc, Sign, Telemetry};
pub use genicam::GenICam;

/// A profile is no longer than this, with hundreds of bands.
const MAX_BYTES: u64 = 1 << 20;

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
    ("lepton3", include_str!("../sensors/lepton3.toml"), None),
    ("lepton2", include_str!("../sensors/lepton2.toml"), None),
    ("boson", include_str!("../sensors/boson.toml"), None),
    ("p2pro", include_str!("../sensors/p2pro.toml"), None),
    ("tc001", include_str!("../sensors/tc001.toml"), None),
    ("rgb", include_str!("../sensors/rgb.toml"), None),
    ("nir-webcam", include_str!("../sensors/nir-webcam.toml"), None),
    ("micasense-rededge", include_str!("../sensors/micasense-rededge.toml"), None),
    ("micasense-altum", include_str!("../sensors/micasense-altum.toml"), None),
    ("flir-ax5", include_str!("../sensors/flir-ax5.toml"), None),
    ("flir-a-series", include_str!("../sensors/flir-a-series.toml"), None),
    ("imx487-uv", include_str!("../sensors/imx487-uv.toml"), None),
    ("swir-imx990", include_str!("../sensors/swir-imx990.toml"), None),
    (
        "sentinel2-l2a",
        include_str!("../sensors/sentinel2-l2a.toml"),
        Some(include_bytes!("../sensors/sentinel2-l2a.safetensors")),
    ),
    ("sentinel2-l1c", include_str!("../sensors/sentinel2-l1c.toml"), None),
    ("landsat8-9-l2", include_str!("../sensors/landsat8-9-l2.toml"), None),
    ("landsat4-7-l2", include_str!("../sensors/landsat4-7-l2.toml"), None),
    ("landsat8-9-st", include_str!("../sensors/landsat8-9-st.toml"), None),
    ("landsat4-7-st", include_str!("../sensors/landsat4-7-st.toml"), None),
    ("landsat7", include_str!("../sensors/landsat7.toml"), None),
    ("modis-09ga", include_str!("../sensors/modis-09ga.toml"), None),
    ("enmap", include_str!("../sensors/enmap.toml"), None),
    ("emit", include_str!("../sensors/emit.toml"), None),
    ("prisma-l2", include_str!("../sensors/prisma-l2.toml"), None),
    ("generic-scene", include_str!("../sensors/generic-scene.toml"), None),
    ("generic-picture", include_str!("../sensors/generic-picture.toml"), None),
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
    /// Run against the program that simulates the instrument: there is no other.
    Simulator,
    /// Written from its documentation only.
    Never,
}

/// How a source is recognised. For a file every field given must agree; among the
/// profiles of cameras, what a camera says of itself ranks them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    /// USB `vendor:product`, four hexadecimal digits each.
    pub usb: Vec<String>,
    /// Text contained in [`crate::sensor::Source::model`].
    pub model: Vec<String>,
    /// Short names of GDAL drivers, `FLIR` for radiometric files, `CPTV`,
    /// `raw`, or `video`.
    pub driver: Vec<String>,
    /// Number of bands.
    pub bands: Option<usize>,
    /// Text contained in the file's name.
    pub file_name: Vec<String>,
}

/// A band by which products mark clouds, and pixels that show nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mask {
    /// Its name: `SCL`.
    pub band: String,
    /// What its numbers are.
    #[serde(default)]
    pub coded: Coded,
    /// Classes, or numbers of bits, of pixels without a reading.
    #[serde(default)]
    pub missing: Vec<u32>,
    /// Those of clouds and their shadows.
    pub clouds: Vec<u32>,
}

/// How a [`Mask`] is coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coded {
    /// Every number is a class.
    #[default]
    Values,
    /// Every bit says something of its own; bit 0 counts 1.
    Bits,
}

/// What a pixel shows by its [`Mask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The ground.
    Clear,
    /// A cloud, or its shadow.
    Cloud,
    /// Nothing.
    Missing,
}

impl Mask {
    /// What the number `stored` means; nothing where it is none.
    pub fn sight(&self, stored: f64) -> Sight {
        let number = stored as u32;
        let marked = |codes: &[u32]| {
            codes.iter().any(|&code| match self.coded {
                Coded::Values => number == code,
                Coded::Bits => number >> code & 1 == 1,
            })
        };
        match () {
            () if stored.is_nan() || marked(&self.missing) => Sight::Missing,
            () if marked(&self.clouds) => Sight::Cloud,
            () => Sight::Clear,
        }
    }
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
    /// The finest and the coarsest pixels that its shipped model was trained on,
    /// in metres, for scenes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained_pixel_m: Option<[f64; 2]>,
    /// Whether it looks straight down, so that a picture turned over is as
    /// good an example as the picture itself.
    #[serde(default)]
    pub from_above: bool,
    /// Whether its model may speak for other sensors, for which none ships.
    #[serde(default)]
    pub general: bool,
    /// Lowest and highest frequency of the sound in hertz.
    #[serde(default = "default_frequencies_hz")]
    pub frequencies_hz: [f64; 2],
    /// Files whose names agree in this many leading `_`-separated fields are
    /// one group and never split between training and report; 0: every file
    /// is a group of its own.
    #[serde(default)]
    pub group_fields: usize,
    /// The unit of bands that are taken from metadata which states none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// The bands.
    pub bands: Bands,
    /// The band that marks clouds, where its products have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Mask>,
    /// How a source is recognised.
    #[serde(default, rename = "match")]
    pub matching: Match,
    /// How its pictures come over a cable, for cameras that are read live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<Camera>,
    /// How it is set up, where it is a GigE Vision or USB3 Vision camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genicam: Option<GenICam>,
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
            // Its own display draws a picture of the line, which nobody can hear.
            let line = e.span().and_then(|span| text.get(..span.start));
            let line = line.map(|before| format!("line {}: ", 1 + before.matches('\n').count()));
            let what = format!("{}{}", line.unwrap_or_default(), e.message().replace('\n', ", "));
            Error::input(origin, what).hint("see CONTRIBUTING.md, \"A new sensor\"")
        })?;
        profile.check(origin)?;
        Ok(profile)
    }

    /// Refuses what no instrument has, in a profile that came from `origin`.
    ///
    /// # Errors
    ///
    /// If its name is no name of a file, its range or frequencies are empty, or its
    /// bands, mask or camera cannot be.
    pub(crate) fn check(&self, origin: &Path) -> Result<()> {
        let usual = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
        if !self.name.chars().all(usual) || !self.name.contains(char::is_alphanumeric) {
            let what = format!("its name is {:?}", self.name);
            return Err(Error::input(origin, what)
                .hint("a name has letters, digits, -, _ and . alone, as files are called so"));
        }
        if let Some([low, high]) = self.range
            && !(low < high && (high - low).is_finite())
        {
            return Err(Error::input(origin, format!("range starts at {low} and ends at {high}")));
        }
        self.listed_bands()
            .unwrap_or_default()
            .iter()
            .try_for_each(|b| check_wavelengths(b, origin))?;
        let scaled = |band: &&Band| band.scale.is_finite() && band.scale != 0.0;
        let odd = |band: &&Band| !(scaled(band) && band.offset.is_finite());
        if let Some(Band { name, scale, offset, .. }) =
            self.listed_bands().unwrap_or_default().iter().find(odd)
        {
            let what = format!("band {name} has the scale {scale} and the offset {offset}");
            return Err(Error::input(origin, what));
        }
        let [low, high] = self.frequencies_hz;
        if !(low >= 20.0 && low < high && high <= 20_000.0) {
            let what = format!("frequencies_hz is {low}..{high}, outside 20..20000");
            return Err(Error::input(origin, what));
        }
        let bits = self.mask.iter().filter(|mask| mask.coded == Coded::Bits);
        let mut bits = bits.flat_map(|mask| mask.missing.iter().chain(&mask.clouds));
        if let Some(bit) = bits.find(|&&bit| bit >= u32::BITS) {
            return Err(Error::input(origin, format!("its mask has bit {bit}, the last is 31")));
        }
        let camera = self.camera.as_ref().and_then(Camera::fault);
        if let Some(fault) = camera.or(self.genicam.as_ref().and_then(GenICam::fault)) {
            return Err(Error::input(origin, fault).hint("see CONTRIBUTING.md, \"A new sensor\""));
        }
        Ok(())
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
        Self::parse(&intake::text(path, MAX_BYTES)?, path)
    }

    /// The profiles in the user's own folder, each by the name that finds it, in the
    /// order of their names; an error for each that cannot be read.
    pub fn own() -> Vec<(String, Result<Self>)> {
        let entries = user_shelf().and_then(|shelf| std::fs::read_dir(shelf).ok());
        let mut paths: Vec<PathBuf> =
            entries.into_iter().flatten().flatten().map(|e| e.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|e| e == "toml"));
        paths.sort();
        let name =
            |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        paths.iter().map(|path| (name(path), Self::read(path))).collect()
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

    /// Where the user's own model for the profile called `name` lies, if there
    /// is one.
    pub fn own_model(name: &str) -> Option<PathBuf> {
        user_shelf().map(|shelf| shelf.join(format!("{name}.safetensors")))
    }

    /// The listed bands, if the profile lists them.
    pub fn listed_bands(&self) -> Option<&[Band]> {
        match &self.bands {
            Bands::Listed(bands) => Some(bands),
            Bands::FromMetadata(_) => None,
        }
    }

    /// The unit of the first listed band, or of bands from metadata; counts
    /// where neither says so.
    pub fn unit(&self) -> Unit {
        let listed = self.listed_bands().and_then(|bands| bands.first()).map(|band| band.unit);
        listed.or(self.unit).unwrap_or(Unit::Counts)
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

/// Where the user's own profiles lie, and models that were learned.
pub(crate) fn user_shelf() -> Option<PathBuf> {
    user_configuration().map(|folder| folder.join("sensors"))
}

/// Where the user's settings lie: `$XDG_CONFIG_HOME/wysiwyh`.
pub(crate) fn user_configuration() -> Option<PathBuf> {
    user_folder("XDG_CONFIG_HOME", ".config")
}

/// Our folder in the base directory that the environment `variable` names, or
/// where it is at home if that is unset: `below` the user's own.
pub(crate) fn user_folder(variable: &str, below: &str) -> Option<PathBuf> {
    base_folder(std::env::var_os(variable), std::env::var_os("HOME"), below)
        .map(|base| base.join("wysiwyh"))
}

/// The base directory that is `stated`, else `below` the user's `home`. One that
/// is not absolute counts as unset (XDG Base Directory Specification 0.8), and
/// so does such a home.
fn base_folder(stated: Option<OsString>, home: Option<OsString>, below: &str) -> Option<PathBuf> {
    let absolute = |name: Option<OsString>| name.map(PathBuf::from).filter(|p| p.is_absolute());
    absolute(stated).or_else(|| Some(absolute(home)?.join(below)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn repository(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    }

    #[test]
    fn every_file_of_the_shelf_is_sound() {
        let readme = fs::read_to_string(repository("README.md")).unwrap();
        let mut found = Vec::new();
        for entry in fs::read_dir(repository("sensors")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "toml") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let profile = Profile::parse(&text, &path).unwrap();
            assert_eq!(profile, Profile::find(&name).unwrap(), "{name} is not on the shelf");
            assert_eq!(profile.name, name);
            // Where its constants come from stands before them.
            assert!(text.starts_with("# "), "{name} begins without a comment");
            assert!(readme.contains(&format!("`{name}`")), "the README does not list {name}");
            for band in profile.listed_bands().unwrap_or_default() {
                let centre = band.wavelength_um.unwrap();
                assert!((0.2..15.0).contains(&centre), "{name} {}: {centre}", band.name);
                // Only what is nominal has no width.
                let width = band.fwhm_um.unwrap_or(centre);
                assert!(width > 0.0 && width < 2.0 * centre, "{name} {}: {width}", band.name);
                assert!(band.scale > 0.0, "{name} {}", band.name);
            }
            check_bands(&profile);
            found.push(name);
        }
        assert_eq!(found.len(), SHELF.len(), "{found:?}");
    }

    /// Names differ, wavelengths run one way (colours, by habit, from red to
    /// blue), and a common range has one unit.
    fn check_bands(profile: &Profile) {
        let Some(bands) = profile.listed_bands() else { return };
        assert!(!bands.is_empty());
        let ascends = |pair: &[Band]| pair[0].wavelength_um < pair[1].wavelength_um;
        let ascending = bands.windows(2).filter(|pair| ascends(pair)).count();
        assert!([0, bands.len() - 1].contains(&ascending), "{}", profile.name);
        for (at, band) in bands.iter().enumerate() {
            let earlier = &bands[..at];
            assert!(earlier.iter().all(|e| e.name != band.name), "{} twice", band.name);
            if profile.range.is_some() {
                assert_eq!(band.unit, bands[0].unit, "{}", profile.name);
            }
        }
        if profile.source == Kind::Scene {
            assert!(profile.pixel_m.is_some_and(|metres| metres > 0.0), "{}", profile.name);
            let ships = Profile::shipped_model(&profile.name).is_some();
            assert_eq!(profile.trained_pixel_m.is_some(), ships, "{}", profile.name);
        }
    }

    /// The TOML blocks of "A new sensor" in the contributors' guide.
    #[test]
    fn the_profiles_of_the_guide_are_profiles() {
        let guide = fs::read_to_string(repository("CONTRIBUTING.md")).unwrap();
        let names: Vec<String> = guide
            .split("```toml\n")
            .skip(1)
            .map(|rest| rest.split("```").next().unwrap())
            .map(|text| Profile::parse(text, Path::new("CONTRIBUTING.md")).unwrap().name)
            .collect();
        assert_eq!(names, ["my-thermal", "desis-l2a"]);
    }

    #[test]
    fn a_base_directory_that_is_empty_or_relative_counts_as_unset() {
        let base = |stated: Option<&str>, home: Option<&str>| {
            base_folder(stated.map(OsString::from), home.map(OsString::from), ".config")
        };
        assert_eq!(base(Some("/a/b"), Some("/home/x")), Some("/a/b".into()));
        for unset in [None, Some(""), Some("a/b"), Some("./a"), Some("~/a")] {
            assert_eq!(base(unset, Some("/home/x")), Some("/home/x/.config".into()), "{unset:?}");
            assert_eq!(base(unset, None), None, "{unset:?}");
            assert_eq!(base(unset, Some("")), None, "{unset:?}");
        }
    }

    #[test]
    fn a_profile_that_never_ends_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("endless.toml");
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        let error = Profile::find(&path.display().to_string()).unwrap_err().to_string();
        assert!(error.ends_with("endless.toml: is no file"), "{error}");
    }

    #[test]
    fn what_is_wrong_in_a_profile_is_named_with_its_line() {
        let text = fs::read_to_string(repository("sensors/lepton3.toml")).unwrap();
        let parse = |text: &str| Profile::parse(text, Path::new("a.toml"));
        assert!(parse(&text).is_ok());
        let refused = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            let error = parse(&text.replace(from, to)).unwrap_err().to_string();
            assert!(!error.contains(['|', '^', '\n']), "{error}");
            error.strip_prefix("a.toml: ").unwrap().to_owned()
        };
        let (unit, band) = ("unit = \"celsius\"", "[[bands]]\n");
        let at = |start: &str| 1 + text[..text.find(start).unwrap()].matches('\n').count();
        let error = refused(unit, "unit = \"furlong\"");
        assert!(error.starts_with(&format!("line {}: ", at(unit))), "{error}");
        assert!(error.contains("`furlong`") && error.contains("celsius"), "{error}");
        let error = refused(band, &format!("{band}colour = 1\n"));
        assert!(error.starts_with(&format!("line {}: ", at(band) + 1)), "{error}");
        assert!(error.contains("`colour`") && error.contains("wavelength_um"), "{error}");
        let error = refused("source = ", "source ");
        assert!(error.starts_with(&format!("line {}: ", at("source = "))), "{error}");
        for name in ["", "a/b", "..", "my thermal"] {
            let error = refused("name = \"lepton3\"", &format!("name = {name:?}"));
            assert_eq!(error, format!("its name is {name:?}"));
        }
        for odd in ["842.0e3", "-1.0", "0.0", "nan", "inf"] {
            for known in ["wavelength_um = 11.0", "fwhm_um = 6.0"] {
                let (key, _) = known.split_once(" =").unwrap();
                let error = refused(known, &format!("{key} = {odd}"));
                assert!(error.starts_with(&format!("band LWIR has the {key} ")), "{error}");
            }
        }
    }

    #[test]
    fn masks_tell_clouds_from_ground() {
        let mask = |name: &str| Profile::find(name).unwrap().mask.unwrap();
        // Sentinel-2 Level-2A, scene classification: 0 no data to 11 snow.
        let scl = mask("sentinel2-l2a");
        let seen: Vec<Sight> = (0..12).map(|class| scl.sight(f64::from(class))).collect();
        use Sight::{Clear, Cloud, Missing};
        let due = [
            Missing, Missing, Clear, Cloud, Clear, Clear, Clear, Clear, Cloud, Cloud, Cloud, Clear,
        ];
        assert_eq!((seen, scl.sight(f64::NAN)), (due.to_vec(), Missing));
        // Collection 2: 21824 is clear land, 1 fill, 22280 cloud, 23888 shadow.
        let qa = mask("landsat8-9-l2");
        let seen = [21824.0, 1.0, 22280.0, 23888.0, 54596.0].map(|number| qa.sight(number));
        assert_eq!(seen, [Clear, Missing, Cloud, Cloud, Cloud]);
    }
}
