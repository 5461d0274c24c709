//! Where frames come from.
//!
//! [`open`] looks at what a source *is*, not at what it is called, and hands
//! it to the reader of its family: the simulated camera, a folder of
//! pictures, the pages of a TIFF file, a video, FLIR's files of temperatures,
//! CPTV files, sessions, raw pixels, or a raster through GDAL; or it is an attached
//! camera.

mod ahead;
pub mod camera;
mod content;
mod cptv;
mod detail;
mod files;
mod flir;
mod folder;
mod gige;
mod heat;
mod jpeg;
mod markup;
mod naming;
mod paced;
mod peeked;
mod pixels;
#[cfg(feature = "gdal")]
mod probe;
#[cfg(feature = "gdal")]
pub mod raster;
mod raw;
mod rig;
mod route;
mod session;
mod simulated;
mod source;
mod stack;
mod tiles;
mod told;
mod turned;
#[cfg(all(target_os = "linux", feature = "uvc"))]
mod uvc;
mod video;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Fault, Result};
use crate::frame::{Band, Frame, Unit};
use crate::profile::Profile;

use self::camera::Losses;
use self::content::Content;
use self::paced::Paced;
use self::peeked::Limited;
use self::turned::Turned;

pub use ahead::Ahead;
pub use cptv::Cptv;
pub use detail::{Detail, LONGEST_S};
pub(crate) use files::files;
pub use flir::Flir;
pub use folder::Folder;
pub(crate) use naming::{misplaced, places, split_number};
pub use paced::Speed;
pub(crate) use paced::{Hold, check_clock};
pub(crate) use peeked::Peeked;
pub use pixels::Packing;
#[cfg(feature = "gdal")]
pub use probe::{answer, probe_with};
pub use raw::{Raw, RawFormat, STDIN};
pub use rig::Rig;
pub(crate) use rig::{SAME_BAND_UM, lacking};
pub use route::{Route, Walk};
pub use session::Session;
pub use simulated::Simulated;
pub use source::{Scene, Source};
pub use stack::Stack;
pub use tiles::{Canvas, Tiles, Whole};
pub use told::count;
pub(crate) use told::{duration, rounded};
pub use turned::{Flip, Turn};
pub use video::Video;

/// The largest picture that is decoded at once: 1 GiB of f32 readings.
const LIMIT: usize = 1 << 30;

/// Refuses the source called `subject` if so many `bytes` are too many to be read
/// at once; `what` of it take them.
fn check_size(subject: impl AsRef<Path>, bytes: usize, what: impl fmt::Display) -> Result<()> {
    if bytes <= LIMIT {
        return Ok(());
    }
    let (bytes, most) = (bytes >> 20, LIMIT >> 20);
    let what = format!("{what} {bytes} MiB, more than the {most} MiB read at once");
    Err(Error::input(subject, what))
}

/// A source of frames. An error ends the iteration.
///
/// A camera that was opened never ends by itself. One that is unplugged, or
/// that has sent nothing new for [`camera::PATIENCE_S`], gives an error of
/// [`Fault::Away`], which does not end the
/// iteration: each further call looks for the camera again, and gives either
/// its next frame or, as a rule after [`camera::ANSWER_S`], the error anew. So
/// a call returns in bounded time whatever happens to the camera, and whoever
/// does not know this kind of error takes it for the end, which is right too.
pub trait Sensor: Iterator<Item = Result<Frame>> + Send + fmt::Debug {
    /// What this source is.
    fn source(&self) -> &Source;

    /// What a camera has lost so far; `None` for a recording. A camera's
    /// frames come at the moment at which they are taken, so nobody needs to
    /// wait for their time, and its clock may jump while it is away.
    fn losses(&self) -> Option<Losses> {
        None
    }
}

/// Who is told, in a sentence, what is odd about a source that is read all the same.
pub type Tell = fn(&str);

