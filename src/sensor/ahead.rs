//! A source that is read ahead, on a thread of its own.

use std::fmt;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use super::{Sensor, Source};
use crate::error::{Error, Fault, Result};
use crate::frame::Frame;

/// How much is read ahead at most, in bytes.
const BYTES: usize = 64 << 20;

/// A recording whose next frames are read while the last are worked on. They
/// come in the same order; about 64 MiB of them wait at most.
pub struct Ahead {
    source: Source,
    frames: Option<Receiver<Result<Frame>>>,
    reader: Option<JoinHandle<()>>,
}

impl Ahead {
    /// Starts to read `sensor`.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    pub fn start(sensor: Box<dyn Sensor>) -> Result<Self> {
        let source = sensor.source().clone();
        let values = source.bands.len() * source.rows.saturating_mul(source.columns);
        let bytes = values.saturating_mul(size_of::<f32>()).max(1);
        let (ahead, frames) = sync_channel(BYTES.div_ceil(bytes));
        let read = move || {
            for frame in sensor {
                let ended = frame.is_err();
                // Nobody waits any more, or what follows an error is its end.
                if ahead.send(frame).is_err() || ended {
                    return;
                }
            }
        };
        let reader = thread::Builder::new().name("reader".into()).spawn(read);
        let reader = reader.map_err(|e| {
            Error::new(Fault::Device, &source.description, format!("no thread: {e}"))
        })?;
        Ok(Self { source, frames: Some(frames), reader: Some(reader) })
    }
}

impl Iterator for Ahead {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Ok(frame) = self.frames.as_ref()?.recv() {
            return Some(frame);
        }
        self.frames = None;
        // A reader that died must not pass for one that came to the end.
        let died = self.reader.take()?.join().is_err();
        died.then(|| Err(Error::input(&self.source.description, "could not be read to its end")))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // The reader ends once nobody can take what it reads.
        self.frames = None;
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Sensor for Ahead {
    fn source(&self) -> &Source {
        &self.source
    }
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead").field("source", &self.source).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::Simulated;

    /// Frames of the simulated camera, and after `count` of them an error or a
    /// panic.
    #[derive(Debug)]
    struct Failing(Simulated, usize, bool);

    impl Iterator for Failing {
        type Item = Result<Frame>;

        fn next(&mut self) -> Option<Self::Item> {
            self.1 = match self.1.checked_sub(1) {
                Some(left) => left,
                None if self.2 => panic!("as the test wants"),
                None => return Some(Err(Error::input("a", "damaged"))),
            };
            self.0.next()
        }
    }

    impl Sensor for Failing {
        fn source(&self) -> &Source {
            self.0.source()
        }
    }

    fn camera() -> Simulated {
        Simulated::new(3, None).unwrap()
    }

    #[test]
    fn frames_come_as_they_are() {
        let ahead = Ahead::start(Box::new(camera())).unwrap();
        assert_eq!(ahead.source(), camera().source());
        for (a, b) in ahead.zip(camera()).take(200) {
            let (a, b) = (a.unwrap(), b.unwrap());
            assert_eq!((a.data, a.time_s), (b.data, b.time_s));
        }
    }

    #[test]
    fn an_error_comes_after_what_was_read_before_it_and_ends_it() {
        for (panics, text) in [(false, "damaged"), (true, "could not be read to its end")] {
            let mut ahead = Ahead::start(Box::new(Failing(camera(), 70, panics))).unwrap();
            assert_eq!(ahead.by_ref().take(70).filter(|frame| frame.is_ok()).count(), 70);
            let error = ahead.next().unwrap().unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
            assert!(ahead.next().is_none() && ahead.next().is_none());
        }
    }
}
