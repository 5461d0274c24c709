//! A file that grows with the sound, and whose disk may be slow, or hang.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::sink::{FileSink, Header};
use crate::synth::SLOT_S;

/// So many slots may wait to be written: two minutes, 23 MB a channel.
const MOST: usize = 1200;

/// A disk that has taken nothing for so long at the end is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A file and the thread that writes it, so that whoever has sound never waits for a
/// disk. Dropped before its end, it holds what was written, as if the process had
/// been killed.
#[derive(Debug)]
pub(super) struct Growing {
    path: PathBuf,
    parts: Sender<Part>,
    /// Parts that wait, and the one that is being written.
    waiting: Arc<AtomicUsize>,
    /// What came of it.
    done: Receiver<Result<()>>,
}

/// What is still to be written.
enum Part {
    Samples(Vec<f32>),
    /// The last one, with what is known only at the end.
    End(Box<Header>),
}

impl Growing {
    /// Lets `file` at `path` grow.
    ///
    /// # Errors
    ///
    /// If there can be no thread.
    pub fn new(path: &Path, file: Box<dyn FileSink>) -> Result<Self> {
        let (parts, taken) = channel();
        let (sender, done) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = waiting.clone();
        // Whoever has given it up asks for no result.
        let work = move || drop(sender.send(write_all(file, &taken, &left)));
        let begun = std::thread::Builder::new().name("sound file".to_owned()).spawn(work);
        begun.map_err(|e| Error::output(path, e))?;
        Ok(Self { path: path.to_owned(), parts, waiting, done })
    }

    /// Appends the samples of a slot, and does not wait until they are written.
    ///
    /// # Errors
    ///
    /// If what came before could not be written, or if two minutes of it still wait.
    pub fn write(&mut self, samples: Vec<f32>) -> Result<()> {
        match self.done.try_recv() {
            Ok(result) => return result,
            Err(TryRecvError::Disconnected) => return Err(self.panicked()),
            Err(TryRecvError::Empty) => {}
        }
        if self.waiting.load(Relaxed) >= MOST {
            let behind_s = MOST as f64 * SLOT_S;
            let what = format!("the disk is {behind_s:.0} s behind the sound and was given up");
            return Err(Error::output(&self.path, what)
                .hint("write to a disk of this machine rather than over a network"));
        }
        self.push(Part::Samples(samples));
        Ok(())
    }

    /// Ends the file with `header`, and waits until everything is written.
    ///
    /// # Errors
    ///
    /// If something could not be written, or the disk takes nothing for so long that
    /// it is left behind.
    pub fn finish(self, header: &Header) -> Result<()> {
        self.push(Part::End(Box::new(header.clone())));
        let mut waiting = self.waiting.load(Relaxed);
        loop {
            match self.done.recv_timeout(PATIENCE) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Disconnected) => return Err(self.panicked()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let before = std::mem::replace(&mut waiting, self.waiting.load(Relaxed));
            if waiting == before {
                let waited_s = PATIENCE.as_secs();
                let what = format!("the disk took nothing for {waited_s} s; its end is missing");
                return Err(Error::output(&self.path, what));
            }
        }
    }

    fn push(&self, part: Part) {
        self.waiting.fetch_add(1, Relaxed);
        // Where nobody takes it, `done` says why.
        let _ = self.parts.send(part);
    }

    fn panicked(&self) -> Error {
        Error::output(&self.path, "the thread that writes it has panicked")
    }
}

/// Writes parts into `file` as they come, and counts them off `waiting`.
fn write_all(
    mut file: Box<dyn FileSink>,
    parts: &Receiver<Part>,
    waiting: &AtomicUsize,
) -> Result<()> {
    for part in parts {
        match part {
            Part::Samples(samples) => file.write(&samples)?,
            Part::End(header) => {
                let replaced = file.replace_header(&header);
                return file.finish().and(replaced);
            }
        }
        waiting.fetch_sub(1, Relaxed);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::sink::Sink;
    use crate::sink::tests::header;

    /// A file on a disk that takes a part whenever the other end lets it.
    struct Slow {
        gate: Receiver<()>,
        taken: Arc<Mutex<Vec<f32>>>,
    }

    impl Sink for Slow {
        fn write(&mut self, samples: &[f32]) -> Result<()> {
            // Once that end is gone, the disk is fast.
            let _ = self.gate.recv();
            self.taken.lock().unwrap().extend(samples);
            Ok(())
        }

        fn finish(self: Box<Self>) -> Result<()> {
            Ok(())
        }
    }

    impl FileSink for Slow {
        fn replace_header(&mut self, _: &Header) -> Result<()> {
            self.taken.lock().unwrap().push(-1.0);
            Ok(())
        }
    }

    fn slow() -> (Growing, Sender<()>, Arc<Mutex<Vec<f32>>>) {
        let (release, gate) = channel();
        let taken = Arc::new(Mutex::new(vec![]));
        let file = Slow { gate, taken: taken.clone() };
        (Growing::new(Path::new("a.wav"), Box::new(file)).unwrap(), release, taken)
    }

    #[test]
    fn a_disk_that_hangs_holds_nothing_up_and_gets_it_all_later() {
        let (mut file, release, taken) = slow();
        for n in 0..1000 {
            file.write(vec![n as f32]).unwrap();
        }
        assert!(taken.lock().unwrap().is_empty());
        drop(release);
        file.finish(&header()).unwrap();
        let expected: Vec<f32> = (0..1000).map(|n| n as f32).chain([-1.0]).collect();
        assert_eq!(*taken.lock().unwrap(), expected);
    }

    #[test]
    fn a_disk_that_hangs_too_long_is_given_up_with_a_word() {
        let (mut file, _release, _) = slow();
        for _ in 0..MOST {
            file.write(vec![0.0]).unwrap();
        }
        let error = file.write(vec![0.0]).unwrap_err().to_string();
        assert!(error.contains("a.wav: the disk is 120 s behind the sound"), "{error}");
    }
}
