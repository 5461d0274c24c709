//! Sound back to pictures.
//!
//! Everything needed is in the sound file's own metadata and in the model
//! that it names by hash. A recording that has lost its metadata decodes too,
//! once somebody says which model and which preset made it: its frames are
//! found by their sound.

mod heard;
mod live;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::{Array3, s};

use crate::error::{Error, Fault, Result};
use crate::frame::{Area, Frame};
use crate::inspect::Statistics;
use crate::map::Mosaic;
use crate::model::Model;
use crate::npy::FrameArray;
use crate::original::Original;
use crate::picture;
use crate::profile::{Profile, user_folder, user_shelf};
use crate::receiver::Receiver;
use crate::receiver::align::{Aligned, align};
use crate::sensor::{Scene, Source};
use crate::sink::{self, Header, Recording};
use crate::sonifier::Sonifier;
use crate::staging::StagedFolder;
use crate::stereo::fold;
use crate::synth::SAMPLE_RATE;
use crate::voice::Voice;

pub use heard::Heard;
pub use live::{Microphone, Settings, Summary, run as run_live};

/// Pictures are written as PNG for the first so many frames; `frames.npy`
/// holds all of them.
pub const PREVIEWS: usize = 200;

/// The names of the files that are always written, and of the mosaic.
const ARRAY: &str = "frames.npy";
const SUMMARY: &str = "summary.txt";
const MOSAIC: &str = "mosaic.tif";

/// The name of the preview of frame `slot`.
fn preview_name(slot: usize) -> String {
    format!("frame-{slot:05}.png")
}

/// Previews, mosaics and a summary that an earlier making may have left in `folder`:
/// of a folder that does not hold its array and its summary, none. They would show
/// and tell of other frames than those that are written there now.
fn remains(folder: &Path) -> Vec<String> {
    if ![ARRAY, SUMMARY].iter().all(|name| folder.join(name).is_file()) {
        return vec![];
    }
    (0..PREVIEWS).map(preview_name).chain([MOSAIC, SUMMARY].map(str::to_owned)).collect()
}

/// More bands, or a larger grid, has no sensor.
const MOST_BANDS: usize = 1024;
const LARGEST_GRID: usize = 64;

/// Turns the sound at `audio` back into pictures in `folder`: `frames.npy`
/// (`[frame, band, row, column]` f32, physical units, NaN outside the picture
/// and where the sound is silent), PNG previews of the first [`PREVIEWS`]
/// frames, `summary.txt`, and `mosaic.tif` where the sound tells a scene that
/// lies on a map. Those of an earlier making that are not made again go.
///
/// What the sound does not say about itself is taken from `voice`. Where there
/// are `wavelengths_um`, the pictures are of bands there, whether they were
/// sent or not: see [`Model::at`].
///
/// # Errors
///
/// If the sound is not one of ours or is silent throughout, its model cannot be
/// found or knows nothing of such a wavelength, or the folder cannot be
/// written; or if `stop` becomes true.
pub fn run(
    audio: &Path,
    folder: &Path,
    voice: &Voice,
    wavelengths_um: &[f32],
    stop: &AtomicBool,
    tell: &mut dyn FnMut(usize, usize),
) -> Result<Heard> {
    // Opening a pipe would wait for somebody to write.
    if fs::metadata(audio).is_ok_and(|found| !found.is_file()) {
        return Err(Error::input(audio, "is no file"));
    }
    let Sound { samples, mut header, model, sureness, said } = open(audio, voice)?;
    let frames = check(audio, &samples, &header, &model)?;
    locate(audio, &mut header, frames)?;
    let painter = match wavelengths_um {
        [] => None,
        _ => Some(speaking(audio, &header, model.at(wavelengths_um, &header.range)?)?),
    };
    let mut sonifier = speaking(audio, &header, model)?.with_range(header.range.clone());
    if sureness.is_some() {
        sonifier.equalise(&samples, frames);
    }
    let original = header.original.then(|| Original::new(header.mapping.values, header.seed));
    let staging = StagedFolder::open(folder)?;
    let mut decoder = Decoder { audio, sonifier, painter, original, header, frames, sureness };
    let written = decoder.write(&samples, &staging, stop, tell);
    let (heard, names) = written.map_err(|e| staging.named(e))?;
    Ok(Heard { said, files: staging.replace(&remains(folder), &names)?, ..heard })
}

/// A sound as our files have it, with what it needs to be decoded.
struct Sound {
    samples: Vec<f32>,
    header: Header,
    model: Model,
    sureness: Option<f64>,
    /// Whether it says itself how it was made.
    said: bool,
}

