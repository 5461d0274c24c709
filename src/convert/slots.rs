//! Which picture is heard in which slot.

use std::sync::Arc;

use crate::error::Result;
use crate::frame::Frame;
use crate::sensor::{self, Hold, Sensor, Speed};
use crate::synth::SLOT_S;

/// The pictures of a sensor, one per slot of sound: the newest at the slot's
/// start, so that a slower source repeats and a faster one is thinned. A
/// source without a clock of its own has one slot per picture, or as many as its
/// speed gives it, and its chips without any reading are left out.
pub struct Slots {
    sensor: std::iter::Peekable<Box<dyn Sensor>>,
    period_s: Option<f64>,
    speed: Speed,
    hold: Hold,
    tiled: bool,
    current: Option<Arc<Frame>>,
    first_s: f64,
    slot: usize,
    /// Chips left out so far.
    pub skipped: usize,
    /// Whether any picture so far had a reading.
    pub readings: bool,
}

/// How far a timestamp may lie behind a slot's start and still count as
/// there: half a sample of the sound would do, but timestamps of videos are
/// rounded to milliseconds.
const TOLERANCE_S: f64 = 0.001;

impl Slots {
    /// Deals the pictures of `sensor` to slots.
    pub fn new(sensor: Box<dyn Sensor>) -> Self {
        let source = sensor.source();
        Self {
            period_s: source.period_s,
            speed: source.speed,
            hold: Hold::new(source),
            tiled: source.scene.is_some(),
            sensor: sensor.peekable(),
            current: None,
            first_s: 0.0,
            slot: 0,
            skipped: 0,
            readings: false,
        }
    }

    /// The picture of the next slot; none after the end. What is heard for
    /// longer than a slot is the same picture again, not a copy.
    ///
    /// # Errors
    ///
    /// If the sensor fails.
    pub fn advance(&mut self) -> Result<Option<Arc<Frame>>> {
        let due = self.hold.is_over();
        let more = match self.period_s {
            Some(period_s) => self.catch_up(period_s)?,
            None => !due || self.step()?,
        };
        if !more {
            return Ok(None);
        }
        self.hold.pass(due);
        self.slot += 1;
        Ok(self.current.clone())
    }

    /// Takes the next picture that is worth a slot.
    fn step(&mut self) -> Result<bool> {
        for frame in self.sensor.by_ref() {
            let frame = frame?;
            if let (Some(_), Some(before)) = (self.period_s, &self.current) {
                sensor::check_clock(before.time_s, frame.time_s, self.speed)?;
            }
            let readings = frame.data.iter().any(|value| !value.is_nan());
            self.readings |= readings;
            self.current = Some(Arc::new(frame));
            if readings || !self.tiled {
                return Ok(true);
            }
            self.skipped += 1;
        }
        Ok(false)
    }

    /// Takes every picture up to the slot's start; false once the last one
    /// has had its time.
    fn catch_up(&mut self, period_s: f64) -> Result<bool> {
        if self.current.is_none() {
            if !self.step()? {
                return Ok(false);
            }
            self.first_s = self.current.as_ref().map_or(0.0, |frame| frame.time_s);
        }
        let start_s = self.first_s + self.slot as f64 * SLOT_S + TOLERANCE_S;
        // An error is due at once, and so is a picture without a time.
        let due = |next: &Result<Frame>| !next.as_ref().is_ok_and(|f| f.time_s > start_s);
        while self.sensor.peek().is_some_and(due) {
            self.step()?;
        }
        let last_s = self.current.as_ref().map_or(0.0, |frame| frame.time_s);
        let lasts = start_s < last_s + period_s;
        Ok(self.slot == 0 || lasts || self.sensor.peek().is_some())
    }
}