/// How to open a source. What a user says of it can be written down; the rest
/// follows from that, or is told nobody.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Tile scenes into square chips of so many pixels; `None`: whole
    /// pictures.
    #[serde(skip)]
    pub chip: Option<usize>,
    /// How coarse a tiled scene is heard.
    pub detail: Detail,
    /// The order of its chips.
    pub route: Route,
    /// Whether readings that clouds hide are kept, where a product marks them;
    /// else they are missing.
    pub clouds: bool,
    /// Seed of the simulated camera.
    #[serde(skip)]
    pub seed: u64,
    /// Stop after so many frames.
    #[serde(skip)]
    pub frames: Option<usize>,
    /// What the user knows of the object, in place of what FLIR's files state.
    pub object: Object,
    /// How pictures are turned, before anything else is done with them.
    pub turn: Turn,
    /// The source is raw pixels that lie so; `-` is standard input.
    pub raw: Option<RawFormat>,
    /// How fast it is heard.
    #[serde(default, skip_serializing_if = "Speed::is_own")]
    pub speed: Speed,
    /// Once true, a source that waits for its writer ends.
    #[serde(skip)]
    pub stop: Option<&'static AtomicBool>,
    /// Of a raster with more readings than this, windows that hold about a quarter
    /// as many, spread evenly over it, instead of all of it.
    #[serde(skip)]
    pub sample: Option<usize>,
    /// Who is told what is odd about it.
    #[serde(skip)]
    pub tell: Option<Tell>,
}

/// Equal where a user says the same: see [`Options`].
impl PartialEq for Options {
    fn eq(&self, other: &Self) -> bool {
        let said = |options: &Self| {
            let Self { detail, route, clouds, object, turn, raw, speed, .. } = options.clone();
            (detail, route, clouds, object, turn, raw, speed)
        };
        said(self) == said(other)
    }
}

/// What a user knows of the object in view; what is `None` is as the file
/// states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// Emissivity, above 0 and at most 1.
    pub emissivity: Option<f64>,
    /// Distance from the camera in metres.
    pub distance_m: Option<f64>,
    /// Apparent temperature of what it mirrors, in degrees Celsius.
    pub reflected_c: Option<f64>,
}

impl Object {
    /// Refuses `source`, whose temperatures are not computed here, if
    /// anything is known.
    ///
    /// # Errors
    ///
    /// If anything is.
    pub fn refuse(self, source: &str) -> Result<()> {
        let flags = [
            ("--emissivity", self.emissivity),
            ("--distance", self.distance_m),
            ("--reflected", self.reflected_c),
        ];
        let Some((flag, _)) = flags.into_iter().find(|flag| flag.1.is_some()) else {
            return Ok(());
        };
        let what = format!("{source} holds no calibration from which it could be followed");
        Err(Error::usage(flag, what).hint(
            "radiometric files of FLIR's do: JPEG, FFF, SEQ and CSQ; leave it out for others",
        ))
    }
}

/// Whether `source` can be opened again: pipes and devices cannot.
pub fn is_repeatable(source: &str) -> bool {
    let kind = std::fs::metadata(source).map(|found| found.is_file() || found.is_dir());
    source != raw::STDIN && kind.unwrap_or(true)
}

/// Whether `source` shows the same whenever it is opened: neither pipes nor
/// cameras do.
pub fn is_lasting(source: &str) -> bool {
    is_repeatable(source) && !camera::is_one(source)
}