/// Reads the sound at `audio`: exactly, if it is a file of ours, else, and where it is
/// shorter than it says, as a recording in which frames are to be found: nobody knows
/// from which end an editor took something.
fn open(audio: &Path, voice: &Voice) -> Result<Sound> {
    let (said, sides) = match sink::read(audio) {
        Ok(Recording { samples, sides, sample_rate, header: Some(header), .. })
            if sample_rate as usize == SAMPLE_RATE
                && header.frames.is_none_or(|frames| frames <= slots(&header, samples.len())) =>
        {
            let samples = sides.filter(|_| header.stereo).as_ref().map_or(samples, fold);
            let model = find_model(audio, &header, voice.model.as_deref())?;
            let model = seen(audio, &header, model)?;
            return Ok(Sound { samples, header, model, sureness: None, said: true });
        }
        Ok(mut recording) => (recording.header.take(), recording.into_sides()),
        Err(error) if error.fault == Fault::Unsupported => (None, None),
        Err(error) => return Err(error),
    };
    // Before anybody is asked for a model: what holds no sound needs none.
    let sides = sides.map_or_else(|| sink::decode(audio), Ok)?;
    let is_said = said.is_some();
    let (mut header, model) = match said {
        Some(header) => {
            let model = find_model(audio, &header, voice.model.as_deref())?;
            let model = seen(audio, &header, model)?;
            (header, model)
        }
        None => {
            let (header, sonifier) = unsaid(audio, voice)?;
            (header, sonifier.model().clone())
        }
    };
    if header.original {
        let what = "a copy of the original's sound, which only decodes from its own file";
        return Err(Error::new(Fault::Unsupported, audio.display(), what)
            .hint("give the file that convert --original wrote"));
    }
    let found = align(sides.each_ref().map(Vec::as_slice));
    let Aligned { samples, frames, sureness } = found.ok_or_else(|| {
        Error::input(audio, "no frames can be heard in it")
            .hint("it may be another sound, or one with too much noise or echo")
    })?;
    if header.frames.replace(frames) != Some(frames) {
        // Which part of the scene was heard is not known.
        (header.scene, header.positions, header.left_out) = (None, vec![], vec![]);
    }
    Ok(Sound { samples, header, model, sureness: Some(sureness), said: is_said })
}

/// Header and maker of a sound that says nothing, as `voice` has them.
fn unsaid(audio: &Path, voice: &Voice) -> Result<(Header, Sonifier)> {
    if voice.model.is_none() && voice.sensor.is_none() {
        let what = "the file does not say which model made it";
        return Err(Error::input(audio, what).hint(
            "name it with --sensor NAME or --model FILE, and with --preset data if `convert` \
             made it; players and editors remove what our files say about themselves",
        ));
    }
    let sonifier = voice.alone()?;
    let model = sonifier.model();
    let [rows, columns] = model.grid();
    // Nothing says which part of the grid held the picture: all of it may.
    let picture = Array3::zeros((model.bands().len(), rows, columns));
    let whole = Source::like(&Frame::new(picture, model.bands().into(), 0.0), "a recording");
    let header = sonifier.header(&whole, &audio.display().to_string());
    Ok((header, sonifier))
}

/// The model that made the sound of `header`: the one that is `given`, which has to be
/// one, then among those that ship, then the files beside the sound, then the user's
/// models.
fn find_model(audio: &Path, header: &Header, given: Option<&Path>) -> Result<Model> {
    let mut other = None;
    if let Some(path) = given {
        let model = Model::load(path)?;
        if model.hash() == header.model_hash {
            return Ok(model);
        }
        other = Some(format!("; {} is {:.12}", path.display(), model.hash()));
    }
    for profile in Profile::shelf()? {
        if Profile::shipped_model(&profile.name).is_some() {
            let model = Model::shipped(&profile.name)?;
            if model.hash() == header.model_hash {
                return Ok(model);
            }
        }
    }
    // A bare name lies in this folder.
    let beside = Path::new(".").join(audio).parent().map(Path::to_owned);
    for folder in [beside, user_models(), user_shelf()].into_iter().flatten() {
        if let Some(model) = find_in(&folder, &header.model_hash)? {
            return Ok(model);
        }
    }
    let what = format!(
        "made by the model {} with hash {:.12}, which is not here{}",
        header.model,
        header.model_hash,
        other.unwrap_or_default()
    );
    Err(Error::input(audio, what).hint(
        "give the model file with --model FILE, or put it beside the sound or into \
         $XDG_DATA_HOME/wysiwyh/models",
    ))
}

