//! Cameras of several lenses, one for each band, which write a TIFF file for
//! each: MicaSense RedEdge and Altum, Parrot Sequoia, and DJI's multispectral
//! ones.
//!
//! The files of one moment are one frame, a capture. Its bands stand in order
//! of wavelength, in the units that the camera's own calibration leads to,
//! and are brought to the pixels of one lens: see [`align`].

mod align;
mod flight;
mod lens;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{Array2, Array3, Axis};

use self::align::Placement;
use self::flight::Flight;
use self::lens::Lens;
use super::folder::{TIFFS, ends_in, natural};
use super::{Sensor, Source, Tell, check_size, count, reconcile};
use crate::error::{Error, Result};
use crate::frame::{Band, Frame};
use crate::profile::Profile;
use crate::staging::folder_of;
use crate::synth::SLOT_S;

/// The wavelength in micrometres nearest to which the reference lens is
/// chosen: green looks like its neighbours on both sides.
const REFERENCE_UM: f32 = 0.56;

/// Captures of a camera of several lenses, one frame each.
#[derive(Debug)]
pub struct Rig {
    captures: VecDeque<Capture>,
    profile: Option<Profile>,
    source: Source,
    /// The first frame, read when the rig was opened.
    ready: Option<Frame>,
    delivered: usize,
    /// What is said before the first frame, and to whom.
    remark: Option<String>,
    tell: Option<Tell>,
}

/// The files of one moment: what their names have in common, and they.
type Capture = (String, Vec<PathBuf>);

impl Rig {
    /// Whether `path` is a file of such a camera, or a folder of them.
    pub(super) fn is_one(path: &Path) -> bool {
        match path.is_dir() {
            true => tiffs(path).first().is_some_and(|file| Lens::is_one(file)),
            false => stem(path).is_some() && ends_in(path, &TIFFS) && Lens::is_one(path),
        }
    }

    /// One file of each capture in the folder at `path`, in natural order, but for
    /// captures without all their files, of which `tell` is told.
    pub(super) fn captures(path: &Path, tell: Option<Tell>) -> Vec<PathBuf> {
        let flight = Flight::of(path);
        if let (Some(said), Some(tell)) = (flight.remark(), tell) {
            tell(&said);
        }
        let first = |(_, files): Capture| files.into_iter().next();
        flight.complete.into_iter().filter_map(first).collect()
    }

    /// `sources` with one file of each capture, the first that stands there: any of its
    /// files stands for the capture.
    pub(crate) fn once(mut sources: Vec<String>) -> Vec<String> {
        let mut seen: HashMap<_, bool> = HashMap::new();
        sources.retain(|source| {
            let path = Path::new(source);
            let Some(name) = stem(path).filter(|_| ends_in(path, &TIFFS)) else { return true };
            match seen.entry((folder_of(path).to_owned(), name)) {
                // Opening a file tells for all those of its name.
                Entry::Occupied(is_one) => !*is_one.get(),
                Entry::Vacant(place) => {
                    place.insert(Lens::is_one(path));
                    true
                }
            }
        });
        sources
    }

    /// The files of the capture that the file at `path` belongs to.
    pub(super) fn files(path: &Path) -> Vec<PathBuf> {
        captures(folder_of(path), stem(path).as_deref())
            .into_iter()
            .flat_map(|(_, files)| files)
            .collect()
    }

    /// Opens the captures in the folder at `path`, in natural order of their
    /// names, or the capture that the file at `path` belongs to. Captures of a
    /// folder that lack a file which most of them have are left out, and `tell` is
    /// told of them before the first frame.
    ///
    /// # Errors
    ///
    /// If a file of the first capture cannot be read or lacks its calibration,
    /// or it has another number of bands than `profile`.
    pub fn open(
        path: impl AsRef<Path>,
        profile: Option<&Profile>,
        tell: Option<Tell>,
    ) -> Result<Self> {
        let path = path.as_ref();
        let (captures, remark): (VecDeque<Capture>, _) = match path.is_dir() {
            true => {
                let flight = Flight::of(path);
                let remark = flight.remark();
                (flight.complete.into(), remark)
            }
            false => (captures(folder_of(path), stem(path).as_deref()).into(), None),
        };
        let frames = captures.len();
        let first = captures.front().ok_or_else(|| Error::input(path, "holds no capture"))?;
        let taken = take(first, profile)?;
        let source = Source {
            description: format!(
                "{}: {}, {} of {}, {} x {} pixels; {}",
                path.display(),
                taken.model,
                count(frames, "capture"),
                count(taken.frame.bands.len(), "band"),
                taken.frame.columns(),
                taken.frame.rows(),
                taken.said.join("; "),
            ),
            model: Some(taken.model),
            frames: Some(frames),
            ..Source::like(&taken.frame, "")
        };
        let profile = profile.cloned();
        Ok(Self { captures, profile, source, ready: Some(taken.frame), delivered: 0, remark, tell })
    }

