//! The last steps before a speaker, as they run in the audio callback: from
//! the ring through the guard, and over gaps in the sound.
//!
//! Nothing here allocates, locks, logs or does I/O.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rtrb::Consumer;

use super::guard::Guard;
use crate::synth::{CYCLE, SAMPLE_RATE};

/// Samples over which the sound comes back after a gap: 5 ms.
const RESUME: usize = 240;

/// A device that fails for so many microseconds is lost.
const FAILING_US: u64 = 200_000;

/// What the two ends of the ring tell each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The volume in dB, as the bits of an f32.
    volume_db: AtomicU32,
    /// Nothing shall be heard.
    pub muted: AtomicBool,
    /// The device changed: start quietly again.
    pub restart: AtomicBool,
    /// The device ran dry: what comes next comes after silence.
    pub interrupted: AtomicBool,
    /// No more samples will come, so that an empty ring is no gap.
    pub ending: AtomicBool,
    /// The device is gone.
    pub lost: AtomicBool,
    /// Gaps: times at which the ring ran dry, or the device did.
    pub underruns: AtomicU64,
    /// Those of the device.
    pub interruptions: AtomicU64,
    /// Milliseconds of sound that the guard held back.
    pub acted_ms: AtomicU64,
    /// Samples that the device was given.
    pub played: AtomicU64,
    /// Samples of these that came from the ring.
    pub taken: AtomicU64,
    /// Microseconds from the callback to the loudspeaker.
    pub device_us: AtomicU64,
    /// When the first sample of the ring was heard, or would have been if what
    /// was taken last had come without a gap, in microseconds of the clock of
    /// whoever set it. The guard is not counted. 0 while that is unknown.
    pub heard_us: AtomicU64,
    /// When the device would have asked for that sample, likewise.
    pub asked_us: AtomicU64,
    /// Since when the device does nothing but fail, likewise; 0 if it does not.
    failing_us: AtomicU64,
    /// Samples that the device asks for at a time; 0 while that is unknown.
    pub period: AtomicU64,
    /// Microseconds of sound that the device holds when it is full; 0 while
    /// that is unknown.
    pub capacity_us: AtomicU64,
}

impl Shared {
    /// Of a speaker at `volume_db`.
    pub fn new(volume_db: f32) -> Self {
        let shared = Self::default();
        shared.set_volume(volume_db);
        shared
    }

    pub fn set_volume(&self, volume_db: f32) {
        self.volume_db.store(volume_db.to_bits(), Relaxed);
    }

    /// The device asked for `period` samples; it will ask for the next one at
    /// `asked`, and that one is heard at `heard`, past the guard.
    pub fn tell(&self, period: u64, asked: Duration, heard: Duration) {
        let taken_us = self.taken.load(Relaxed) * 1_000_000 / SAMPLE_RATE as u64;
        let first_us = |time: Duration| (time.as_micros() as u64).saturating_sub(taken_us);
        self.failing_us.store(0, Relaxed);
        self.period.store(period, Relaxed);
        self.asked_us.store(first_us(asked), Relaxed);
        self.heard_us.store(first_us(heard), Relaxed);
    }

    /// The device failed at `time`. It is lost if it goes on failing: some do so
    /// for a moment when they begin.
    pub fn fail(&self, time: Duration) {
        let time_us = time.as_micros() as u64;
        let since_us = self.failing_us.load(Relaxed);
        if since_us == 0 {
            self.failing_us.store(time_us.max(1), Relaxed);
        } else if time_us > since_us + FAILING_US {
            self.lost.store(true, Relaxed);
        }
    }

    /// Nothing is known of a device that begins to play.
    pub fn forget(&self) {
        let times = [&self.asked_us, &self.heard_us, &self.failing_us];
        for told in times.into_iter().chain([&self.taken, &self.period]) {
            told.store(0, Relaxed);
        }
        self.lost.store(false, Relaxed);
    }

    /// How much sound the device holds when it is full; where that is unknown, what
    /// hardly any exceeds.
    pub fn capacity(&self) -> Duration {
        match self.capacity_us.load(Relaxed) {
            0 => Duration::from_secs(1),
            capacity_us => Duration::from_micros(capacity_us),
        }
    }

