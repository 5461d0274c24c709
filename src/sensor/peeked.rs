//! Sources of which only the beginning is wanted, or was looked at beforehand.

use std::collections::VecDeque;

use super::camera::Losses;
use super::{Sensor, Source};
use crate::error::Result;
use crate::frame::Frame;

/// A source that ends early.
#[derive(Debug)]
pub(super) struct Limited {
    sensor: Box<dyn Sensor>,
    source: Source,
    left: usize,
}

impl Limited {
    pub(super) fn new(sensor: Box<dyn Sensor>, frames: usize) -> Self {
        let mut source = sensor.source().clone();
        source.frames = Some(source.frames.map_or(frames, |known| known.min(frames)));
        Self { sensor, source, left: frames }
    }
}

impl Iterator for Limited {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.sensor.next()
    }
}

impl Sensor for Limited {
    fn source(&self) -> &Source {
        &self.source
    }

    fn losses(&self) -> Option<Losses> {
        self.sensor.losses()
    }
}

/// So many frames without a reading are looked past.
const MOST_EMPTY: usize = 512;

/// A source whose first frames were looked at, and come all the same.
#[derive(Debug)]
pub(crate) struct Peeked {
    first: VecDeque<Frame>,
    source: Source,
    sensor: Box<dyn Sensor>,
}

impl Peeked {
    /// Looks at up to `count` frames with a reading that `sensor` is about to
    /// deliver, and at those without one that lie between.
    ///
    /// # Errors
    ///
    /// If one of them cannot be read.
    pub(crate) fn at(sensor: Box<dyn Sensor>, count: usize) -> Result<Self> {
        let source = sensor.source().clone();
        let mut peeked = Self { first: VecDeque::new(), source, sensor };
        let mut readings = 0;
        while readings < count
            && peeked.first.len() < MOST_EMPTY + count
            && let Some(frame) = peeked.sensor.next()
        {
            let frame = frame?;
            readings += usize::from(frame.data.iter().any(|value| !value.is_nan()));
            peeked.first.push_back(frame);
        }
        Ok(peeked)
    }

    /// What was looked at.
    pub(crate) fn first(&self) -> impl Iterator<Item = &Frame> + Clone {
        self.first.iter()
    }
}

impl Iterator for Peeked {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        self.first.pop_front().map(Ok).or_else(|| self.sensor.next())
    }
}

impl Sensor for Peeked {
    fn source(&self) -> &Source {
        &self.source
    }

    fn losses(&self) -> Option<Losses> {
        self.sensor.losses()
    }
}
