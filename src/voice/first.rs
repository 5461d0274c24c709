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

/// Pictures that were looked at.
pub(super) struct First {
    frames: Vec<Frame>,
    /// Whether others come later.
    clock: bool,
}

impl First {
    /// Looks at what `sensor`, opened from `source` for `profile` with `options`, shows
    /// first, or at pieces from all over it, if it is a scene; it shows all of it all the
    /// same.
    ///
    /// # Errors
    ///
    /// If none can be read.
    pub fn of(
        source: &str,
        sensor: Box<dyn Sensor>,
        profile: &Profile,
        options: &Options,
    ) -> Result<(Box<dyn Sensor>, Self)> {
        let found = sensor.source();
        let clock = found.period_s.is_some();
        if found.scene.is_some() && sensor::is_repeatable(source) {
            let sample = Some(OF_SCENE);
            let options = Options { sample, frames: None, tell: None, ..options.clone() };
            let pieces = sensor::open(source, Some(profile), &options)?;
            return Ok((sensor, Self { frames: readable(pieces)?, clock }));
        }
        let values = found.bands.len() * found.rows * found.columns;
        let count = match sensor.losses().is_some() || !sensor::is_repeatable(source) {
            true => OF_STREAM,
            false => OF_RECORDING.min(VALUES / values.max(1)).max(1),
        };
        let peeked = Peeked::at(sensor, count)?;
        let frames = peeked.first().cloned().collect();
        Ok((Box::new(peeked), Self { frames, clock }))
    }

    /// Per band, the values that mean 0 and 1, unless they are `stated`; and how `unknown`
    /// bands vary together.
    ///
    /// # Errors
    ///
    /// If there is no reading in what `source` showed.
    pub fn shown(
        &self,
        source: &str,
        stated: &[Option<[f64; 2]>],
        unknown: bool,
    ) -> Result<(Vec<[f64; 2]>, Option<Loadings>)> {
        if self.frames.is_empty() && stated.contains(&None) {
            let what = "no reading in its first pictures, from which a span could be learned";
            return Err(Error::input(source, what).hint("give the span as --span LO..HI"));
        }
        let mut found = dataset::percentiles(self.frames.iter(), stated.len());
        for [low, high] in found.iter_mut().filter(|_| self.clock) {
            let wider = WIDER * (*high - *low);
            (*low, *high) = (*low - wider, *high + wider);
        }
        let range: Vec<[f64; 2]> =
            stated.iter().zip(found).map(|(stated, found)| stated.unwrap_or(found)).collect();
        let loadings = match unknown {
            true => Loadings::of(&self.frames.iter().collect::<Vec<_>>(), &range)?,
            false => None,
        };
        Ok((range, loadings))
    }
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
