//! The speaker.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use super::Sink;
use super::guard::DELAY;
use super::line::{Line, PERIODS, RING, micros};
use super::playout::Shared;
use crate::error::Result;
use crate::stereo::centred;
use crate::synth::SAMPLE_RATE;

/// A device that runs dry too often within this time takes more at a time from
/// then on.
const DRY_TIME: Duration = Duration::from_secs(20);
/// A device that takes nothing for so long is lost.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a lost device is looked for.
const RETRY: Duration = Duration::from_secs(1);
/// A device that was found and takes nothing is looked for anew after so long: what
/// the system plays to may be another one by then.
const TRIAL: Duration = Duration::from_secs(10);
/// How long to rest while there is nothing to do; a thirtieth of a slot.
const REST: Duration = Duration::from_millis(3);
/// How long to rest at least: what is due sooner is due.
const SHORTEST_REST: Duration = Duration::from_micros(200);

/// The loudspeaker or headphones that the system plays to, shared with other
/// programs. What is heard has passed the [guard](super::guard).
///
/// It plays left and right. As a [`Sink`] it takes sound of one channel, which
/// is heard in the middle.
///
/// Where the device is lost, samples go by in their time, unheard, and it is
/// looked for again every second. It counts as found once it plays, and then starts
/// quietly, as at first.
pub struct Speaker {
    name: String,
    /// The device that was asked for; `None`: the system's choice.
    asked: Option<String>,
    /// What is left of amplitudes on the left and on the right.
    balance: [f32; 2],
    shared: Arc<Shared>,
    /// From when on the two ends of the ring count time.
    origin: Instant,
    /// None while the device is lost.
    line: Option<Line>,
    /// What comes of closing a lost device, or of looking for one.
    search: Option<Receiver<Found>>,
    /// Which of [`PERIODS`] is the first to be tried.
    period: usize,
    /// How often the device had run dry at a moment.
    dry: (u64, Instant),
    /// When the device was looked for last, and until when lost samples play.
    tried: Instant,
    silent_until: Instant,
}

/// A device by its name.
type Found = Option<(String, Line)>;

