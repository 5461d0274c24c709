//! One target with its thread.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::queue::{Entry, Queue};
use super::stream::{RecordingId, Stream};
use super::{Pace, Session};
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
        pace: Pace,
        recording: &RecordingId,
        about: &Arc<Session>,
    ) -> Result<Self> {
        let stream = Stream::open(&destination, pace, recording, about)?;
        let queue = Arc::new(Queue::new(pace));
        std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn({
                let queue = queue.clone();
                move || run(stream, &queue)
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

/// Empties the queue; what goes wrong is kept in it.
fn run(stream: Stream, queue: &Queue) {
    // A bug in the recorder must neither take the sound along nor hang the end.
    let result = catch_unwind(AssertUnwindSafe(|| write_all(stream, queue)));
    if let Err(what) = result.unwrap_or_else(|_| Err("the recorder panicked".to_owned())) {
        queue.fail(what);
    }
    queue.end();
}

fn write_all(mut stream: Stream, queue: &Queue) -> std::result::Result<(), String> {
    while let Some(entry) = queue.pop() {
        stream.write(&entry)?;
    }
    stream.end(queue.dropped())
}
