//! Training frames: splits, ranges, pictures.

pub mod shelf;
mod spaced;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ndarray::{Array3, s};

use crate::autoencoder::linear::Linear;
use crate::autoencoder::loadings::Loadings;
use crate::error::{Error, Fault, Result};
use crate::frame::{Area, Band, Frame};
use crate::model::{Model, View, normalise};
use crate::profile::{Kind, Profile};
use crate::random::Random;
use crate::sensor::{self, Options, Tell};

use self::spaced::Spaced;

/// The longer side of the grid, in pixels.
pub(crate) const GRID: usize = 64;

/// Of an endless or long source, so many frames are looked at.
const LONGEST: usize = 600;

/// Until it is known how many there are, frames of a source take so many bytes
/// at most: all 600 of 640 x 340 pixels in one band.
const MEMORY: usize = 512 << 20;

/// So many random windows of every whole picture are examples, too.
const WINDOWS: usize = 3;

/// The smallest window, as a share of the picture's rows and columns.
const SMALLEST_WINDOW: f64 = 0.6;

/// Which part of the groups a picture belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Fitted on.
    Train,
    /// Choices are made on it.
    Choose,
    /// Only reported on.
    Report,
}

/// Frames on the model's grid, in groups that are never split.
#[derive(Debug)]
pub struct Dataset {
    /// Rows and columns of every picture.
    pub grid: [usize; 2],
    /// The bands of every picture.
    pub bands: Vec<Band>,
    /// Per band, the physical values that mean 0 and 1.
    pub range: Vec<[f64; 2]>,
    /// Frames on the grid, physical units, with the name of their group.
    frames: Vec<(String, Frame)>,
    /// Random windows of the same pictures, likewise.
    windows: Vec<(String, Frame)>,
    from_above: bool,
    parts: BTreeMap<String, Part>,
    prior: Option<Prior>,
}

/// What another model knows of such pictures.
#[derive(Debug)]
pub(crate) struct Prior {
    /// Its linear path, seen through the bands of the pictures.
    pub path: Linear,
    /// Name and hash of the model.
    pub model: String,
    /// Groups that it was trained on.
    pub groups: Vec<String>,
}

impl Prior {
    /// The name of the model.
    pub fn name(&self) -> &str {
        self.model.split(' ').next().unwrap_or_default()
    }
}

impl Dataset {
    /// Reads the sources at `paths` (files, folders of files, `simulated:1`),
    /// and splits their groups: three fifths to train, the rest to choose and
    /// to report, in an order drawn with `seed`. `reading` says how to read
    /// them, but for chips and length.
    ///
    /// # Errors
    ///
    /// If a source cannot be read, sources differ in bands, or there are
    /// fewer than three groups.
    pub fn read(paths: &[String], profile: &Profile, seed: u64, reading: &Options) -> Result<Self> {
        let mut gathered = Gathered::new(profile, seed);
        for source in expand(paths, reading.tell)? {
            let group = group(&source, profile);
            for (_, frame) in sample(&source, profile, reading)? {
                gathered.add(&group, &frame);
            }
        }
        gathered.dataset()
    }

    /// Lets training begin with what `model` knows of pictures in these bands;
    /// they are of the sensor of `profile`.
    ///
    /// # Errors
    ///
    /// If the model was trained on groups that are held out here, or
    /// eigenvalues do not converge.
    pub fn start_from(&mut self, model: &Model, profile: &Profile) -> Result<()> {
        let groups = &model.record().trained_groups;
        let held_out = [self.groups(Part::Choose), self.groups(Part::Report)].concat();
        let known: Vec<&String> = held_out.iter().filter(|group| groups.contains(group)).collect();
        if let Some(first) = known.first() {
            let what = format!(
                "{} was trained on {} of the {} groups that are held out, such as {first}",
                model.name(),
                known.len(),
                held_out.len()
            );
            return Err(Error::usage("--from", what)
                .hint("give data that it has not seen, or start from another model"));
        }
        let (bands, range, grid) = (self.bands.clone(), self.range.clone(), self.grid);
        let frames = || self.frames(Part::Train).map(|(_, frame)| frame).collect::<Vec<_>>();
        let loadings = match Loadings::are_needed(&bands) {
            true => Loadings::of(&frames(), &range)?,
            false => None,
        };
        let seen = model.through(View { bands, range, grid, loadings }, profile.clone())?;
        self.prior = Some(Prior {
            path: seen.autoencoder().linear().clone(),
            model: format!("{} {}", model.name(), model.hash()),
            groups: groups.clone(),
        });
        Ok(())
    }

    /// What another model knows of such pictures, if one was named.
    pub(crate) fn prior(&self) -> Option<&Prior> {
        self.prior.as_ref()
    }