impl fmt::Debug for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Speaker").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Speaker {
    /// Opens the output called `device`, see
    /// [`device::list`](super::device::list), or the one that the system has
    /// chosen, at `volume_db` within [`VOLUMES_DB`](super::guard::VOLUMES_DB).
    /// Amplitudes on the left and on the right are multiplied by `balance`,
    /// ahead of the guard.
    ///
    /// # Errors
    ///
    /// If there is no such device, or it plays fewer than 16,000 samples a second.
    pub fn open(volume_db: f32, device: Option<&str>, balance: [f32; 2]) -> Result<Self> {
        let (shared, now) = (Arc::new(Shared::new(volume_db)), Instant::now());
        let (name, line) = Line::open(device, &shared, now, 0)?;
        Ok(Self {
            name,
            asked: device.map(str::to_owned),
            balance,
            shared,
            origin: now,
            line: Some(line),
            search: None,
            period: 0,
            dry: (0, now),
            tried: now,
            silent_until: now,
        })
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether left and right are heard apart; at a device of one channel both
    /// are.
    pub fn has_sides(&self) -> bool {
        self.line.as_ref().is_none_or(|line| line.channels > 1)
    }

    /// Asks for another volume in dB; see [`Guard::set_volume`].
    ///
    /// [`Guard::set_volume`]: super::guard::Guard::set_volume
    pub fn set_volume(&self, volume_db: f32) {
        self.shared.set_volume(volume_db);
    }

    /// Fades to silence, or from it to the volume; see [`Guard::set_muted`].
    ///
    /// [`Guard::set_muted`]: super::guard::Guard::set_muted
    pub fn set_muted(&self, muted: bool) {
        self.shared.muted.store(muted, Relaxed);
    }

    /// Seconds from now until the next sample that is written would be heard:
    /// what waits in the ring, in the guard and in the device.
    fn queued_s(&self) -> f64 {
        let device_s = self.shared.device_us.load(Relaxed) as f64 / 1e6;
        match &self.line {
            Some(_) => self.waiting_s() + DELAY as f64 / SAMPLE_RATE as f64 + device_s,
            None => self.waiting_s(),
        }
    }

    /// When the next sample that is written will be heard, past the guard and
    /// the device; `None` where nothing is known of the device yet.
    pub fn heard_at(&self) -> Option<Instant> {
        let heard_us = self.shared.heard_us.load(Relaxed);
        let line = self.line.as_ref().filter(|_| heard_us > 0)?;
        let samples = line.written + DELAY as u64;
        Some(self.origin + Duration::from_micros(heard_us + micros(samples)))
    }

    /// When the device asks for more than was written.
    fn dry_at(&self) -> Option<Instant> {
        let (asked_us, period) = (&self.shared.asked_us, self.shared.period.load(Relaxed));
        let asked_us = asked_us.load(Relaxed);
        let line = self.line.as_ref().filter(|_| asked_us > 0 && period > 0)?;
        let taken = self.shared.taken.load(Relaxed);
        let whole = line.written.saturating_sub(taken) / period * period;
        Some(self.origin + Duration::from_micros(asked_us + micros(taken + whole)))
    }

    /// Seconds of sound that wait to be taken by the device.
    pub fn waiting_s(&self) -> f64 {
        match &self.line {
            Some(line) => (RING - line.ring.slots()) as f64 / SAMPLE_RATE as f64,
            None => self.silent_until.saturating_duration_since(Instant::now()).as_secs_f64(),
        }
    }

    /// Waits until the device has sound for no longer than `lead`, or `stop` is
    /// true.
    pub fn wait(&mut self, lead: Duration, stop: &AtomicBool) {
        let mut watch = Watch::new(&self.shared);
        loop {
            self.reconnect();
            let left = match self.dry_at() {
                Some(dry) => dry.saturating_duration_since(Instant::now()),
                None => Duration::from_secs_f64(self.waiting_s()),
            };
            let Some(left) = left.checked_sub(lead).filter(|_| !stop.load(Relaxed)) else {
                return;
            };
            if self.line.is_some() && !watch.is_playing() {
                self.lose();
            }
            std::thread::sleep(left.clamp(SHORTEST_REST, REST));
        }
    }

    /// How often the sound had a gap.
    pub fn underruns(&self) -> u64 {
        self.shared.underruns.load(Relaxed)
    }

    /// Seconds of sound that the guard held back.
    pub fn acted_s(&self) -> f64 {
        self.shared.acted_ms.load(Relaxed) as f64 / 1e3
    }

    /// Whether there is a device at present.
    pub fn is_connected(&self) -> bool {
        self.line.is_some() && !self.shared.lost.load(Relaxed)
    }

    /// Gives up a device that is gone, and looks for it now and then.
    fn reconnect(&mut self) {
        if self.line.is_some() && self.shared.lost.load(Relaxed) {
            self.lose();
        }
        match self.search.as_ref().map(Receiver::try_recv) {
            None if self.line.is_none() && self.tried.elapsed() >= RETRY => {
                let (asked, shared) = (self.asked.clone(), self.shared.clone());
                let (origin, period) = (self.origin, self.period);
                self.tried = Instant::now();
                self.search = Some(aside(move || find(asked.as_deref(), &shared, origin, period)));
            }
            Some(Ok(found)) => self.go_on(found),
            Some(Err(TryRecvError::Disconnected)) => self.go_on(None),
            None | Some(Err(TryRecvError::Empty)) => {}
        }
        self.relieve();
    }

    /// Goes on with what was found, or without until the next search.
    fn go_on(&mut self, found: Found) {
        self.search = None;
        if let Some((name, line)) = found {
            (self.name, self.line) = (name, Some(line));
        }
    }

    /// Lets a device that runs dry again and again take more at a time.
    fn relieve(&mut self) {
        let (dry, (before, since)) = (self.shared.interruptions.load(Relaxed), self.dry);
        let Some(period) = self.line.as_ref().map(|line| line.period) else { return };
        let most = PERIODS.get(period).map_or(u64::MAX, |&(_, most)| most);
        if since.elapsed() > DRY_TIME {
            self.dry = (dry, Instant::now());
        } else if dry.saturating_sub(before) > most {
            self.period = period + 1;
            self.dry = (dry, Instant::now());
            // It has just taken something, and keeps nobody waiting.
            self.line = None;
            self.silent_until = Instant::now();
            let asked = self.asked.as_deref();
            let opened = Line::open(asked, &self.shared, self.origin, self.period);
            self.go_on(opened.ok());
        }
    }

    /// The device is gone.
    fn lose(&mut self) {
        let line = self.line.take();
        self.search = Some(aside(move || {
            drop(line);
            None
        }));
        self.silent_until = Instant::now();
    }

    /// Plays `samples`, left and right of each, full scale 1.0. Waits until there
    /// is room for all of them.
    pub fn play(&mut self, samples: &[[f32; 2]]) {
        let [left, right] = self.balance;
        let balanced: Vec<_> = samples.iter().map(|[l, r]| [l * left, r * right]).collect();
        let mut rest = &balanced[..];
        let mut watch = Watch::new(&self.shared);
        while !rest.is_empty() {
            self.reconnect();
            let Some(line) = &mut self.line else {
                self.play_silently(rest.len());
                break;
            };
            let (taken, left) = line.ring.push_partial_slice(rest);
            line.written += taken.len() as u64;
            if taken.is_empty() {
                if !watch.is_playing() {
                    self.lose();
                    continue;
                }
                std::thread::sleep(REST);
            }
            rest = left;
        }
    }

    /// Lets `count` samples go by in their time, once there is room for them.
    fn play_silently(&mut self, count: usize) {
        let room = Duration::from_secs_f64(RING as f64 / SAMPLE_RATE as f64);
        let length = Duration::from_secs_f64(count as f64 / SAMPLE_RATE as f64);
        let now = Instant::now();
        self.silent_until = self.silent_until.max(now) + length;
        std::thread::sleep(self.silent_until.saturating_duration_since(now).saturating_sub(room));
    }

    /// Says that no more samples will come, so that it is no gap when they have
    /// been played.
    pub fn end(&self) {
        self.shared.ending.store(true, Relaxed);
    }

    /// Waits until the ring is empty and the device has played it.
    fn drain(&mut self) {
        self.end();
        let mut watch = Watch::new(&self.shared);
        while self.is_connected() && self.waiting_s() > 0.0 && watch.is_playing() {
            std::thread::sleep(REST);
        }
        let end = watch.played + (self.queued_s() * SAMPLE_RATE as f64) as u64;
        while self.is_connected() && watch.is_playing() && watch.played < end {
            std::thread::sleep(REST);
        }
        if !watch.is_playing() {
            self.lose();
        }
    }
}

