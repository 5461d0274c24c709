//! The file of a session, message by message, so that memory does not grow
//! with its pictures.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef};
use ndarray::Array3;
use rerun::external::re_log_encoding::{DecodeError, DecoderApp};
use rerun::log::{Chunk, LogMsg};
use rerun::{Loggable, TensorBuffer, components};

use super::super::blueprint;
use super::{Recorded, Replay};
use crate::error::{Error, Result, caught};

/// Pictures that wait for their codes, in bytes: more than a recorder leaves
/// between the two.
const WAITING_BYTES: usize = 64 << 20;

/// What a code that waits for its picture counts for, in bytes.
const CODE_BYTES: usize = 1 << 10;

/// The chunks of the recording in a file.
struct Chunks(Box<dyn Iterator<Item = std::result::Result<LogMsg, DecodeError>> + Send>);

impl Chunks {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::input(path, e))?;
        Ok(Self(Box::new(DecoderApp::decode_lazy(BufReader::new(file)))))
    }

    /// Gives the next one to `take`; false at the end, and where the file is cut
    /// off. The error is a phrase on the damage.
    fn next(&mut self, take: impl FnOnce(&Chunk)) -> std::result::Result<bool, String> {
        // The library is not made for damaged files.
        let taken = caught(|| {
            for message in self.0.by_ref() {
                let message = message.map_err(|e| e.to_string())?;
                if let LogMsg::ArrowMsg(store, message) = message
                    && store.is_recording()
                {
                    take(&Chunk::from_arrow_msg(&message).map_err(|e| e.to_string())?);
                    return Ok(true);
                }
            }
            Ok(false)
        });
        taken.unwrap_or_else(|| Err("is a damaged session".to_owned()))
    }
}

/// Reads the session at `path`.
pub fn read(path: &Path) -> Result<Replay> {
    let mut chunks = Chunks::open(path)?;
    let mut replay = Replay::default();
    loop {
        match chunks.next(|chunk| take(chunk, &mut replay)) {
            Ok(true) => {}
            Ok(false) => return Ok(replay),
            // What came before the damage is there.
            Err(_) if !replay.moments.is_empty() => return Ok(replay),
            Err(what) => return Err(Error::input(path, what)),
        }
    }
}

/// The slots of a session one after another, with their pictures. The end of one
/// that is cut off is where it is cut; damage is an error, and the last item.
pub struct Slots {
    path: PathBuf,
    about: BTreeMap<String, String>,
    /// None after the end.
    chunks: Option<Chunks>,
    /// Slots of which more may come.
    waiting: BTreeMap<u64, Recorded>,
    waiting_bytes: usize,
    /// The last slots whose codes and whose pictures have come.
    come: [Option<u64>; 2],
    /// No slot below this one is wanted any more.
    next: u64,
    damage: Option<String>,
}

impl Slots {
    /// Opens the session at `path`.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or says nothing of itself near its start.
    pub fn open(path: &Path) -> Result<Self> {
        let mut slots = Self {
            path: path.to_owned(),
            about: BTreeMap::new(),
            chunks: Some(Chunks::open(path)?),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            come: [None; 2],
            next: 0,
            damage: None,
        };
        // Chunks that are written together come in any order.
        while slots.about.is_empty() && slots.waiting_bytes <= WAITING_BYTES && slots.advance() {}
        match (slots.about.is_empty(), slots.damage.take()) {
            (false, damage) => Ok(Self { damage, ..slots }),
            (true, damage) => {
                let what = damage.unwrap_or_else(|| "does not say what it is a session of".into());
                Err(Error::input(path, what))
            }
        }
    }

    /// What the session says of itself, by names: see
    /// [`Replay::about`](super::Replay::about).
    pub fn about(&self) -> &BTreeMap<String, String> {
        &self.about
    }

    /// Takes the next chunk in; false where there is none.
    fn advance(&mut self) -> bool {
        let Some(mut chunks) = self.chunks.take() else { return false };
        match chunks.next(|chunk| self.take(chunk)) {
            Ok(true) => self.chunks = Some(chunks),
            Ok(false) => {}
            Err(what) => self.damage = Some(what),
        }
        self.chunks.is_some()
    }

    fn take(&mut self, chunk: &Chunk) {
        match chunk.entity_path().to_string().trim_start_matches('/') {
            "__properties/session" => self.about.extend(properties(chunk)),
            "code" => {
                for (slot, time_s, cell) in cells(chunk, "BarChart:values") {
                    if let Some(code) = code(&cell) {
                        self.come[0] = Some(slot);
                        self.change(slot, time_s, CODE_BYTES, |recorded| recorded.code = code);
                    }
                }
            }
            "input/values" => {
                for (slot, time_s, cell) in cells(chunk, "Tensor:data") {
                    if let Some(input) = picture(&cell) {
                        self.come[1] = Some(slot);
                        let bytes = input.len() * size_of::<f32>();
                        self.change(slot, time_s, bytes, |recorded| recorded.input = Some(input));
                    }
                }
            }
            _ => {}
        }
    }

    /// Changes the slot of this number, and makes it where it is a new one.
    fn change(&mut self, slot: u64, time_s: f64, bytes: usize, by: impl FnOnce(&mut Recorded)) {
        if slot < self.next {
            return;
        }
        let new = || Recorded { slot, time_s, code: vec![], input: None };
        by(self.waiting.entry(slot).or_insert_with(new));
        self.waiting_bytes += bytes;
    }

