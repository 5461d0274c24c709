//! The file of a session, message by message, so that memory does not grow
//! with its pictures.

use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow::array::{Array, ArrayRef};
use rerun::external::re_log_encoding::{DecodeError, DecoderApp};
use rerun::log::{Chunk, LogMsg};
use rerun::{Loggable, TensorBuffer, components};

use super::super::blueprint;
use super::Replay;
use crate::error::{Error, Result};

/// Reads the session at `path`.
pub fn read(path: &Path) -> Result<Replay> {
    let file = File::open(path).map_err(|e| Error::input(path, e))?;
    let mut messages = DecoderApp::decode_lazy(BufReader::new(file));
    let mut replay = Replay::default();
    loop {
        // The library is not made for damaged files.
        match catch_unwind(AssertUnwindSafe(|| next(&mut messages, &mut replay))) {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => break,
            // What a program that was stopped has written is there up to here.
            _ if !replay.moments.is_empty() => break,
            Ok(Err(what)) => return Err(Error::input(path, what)),
            Err(_) => return Err(Error::input(path, "is a damaged session")),
        }
    }
    Ok(replay)
}

/// Takes the next message in; false where there is none.
fn next(
    messages: &mut impl Iterator<Item = std::result::Result<LogMsg, DecodeError>>,
    replay: &mut Replay,
) -> std::result::Result<bool, String> {
    let Some(message) = messages.next() else { return Ok(false) };
    let LogMsg::ArrowMsg(store, message) = message.map_err(|e| e.to_string())? else {
        return Ok(true);
    };
    if store.is_recording() {
        let chunk = Chunk::from_arrow_msg(&message).map_err(|e| e.to_string())?;
        take(&chunk, replay);
    }
    Ok(true)
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