/// Who made the sound of `header`, which stands in the file at `path`, by the
/// model that it names or the one that is `given`.
///
/// # Errors
///
/// If the model is not here, or does not fit what the header says.
pub(crate) fn sonifier(path: &Path, header: &Header, given: Option<&Path>) -> Result<Sonifier> {
    let model = seen(path, header, find_model(path, header, given)?)?;
    check_range(path, header, &model)?;
    Ok(speaking(path, header, model)?.with_range(header.range.clone()))
}

/// `model` as the sound of `header`, which stands in the file at `path`, was made by it.
fn speaking(path: &Path, header: &Header, model: Model) -> Result<Sonifier> {
    let sonifier = Sonifier::new(model, header.mapping.clone(), header.seed)
        .map_err(|e| Error::input(path, e))?;
    Ok(sonifier.with_polarity(header.polarity))
}

/// `model` as it saw what the sound of `header` tells.
fn seen(audio: &Path, header: &Header, model: Model) -> Result<Model> {
    let Some(view) = &header.view else { return Ok(model) };
    let wrong = |what: String| Err(Error::input(audio, what));
    let (bands, ranges) = (view.bands.len(), view.range.len());
    if bands == 0 || bands > MOST_BANDS || ranges != bands {
        return wrong(format!("its sensor has {bands} bands and {ranges} ranges"));
    }
    let [rows, columns] = view.grid;
    let grid = 1..=LARGEST_GRID;
    let fits = grid.contains(&rows) && grid.contains(&columns);
    if view.loadings.as_ref().is_some_and(|loadings| !loadings.fit(bands)) {
        return wrong(format!("its loadings are not of {bands} bands"));
    }
    if view.range.iter().any(|[low, high]| low >= high) || !fits {
        return wrong(format!("its sensor has an empty range, or a grid of {rows} x {columns}"));
    }
    let profile = Profile { name: header.profile.clone(), ..model.profile().clone() };
    model.through(view.clone(), profile)
}

/// The model file in `folder` whose hash is `hash`: see [`Model::of_hash`].
///
/// # Errors
///
/// Likewise.
fn find_in(folder: &Path, hash: &str) -> Result<Option<Model>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(None) };
    let mut paths: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    let models = paths.iter().filter(|path| path.extension().is_some_and(|e| e == "safetensors"));
    models.map(|path| Model::of_hash(path, hash)).find_map(Result::transpose).transpose()
}

/// Where the user's own models lie.
fn user_models() -> Option<PathBuf> {
    user_folder("XDG_DATA_HOME", ".local/share").map(|folder| folder.join("models"))
}

/// Refuses the header of the file at `path` if it does not say, for each band of
/// `model`, which values meant 0 and 1.
fn check_range(path: &Path, header: &Header, model: &Model) -> Result<()> {
    let (bands, ranges) = (model.bands().len(), header.range.len());
    if ranges != bands {
        let what = format!("{ranges} ranges for the {bands} bands of its model");
        return Err(Error::input(path, what));
    }
    match header.range.iter().find(|[low, high]| low >= high) {
        Some([low, high]) => {
            Err(Error::input(path, format!("a range that starts at {low} and ends at {high}")))
        }
        None => Ok(()),
    }
}

/// Checks what the file says about itself against the model and the samples;
/// gives the number of frames.
fn check(audio: &Path, samples: &[f32], header: &Header, model: &Model) -> Result<usize> {
    let wrong = |what: String| Err(Error::input(audio, what));
    check_range(audio, header, model)?;
    let [grid_rows, grid_columns] = model.grid();
    let Area { row, column, rows, columns } = header.area;
    let reach = |start: usize, size: usize, limit: usize| {
        start.checked_add(size).is_some_and(|end| end <= limit)
    };
    if !reach(row, rows, grid_rows) || !reach(column, columns, grid_columns) {
        let what = format!(
            "its picture of {rows} x {columns} at {row}, {column} leaves the model's \
             {grid_rows} x {grid_columns} grid"
        );
        return wrong(what);
    }
    let slots = slots(header, samples.len());
    let frames = header.frames.unwrap_or(slots);
    if frames == 0 || frames > slots {
        return wrong(format!("it tells {frames} frames, but its sound lasts for {slots}"));
    }
    Ok(frames)
}

/// How many frames `samples` of the sound of `header` last for.
fn slots(header: &Header, samples: usize) -> usize {
    match header.original {
        true => Original::slots(samples),
        false => Receiver::slots(samples),
    }
}

/// Gives `header` the places of all `frames` in the scene that it tells of. A sound
/// that was cut short may not say what was left out of it: then it tells of none.
fn locate(audio: &Path, header: &mut Header, frames: usize) -> Result<()> {
    let is_whole = header.frames.is_some();
    if is_whole {
        header.positions = header.places(frames);
    }
    let count = header.positions.len();
    if header.scene.is_some() && count != frames {
        if is_whole {
            return Err(Error::input(audio, format!("{count} positions for {frames} chips")));
        }
        header.scene = None;
    }
    Ok(())
}