    /// The next capture, of the first one's bands.
    fn read(&mut self) -> Option<Result<Frame>> {
        let capture = self.captures.pop_front()?;
        if let Some(frame) = self.ready.take() {
            return Some(Ok(frame));
        }
        Some(take(&capture, self.profile.as_ref()).and_then(|taken| {
            let (found, expected) = (taken.frame.bands.len(), self.source.bands.len());
            if found == expected {
                return Ok(taken.frame);
            }
            let what = format!("has {}, but the first capture {expected}", count(found, "band"));
            Err(Error::input(&capture.0, what).hint("move its files out of the folder"))
        }))
    }
}

impl Iterator for Rig {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        if let (Some(said), Some(tell)) = (self.remark.take(), self.tell) {
            tell(&said);
        }
        let mut frame = self.read()?;
        match &mut frame {
            Ok(frame) => frame.time_s = self.delivered as f64 * SLOT_S,
            Err(_) => self.captures.clear(),
        }
        self.delivered += 1;
        Some(frame)
    }
}

impl Sensor for Rig {
    fn source(&self) -> &Source {
        &self.source
    }
}

/// The captures in `folder`, or the one whose files' names begin with `only`.
fn captures(folder: &Path, only: Option<&str>) -> Vec<Capture> {
    let mut groups: BTreeMap<_, Capture> = BTreeMap::new();
    for file in tiffs(folder) {
        let Some(name) = stem(&file) else { continue };
        if only.is_none_or(|only| only == name) {
            let group = groups.entry(natural(Path::new(&name)));
            group.or_insert_with(|| (name, Vec::new())).1.push(file);
        }
    }
    groups.into_values().collect()
}

/// The TIFF files in `folder` that may belong to a capture, in natural order.
fn tiffs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|file| ends_in(file, &TIFFS) && stem(file).is_some())
        .collect();
    files.sort_by_cached_key(|file| natural(file));
    files
}

/// What the names of a capture's files have in common: all up to the band,
/// which is a number or letters (`IMG_0001_4.tif`, `IMG_0001_NIR.TIF`,
/// `DJI_20240329124328_0001_MS_G.TIF`), or the last digit of DJI's older names
/// (`DJI_0014.TIF`).
fn stem(file: &Path) -> Option<String> {
    let name = file.file_stem()?.to_str()?;
    let (stem, band) = name.rsplit_once('_')?;
    let sound = |word: &str, of: fn(&char) -> bool| word.chars().all(|c| of(&c));
    let digits = sound(band, char::is_ascii_digit);
    if stem == "DJI" && digits && band.len() == 4 && !band.ends_with('0') {
        return Some(name[..name.len() - 1].to_owned());
    }
    let number = band.len() <= 2 && digits;
    let shortest = if stem.ends_with("_MS") { 1 } else { 2 };
    let letters = (shortest..=4).contains(&band.len()) && sound(band, char::is_ascii_uppercase);
    (!stem.is_empty() && !band.is_empty() && (number || letters)).then(|| stem.to_owned())
}

/// A capture, read.
struct Taken {
    frame: Frame,
    model: String,
    /// What was done to it, for people.
    said: Vec<String>,
}

/// Reads the files of `capture` into one frame.
fn take(capture: &Capture, profile: Option<&Profile>) -> Result<Taken> {
    let mut lenses = capture.1.iter().map(|file| Lens::open(file)).collect::<Result<Vec<_>>>()?;
    let wavelength = |lens: &Lens| lens.band.wavelength_um.unwrap_or(f32::INFINITY);
    lenses.sort_by(|a, b| wavelength(a).total_cmp(&wavelength(b)));
    let bands = bands(&capture.0, &lenses, profile)?;
    let from_green = |at: usize| (wavelength(&lenses[at]) - REFERENCE_UM).abs();
    let reference = (0..lenses.len())
        .min_by(|&a, &b| from_green(a).total_cmp(&from_green(b)))
        .ok_or_else(|| Error::input(&capture.0, "holds no band"))?;
    let target = lenses[reference].picture()?;
    let (rows, columns) = target.dim();
    let bytes = lenses.len().saturating_mul(target.len()).saturating_mul(size_of::<f32>());
    let what = format!("{} of {rows} x {columns} pixels take", count(lenses.len(), "band"));
    check_size(&capture.0, bytes, what)
        .map_err(|error| error.hint("it is no capture: open single files"))?;
    let mut data = Array3::from_elem((lenses.len(), rows, columns), f32::NAN);
    let (mut moved, mut apart) = (Vec::new(), Vec::new());
    for (at, lens) in lenses.iter().enumerate() {
        let mut plane = data.index_axis_mut(Axis(0), at);
        if at == reference {
            plane.assign(&target);
            continue;
        }
        let picture = lens.picture()?;
        let guess = placement(&lenses[reference], &target, lens, &picture);
        let found = align::align(&target, &picture, guess);
        let placed = found.unwrap_or(guess);
        plane.assign(&placed.resample(&picture, rows, columns));
        match found {
            Some(_) => {
                let (row, column) = placed.moved(guess, rows, columns);
                moved.push(format!("{} {row:.1}, {column:.1}", bands[at].name));
            }
            None => apart.push(bands[at].name.clone()),
        }
    }
    let said = tell(&lenses, reference, &bands[reference].name, &moved, &apart);
    Ok(Taken { frame: Frame::new(data, bands, 0.0), model: lenses[reference].model.clone(), said })
}