impl Sink for Speaker {
    /// Waits until there is room for all of `samples`; a device that is lost
    /// is no error.
    fn write(&mut self, samples: &[f32]) -> Result<()> {
        self.play(&centred(samples));
        Ok(())
    }

    /// Plays what is pending to its end.
    fn finish(mut self: Box<Self>) -> Result<()> {
        self.drain();
        Ok(())
    }
}

/// Does `work` on a thread of its own, and gives what comes of it: a sound server
/// that hangs keeps whoever opens or closes a device for half a minute.
fn aside(work: impl FnOnce() -> Found + Send + 'static) -> Receiver<Found> {
    let (sender, receiver) = channel();
    let begun = std::thread::Builder::new().name("speaker".to_owned());
    // Where no thread can be had, nothing comes of it, and it is tried again.
    let _ = begun.spawn(move || drop(sender.send(work())));
    receiver
}

/// Opens a device, and lets it play silence until it has taken twice what it holds:
/// one that is suspended takes as much as it holds, and then nothing.
fn find(device: Option<&str>, shared: &Arc<Shared>, origin: Instant, period: usize) -> Found {
    let before = shared.played.load(Relaxed);
    let found = Line::open(device, shared, origin, period).ok()?;
    let opened = Instant::now();
    while opened.elapsed() < TRIAL && !shared.lost.load(Relaxed) {
        let taken = shared.played.load(Relaxed).saturating_sub(before);
        if Duration::from_micros(micros(taken)) > 2 * shared.capacity() {
            // It has been fading in, and there was nothing to hear.
            shared.restart.store(true, Relaxed);
            return Some(found);
        }
        std::thread::sleep(REST);
    }
    None
}

/// Sees whether a device still plays.
struct Watch {
    shared: Arc<Shared>,
    played: u64,
    since: Instant,
}

impl Watch {
    fn new(shared: &Arc<Shared>) -> Self {
        let played = shared.played.load(Relaxed);
        Self { shared: shared.clone(), played, since: Instant::now() }
    }

    /// False once the device has taken nothing for longer than [`PATIENCE`].
    fn is_playing(&mut self) -> bool {
        let played = self.shared.played.load(Relaxed);
        if played != self.played {
            (self.played, self.since) = (played, Instant::now());
        }
        self.since.elapsed() < PATIENCE
    }
}