impl std::fmt::Debug for Slots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slots").field("slot", &self.slot).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::frame::{Band, Unit};
    use crate::sensor::{Route, Scene, Source};

    /// Pictures at given times, each filled with its number; NaN where the
    /// number is negative.
    #[derive(Debug)]
    struct Fake(Source, std::vec::IntoIter<(f64, f32)>);

    impl Iterator for Fake {
        type Item = Result<Frame>;

        fn next(&mut self) -> Option<Self::Item> {
            let (time_s, number) = self.1.next()?;
            let value = if number < 0.0 { f32::NAN } else { number };
            Some(Ok(Frame::new(Array3::from_elem((1, 2, 2), value), self.0.bands.clone(), time_s)))
        }
    }

    impl Sensor for Fake {
        fn source(&self) -> &Source {
            &self.0
        }
    }

    fn fake(period_s: Option<f64>, tiled: bool, pictures: Vec<(f64, f32)>) -> Fake {
        let bands = Arc::new([Band::new("LWIR", Unit::Celsius)]);
        let frame = Frame::new(Array3::zeros((1, 2, 2)), bands, 0.0);
        let scene = tiled.then(|| Scene::new([4, 4], 2, Route::Winding));
        let source = Source { period_s, scene, ..Source::like(&frame, "") };
        Fake(source, pictures.into_iter())
    }

    fn slots(period_s: Option<f64>, tiled: bool, pictures: Vec<(f64, f32)>) -> Slots {
        Slots::new(Box::new(fake(period_s, tiled, pictures)))
    }

    fn numbers(slots: &mut Slots) -> Vec<f32> {
        let mut numbers = vec![];
        while let Some(frame) = slots.advance().unwrap() {
            numbers.push(frame.data[(0, 0, 0)]);
        }
        numbers
    }

    fn regular(count: usize, rate: f64) -> Vec<(f64, f32)> {
        (0..count).map(|n| (n as f64 / rate, n as f32)).collect()
    }

    #[test]
    fn a_fast_source_is_thinned_to_the_newest_picture_of_each_slot() {
        let mut thirty = slots(Some(1.0 / 30.0), false, regular(60, 30.0));
        let expected: Vec<f32> = (0..20).map(|slot| (slot * 3) as f32).collect();
        assert_eq!(numbers(&mut thirty), expected);
    }

    #[test]
    fn a_slow_source_repeats_and_its_last_picture_has_its_time() {
        let mut four = slots(Some(0.25), false, regular(4, 4.0));
        let expected = [0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0];
        assert_eq!(numbers(&mut four), expected);
    }

    #[test]
    fn times_count_from_the_first_picture() {
        let late = regular(30, 10.0).into_iter().map(|(t, n)| (t + 1e6, n)).collect();
        assert_eq!(numbers(&mut slots(Some(0.1), false, late)).len(), 30);
    }

    #[test]
    fn a_source_without_clock_has_one_slot_per_picture() {
        let still = (0..40).map(|n| (0.0, n as f32)).collect();
        assert_eq!(numbers(&mut slots(None, false, still)).len(), 40);
    }

    #[test]
    fn a_source_without_clock_is_held_as_long_as_its_speed_says() {
        let mut still = fake(None, false, (0..3).map(|n| (0.0, n as f32)).collect());
        still.0.speed = Speed::try_from(0.3).unwrap();
        let mut slow = Slots::new(Box::new(still));
        let expected = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0];
        assert_eq!(numbers(&mut slow), expected);
        // Its end is one.
        assert!(slow.advance().unwrap().is_none());
    }

    #[test]
    fn only_chips_without_reading_are_left_out() {
        let pictures = vec![(0.0, -1.0), (0.0, 5.0), (0.0, -1.0), (0.0, 7.0), (0.0, -1.0)];
        let mut scene = slots(None, true, pictures.clone());
        assert_eq!(numbers(&mut scene), [5.0, 7.0]);
        assert_eq!((scene.skipped, scene.readings), (3, true));
        assert_eq!(numbers(&mut slots(None, false, pictures)).len(), 5);
        let mut nothing = slots(None, true, vec![(0.0, -1.0)]);
        assert!(numbers(&mut nothing).is_empty() && !nothing.readings);
    }
}