/// Opens `source`:
///
/// - `simulated` or `simulated:SEED`: the simulated thermal camera;
/// - a number, `/dev/videoN`, or the name of a camera's profile: a camera;
/// - `gige:ADDRESS`: the GigE Vision or USB3 Vision camera of this IP address,
///   name or serial number, or the only one that answers where there is none;
/// - an item of a STAC: a JSON file of one, or `FILE#ID` in one of many;
/// - a Sentinel-2, Landsat or EnMAP product, by its folder or its metadata
///   file (Sentinel-2 by its zip file, too), or a file of EMIT, MODIS or
///   PRISMA: see [`raster::Raster::open`];
/// - the files of a camera of several lenses, by one of them or their folder:
///   one frame for each capture: see [`Rig`];
/// - the header of an ENVI file: the file that it describes;
/// - any other folder: its pictures and TIFF files in natural order, one
///   sequence;
/// - a picture (JPEG, PNG, BMP, WebP, PNM): one frame;
/// - a JPEG file with FLIR's temperatures inside, or a file FFF, SEQ or CSQ:
///   frames in degrees Celsius;
/// - a CPTV file: its frames;
/// - a session of the recorder: the pictures that were sent;
/// - a TIFF file of several pages: one frame per page;
/// - a video file: its frames, through the program `ffmpeg`;
/// - anything, where the options say how raw pixels lie in it: those;
/// - anything else, and TIFF files of one page or placed on the Earth: a
///   raster, through GDAL. Without the feature `gdal`, TIFF files are read
///   all the same, but without their place on the Earth.
///
/// Where the profile lists bands, their names, wavelengths and units are
/// used, and its scale and offset where the file states none. A source of one
/// picture is tiled if the options ask for chips, after it was turned where
/// they ask for that; sequences are not.
///
/// # Errors
///
/// If the source is missing, empty, damaged, no picture, of a kind that this
/// build cannot read, has another number of bands than the profile lists, is
/// not FLIR's where the options know something of the object, lies on a map
/// where they ask to turn it, or has no other speed than its own where they ask
/// for that.
pub fn open(source: &str, profile: Option<&Profile>, options: &Options) -> Result<Box<dyn Sensor>> {
    options.speed.check(source)?;
    if is_simulated(source) || options.raw.is_some() || camera::is_one(source) {
        options.object.refuse(source)?;
    }
    let mut sensor: Box<dyn Sensor> = match source.strip_prefix("simulated") {
        _ if options.raw.is_some() => Box::new(Raw::open(source, profile, options)?),
        Some("") => Box::new(Simulated::new(options.seed, profile)?),
        Some(seed) if seed.starts_with(':') => {
            let seed = seed[1..].parse().map_err(|_| {
                Error::usage(source, format!("{} is no seed", &seed[1..]))
                    .hint("a seed is a whole number from 0, as in simulated:7")
            })?;
            Box::new(Simulated::new(seed, profile)?)
        }
        _ if camera::is_one(source) => camera::open(source, profile)?,
        _ => open_path(source, profile, options)?,
    };
    if !options.turn.is_none() {
        sensor = Box::new(Turned::new(sensor, options.turn));
    }
    if let Some(chip) = options.chip
        && sensor.source().frames == Some(1)
        && sensor.source().scene.is_none()
    {
        let size = [sensor.source().rows, sensor.source().columns];
        let whole = Scene::new(size, chip, options.route);
        let factor = options.detail.factor(source, &whole, None)?;
        let scene = whole.coarser(factor);
        let remark = options.detail.remark(&whole, &scene, factor, None, None);
        let mut canvas = Whole::new(sensor, factor);
        canvas.say(remark);
        sensor = Box::new(Tiles::new(canvas, scene));
    }
    if let (None, Detail::Pixel(_) | Detail::Duration(_)) = (&sensor.source().scene, options.detail)
    {
        let what = format!("{source} is heard whole, not in tiles");
        return Err(Error::usage("--gsd or --duration", what)
            .hint("leave it out, or choose the sensor of a scene with --sensor"));
    }
    if !options.speed.is_own() {
        sensor = Box::new(Paced::new(source, sensor, options.speed)?);
    }
    Ok(match options.frames {
        Some(frames) => Box::new(Limited::new(sensor, frames)),
        None => sensor,
    })
}

/// Whether `source` names the simulated camera, which never ends by itself.
pub fn is_simulated(source: &str) -> bool {
    source == "simulated" || source.starts_with("simulated:")
}

/// How many frames of `source` to read at most where `asked` for so many:
/// all, but 200 of a camera where nobody asked.
pub fn limit(source: &str, asked: Option<usize>) -> Option<usize> {
    asked.or((is_simulated(source) || camera::is_one(source)).then_some(200))
}

/// Opens the file or folder at `source`.
fn open_path(
    source: &str,
    profile: Option<&Profile>,
    options: &Options,
) -> Result<Box<dyn Sensor>> {
    raw::refuse_address(source)?;
    let path = Path::new(source);
    if named_by_gdal(path) || is_item(source) {
        options.object.refuse(source)?;
        return raster(source, None, profile, options);
    }
    let metadata = std::fs::metadata(path).map_err(|e| {
        let error =
            Error::input(path, if path.exists() { e.to_string() } else { "not found".into() });
        error.hint(match source {
            raw::STDIN => "standard input is read with --raw FORMAT SIZE@RATE",
            _ => "give a file, a folder, a camera, or `simulated`",
        })
    })?;
    if metadata.is_file()
        && let Some(data) = files::described_by(path)?
    {
        return open_path(&data.to_string_lossy(), profile, options);
    }
    let content = if metadata.is_dir() { None } else { Some(Content::of(path)?) };
    #[cfg(feature = "gdal")]
    if let Some(content @ (Content::Archive | Content::Other)) = content {
        // Before anything is opened here to see whether it is a product.
        probe::check(source, Some(content)).map_err(|error| error.or_hint(content.advice()))?;
    }
    #[cfg(feature = "gdal")]
    if raster::Raster::is_product(path) {
        options.object.refuse(source)?;
        return raster(source, content, profile, options);
    }
    if Rig::is_one(path) {
        options.object.refuse(source)?;
        return Ok(Box::new(Rig::open(path, profile, options.tell)?));
    }
    let Some(content) = content else {
        return Ok(Box::new(Folder::open(path, profile, options.object)?));
    };
    if content != Content::Flir {
        options.object.refuse(source)?;
    }
    match content {
        Content::Cptv => Ok(Box::new(Cptv::open(path, profile)?)),
        Content::Flir => Ok(Box::new(Flir::open(path, profile, options.object)?)),
        Content::Picture => Ok(Box::new(Folder::of_one(path, profile)?)),
        Content::Tiff => tiff(path, profile, options),
        Content::Session => Ok(Box::new(Session::open(path)?)),
        Content::Video => Ok(Box::new(Video::open(path, profile)?)),
        Content::Sound => Err(Error::input(path, "is a sound, not a picture")
            .hint("`wysiwyh listen` turns its own sounds back into pictures")),
        // Some products are read as the archives that they come in.
        Content::Archive | Content::Other => raster(source, Some(content), profile, options)
            .map_err(|error| error.or_hint(content.advice())),
    }
}

