//! What a source shows first: a span, and how its bands vary together, where neither model
//! nor file tells.

use crate::autoencoder::loadings::Loadings;
use crate::dataset;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::profile::Profile;
use crate::sensor::{self, Options, Peeked, Sensor};

/// So many pictures of a camera or a pipe are looked at, as somebody is waiting for the
/// sound, and so many of what is recorded.
const OF_STREAM: usize = 3;
const OF_RECORDING: usize = 64;

/// A scene of more values is looked at in pieces that hold a quarter of them.
const OF_SCENE: usize = 8 << 20;

/// Of pictures, no more values than this, of 4 bytes each.
const VALUES: usize = 32 << 20;

/// A span that pictures with a clock show is widened by this share of itself
/// on either side: what comes later goes beyond what came first.
const WIDER: f64 = 0.25;

/// Per band, the values that mean 0 and 1; and how bands vary together of which nothing
/// else tells.
pub(super) type Shown = (Vec<[f64; 2]>, Option<Loadings>);

/// Looks at what `sensor`, opened from `source` for `profile` with `options`, shows first,
/// or at pieces from all over it, if it is a scene; it shows all of it all the same. Values
/// that are `stated` stay; `unknown` is whether its bands are.
///
/// # Errors
///
/// If none can be read, or has a reading from which a span could be learned.
pub(super) fn look(
    source: &str,
    sensor: Box<dyn Sensor>,
    profile: &Profile,
    options: &Options,
    stated: &[Option<[f64; 2]>],
    unknown: bool,
) -> Result<(Box<dyn Sensor>, Shown)> {
    let found = sensor.source();
    let wider = if found.period_s.is_some() { WIDER } else { 0.0 };
    let learn = |frames: &[&Frame]| {
        if frames.is_empty() && stated.contains(&None) {
            let what = "no reading in its first pictures, from which a span could be learned";
            return Err(Error::input(source, what).hint("give the span as --span LO..HI"));
        }
        let range = range(frames, stated, wider);
        let loadings = if unknown { Loadings::of(frames, &range)? } else { None };
        Ok((range, loadings))
    };
    if found.scene.is_some() && sensor::is_repeatable(source) {
        let sample = Some(OF_SCENE);
        let options = Options { sample, frames: None, tell: None, ..options.clone() };
        let pieces = readable(sensor::open(source, Some(profile), &options)?)?;
        return Ok((sensor, learn(&pieces.iter().collect::<Vec<_>>())?));
    }
    let values = found.bands.len() * found.rows * found.columns;
    let count = match sensor.losses().is_some() || !sensor::is_repeatable(source) {
        true => OF_STREAM,
        false => OF_RECORDING.min(VALUES / values.max(1)).max(1),
    };
    let peeked = Peeked::at(sensor, count)?;
    let shown = learn(&peeked.first().collect::<Vec<_>>())?;
    Ok((Box::new(peeked), shown))
}

/// The values that are `stated`, and where none are, those that `frames` show, `wider` by
/// this share on either side.
fn range(frames: &[&Frame], stated: &[Option<[f64; 2]>], wider: f64) -> Vec<[f64; 2]> {
    if let Some(stated) = stated.iter().copied().collect() {
        return stated;
    }
    let found = dataset::percentiles(frames.iter().copied(), stated.len());
    let widened = found.into_iter().map(|[low, high]| {
        let more = wider * (high - low);
        [low - more, high + more]
    });
    stated.iter().zip(widened).map(|(stated, found)| stated.unwrap_or(found)).collect()
}

/// Those of `pieces` that have a reading, up to one that is damaged: that is told when it is
/// heard.
fn readable(pieces: Box<dyn Sensor>) -> Result<Vec<Frame>> {
    let mut frames = vec![];
    for frame in pieces {
        match frame {
            Ok(frame) if frame.data.iter().any(|value| !value.is_nan()) => frames.push(frame),
            Ok(_) => {}
            Err(error) if frames.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(frames)
}
