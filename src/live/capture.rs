//! The capture thread: a sensor at its own pace, and its newest frame.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::REST;
use crate::error::{Error, Fault, Result};
use crate::frame::Frame;
use crate::sensor::camera::{Losses, PATIENCE_S};
use crate::sensor::{Ahead, Sensor, Source, check_clock};
use crate::synth::SLOT_S;

/// A source with a clock has stalled after so many of its periods, or after
/// [`PATIENCE_S`] where that is longer.
const STALLED: f64 = 2.5;

/// So much may lie in a pipe and in its writer's buffers before anybody listens:
/// values of 4 bytes that were one byte in a pipe of 64 KiB, twice over; and so
/// many pictures where they are large.
const BACKLOG_BYTES: usize = 512 << 10;
const BACKLOG: usize = 4;

/// Reads the sensor at its own pace, until it ends or nobody listens; `piped`
/// tells that somebody writes it into a pipe.
pub(super) fn capture(sensor: Box<dyn Sensor>, piped: bool, newest: &Newest) {
    let _ended = Ending(newest);
    match (sensor.losses(), sensor.source().period_s) {
        (Some(_), _) => watch(sensor, newest),
        (None, _) if sensor.source().is_slotted() => again(sensor, newest),
        (None, Some(period_s)) if piped => follow(sensor, period_s, newest),
        (None, _) => replay(sensor, newest),
    }
}

/// Reads a camera, whose frames come when it is their time, and which may be
/// away for a while.
fn watch(mut camera: Box<dyn Sensor>, newest: &Newest) {
    while let Some(frame) = camera.next() {
        let listening = match frame {
            Ok(frame) => newest.replace(frame, Instant::now()),
            Err(error) if error.fault == Fault::Away => newest.leave(error),
            Err(error) => return newest.end(Some(error)),
        };
        newest.lock().losses = camera.losses();
        if !listening {
            return;
        }
    }
}

/// Reads a session: slot after slot, also those in which the camera was away.
fn again(session: Box<dyn Sensor>, newest: &Newest) {
    let speed = session.source().speed;
    let session = match Ahead::start(session) {
        Ok(session) => session,
        Err(error) => return newest.end(Some(error)),
    };
    let (mut before_s, mut next) = (None, None);
    for frame in session {
        let checked = frame.and_then(|frame| {
            let before_s = before_s.unwrap_or(frame.time_s);
            check_clock(before_s, frame.time_s, speed).map(|()| frame)
        });
        let frame = match checked {
            Ok(frame) => frame,
            Err(error) => return newest.end(Some(error)),
        };
        before_s = Some(frame.time_s);
        let slot = (frame.time_s / SLOT_S).round() as u64;
        for _ in next.unwrap_or(slot)..slot {
            let error = Error::new(Fault::Away, "the session", "has no picture here");
            if !newest.hand_over(Err(error)) {
                return;
            }
        }
        next = Some(slot.saturating_add(1));
        if !newest.hand_over(Ok(frame)) {
            return;
        }
    }
}

/// Reads a pipe, of which nobody knows whether a camera writes it or somebody who
/// has all pictures ready. One that had to be waited for is heard at once. One
/// that was ready is heard when it is its time since then; so is one that is late
/// for that, at once, and the newest wins: what piled up while nobody wrote, or
/// read, does not stay.
fn follow(pipe: Box<dyn Sensor>, period_s: f64, newest: &Newest) {
    newest.await_for(PATIENCE_S.max(STALLED * period_s));
    let period = Duration::try_from_secs_f64(period_s).unwrap_or(Duration::MAX);
    let (sender, frames) = sync_channel(0);
    let reader = std::thread::spawn(move || {
        for frame in pipe {
            if sender.send(frame).is_err() {
                return;
            }
        }
    });
    let mut ready = backlog(&frames, period / 2, newest);
    let mut next = || {
        if let Some(frame) = ready.pop_front() {
            return Some((frame, false));
        }
        match frames.recv_timeout(period / 2) {
            Err(RecvTimeoutError::Timeout) => frames.recv().ok().map(|frame| (frame, true)),
            found => found.ok().map(|frame| (frame, false)),
        }
    };
    // When the source's time was 0, as early as any picture has said.
    let mut zero = None;
    let mut end = Instant::now();
    while let Some((frame, waited)) = next() {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return newest.end(Some(error)),
        };
        let now = Instant::now();
        let since = Duration::try_from_secs_f64(frame.time_s).unwrap_or_default();
        let said = now.checked_sub(since).unwrap_or(now);
        let zero = zero.get_or_insert(said);
        if waited {
            *zero = said.min(*zero);
        }
        let due = zero.checked_add(since).unwrap_or(now);
        if !newest.sleep_until(due) {
            return;
        }
        newest.replace(frame, Instant::now());
        end = due.checked_add(period).unwrap_or(due);
    }
    // The last frame has its time, too.
    newest.sleep_until(end);
    if reader.join().is_err() {
        newest.end(Some(failed()));
    }
}