    /// The groups of `part`, sorted.
    pub fn groups(&self, part: Part) -> Vec<String> {
        let groups = self.parts.iter().filter(|(_, own)| **own == part);
        groups.map(|(group, _)| group.clone()).collect()
    }

    /// The frames of `part`, on the grid, physical units, with their groups.
    pub fn frames(&self, part: Part) -> impl Iterator<Item = (&str, &Frame)> {
        self.of_part(&self.frames, part)
    }

    /// The pictures of `part`, `[band, row, column]`, normalised and without
    /// gaps.
    pub fn pictures(&self, part: Part) -> Vec<Array3<f32>> {
        self.frames(part).map(|(_, frame)| normalise(frame, &self.range)).collect()
    }

    /// The pictures of `part` and their mirror images, like
    /// [`Dataset::pictures`].
    pub fn mirrored(&self, part: Part) -> Vec<Array3<f32>> {
        let pictures = self.pictures(part);
        pictures.iter().flat_map(|picture| mirrored(picture, self.from_above)).collect()
    }

    /// The pictures of `part` and random windows of them (for scenes, whose
    /// chips are windows already: the chips alone), with their mirror images,
    /// like [`Dataset::pictures`].
    pub fn examples(&self, part: Part) -> Vec<Array3<f32>> {
        let mut examples = self.mirrored(part);
        for (_, frame) in self.of_part(&self.windows, part) {
            examples.extend(mirrored(&normalise(frame, &self.range), self.from_above));
        }
        examples
    }

    /// Those of `frames` that belong to `part`.
    fn of_part<'a>(
        &'a self,
        frames: &'a [(String, Frame)],
        part: Part,
    ) -> impl Iterator<Item = (&'a str, &'a Frame)> {
        frames
            .iter()
            .filter(move |(group, _)| self.parts.get(group) == Some(&part))
            .map(|(group, frame)| (group.as_str(), frame))
    }
}

/// Frames that are gathered one after another, to become a [`Dataset`].
#[derive(Debug)]
pub(crate) struct Gathered {
    profile: Profile,
    seed: u64,
    random: Random,
    grid: Option<[usize; 2]>,
    frames: Vec<(String, Frame)>,
    windows: Vec<(String, Frame)>,
}

impl Gathered {
    /// Nothing yet, of the sensor of `profile`; windows and split are drawn
    /// with `seed`.
    pub(crate) fn new(profile: &Profile, seed: u64) -> Self {
        Self {
            profile: profile.clone(),
            seed,
            random: Random::named(seed, "windows"),
            grid: None,
            frames: Vec::new(),
            windows: Vec::new(),
        }
    }

    /// Adds `frame` to `group`; it is kept on the grid alone.
    pub(crate) fn add(&mut self, group: &str, frame: &Frame) {
        let grid = self.grid.get_or_insert_with(|| grid_of(frame, &self.profile));
        let [rows, columns] = *grid;
        if self.profile.source == Kind::Frames {
            let random = &mut self.random;
            let windows = (0..WINDOWS).map(|_| window(frame, random).letterbox(rows, columns));
            self.windows.extend(windows.map(|window| (group.to_owned(), window)));
        }
        self.frames.push((group.to_owned(), frame.letterbox(rows, columns)));
    }

    /// What was gathered, split.
    ///
    /// # Errors
    ///
    /// If frames differ in bands, or there are fewer than three groups.
    pub(crate) fn dataset(self) -> Result<Dataset> {
        let Some((_, first)) = self.frames.first() else {
            return Err(Error::usage("DATA", "no frame with a reading in it"));
        };
        let bands = first.bands.to_vec();
        if let Some((group, odd)) = self.frames.iter().find(|(_, f)| f.bands.len() != bands.len()) {
            let what = format!("{} bands, the first source has {}", odd.bands.len(), bands.len());
            return Err(Error::new(Fault::Input, group, what));
        }
        let parts = split(self.frames.iter().map(|(group, _)| group), self.seed)?;
        let mut dataset = Dataset {
            grid: self.grid.unwrap_or([GRID; 2]),
            bands,
            range: Vec::new(),
            frames: self.frames,
            windows: self.windows,
            from_above: self.profile.from_above,
            parts,
            prior: None,
        };
        dataset.range = match self.profile.range {
            Some(range) => vec![range; dataset.bands.len()],
            None => {
                let training: Vec<&Frame> = dataset.frames(Part::Train).map(|(_, f)| f).collect();
                percentiles(training.iter().copied(), dataset.bands.len())
            }
        };
        Ok(dataset)
    }
}

/// Where a frame is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, the product, or the name of the source.
    pub source: String,
    /// Number of the frame in it, or of the chip where it is a scene, from 0.
    pub frame: usize,
}