    pub fn volume_db(&self) -> f32 {
        f32::from_bits(self.volume_db.load(Relaxed))
    }
}

/// Plays what lies in the ring.
///
/// Where the ring runs dry, the sound of the last 80 ms, after which a still
/// picture repeats, is repeated and dies away over 80 ms: a gap is heard as a
/// breath, and not as a click. When there is sound again, it comes back over
/// 5 ms. A gap is counted once, and not before the first sample nor after the
/// last one: that one ends a sound which has faded by itself.
#[derive(Debug)]
pub(super) struct Playout {
    ring: Consumer<[f32; 2]>,
    guard: Guard,
    shared: Arc<Shared>,
    /// The guard of an earlier device held back so much, in seconds.
    before_s: f64,
    /// The last 80 ms.
    history: Box<[[f32; 2]]>,
    position: usize,
    /// Samples of the ring so far.
    taken: u64,
    /// Samples until the repeated sound is silent, at most [`CYCLE`].
    held: usize,
    /// Samples since the sound came back, up to [`RESUME`].
    resumed: usize,
    dry: bool,
}

impl Playout {
    /// Plays from `ring`, and starts quietly.
    pub fn new(ring: Consumer<[f32; 2]>, shared: Arc<Shared>) -> Self {
        let mut guard = Guard::new(shared.volume_db());
        guard.set_muted(shared.muted.load(Relaxed));
        Self {
            ring,
            guard,
            before_s: shared.acted_ms.load(Relaxed) as f64 / 1e3,
            shared,
            history: vec![[0.0; 2]; CYCLE].into(),
            position: 0,
            taken: 0,
            held: 0,
            resumed: 0,
            dry: true,
        }
    }

    /// Fills `samples` with the next of the sound, left and right of each.
    pub fn fill(&mut self, samples: &mut [[f32; 2]]) {
        self.guard.set_volume(self.shared.volume_db());
        self.guard.set_muted(self.shared.muted.load(Relaxed));
        if self.shared.restart.swap(false, Relaxed) {
            self.guard.restart();
        }
        if self.shared.interrupted.swap(false, Relaxed) && self.taken > 0 {
            self.shared.underruns.fetch_add(1, Relaxed);
            self.shared.interruptions.fetch_add(1, Relaxed);
            self.guard.interrupt();
        }
        for sample in samples.iter_mut() {
            *sample = self.next();
        }
        self.guard.process(samples);
        let acted_s = self.before_s + self.guard.acted_s();
        self.shared.acted_ms.store((acted_s * 1e3) as u64, Relaxed);
        self.shared.taken.store(self.taken, Relaxed);
        self.shared.played.fetch_add(samples.len() as u64, Relaxed);
    }

    /// The next sample, or one that stands in for it.
    fn next(&mut self) -> [f32; 2] {
        let fresh = self.ring.pop().ok();
        match fresh {
            Some(_) if self.dry => {
                self.dry = false;
                self.resumed = 0;
            }
            None if !self.dry => {
                let ended = self.shared.ending.load(Relaxed);
                (self.dry, self.held) = (true, if ended { 0 } else { CYCLE });
                self.shared.underruns.fetch_add(u64::from(!ended), Relaxed);
            }
            _ => {}
        }
        let left = self.held as f32 / CYCLE as f32;
        let repeated = self.history[self.position].map(|sample| sample * left);
        let sample = match fresh {
            None => {
                self.held = self.held.saturating_sub(1);
                repeated
            }
            Some(fresh) if self.resumed < RESUME => {
                let share = self.resumed as f32 / RESUME as f32;
                self.resumed += 1;
                [0, 1].map(|side| repeated[side] + (fresh[side] - repeated[side]) * share)
            }
            Some(fresh) => fresh,
        };
        // A gap leaves the sound from before it, so that it is repeated as it
        // was, only quieter.
        if let Some(fresh) = fresh {
            self.history[self.position] = fresh;
            self.taken += 1;
        }
        self.position = (self.position + 1) % CYCLE;
        sample
    }
}

