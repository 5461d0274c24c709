//! One target with its thread.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::queue::{Entry, Queue};
use super::stream::{RecordingId, Stream};
use super::{Pace, Session, Target};
use crate::error::{Error, Fault, Result};

/// Where one copy of a session goes.
#[derive(Clone, Debug)]
pub(super) enum Destination {
    File(PathBuf),
    Viewer(String),
    Port(u16),
    NewViewer,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::File(path) => path.display().fmt(f),
            Destination::Viewer(address) => f.write_str(address),
            Destination::Port(port) => write!(f, "port {port}"),
            Destination::NewViewer => f.write_str("the Rerun viewer"),
        }
    }
}

/// A target, its queue, and the thread that empties it.
#[derive(Debug)]
pub(super) struct Outlet {
    destination: Destination,
    queue: Arc<Queue>,
}

impl Outlet {
    /// Opens `destination` and starts its thread.
    pub fn open(
        destination: Destination,
        target: &Target,
        recording: &RecordingId,
        about: &Arc<Session>,
    ) -> Result<Self> {
        let Target { pace, longest, .. } = *target;
        let parts = Parts {
            stream: Stream::open(&destination, pace, recording, about)?,
            path: match &destination {
                Destination::File(path) if pace == Pace::Live => Some(path.clone()),
                _ => None,
            },
            number: 1,
            longest,
            end: None,
            recording: recording.clone(),
            about: about.clone(),
        };
        let queue = Arc::new(Queue::new(pace));
        std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn({
                let queue = queue.clone();
                move || run(parts, &queue)
            })
            .map_err(|e| Error::new(Fault::Device, &destination, e))?;
        Ok(Self { destination, queue })
    }

    /// Whether somebody may close it at any time.
    pub fn is_viewer(&self) -> bool {
        !matches!(self.destination, Destination::File(_))
    }

    pub fn push(&self, entry: Entry) {
        self.queue.push(entry);
    }

    /// Files in which the session has gone on, told once.
    pub fn begun(&self) -> Vec<PathBuf> {
        self.queue.begun()
    }

    pub fn close(&self) {
        self.queue.close();
    }

    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    /// An error if the target has been given up.
    pub fn check(&self) -> Result<()> {
        match self.queue.failure() {
            Some(what) => Err(Error::output(self.destination.to_string(), what)),
            None => Ok(()),
        }
    }

    /// Waits until everything is written, or the target has taken nothing for
    /// as long as `patience`; its thread is then left behind, to end with the
    /// process.
    pub fn finish(self, patience: Duration) -> Result<()> {
        if !self.queue.wait_for_end(patience) {
            let waited = patience.as_secs_f64();
            let what = format!("took nothing for {waited} s; the session there is incomplete");
            return Err(Error::output(self.destination.to_string(), what));
        }
        self.check()
    }
}

/// A viewer, or the files of a session, one after another.
struct Parts {
    stream: Stream,
    /// The first file, where others may follow.
    path: Option<PathBuf>,
    /// How many files there are.
    number: u32,
    /// A file holds so many slots at most.
    longest: u64,
    /// The first slot of the next file.
    end: Option<u64>,
    recording: RecordingId,
    about: Arc<Session>,
}

impl Parts {
    /// Writes `entry`, into the next file if its time has come.
    #[cfg_attr(
        not(feature = "rerun"),
        allow(unreachable_code, unused_variables, reason = "there are no streams")
    )]
    fn write(&mut self, entry: &Entry, queue: &Queue) -> std::result::Result<(), String> {
        if let (Entry::Slot(slot), Some(path)) = (entry, &self.path) {
            let end = *self.end.get_or_insert(slot.slot.saturating_add(self.longest));
            if slot.slot >= end {
                let path = next(path, &mut self.number);
                let destination = Destination::File(path.clone());
                let opened = Stream::open(&destination, Pace::Live, &self.recording, &self.about);
                let opened = opened.map_err(|error| error.to_string())?;
                std::mem::replace(&mut self.stream, opened).end(slot.dropped)?;
                self.end = Some(slot.slot.saturating_add(self.longest));
                queue.begin(path);
            }
        }
        self.stream.write(entry)
    }
}

/// The file in which the session at `path` goes on: the next of `session-2.rrd`,
/// `session-3.rrd` that is not there.
fn next(path: &Path, number: &mut u32) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    loop {
        *number += 1;
        let mut next = path.with_file_name(format!("{stem}-{number}"));
        if let Some(ending) = path.extension() {
            next.as_mut_os_string().push(".");
            next.as_mut_os_string().push(ending);
        }
        if !next.exists() {
            return next;
        }
    }
}

/// Empties the queue; what goes wrong is kept in it.
fn run(parts: Parts, queue: &Queue) {
    // A bug in the recorder must neither take the sound along nor hang the end.
    let result = catch_unwind(AssertUnwindSafe(|| write_all(parts, queue)));
    if let Err(what) = result.unwrap_or_else(|_| Err("the recorder panicked".to_owned())) {
        queue.fail(what);
    }
    queue.end();
}

fn write_all(mut parts: Parts, queue: &Queue) -> std::result::Result<(), String> {
    while let Some(entry) = queue.pop() {
        parts.write(&entry, queue)?;
    }
    parts.stream.end(queue.dropped())
}