/// Frames of groups that a model was not trained on.
#[derive(Clone, Debug)]
pub struct Unseen {
    /// The frames, on the model's grid.
    pub frames: Vec<Frame>,
    /// The group of each frame.
    pub groups: Vec<String>,
    /// Where each frame is from.
    pub origins: Vec<Origin>,
    /// How many groups were skipped: the model was trained on them.
    pub skipped: usize,
}

/// The frames at `paths` of groups that `model` was not trained on; `reading`
/// is that of [`Dataset::read`].
///
/// # Errors
///
/// If a source cannot be read, is not of the model's kind, or none is left.
pub fn unseen(paths: &[String], model: &Model, reading: &Options) -> Result<Unseen> {
    let [rows, columns] = model.grid();
    let (mut frames, mut groups, mut origins) = (Vec::new(), Vec::new(), Vec::new());
    let (mut skipped, trained) = (BTreeSet::new(), trained(model));
    for source in expand(paths, reading.tell)? {
        let group = group(&source, model.profile());
        if trained.contains(group.as_str()) {
            skipped.insert(group);
            continue;
        }
        for (number, frame) in sample(&source, model.profile(), reading)? {
            model.accepts(&frame.bands)?;
            frames.push(frame.letterbox(rows, columns));
            groups.push(group.clone());
            origins.push(Origin { source: source.clone(), frame: number });
        }
    }
    if frames.is_empty() {
        let what = format!("no group left to report on, {} were trained on", skipped.len());
        return Err(Error::usage("DATA", what).hint("give flights, places or clips of their own"));
    }
    Ok(Unseen { frames, groups, origins, skipped: skipped.len() })
}

/// The frames at `paths` of groups that `model` was trained on, on its grid,
/// with their mirror images: `[band, row, column]`, normalised and without
/// gaps, as other codes are fitted to when a model is trained; `reading` is
/// that of [`Dataset::read`].
///
/// # Errors
///
/// If a source cannot be read or is not of the model's kind.
pub fn seen(paths: &[String], model: &Model, reading: &Options) -> Result<Vec<Array3<f32>>> {
    let ([rows, columns], profile) = (model.grid(), model.profile());
    let (mut pictures, trained) = (Vec::new(), trained(model));
    for source in expand(paths, None)? {
        if !trained.contains(group(&source, profile).as_str()) {
            continue;
        }
        for (_, frame) in sample(&source, profile, reading)? {
            model.accepts(&frame.bands)?;
            let picture = normalise(&frame.letterbox(rows, columns), model.range());
            pictures.extend(mirrored(&picture, profile.from_above));
        }
    }
    Ok(pictures)
}

/// The groups that `model` was trained on.
fn trained(model: &Model) -> BTreeSet<&str> {
    model.record().trained_groups.iter().map(String::as_str).collect()
}

/// The group of a source: see [`Profile::group`]; what is no file is its own.
fn group(source: &str, profile: &Profile) -> String {
    match Path::new(source).is_file() {
        true => profile.group(Path::new(source)),
        false => source.to_owned(),
    }
}

/// A random window of a picture, of its aspect.
fn window(frame: &Frame, random: &mut Random) -> Frame {
    let share = random.between(SMALLEST_WINDOW, 1.0);
    let part = |size: usize| ((size as f64 * share).round() as usize).clamp(1, size.max(1));
    let (rows, columns) = (part(frame.rows()), part(frame.columns()));
    let row = random.below(frame.rows() - rows + 1);
    let column = random.below(frame.columns() - columns + 1);
    let data = frame.data.slice(s![.., row..row + rows, column..column + columns]).to_owned();
    Frame::new(data, frame.bands.clone(), frame.time_s)
}

/// A picture and its mirror images; pictures taken from above also upside
/// down.
fn mirrored(picture: &Array3<f32>, from_above: bool) -> Vec<Array3<f32>> {
    let flip = |axes: &[usize]| {
        let mut view = picture.view();
        for &axis in axes {
            view.invert_axis(ndarray::Axis(axis));
        }
        view.as_standard_layout().into_owned()
    };
    match from_above {
        true => vec![flip(&[]), flip(&[1]), flip(&[2]), flip(&[1, 2])],
        false => vec![flip(&[]), flip(&[2])],
    }
}

/// The grid for pictures like `frame`; square for scenes.
fn grid_of(frame: &Frame, profile: &Profile) -> [usize; 2] {
    match profile.source {
        Kind::Scene => [GRID; 2],
        Kind::Frames => grid(frame.rows(), frame.columns()),
    }
}