/// Knows by the clock when a device must have run dry: not every sound server
/// says so.
#[derive(Debug, Default)]
pub(super) struct Supply {
    /// When the device will have played what it was given.
    until: Option<Instant>,
    /// The shortest delay so far: that of a device that holds nothing.
    shortest: Option<Duration>,
}

impl Supply {
    /// The device takes `given` of sound at `now`, which is heard after `delay` by its
    /// own word, and holds at most `capacity`; true if it had run dry before.
    ///
    /// A device that was suspended asks late, too, and still holds sound.
    pub fn take(
        &mut self,
        now: Instant,
        given: Duration,
        delay: Duration,
        capacity: Duration,
    ) -> bool {
        let shortest = self.shortest.map_or(delay, |shortest| shortest.min(delay));
        self.shortest = Some(shortest);
        let until = self.until.unwrap_or(now);
        let held = delay - shortest;
        let suspended = now > until + SUSPENDED && held > LEAST;
        let left = if suspended { now + held } else { until.max(now) };
        // Never more than the device holds: so no drift of its clock adds up
        // on that side. On the other one, a device that is slower than our
        // clock holds more than we think.
        let leak = given / 1000;
        self.until = Some((left + given + leak).min(now + capacity));
        now > until + TOLERANCE && !suspended
    }
}

/// By how much the clocks of callbacks jitter.
const TOLERANCE: Duration = Duration::from_millis(2);

/// A device that is late by more, and holds more than the least, was suspended. Where it
/// is less late, its word is not believed: sound servers count what lies beyond them, and
/// a busy machine keeps them from asking until they have run dry.
const SUSPENDED: Duration = Duration::from_millis(100);
const LEAST: Duration = Duration::from_micros(500);

#[cfg(test)]
mod tests {
    use rtrb::RingBuffer;

    use super::*;
    use crate::stereo::centred;

    /// So that a test can forbid allocation in the callback.
    #[global_allocator]
    static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;

    #[test]
    fn playing_allocates_nothing() {
        let (mut producer, mut playout, shared) = playout(&tone(9600));
        let mut heard = vec![[0.0; 2]; 1024];
        assert_no_alloc::assert_no_alloc(|| {
            // Through a gap, a change of volume and of device.
            for _ in 0..12 {
                playout.fill(&mut heard);
            }
            shared.set_volume(20.0);
            shared.restart.store(true, Relaxed);
            producer.push_entire_slice(&[[0.1, 0.0]; 2048]).ok();
            playout.fill(&mut heard);
        });
        assert_eq!(shared.underruns.load(Relaxed), 1);
    }

    /// One that plays `samples` in the middle.
    fn playout(samples: &[f32]) -> (rtrb::Producer<[f32; 2]>, Playout, Arc<Shared>) {
        let (mut producer, consumer) = RingBuffer::new(48_000);
        producer.push_entire_slice(&centred(samples)).unwrap();
        let shared = Arc::new(Shared::new(0.0));
        (producer, Playout::new(consumer, shared.clone()), shared)
    }

    fn tone(count: usize) -> Vec<f32> {
        (0..count).map(|n| 0.1 * (n as f32 * std::f32::consts::TAU / 96.0).sin()).collect()
    }

    /// Plays `count` samples past the guard, of which the left ones are given.
    fn bare(playout: &mut Playout, count: usize) -> Vec<f32> {
        (0..count).map(|_| playout.next()[0]).collect()
    }

