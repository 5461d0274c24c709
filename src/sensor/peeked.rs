//! Sources of which only the beginning is wanted, or was looked at beforehand.

use std::collections::VecDeque;

use ndarray::Array3;

use super::camera::Losses;
use super::{Sensor, Source};
use crate::error::{Error, Result};
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

/// A frame that was looked at.
#[derive(Debug)]
enum Looked {
    /// One with a reading.
    Seen(Frame),
    /// One without, of bands, rows and columns as given. Its pixels are left out:
    /// hundreds of such chips may lie before the first other one.
    Empty(Frame, (usize, usize, usize)),
}

/// A source whose first frames were looked at, and come all the same.
#[derive(Debug)]
pub(crate) struct Peeked {
    first: VecDeque<Looked>,
    /// Why the look ended, where frames came before.
    failure: Option<Error>,
    source: Source,
    sensor: Box<dyn Sensor>,
}

impl Peeked {
    /// Looks at up to `count` frames with a reading that `sensor` is about to
    /// deliver, and at those without one that lie between.
    ///
    /// # Errors
    ///
    /// If the first one cannot be read; an error after it comes in its turn.
    pub(crate) fn at(sensor: Box<dyn Sensor>, count: usize) -> Result<Self> {
        let source = sensor.source().clone();
        let mut peeked = Self { first: VecDeque::new(), failure: None, source, sensor };
        let mut readings = 0;
        while readings < count
            && peeked.first.len() < MOST_EMPTY + count
            && let Some(frame) = peeked.sensor.next()
        {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) if peeked.first.is_empty() => return Err(error),
                Err(error) => {
                    peeked.failure = Some(error);
                    break;
                }
            };
            let seen = frame.data.iter().any(|value| !value.is_nan());
            readings += usize::from(seen);
            peeked.first.push_back(match seen {
                true => Looked::Seen(frame),
                false => {
                    let size = frame.data.dim();
                    Looked::Empty(Frame { data: Array3::default((0, 0, 0)), ..frame }, size)
                }
            });
        }
        Ok(peeked)
    }

    /// Those frames that were looked at and have a reading.
    pub(crate) fn first(&self) -> impl Iterator<Item = &Frame> + Clone {
        self.first.iter().filter_map(|looked| match looked {
            Looked::Seen(frame) => Some(frame),
            Looked::Empty(..) => None,
        })
    }
}

impl Iterator for Peeked {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.first.pop_front() {
            Some(Looked::Seen(frame)) => Some(Ok(frame)),
            Some(Looked::Empty(frame, size)) => {
                let data = Array3::from_elem(size, f32::NAN);
                Some(Ok(Frame { data, ..frame }))
            }
            None => match self.failure.take() {
                Some(error) => Some(Err(error)),
                None => self.sensor.next(),
            },
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Band, Unit};
    use crate::sensor::{Route, Scene, Tiles, Whole};

    #[test]
    fn empty_chips_are_looked_past_and_come_all_the_same() {
        // A picture of which only the last of 6 x 6 chips has readings.
        let mut data = Array3::from_elem((2, 48, 48), f32::NAN);
        data[(1, 47, 46)] = 3.0;
        let bands = [Band::new("a", Unit::Counts), Band::new("b", Unit::Counts)];
        let picture = Frame::new(data, bands.into(), 0.0);
        let tiles = || -> Box<dyn Sensor> {
            let source = Source { frames: Some(1), ..Source::like(&picture, "a picture") };
            let whole = Whole::new(Box::new(Once { source, frame: Some(picture.clone()) }), 1);
            Box::new(Tiles::new(whole, Scene::new([48, 48], 8, Route::Sweep)))
        };
        let peeked = Peeked::at(tiles(), 1).unwrap();
        assert_eq!(peeked.first.len(), 36);
        let kept = peeked.first.iter().map(|(Looked::Seen(f) | Looked::Empty(f, _))| f.data.len());
        assert_eq!((kept.sum::<usize>(), peeked.first().count()), (2 * 8 * 8, 1));
        let plain: Vec<Frame> = tiles().collect::<Result<_>>().unwrap();
        let again: Vec<Frame> = peeked.collect::<Result<_>>().unwrap();
        assert_eq!(plain.len(), again.len());
        for (a, b) in plain.iter().zip(&again) {
            assert_eq!((a.data.dim(), a.position, a.time_s), (b.data.dim(), b.position, b.time_s));
            let known = |frame: &Frame| frame.data.mapv(|value| !value.is_nan());
            assert_eq!(known(a), known(b));
        }
    }

    /// A single picture.
    #[derive(Debug)]
    struct Once {
        source: Source,
        frame: Option<Frame>,
    }

    impl Iterator for Once {
        type Item = Result<Frame>;

        fn next(&mut self) -> Option<Self::Item> {
            self.frame.take().map(Ok)
        }
    }

    impl Sensor for Once {
        fn source(&self) -> &Source {
            &self.source
        }
    }
}