/// The grid for pictures of `rows` by `columns`: their aspect, the longer side
/// of 64 pixels.
pub(crate) fn grid(rows: usize, columns: usize) -> [usize; 2] {
    let area = Area::letterbox(rows, columns, GRID, GRID);
    [area.rows, area.columns]
}

/// Robust range of each of the `bands` bands over `frames`: the first and the
/// ninety-ninth percentile of the readings.
pub(crate) fn percentiles<'a>(
    frames: impl Iterator<Item = &'a Frame> + Clone,
    bands: usize,
) -> Vec<[f64; 2]> {
    (0..bands)
        .map(|band| {
            let mut values: Vec<f32> = frames
                .clone()
                .flat_map(|frame| frame.data.index_axis(ndarray::Axis(0), band))
                .copied()
                .filter(|v| v.is_finite())
                .collect();
            values.sort_by(f32::total_cmp);
            let at = |share: f64| {
                let index = (share * values.len().saturating_sub(1) as f64) as usize;
                values.get(index).copied().map_or(0.0, f64::from)
            };
            let (low, high) = (at(0.01), at(0.99));
            if low < high { [low, high] } else { [low, low + 1.0] }
        })
        .collect()
}

/// Folders become the files in them, sorted, so that each has its group;
/// products and captures in them stay whole. They are sorted letter by letter,
/// and not as people count: random windows, phases and noise are drawn one after
/// the other, and figures that were published hold for this order.
/// Captures that lack a file are left out, and `tell` is told.
///
/// # Errors
///
/// If a folder cannot be read.
pub fn expand(paths: &[String], tell: Option<Tell>) -> Result<Vec<String>> {
    let mut sources = Vec::new();
    for path in paths {
        if !Path::new(path).is_dir() {
            sources.push(path.clone());
            continue;
        }
        let inside = match sensor::sources_in(Path::new(path), tell) {
            Some(sources) => sources,
            None => files_in(path)?,
        };
        sources.extend(inside.iter().map(|source| source.display().to_string()));
    }
    Ok(sensor::Rig::once(sources))
}

/// The files in an ordinary folder, and the products that are folders in it.
fn files_in(path: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(path).map_err(|e| Error::input(path, e))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(std::result::Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            path.is_file() || sensor::sources_in(path, None).is_some_and(|s| s == [path.clone()])
        })
        .filter(|path| !path.file_name().unwrap_or_default().to_string_lossy().starts_with('.'))
        .collect();
    files.sort();
    Ok(files)
}

/// Frames of one source with a reading in them, evenly spaced if it is long, each with
/// its number in the source; their bands are in the order of `profile`.
fn sample(source: &str, profile: &Profile, reading: &Options) -> Result<Vec<(usize, Frame)>> {
    let chip = (profile.source == Kind::Scene).then_some(GRID);
    let options = Options { chip, frames: Some(LONGEST), ..reading.clone() };
    let mut spaced = Spaced::within(MEMORY);
    for (number, frame) in sensor::open(source, Some(profile), &options)?.enumerate() {
        let frame = match profile.listed_bands() {
            Some(bands) => frame?.in_order_of(bands),
            None => frame?,
        };
        spaced.add(number, frame);
    }
    Ok(spaced.frames())
}

/// Deals the groups out to the three parts.
fn split<'a>(
    groups: impl Iterator<Item = &'a String>,
    seed: u64,
) -> Result<BTreeMap<String, Part>> {
    let groups: BTreeSet<&String> = groups.collect();
    let mut groups: Vec<String> = groups.into_iter().cloned().collect();
    let count = groups.len();
    if count < 3 {
        let what = format!("{count} groups of frames, at least 3 are needed to hold some out");
        return Err(Error::usage("DATA", what)
            .hint("give more files; the profile's group_fields says what one group is"));
    }
    Random::named(seed, "split").shuffle(&mut groups);
    let held = (count / 5).max(1);
    let parts = groups.into_iter().enumerate().map(|(index, group)| match index {
        index if index < held => (group, Part::Report),
        index if index < 2 * held => (group, Part::Choose),
        _ => (group, Part::Train),
    });
    Ok(parts.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_dealt_out_whole_and_the_same_every_time() {
        let groups: Vec<String> = (0..20).map(|g| format!("flight{g:02}")).collect();
        let parts = split(groups.iter().chain(&groups), 3).unwrap();
        let count = |part| parts.values().filter(|own| **own == part).count();
        assert_eq!((count(Part::Train), count(Part::Choose), count(Part::Report)), (12, 4, 4));
        assert_eq!(parts, split(groups.iter(), 3).unwrap());
        assert_ne!(parts, split(groups.iter(), 4).unwrap());
        assert!(split(groups[..2].iter(), 3).unwrap_err().to_string().contains("2 groups"));
    }
}
