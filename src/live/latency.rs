//! How late the sound is.
//!
//! Two times are told. From the choice of a picture to the first sample that it
//! changes: encoding, the ring, the guard and the device's own word on its
//! buffer. And from an event in the scene to that sample: an event that falls
//! between two pictures that were chosen is heard with the later one, so that
//! events at any moment are late by times spread evenly from the later picture's
//! arrival to the earlier one's. What passes in the camera before a picture
//! arrives (its exposure, its cable) is in neither.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A status tells of so many pictures: ten seconds.
const RECENT: usize = 100;

/// Events between two pictures are looked at in so many places.
const EVENTS: u32 = 10;

/// Pictures that are further apart were not chosen one after the other: the
/// camera, or the speaker, was away between them.
const APART: Duration = Duration::from_secs(1);

/// Steps of a histogram, in seconds, and how many there are.
const STEP_S: f64 = 5e-4;
const STEPS: usize = 4000;

/// The two times since the beginning, and recent ones.
#[derive(Debug, Default)]
pub(super) struct Latency {
    chosen: Histogram,
    event: Histogram,
    recent: VecDeque<[Duration; 2]>,
    /// When the picture before arrived.
    before: Option<Instant>,
}

impl Latency {
    /// A picture that arrived at `arrived` was chosen at `chosen`, and is heard
    /// from `heard` on. Returns the seconds from its arrival to its sound.
    pub fn add(&mut self, arrived: Instant, chosen: Instant, heard: Instant) -> f64 {
        let late = heard.saturating_duration_since(arrived);
        self.chosen.add(heard.saturating_duration_since(chosen));
        let apart = self.before.replace(arrived).map(|before| arrived.duration_since(before));
        if let Some(apart) = apart.filter(|apart| *apart < APART) {
            for event in 0..EVENTS {
                self.event.add(late + apart * (2 * event + 1) / (2 * EVENTS));
            }
            self.recent.truncate(RECENT - 1);
            self.recent.push_front([heard.saturating_duration_since(chosen), late + apart / 2]);
        }
        late.as_secs_f64()
    }

    /// Median and 99th percentile, in seconds, from the choice of a picture to
    /// its sound, and from an event in the scene to its sound.
    pub fn percentiles_s(&self) -> Option<[[f64; 2]; 2]> {
        let of = |times: &Histogram| Some([times.percentile_s(0.5)?, times.percentile_s(0.99)?]);
        Some([of(&self.chosen)?, of(&self.event)?])
    }

    /// The medians of recent ones, in seconds.
    pub fn recent_s(&self) -> Option<[f64; 2]> {
        let median = |which: usize| {
            let mut times: Vec<Duration> = self.recent.iter().map(|times| times[which]).collect();
            times.sort();
            times.get(times.len() / 2).map(Duration::as_secs_f64)
        };
        Some([median(0)?, median(1)?])
    }
}

/// How often a time was how long, in steps of [`STEP_S`]; the last one takes
/// what is longer. It grows with no time.
#[derive(Debug)]
struct Histogram {
    counts: Box<[u64]>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; STEPS].into(), total: 0 }
    }
}

impl Histogram {
    fn add(&mut self, time: Duration) {
        let step = (time.as_secs_f64() / STEP_S) as usize;
        self.counts[step.min(STEPS - 1)] += 1;
        self.total += 1;
    }

    /// The time, in seconds, below which `share` of all are.
    fn percentile_s(&self, share: f64) -> Option<f64> {
        let rank = (share * self.total as f64).ceil() as u64;
        let mut below = 0;
        let step = self.counts.iter().position(|count| {
            below += count;
            below >= rank
        });
        step.filter(|_| self.total > 0).map(|step| (step as f64 + 0.5) * STEP_S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_wait_for_their_picture_and_it_for_its_sound() {
        let mut latency = Latency::default();
        assert_eq!((latency.percentiles_s(), latency.recent_s()), (None, None));
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        // A picture of every 100 ms is chosen 5 ms after it came, and heard 20 ms
        // after that; once, 40 ms.
        for slot in 1..=1000 {
            let heard = if slot == 500 { 40 } else { 20 };
            let late_s =
                latency.add(at(100 * slot), at(100 * slot + 5), at(100 * slot + 5 + heard));
            assert!((late_s - (heard + 5) as f64 / 1e3).abs() < 1e-9);
        }
        let [[chosen, chosen_late], [event, event_late]] = latency.percentiles_s().unwrap();
        assert!((chosen - 0.020).abs() < 1e-3 && (chosen_late - 0.020).abs() < 1e-3);
        // From 25 to 125 ms.
        assert!((event - 0.075).abs() < 0.006, "{event}");
        assert!((event_late - 0.120).abs() < 0.002, "{event_late}");
        let [chosen, event] = latency.recent_s().unwrap();
        assert!((chosen - 0.020).abs() < 1e-9 && (event - 0.075).abs() < 1e-9);
        assert_eq!(latency.recent.len(), RECENT);
    }

    #[test]
    fn an_absence_is_no_latency() {
        let mut latency = Latency::default();
        let start = Instant::now();
        for second in [0, 60] {
            let arrived = start + Duration::from_secs(second);
            latency.add(arrived, arrived, arrived + Duration::from_millis(30));
        }
        assert!(latency.percentiles_s().is_none(), "no event between two pictures");
        assert!(latency.chosen.percentile_s(0.5).is_some_and(|s| (s - 0.03).abs() < 1e-3));
    }
}