    /// The largest bend of the wave, second differences.
    fn bend(samples: &[f32]) -> f32 {
        samples.windows(3).map(|w| (w[0] - 2.0 * w[1] + w[2]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_gap_fades_instead_of_clicking_and_is_counted_once() {
        // Cut at its crest.
        let sound = tone(9624);
        let (mut producer, mut playout, shared) = playout(&sound);
        let mut heard = bare(&mut playout, 9624 + 6000);
        assert_eq!(shared.underruns.load(Relaxed), 1);
        assert!(heard[9624 + CYCLE..].iter().all(|&s| s == 0.0));
        producer.push_entire_slice(&centred(&sound[24..])).unwrap();
        heard.extend(bare(&mut playout, 9000));
        assert_eq!(shared.underruns.load(Relaxed), 1);
        let usual = bend(&sound);
        // A click would bend it 200 times as much.
        assert!(bend(&heard[RESUME..]) < 3.0 * usual, "{} of {usual}", bend(&heard));
    }

    #[test]
    fn a_late_callback_is_known_by_the_clock_and_drift_is_not() {
        let (given, capacity) = (Duration::from_millis(25), Duration::from_millis(50));
        let start = Instant::now();
        let mut supply = Supply::default();
        // Ten minutes on a device that is slow or fast by 200 ppm.
        for micros in [24_995, 25_005] {
            supply = Supply::default();
            supply.take(start, given, Duration::ZERO, capacity);
            for n in 0..24_000 {
                let now = start + Duration::from_micros(micros) * n;
                assert!(!supply.take(now, given, Duration::ZERO, capacity), "{micros}, {n}");
            }
        }
        let last = start + Duration::from_micros(25_005) * 23_999;
        assert!(supply.take(last + Duration::from_millis(80), given, Duration::ZERO, capacity));
        assert!(!supply.take(last + Duration::from_millis(90), given, Duration::ZERO, capacity));
    }

    #[test]
    fn a_device_that_was_suspended_and_still_holds_sound_has_not_run_dry() {
        let ms = Duration::from_millis;
        let (start, given, capacity) = (Instant::now(), ms(25), ms(50));
        // Its sound takes 20 ms on top of what it holds.
        let mut supply = Supply::default();
        let mut take =
            |at: u64, held: u64| supply.take(start + ms(at), given, ms(20 + held), capacity);
        assert!(!take(0, 0) && !take(1, 25) && !take(25, 25));
        // It was suspended for a second, and then goes on.
        assert!(!take(1050, 25) && !take(1075, 25));
        // Nobody gave it anything for 200 ms, and later for 80.
        assert!(take(1275, 0) && !take(1276, 25) && !take(1300, 25));
        assert!(take(1430, 5));
    }

    #[test]
    fn neither_the_start_nor_the_end_is_a_gap() {
        let (_producer, mut playout, shared) = playout(&[]);
        bare(&mut playout, 1000);
        assert_eq!(shared.underruns.load(Relaxed), 0);
        let (mut producer, mut playout, shared) = self::playout(&tone(960));
        // A short gap, which is over before its sound has died away.
        bare(&mut playout, 1000);
        producer.push_entire_slice(&centred(&tone(960))).unwrap();
        shared.ending.store(true, Relaxed);
        let heard = bare(&mut playout, 2000);
        assert_eq!(shared.underruns.load(Relaxed), 1);
        // Nothing is heard again after the end.
        assert!(heard[960..].iter().all(|&sample| sample == 0.0));
    }

    #[test]
    fn only_a_device_that_goes_on_failing_is_lost() {
        let (shared, ms) = (Shared::new(0.0), Duration::from_millis);
        let lost = || shared.lost.load(Relaxed);
        shared.fail(ms(100));
        shared.tell(480, ms(150), ms(160));
        shared.fail(ms(350));
        assert!(!lost());
        shared.fail(ms(551));
        assert!(lost());
        // What it did before it was opened anew does not count.
        shared.forget();
        shared.fail(ms(900));
        assert!(!lost());
    }

    #[test]
    fn the_volume_reaches_the_guard_and_its_work_is_told() {
        let (mut producer, mut playout, shared) = playout(&tone(48_000));
        let mut heard = vec![[0.0; 2]; 48_000];
        playout.fill(&mut heard);
        assert_eq!((shared.played.load(Relaxed), shared.acted_ms.load(Relaxed)), (48_000, 0));
        shared.set_volume(20.0);
        producer.push_entire_slice(&centred(&tone(48_000))).unwrap();
        playout.fill(&mut heard);
        assert!(shared.acted_ms.load(Relaxed) > 100);
        // Another device goes on counting.
        let (_, consumer) = RingBuffer::new(1);
        let mut second = Playout::new(consumer, shared.clone());
        let acted_ms = shared.acted_ms.load(Relaxed);
        second.fill(&mut heard[..100]);
        assert_eq!(shared.acted_ms.load(Relaxed), acted_ms);
    }
}
