//! When slots begin: as late as the device allows, and just after the pictures
//! of the source have come.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::REST;
use crate::sensor::Source;
use crate::sink::Speaker;
use crate::synth::{SAMPLE_RATE, SLOT_S};

/// A picture is chosen so long before the device asks for its sound, beside the
/// time that its encoding takes: to spare for a busy machine. Where it did not
/// suffice, it becomes half as long again, up to the longest, and shorter by and
/// by.
const SPARE: [Duration; 2] = [Duration::from_millis(6), Duration::from_millis(80)];

/// By how much spare time and the longest work are less a slot later: half of
/// them in a minute, and in three seconds.
const FORGETTING: [f64; 2] = [1.0 / 900.0, 1.0 / 45.0];

/// How old pictures are to be when they are chosen, in seconds: one that is a
/// little late is then still in time.
const AGE_S: f64 = 0.004;

/// The most by which a slot at the speaker is longer or shorter for that, in
/// samples. Whoever follows the sound looks for it anew after 16 slots, and has
/// 240 samples to spare.
const SLEW: f64 = 8.0;

/// A slot takes off such a share of what is amiss.
const SLEWED: f64 = 0.125;

/// When slots begin.
#[derive(Debug)]
pub(super) struct Pace {
    started: Option<Instant>,
    slots: u32,
    spare: Duration,
    /// What choosing and encoding took at most.
    work: Duration,
    gaps: u64,
    /// Seconds between pictures, where whole numbers of them are a slot, or between
    /// the parts of a slot, if that is less.
    period_s: Option<f64>,
    /// Whether slots are in phase with the pictures.
    settled: bool,
}

impl Pace {
    /// Of slots of `source`, in each of which pictures are chosen `parts` times.
    pub fn new(source: &Source, parts: usize) -> Self {
        let amiss_s = |period_s: &f64| {
            let pictures = (SLOT_S / period_s).round();
            (pictures * period_s - SLOT_S).abs()
        };
        let period_s =
            source.period_s.filter(|period_s| amiss_s(period_s) < SLEW / SAMPLE_RATE as f64);
        // A picture that is early or late by whole parts is as old when it is chosen.
        let period_s = period_s.map(|period_s| period_s.min(SLOT_S / parts as f64));
        let (started, slots, work, gaps) = (None, 0, Duration::ZERO, 0);
        Self { started, slots, spare: SPARE[0], work, gaps, period_s, settled: false }
    }

    /// Waits for the next slot.
    pub fn wait(&self, speaker: Option<&mut Speaker>, stop: &AtomicBool) {
        if let Some(speaker) = speaker {
            return speaker.wait(self.spare + self.work, stop);
        }
        let Some(started) = self.started else { return };
        let due = started + Duration::from_secs_f64(SLOT_S) * self.slots;
        while !stop.load(Ordering::Relaxed) {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(REST));
        }
    }

    /// A slot was sent.
    pub fn advance(&mut self) {
        // The first slot begins with the first frame.
        self.started.get_or_insert_with(Instant::now);
        self.slots += 1;
    }

    /// A picture took `work` from its choice until it was encoded, and there were
    /// `gaps` in the sound so far. The first one takes longer than any other.
    pub fn learn(&mut self, work: Duration, gaps: u64) {
        let work = if self.slots == 0 { Duration::ZERO } else { work };
        let [spare, longest] = FORGETTING.map(|share| 1.0 - share);
        self.work = work.max(self.work.mul_f64(longest)).min(SPARE[1]);
        self.spare = self.spare.mul_f64(spare).max(SPARE[0]);
        if gaps > self.gaps {
            self.gaps = gaps;
            self.spare = self.spare.mul_f64(1.5).min(SPARE[1]);
        }
    }

    /// By how many samples the slot of a picture that was `age` old when it was
    /// chosen shall be longer, so that later ones are as old as they should be.
    /// The second slot takes off all that is amiss: it is part of a fade.
    pub fn slew(&mut self, age: Duration) -> isize {
        let Some(period_s) = self.period_s.filter(|_| self.slots > 0) else { return 0 };
        let amiss_s = (AGE_S - age.as_secs_f64()) / period_s;
        let samples = (amiss_s - amiss_s.round()) * period_s * SAMPLE_RATE as f64;
        match std::mem::replace(&mut self.settled, true) {
            true => (samples * SLEWED).clamp(-SLEW, SLEW).round() as isize,
            false => samples as isize,
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::frame::Frame;

    fn pace(rate_hz: f64, parts: usize) -> Pace {
        let frame = Frame::new(Array3::zeros((0, 1, 1)), [].into(), 0.0);
        let mut pace =
            Pace::new(&Source { period_s: Some(1.0 / rate_hz), ..Source::like(&frame, "") }, parts);
        pace.advance();
        pace
    }

    #[test]
    fn slots_come_into_phase_with_pictures_and_stay_there() {
        let cameras = [(30.0, 5e-6), (30.0, -5e-6), (10.0, 2e-5), (60.0, 0.0)];
        for ((rate_hz, drift_s), parts) in cameras.into_iter().flat_map(|c| [(c, 1), (c, 3)]) {
            for start in [0.1, 4.2, 9.0, 15.0] {
                let mut pace = pace(rate_hz, parts);
                // Where in the period of the pictures, or in a part of their own,
                // slots begin.
                let period_s = f64::min(1.0 / rate_hz, SLOT_S / parts as f64);
                let mut phase_s = start / 1e3;
                let mut longest = 0;
                for slot in 0..1000 {
                    let age_s = phase_s - (phase_s / period_s).floor() * period_s;
                    let slew = pace.slew(Duration::from_secs_f64(age_s));
                    phase_s += slew as f64 / SAMPLE_RATE as f64 + drift_s;
                    if slot > 0 {
                        longest = longest.max(slew.abs());
                        assert!((age_s - AGE_S).abs() < 1e-3, "{rate_hz} {start} {slot}: {age_s}");
                    }
                }
                assert!(longest <= SLEW as isize);
            }
        }
    }

    #[test]
    fn a_camera_that_has_no_phase_with_slots_is_not_followed() {
        for rate_hz in [9.0, 8.7, 25.0, 7.5] {
            assert_eq!(pace(rate_hz, 1).slew(Duration::from_millis(60)), 0);
        }
    }

    #[test]
    fn gaps_give_more_time_which_is_taken_back() {
        let mut pace = pace(9.0, 1);
        pace.learn(Duration::from_millis(3), 1);
        assert!(pace.spare > SPARE[0] && pace.work >= Duration::from_millis(3));
        for gaps in 0..100 {
            pace.learn(Duration::from_secs(1), gaps);
        }
        assert!(pace.spare == SPARE[1] && pace.work == SPARE[1]);
        for _ in 0..10_000 {
            pace.learn(Duration::from_millis(2), 99);
        }
        assert!(pace.spare == SPARE[0] && pace.work < Duration::from_millis(3));
    }
}