/// What lies in a pipe at first. If more has to be waited for, for as long as
/// `wait`, somebody writes as time goes by, and all but the newest is old.
fn backlog(
    frames: &Receiver<Result<Frame>>,
    wait: Duration,
    newest: &Newest,
) -> VecDeque<Result<Frame>> {
    let (mut ready, mut bytes) = (VecDeque::new(), 0);
    while ready.len() < BACKLOG || bytes < BACKLOG_BYTES {
        match frames.recv_timeout(wait) {
            Ok(frame) => {
                bytes += frame.as_ref().map_or(0, |frame| frame.data.len() * size_of::<f32>());
                ready.push_back(frame);
            }
            Err(RecvTimeoutError::Timeout) if ready.is_empty() && !newest.lock().closed => {}
            Err(RecvTimeoutError::Timeout) => {
                let old = ready.len().saturating_sub(1);
                ready.drain(..old);
                newest.lock().dropped += old as u64;
                break;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    ready
}

/// Reads what was recorded, each frame at its time.
fn replay(sensor: Box<dyn Sensor>, newest: &Newest) {
    let &Source { period_s, speed, ref scene, .. } = sensor.source();
    let tiled = scene.is_some();
    let patience_s = period_s.map(|period_s| PATIENCE_S.max(STALLED * period_s));
    if let Some(patience_s) = patience_s {
        newest.await_for(patience_s);
    }
    let mut start = None;
    let mut before_s = None;
    let mut end = Instant::now();
    for frame in sensor {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return newest.end(Some(error)),
        };
        let Some(period_s) = period_s else {
            // Tiles without any reading are left out.
            let empty = tiled && frame.data.iter().all(|value| value.is_nan());
            if !empty && !newest.hand_over(Ok(frame)) {
                return;
            }
            continue;
        };
        if let Err(error) = check_clock(before_s.unwrap_or(frame.time_s), frame.time_s, speed) {
            return newest.end(Some(error));
        }
        before_s = Some(frame.time_s);
        let (began, first_s) = *start.get_or_insert((Instant::now(), frame.time_s));
        let offset_s = (frame.time_s - first_s).max(0.0);
        let due = Duration::try_from_secs_f64(offset_s).ok().and_then(|d| began.checked_add(d));
        let mut due = due.unwrap_or_else(Instant::now);
        if patience_s.is_some_and(|patience_s| due.elapsed().as_secs_f64() > patience_s) {
            // It had stalled, and goes on at its own rate.
            due = Instant::now();
            start = Some((due, frame.time_s));
        }
        if !newest.sleep_until(due) {
            return;
        }
        newest.replace(frame, Instant::now());
        end = due + Duration::try_from_secs_f64(period_s).unwrap_or_default();
    }
    // The last frame has its time, too.
    newest.sleep_until(end);
    newest.end(None);
}

/// Says that no more frames will come, even where reading them panics: or the
/// slot clock would wait for ever.
struct Ending<'a>(&'a Newest);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end(std::thread::panicking().then(failed));
    }
}

fn failed() -> Error {
    Error::new(Fault::Input, "source", "its reader failed")
}

/// Which of the pictures that come within one slot are heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sent {
    /// At the speaker every one as it comes, as far as the parts of a slot are
    /// fine enough for it; in files and sessions the newest one.
    Each,
    /// The newest one.
    #[default]
    Newest,
    /// Their mean, which has less noise and blurs what moves.
    Mean,
}

/// The newest frame, between the capture thread and the slot clock.
#[derive(Debug, Default)]
pub(super) struct Newest {
    sent: Sent,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    frame: Option<(Frame, Instant)>,
    /// How many frames that one is the mean of.
    gathered: u32,
    /// Frames that were replaced before they were taken.
    pub dropped: u64,
    /// What a camera has lost.
    pub losses: Option<Losses>,
    /// Why a camera is away, while it is.
    away: Option<Error>,
    /// When the newest frame came, or is awaited from.
    came: Option<Instant>,
    /// A source without any frame for so long counts as away; cameras say
    /// themselves when they are.
    patience: Option<Duration>,
    /// No more frames will come.
    ended: bool,
    failure: Option<Error>,
    /// No more frames are wanted.
    closed: bool,
}

/// What there is to send.
pub(super) enum Taken {
    Frame(Frame, Instant),
    Nothing,
    Away(Error),
    End,
    Failure(Error),
}

/// `newest` with the mean of itself and of those frames whose mean is `before`,
/// `count` in all. Where either has no reading, the other one counts.
fn blend(before: &Frame, newest: &mut Frame, count: u32) {
    newest.data.zip_mut_with(&before.data, |value, &before| {
        *value = match (before.is_nan(), value.is_nan()) {
            (true, _) => *value,
            (false, true) => before,
            (false, false) => before + (*value - before) / count as f32,
        };
    });
}

impl State {
    /// An error where the source should long have sent another frame.
    fn stall(&self) -> Option<Error> {
        let patience = self
            .patience
            .filter(|patience| self.came.is_some_and(|came| came.elapsed() > *patience))?;
        let what = format!("has sent no picture for {:.1} s", patience.as_secs_f64());
        Some(Error::new(Fault::Away, "the source", what))
    }
}

impl Newest {
    pub fn new(sent: Sent) -> Self {
        Self { sent, ..Self::default() }
    }