/// The sources in the folder at `path` where they are more than a file each:
/// the product that it is, or its captures by one file of each; `None` for an
/// ordinary folder. Captures that lack a file are left out, and `tell` is told.
pub(crate) fn sources_in(path: &Path, tell: Option<Tell>) -> Option<Vec<PathBuf>> {
    #[cfg(feature = "gdal")]
    if path.is_dir() && raster::Raster::is_product(path) {
        return Some(vec![path.to_owned()]);
    }
    (path.is_dir() && Rig::is_one(path)).then(|| Rig::captures(path, tell))
}

/// Whether `source` is the name of an item in a STAC collection, `FILE#ID`.
#[cfg(feature = "gdal")]
pub(crate) fn is_item(source: &str) -> bool {
    raster::Raster::is_item(source) && !Path::new(source).exists()
}

#[cfg(not(feature = "gdal"))]
pub(crate) fn is_item(_: &str) -> bool {
    false
}

/// The names of the items in the STAC collection at `source`; none where it
/// is something else.
///
/// # Errors
///
/// If an item has no id.
#[cfg(feature = "gdal")]
pub(crate) fn items(source: &str) -> Result<Option<Vec<String>>> {
    raster::Raster::items(source)
}

#[cfg(not(feature = "gdal"))]
pub(crate) fn items(_: &str) -> Result<Option<Vec<String>>> {
    Ok(None)
}

/// Whether `path` is no file, but a name that GDAL understands, such as
/// `/vsizip/a.zip/a.tif` or `NETCDF:"a.nc":reflectance`.
fn named_by_gdal(path: &Path) -> bool {
    let name = path.to_string_lossy();
    let driver = name.split_once(':').map_or("", |(driver, _)| driver);
    let is_driver =
        driver.len() > 1 && driver.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    !path.exists() && (name.starts_with("/vsi") || is_driver)
}

/// Opens a TIFF file: sequences of pages as a stack, all others, and pages
/// that a stack does not read, as rasters where GDAL is at hand.
#[cfg(feature = "gdal")]
fn tiff(path: &Path, profile: Option<&Profile>, options: &Options) -> Result<Box<dyn Sensor>> {
    let name = path.to_string_lossy();
    let outline = match stack::Outline::of(path) {
        // A preview comes first, which is what GDAL would take.
        Some(outline) if outline.pages.first() > Some(&0) && !outline.placed => {
            return Ok(Box::new(raster::Pages::open(&name, outline.pages, profile)?));
        }
        Some(outline) if outline.is_sequence() => outline,
        _ => {
            return raster(&name, Some(Content::Tiff), profile, options)
                .map_err(|error| raster::library::advised(&name, error));
        }
    };
    match Stack::open(path, profile) {
        Err(error) if error.fault == Fault::Unsupported && !outline.masked => {
            // Where GDAL reads them no better, what the stack says is the reason.
            let pages = raster::Pages::open(&name, outline.pages, profile);
            Ok(Box::new(pages.map_err(|_| error)?))
        }
        opened => Ok(Box::new(opened?)),
    }
}

#[cfg(not(feature = "gdal"))]
fn tiff(path: &Path, profile: Option<&Profile>, _: &Options) -> Result<Box<dyn Sensor>> {
    Ok(Box::new(Stack::open(path, profile)?))
}