/// A sound that has been checked, and the model that made it.
struct Decoder<'a> {
    audio: &'a Path,
    sonifier: Sonifier,
    /// Hears the code in its place where the sound is the original's.
    original: Option<Original>,
    /// Makes pictures of other bands than those that were sent.
    painter: Option<Sonifier>,
    header: Header,
    frames: usize,
    sureness: Option<f64>,
}

impl Decoder<'_> {
    /// Who makes the pictures.
    fn painter(&self) -> &Sonifier {
        self.painter.as_ref().unwrap_or(&self.sonifier)
    }

    /// Decodes every frame into files in `staging`, whose names it gives.
    fn write(
        &mut self,
        samples: &[f32],
        staging: &StagedFolder,
        stop: &AtomicBool,
        tell: &mut dyn FnMut(usize, usize),
    ) -> Result<(Heard, Vec<String>)> {
        let painter = self.painter();
        let (bands, range) = (painter.model().bands().to_vec(), painter.range().to_vec());
        let [rows, columns] = painter.model().grid();
        let mut names = vec![ARRAY.to_owned()];
        let mut array = FrameArray::create(staging.place(&names[0]), [bands.len(), rows, columns])?;
        let mut statistics = vec![Statistics::default(); bands.len()];
        let mosaic_path = staging.place(MOSAIC);
        let mut mosaic = match on_a_map(&self.header) {
            Some(scene) => Some(Mosaic::create(&mosaic_path, scene, &bands, self.frames)?),
            None => None,
        };

        let mut silent = 0;
        for slot in 0..self.frames {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::new(Fault::Interrupted, self.audio.display(), "stopped"));
            }
            let picture = self.decode(samples, slot)?;
            silent += usize::from(picture.is_none());
            let frame = picture
                .unwrap_or_else(|| Array3::from_elem((bands.len(), rows, columns), f32::NAN));
            array.push(frame.view())?;
            for (band, statistics) in frame.outer_iter().zip(&mut statistics) {
                statistics.add(band);
            }
            if slot < PREVIEWS {
                names.push(preview_name(slot));
                let path = staging.place(&names[slot + 1]);
                let preview = picture::preview(frame.view(), &range, &bands);
                picture::save_png(&preview, &path)?;
            }
            if let Some(mosaic) = &mut mosaic {
                mosaic.place(self.header.positions[slot], frame.view())?;
            }
            tell(slot + 1, self.frames);
        }
        if silent == self.frames {
            return Err(Error::input(self.audio, "no frame can be heard: it is silent"));
        }
        array.finish()?;
        if let Some(mosaic) = mosaic {
            mosaic.finish()?;
            names.push(MOSAIC.to_owned());
        }

        let heard = Heard {
            header: self.header.clone(),
            bands,
            range,
            said: false,
            estimated: self.painter.is_some(),
            frames: self.frames,
            silent,
            sureness: self.sureness,
            statistics,
            files: vec![],
        };
        names.push(SUMMARY.to_owned());
        let path = staging.place(SUMMARY);
        fs::write(&path, heard.in_full()).map_err(|e| Error::output(&path, e))?;
        Ok((heard, names))
    }

    /// The picture of one slot, `[band, row, column]` in physical units, NaN
    /// where the sent one had its bars or lay outside its scene; `None` where
    /// the sound is silent, as while a camera is away.
    fn decode(&mut self, samples: &[f32], slot: usize) -> Result<Option<Array3<f32>>> {
        let code = match &mut self.original {
            Some(original) => original.hear(samples, slot),
            None => self.sonifier.hear(samples, slot),
        };
        let Some(code) = code else { return Ok(None) };
        let mut frame = self.painter().reconstruct(&code)?;
        let (rows, columns) = (frame.shape()[1], frame.shape()[2]);
        let mut area = self.header.area;
        if let (Some(scene), Some(&[row, column])) =
            (&self.header.scene, self.header.positions.get(slot))
        {
            area.rows = area.rows.min(scene.rows.saturating_sub(row as usize));
            area.columns = area.columns.min(scene.columns.saturating_sub(column as usize));
        }
        for row in 0..rows {
            for column in 0..columns {
                if !area.contains(row, column) {
                    frame.slice_mut(s![.., row, column]).fill(f32::NAN);
                }
            }
        }
        Ok(Some(frame))
    }
}

/// The scene that the sound tells, if it lies on a map.
fn on_a_map(header: &Header) -> Option<&Scene> {
    header.scene.as_ref().filter(|scene| scene.georeference.is_some())
}