    /// A source that sends nothing for so many seconds, from now on, counts as away.
    fn await_for(&self, patience_s: f64) {
        let mut state = self.lock();
        state.patience = Duration::try_from_secs_f64(patience_s).ok();
        state.came = Some(Instant::now());
    }

    /// No code that holds the lock can panic halfway through a change.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `frame`, taken at `arrived`, in the place of the one before, or
    /// its mean with that; false if nobody listens.
    fn replace(&self, mut frame: Frame, arrived: Instant) -> bool {
        let mut state = self.lock();
        let gathered = std::mem::replace(&mut state.gathered, 1);
        match state.frame.take() {
            None => {}
            Some((before, _))
                if self.sent == Sent::Mean
                    && before.data.dim() == frame.data.dim()
                    && before.bands == frame.bands =>
            {
                state.gathered = gathered + 1;
                blend(&before, &mut frame, state.gathered);
            }
            Some(_) => state.dropped += u64::from(gathered),
        }
        state.frame = Some((frame, arrived));
        (state.came, state.away) = (Some(Instant::now()), None);
        self.changed.notify_all();
        !state.closed
    }

    /// The camera is away, as `error` says; false if nobody listens.
    fn leave(&self, error: Error) -> bool {
        let mut state = self.lock();
        state.away = Some(error);
        self.changed.notify_all();
        !state.closed
    }

    /// Waits until what was handed over before was taken: a frame, or that there
    /// is none; false if nobody listens.
    fn hand_over(&self, slot: Result<Frame>) -> bool {
        let mut state = self.lock();
        while (state.frame.is_some() || state.away.is_some()) && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        match slot {
            Ok(frame) => state.frame = Some((frame, Instant::now())),
            Err(error) => state.away = Some(error),
        }
        self.changed.notify_all();
        !state.closed
    }

    /// Sleeps until `due`; false if nobody listens any more.
    fn sleep_until(&self, due: Instant) -> bool {
        let mut state = self.lock();
        while !state.closed {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        !state.closed
    }

    /// No more frames will come.
    fn end(&self, failure: Option<Error>) {
        let mut state = self.lock();
        state.ended = true;
        state.failure = failure.or(state.failure.take());
        self.changed.notify_all();
    }

    /// Waits for the end of the frames, but no longer than `patience`; whether
    /// it came.
    pub(super) fn has_ended(&self, patience: Duration) -> bool {
        let waiting = |state: &mut State| !state.ended;
        let waited = self.changed.wait_timeout_while(self.lock(), patience, waiting);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    /// No more frames are wanted.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Takes the newest frame, if one has come, and when it arrived; whatever else
    /// there is to say of the source stays for [`Newest::take`].
    pub(super) fn take_frame(&self) -> Option<(Frame, Instant)> {
        let frame = self.lock().frame.take();
        self.changed.notify_all();
        frame
    }

    /// The newest frame; with `wait`, a little time is given for one to come.
    pub(super) fn take(&self, wait: bool) -> Taken {
        let mut state = self.lock();
        let mut patient = wait;
        loop {
            if let Some((frame, arrived)) = state.frame.take() {
                self.changed.notify_all();
                return Taken::Frame(frame, arrived);
            }
            if let Some(error) = state.failure.take() {
                return Taken::Failure(error);
            }
            if let Some(error) = state.away.take() {
                self.changed.notify_all();
                return Taken::Away(error);
            }
            if state.ended {
                return Taken::End;
            }
            if !std::mem::take(&mut patient) {
                return state.stall().map_or(Taken::Nothing, Taken::Away);
            }
            let waited = self.changed.wait_timeout(state, REST);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::frame::{Band, Unit};

    /// What is sent of pictures of these values.
    fn sent(sent: Sent, values: &[[f32; 2]]) -> (Vec<f32>, u64) {
        let newest = Newest::new(sent);
        for (time_s, values) in values.iter().enumerate() {
            let data = Array3::from_shape_vec((1, 1, 2), values.to_vec()).unwrap();
            let bands = [Band::new("LWIR", Unit::Celsius)].into();
            assert!(newest.replace(Frame::new(data, bands, time_s as f64), Instant::now()));
        }
        let Taken::Frame(frame, _) = newest.take(false) else { panic!("no frame") };
        assert_eq!(frame.time_s, (values.len() - 1) as f64);
        (frame.data.iter().copied().collect(), newest.lock().dropped)
    }

    #[test]
    fn the_newest_picture_is_sent_or_the_mean_of_all() {
        let values = [[1.0, 8.0], [2.0, f32::NAN], [6.0, 4.0]];
        assert_eq!(sent(Sent::Newest, &values), (vec![6.0, 4.0], 2));
        let (mean, dropped) = sent(Sent::Mean, &values[..1]);
        assert_eq!((mean, dropped), (vec![1.0, 8.0], 0));
        let (mean, dropped) = sent(Sent::Mean, &values);
        assert!((mean[0] - 3.0).abs() < 1e-6 && mean[1] < 8.0 && mean[1] > 4.0, "{mean:?}");
        assert_eq!(dropped, 0);
    }
}