/// What was done to a capture, for people: bands that were `moved` to the lens
/// called `name`, and bands that stand `apart`.
fn tell(
    lenses: &[Lens],
    reference: usize,
    name: &str,
    moved: &[String],
    apart: &[String],
) -> Vec<String> {
    let mut said = vec![lenses[reference].said().to_owned()];
    if lenses.iter().any(Lens::is_uneven) {
        said.push("vignetting not corrected: it is stated in a form unknown here".to_owned());
    }
    if !moved.is_empty() {
        said.push(format!("aligned to {name} by (rows, columns): {}", moved.join("; ")));
    }
    if !apart.is_empty() {
        said.push(format!("not alike enough to be aligned: {}", apart.join(", ")));
    }
    said
}

/// The bands of `lenses` as `profile` names them; what the files say of
/// wavelengths and units stands.
fn bands(subject: &str, lenses: &[Lens], profile: Option<&Profile>) -> Result<Arc<[Band]>> {
    let found: Vec<Band> = lenses.iter().map(|lens| lens.band.clone()).collect();
    if let Some(error) = profile.and_then(|profile| lacking(subject, &found, profile)) {
        return Err(error);
    }
    let named = reconcile(subject, found, profile).map_err(|error| {
        error.hint("a file of this capture is missing, or it is another camera's: see --sensor")
    })?;
    let settle = |(band, lens): (&Band, &Lens)| Band {
        wavelength_um: lens.band.wavelength_um.or(band.wavelength_um),
        fwhm_um: lens.band.fwhm_um.or(band.fwhm_um),
        unit: lens.band.unit,
        scale: 1.0,
        offset: 0.0,
        ..band.clone()
    };
    Ok(named.iter().zip(lenses).map(settle).collect())
}

/// How far the centres of one band may lie apart in two instruments of a kind, in
/// micrometres; those of Sentinel-2A and 2B differ by 0.017.
pub(crate) const SAME_BAND_UM: f32 = 0.03;

/// An error that names the bands of `profile` of which a capture has no file, called
/// `subject` and with the bands `found`; `None` where it has all of them, or others.
pub(crate) fn lacking(subject: &str, found: &[Band], profile: &Profile) -> Option<Error> {
    let listed = profile.listed_bands()?;
    let near = |a: &Band, b: &Band| match (a.wavelength_um, b.wavelength_um) {
        (Some(a), Some(b)) => (a - b).abs() <= SAME_BAND_UM,
        _ => false,
    };
    let has = |band: &Band| found.iter().any(|own| own.name == band.name || near(own, band));
    let missing: Vec<&str> =
        listed.iter().filter(|band| !has(band)).map(|band| band.name.as_str()).collect();
    if missing.is_empty() || missing.len() + found.len() != listed.len() {
        return None;
    }
    let what = format!(
        "has {}, but the sensor profile {} lists {}: the file of {} is missing",
        count(found.len(), "band"),
        profile.name,
        listed.len(),
        missing.join(" and that of ")
    );
    Some(
        Error::usage(subject, what)
            .hint("put it beside the others; --sensor generic-picture takes those that there are"),
    )
}

/// Where the pixels of `target` would lie in `picture` if both lenses looked
/// in one direction from one point.
fn placement(
    reference: &Lens,
    target: &Array2<f32>,
    lens: &Lens,
    picture: &Array2<f32>,
) -> Placement {
    let by_size = picture.ncols() as f64 / target.ncols().max(1) as f64;
    let scale = match (reference.focal_px, lens.focal_px) {
        (Some(target), Some(own)) => own / target,
        _ => by_size,
    };
    Placement::centred(target.dim(), picture.dim(), scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_one_moment_share_a_stem() {
        let of = |name: &str| stem(Path::new(name));
        assert_eq!(of("a/IMG_0001_4.tif").as_deref(), Some("IMG_0001"));
        assert_eq!(of("IMG_0001_10.tif"), of("IMG_0001_4.tif"));
        let sequoia = of("IMG_180413_080658_0000_NIR.TIF");
        assert_eq!(sequoia.as_deref(), Some("IMG_180413_080658_0000"));
        let mavic = of("DJI_20240329124328_0001_MS_G.TIF");
        assert_eq!(mavic.as_deref(), Some("DJI_20240329124328_0001_MS"));
        assert_eq!(mavic, of("DJI_20240329124328_0001_MS_NIR.TIF"));
        assert_eq!(of("DJI_0014.TIF").as_deref(), Some("DJI_001"));
        assert_eq!(
            (of("plain.tif"), of("_1.tif"), of("a_.tif"), of("a_0001.tif")),
            Default::default()
        );
    }
}