    /// Whether nothing more will come of the first slot that waits.
    fn is_ripe(&self) -> bool {
        let Some((first, _)) = self.waiting.first_key_value() else { return false };
        let complete = self.come.iter().all(|come| come.is_some_and(|come| come >= *first));
        complete || self.waiting_bytes > WAITING_BYTES
    }
}

impl Iterator for Slots {
    type Item = Result<Recorded>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_ripe() && self.advance() {}
        let Some((slot, recorded)) = self.waiting.pop_first() else {
            return self.damage.take().map(|what| Err(Error::input(&self.path, what)));
        };
        let picture = recorded.input.as_ref().map_or(0, |input| input.len() * size_of::<f32>());
        let code = if recorded.code.is_empty() { 0 } else { CODE_BYTES };
        self.waiting_bytes = self.waiting_bytes.saturating_sub(picture + code);
        self.next = slot.saturating_add(1);
        Some(Ok(recorded))
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("path", &self.path).finish_non_exhaustive()
    }
}

fn take(chunk: &Chunk, replay: &mut Replay) {
    let entity = chunk.entity_path().to_string();
    let entity = entity.trim_start_matches('/');
    let mut scores = blueprint::SCORES.into_iter().chain(blueprint::SCENE);
    match entity {
        "__properties/session" => replay.about.extend(properties(chunk)),
        "__properties/end" => {
            let dropped = properties(chunk).find(|(name, _)| name == "dropped_pictures");
            replay.dropped = dropped.and_then(|(_, count)| count.parse().ok());
        }
        "code" => {
            for (slot, time_s, cell) in cells(chunk, "BarChart:values") {
                replay.moment(slot, time_s).code = code(&cell);
            }
        }
        "marks" => {
            for (slot, time_s, cell) in cells(chunk, "TextLog:text") {
                let text = components::Text::from_arrow(&cell).ok();
                let text = text.and_then(|texts| Some(texts.first()?.to_string()));
                replay.marks.extend(text.map(|text| (slot, time_s, text)));
            }
        }
        entity if scores.any(|(path, _)| path == entity) => {
            let name = entity.rsplit_once('/').map_or(entity, |(_, name)| name);
            for (slot, time_s, cell) in cells(chunk, "Scalars:scalars") {
                let value = components::Scalar::from_arrow(&cell).ok();
                let value = value.and_then(|values| values.first().map(|value| value.0.0));
                if let Some(value) = value {
                    replay.moment(slot, time_s).scores.insert(name.to_owned(), value);
                }
            }
        }
        _ => {}
    }
}

/// The cells of a component, with their slots and times in seconds.
fn cells(chunk: &Chunk, component: &'static str) -> Vec<(u64, f64, ArrayRef)> {
    let times =
        |name: &'static str| chunk.timelines().get(&name.into()).map(|column| column.times_raw());
    let (Some(slots), Some(times), Some(list)) =
        (times("slot"), times("time"), chunk.components().get_array(component.into()))
    else {
        return vec![];
    };
    let rows = slots.iter().zip(times).enumerate().take(list.len());
    rows.filter(|(row, _)| list.is_valid(*row))
        .filter_map(|(row, (slot, time))| {
            // Durations are nanoseconds.
            Some((u64::try_from(*slot).ok()?, *time as f64 / 1e9, list.value(row)))
        })
        .collect()
}

fn code(cell: &ArrayRef) -> Option<Vec<f32>> {
    match components::TensorData::from_arrow(cell).ok()?.pop()?.0.buffer {
        TensorBuffer::F32(values) => Some(values.to_vec()),
        _ => None,
    }
}

/// A picture `[band, row, column]`.
fn picture(cell: &ArrayRef) -> Option<Array3<f32>> {
    let tensor = components::TensorData::from_arrow(cell).ok()?.pop()?.0;
    let values: Vec<f32> = match tensor.buffer {
        TensorBuffer::F32(values) => values.to_vec(),
        TensorBuffer::F16(values) => values.iter().map(|value| value.to_f32()).collect(),
        _ => return None,
    };
    let side = |axis: usize| usize::try_from(*tensor.shape.get(axis)?).ok();
    Array3::from_shape_vec((side(0)?, side(1)?, side(2)?), values).ok()
}

/// What a session says of itself, by names.
fn properties(chunk: &Chunk) -> impl Iterator<Item = (String, String)> {
    let texts = chunk.components_identifiers().filter_map(|component| {
        let list = chunk.components().get_array(component)?;
        let cell = (0..list.len()).find(|row| list.is_valid(*row)).map(|row| list.value(row))?;
        let text = components::Text::from_arrow(&cell).ok()?.first()?.to_string();
        let name = component.as_str();
        Some((name.rsplit_once(':').map_or(name, |(_, name)| name).to_owned(), text))
    });
    texts.collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::replay::SCORES;

    #[test]
    fn every_curve_of_a_slot_is_a_column_of_its_table() {
        let curves = blueprint::SCORES.into_iter().chain(blueprint::SCENE);
        let names: Vec<&str> = curves.map(|(path, _)| path.rsplit_once('/').unwrap().1).collect();
        assert_eq!(names, SCORES);
    }
}