/// Opens anything that GDAL reads; `content` is what it is, if it is a file.
#[cfg(feature = "gdal")]
fn raster(
    source: &str,
    content: Option<Content>,
    profile: Option<&Profile>,
    options: &Options,
) -> Result<Box<dyn Sensor>> {
    probe::check(source, content)?;
    if let Some(series) = raster::Series::open(source, profile)? {
        return Ok(Box::new(series));
    }
    let mut raster = raster::Raster::open(source, profile)?;
    if options.clouds {
        raster = raster.with_clouds();
    }
    if let Some(values) = options.sample.filter(|&values| raster.values() > values) {
        return Ok(Box::new(raster.samples(values / 4)));
    }
    let turned = !options.turn.is_none();
    if turned && raster.georeference().is_some() {
        return Err(Turn::refused(source));
    }
    // What is turned is tiled after that.
    let Some(chip) = options.chip.filter(|_| !turned) else { return Ok(Box::new(raster)) };
    let chip = chip.max(1);
    let whole = raster.scene(chip, options.route);
    let pixel_m = raster.pixel_m();
    let factor = options.detail.factor(source, &whole, pixel_m)?;
    let raster = raster.coarser(factor);
    let heard = raster.scene(chip, options.route);
    let trained_m = profile.and_then(|profile| profile.trained_pixel_m);
    let remark = options.detail.remark(&whole, &heard, factor, pixel_m, trained_m);
    Ok(Box::new(raster.say(remark).chips(chip, options.route)))
}

#[cfg(not(feature = "gdal"))]
fn raster(
    source: &str,
    _: Option<Content>,
    _: Option<&Profile>,
    _: &Options,
) -> Result<Box<dyn Sensor>> {
    let what = "is no picture, TIFF file or video, and this build reads no other rasters";
    Err(Error::new(Fault::Unsupported, source, what).hint("build it with the feature `gdal`"))
}

/// Numbers as large as this measure nothing. Files mark gaps by the largest number of
/// 32 bits, 3.4e38, or by 9.97e36, as NetCDF does, and not all of them say so.
const BEYOND: f64 = 1e30;

/// Red, green and blue of an ordinary camera; the wavelengths are nominal.
fn colours() -> Vec<Band> {
    [("red", 0.66), ("green", 0.56), ("blue", 0.48)]
        .map(|(name, wavelength_um)| Band {
            common_name: Some(name.to_string()),
            wavelength_um: Some(wavelength_um),
            ..Band::new(name, Unit::Counts)
        })
        .to_vec()
}

/// The bands of a file whose own metadata says `found`, as `profile` has them.
///
/// Where the profile lists bands, their names, wavelengths, widths and units
/// are the profile's: by their names where all of them stand for another listed one,
/// else by their place. Scale and offset are the file's where it states any
/// (other than 1 and 0), else the profile's. Without a profile, or where it
/// takes its bands from the metadata, the file's word stands.
///
/// # Errors
///
/// If the profile lists another number of bands than the file has.
pub(crate) fn reconcile(
    subject: &str,
    found: Vec<Band>,
    profile: Option<&Profile>,
) -> Result<Arc<[Band]>> {
    let Some((profile, listed)) = profile.and_then(|p| Some((p, p.listed_bands()?))) else {
        return Ok(found.into());
    };
    if listed.len() != found.len() {
        let what = format!(
            "has {}, but the sensor profile {} lists {}",
            count(found.len(), "band"),
            profile.name,
            listed.len()
        );
        return Err(Error::usage(subject, what)
            .hint("choose the profile of the instrument with --sensor, or leave it out"));
    }
    let names: Vec<&str> = found.iter().map(|band| band.name.as_str()).collect();
    let places = places(&names, listed).unwrap_or_else(|| (0..listed.len()).collect());
    let merged = places.into_iter().zip(found).map(|(place, found)| {
        let mut band = listed[place].clone();
        if (found.scale, found.offset) != (1.0, 0.0) {
            (band.scale, band.offset) = (found.scale, found.offset);
        }
        band
    });
    Ok(merged.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Unit;

    #[test]
    fn the_profile_names_the_bands_and_the_file_scales_them() {
        let profile = Profile::find("sentinel2-l2a").unwrap();
        let mut found: Vec<Band> =
            (0..12).map(|b| Band::new(b.to_string(), Unit::Counts)).collect();
        found[3].scale = 0.5;
        let bands = reconcile("a.tif", found.clone(), Some(&profile)).unwrap();
        assert_eq!((bands[3].name.as_str(), bands[3].scale), ("B04", 0.5));
        assert_eq!((bands[2].unit, bands[2].scale), (Unit::Reflectance, 1e-4));
        let error = reconcile("a.tif", found[..5].to_vec(), Some(&profile)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a.tif: has 5 bands, but the sensor profile sentinel2-l2a lists 12"
        );
        assert_eq!(reconcile("a.tif", found.clone(), None).unwrap().len(), 12);
    }
}
