//! A thermal camera that needs no hardware: people in a room, in degC.

use std::f64::consts::TAU;

use ndarray::{Array2, Array3, Axis};

use super::{Sensor, Source, reconcile};
use crate::error::Result;
use crate::frame::{Band, CELSIUS_ZERO_K, Frame, Unit};
use crate::profile::Profile;
use crate::random::Random;

/// Size and rate of a FLIR Lepton 3.5, which may not exceed 9 Hz.
const ROWS: usize = 120;
const COLUMNS: usize = 160;
const PERIOD_S: f64 = 1.0 / 9.0;

/// Noise-equivalent temperature difference in kelvin (Lepton 3.5: below 50 mK).
const NOISE_K: f64 = 0.05;

/// What is left of the detector's fixed pattern after its correction, in
/// kelvin: per pixel, and per column of the readout.
const PATTERN_K: (f64, f64) = (0.03, 0.02);

/// Kelvin per count, the high resolution of FLIR's linear output of 14-bit
/// cores, and the largest count.
const STEP_K: f64 = 0.04;
const LARGEST_COUNT: f64 = 16_383.0;

/// A seeded, endless thermal scene: a room with a cold window, hot things,
/// and people who walk through it.
///
/// The same seed is the same scene, to the last count. Another seed is
/// another room, with other temperatures and other people.
#[derive(Debug)]
pub struct Simulated {
    source: Source,
    /// The empty room in degC, without optics and noise.
    room: Array2<f32>,
    people: Vec<Person>,
    hot: Vec<Hot>,
    /// Fixed deviation of each pixel in kelvin.
    pattern: Array2<f32>,
    noise: Random,
    delivered: usize,
}

impl Simulated {
    /// The scene of `seed`.
    ///
    /// # Errors
    ///
    /// If `profile` lists more than one band.
    pub fn new(seed: u64, profile: Option<&Profile>) -> Result<Self> {
        let band = Band {
            common_name: Some("lwir".to_string()),
            wavelength_um: Some(11.0),
            fwhm_um: Some(6.0),
            ..Band::new("LWIR", Unit::Celsius)
        };
        let source = Source {
            bands: reconcile("simulated", vec![band], profile)?,
            rows: ROWS,
            columns: COLUMNS,
            period_s: Some(PERIOD_S),
            ..Source::of(format!(
                "simulated thermal camera, seed {seed}, {COLUMNS} x {ROWS} pixels"
            ))
        };
        let mut random = Random::named(seed, "scene");
        let floor_c = random.between(17.0, 21.0);
        let room = room(&mut random, floor_c);
        let hot = hot_things(&mut random);
        let people = 1 + random.below(4);
        let mut people: Vec<Person> =
            (0..people).map(|_| Person::new(&mut random, floor_c)).collect();
        people.sort_by(|a, b| a.feet.total_cmp(&b.feet));
        Ok(Self {
            source,
            room,
            people,
            hot,
            pattern: pattern(&mut Random::named(seed, "pattern")),
            noise: Random::named(seed, "noise"),
            delivered: 0,
        })
    }

    /// The picture at `time_s`, before the detector.
    fn picture(&self, time_s: f64) -> Array2<f32> {
        let mut picture = self.room.clone();
        for hot in &self.hot {
            hot.draw(time_s, &mut picture);
        }
        // The nearest is drawn last.
        for person in &self.people {
            person.draw(time_s, &mut picture);
        }
        blur(&picture)
    }
}

impl Iterator for Simulated {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        let time_s = self.delivered as f64 * PERIOD_S;
        let mut picture = self.picture(time_s);
        for (value, &deviation) in picture.iter_mut().zip(&self.pattern) {
            let kelvin =
                f64::from(*value + deviation) + NOISE_K * self.noise.normal() + CELSIUS_ZERO_K;
            let count = (kelvin / STEP_K).round().clamp(0.0, LARGEST_COUNT);
            *value = (count * STEP_K - CELSIUS_ZERO_K) as f32;
        }
        self.delivered += 1;
        let data: Array3<f32> = picture.insert_axis(Axis(0));
        Some(Ok(Frame::new(data, self.source.bands.clone(), time_s)))
    }
}

impl Sensor for Simulated {
    fn source(&self) -> &Source {
        &self.source
    }
}

/// The empty room: floor and wall with the warm air at the top, windows that
/// are cold, and perhaps a radiator.
fn room(random: &mut Random, floor_c: f64) -> Array2<f32> {
    let edge = random.between(70.0, 90.0);
    let wall_c = floor_c + random.between(2.0, 3.5);
    let mut room = Array2::from_shape_fn((ROWS, COLUMNS), |(row, _)| {
        let row = row as f64;
        let floor = floor_c + 0.6 * (row - edge) / (ROWS as f64 - edge);
        let wall = wall_c + 1.5 * (edge - row) / edge;
        let blend = (row - edge + 0.5).clamp(0.0, 1.0);
        (wall + (floor - wall) * blend) as f32
    });
    for _ in 0..random.below(3) {
        let pane_c = random.between(11.0, 15.0);
        let corner = (random.between(12.0, 25.0), random.between(0.0, 150.0));
        let size = (random.between(22.0, 40.0), random.between(18.0, 36.0));
        rectangle(&mut room, corner, size, |down, across| {
            // The frame between two panes is nearly as warm as the wall.
            let frame = (across - 0.5).abs() < 0.04 || !(0.06..0.94).contains(&down);
            if frame { wall_c - 1.5 } else { pane_c + 1.5 * down }
        });
    }
    if random.uniform() < 0.5 {
        let celsius = random.between(32.0, 45.0);
        let size = (random.between(10.0, 15.0), random.between(20.0, 34.0));
        let corner = (edge - size.0 - 3.0, random.between(0.0, 130.0));
        rectangle(&mut room, corner, size, |down, across| {
            // Hot water enters at the top, and the gaps are cooler.
            let gap = (across * 8.0).fract() < 0.2;
            celsius - 3.0 * down - if gap { 4.0 } else { 0.0 }
        });
    }
    room
}

/// Fills the part of a rectangle that is in view with `celsius` of the shares
/// of its height and width.
fn rectangle(
    room: &mut Array2<f32>,
    (row, column): (f64, f64),
    (height, width): (f64, f64),
    celsius: impl Fn(f64, f64) -> f64,
) {
    for ((r, c), value) in room.indexed_iter_mut() {
        let (down, across) = ((r as f64 - row) / height, (c as f64 - column) / width);
        if (0.0..1.0).contains(&down) && (0.0..1.0).contains(&across) {
            *value = celsius(down, across) as f32;
        }
    }
}

/// Up to two mugs or stoves.
fn hot_things(random: &mut Random) -> Vec<Hot> {
    let number = random.below(3);
    let mut thing = || {
        let stove = random.uniform() < 0.3;
        Hot {
            centre: (random.between(74.0, 104.0), random.between(8.0, 152.0)),
            radius: if stove { (2.5, 8.0) } else { (3.5, 2.5) },
            celsius: random.between(42.0, if stove { 60.0 } else { 55.0 }),
            cycle_s: random.between(40.0, 120.0),
            share: random.between(0.3, 0.6),
            start: random.uniform(),
        }
    };
    (0..number).map(|_| thing()).collect()
}

/// A thing that is hot for a share of each cycle.
#[derive(Debug)]
struct Hot {
    /// Row and column in pixels.
    centre: (f64, f64),
    radius: (f64, f64),
    celsius: f64,
    cycle_s: f64,
    share: f64,
    /// Where in its cycle it is at the start.
    start: f64,
}

impl Hot {
    fn draw(&self, time_s: f64, picture: &mut Array2<f32>) {
        let phase = (time_s / self.cycle_s + self.start).fract();
        // It warms up within a twentieth of the cycle, and cools in the same.
        let warmth = ((self.share - phase) * 20.0).clamp(0.0, 1.0).min(phase * 20.0);
        if warmth > 0.0 {
            let outline = Ellipse { centre: self.centre, radius: self.radius, lean: 0.0 };
            outline.draw(self.celsius, warmth, picture);
        }
    }
}

/// Somebody who walks to and fro.
#[derive(Debug)]
struct Person {
    /// Row of the feet, and height in pixels: both follow from the distance.
    feet: f64,
    height: f64,
    /// Middle and half width of the walk in columns, and its two periods.
    middle: f64,
    reach: f64,
    periods_s: (f64, f64),
    phases: (f64, f64),
    skin_c: f64,
    shirt_c: f64,
    trousers_c: f64,
    /// Share of the hair, which is cooler than the skin, on the head.
    hair: f64,
}

impl Person {
    fn new(random: &mut Random, floor_c: f64) -> Self {
        let nearness = random.uniform();
        Self {
            feet: 88.0 + 40.0 * nearness,
            height: 48.0 + 60.0 * nearness,
            middle: random.between(40.0, 120.0),
            reach: random.between(35.0, 110.0),
            periods_s: (random.between(14.0, 30.0), random.between(7.0, 12.0)),
            phases: (random.uniform(), random.uniform()),
            skin_c: random.between(33.0, 36.0),
            // Clothing lies between the air and the skin.
            shirt_c: random.between(27.0, 30.0) + 0.2 * (floor_c - 19.0),
            trousers_c: random.between(25.5, 28.5) + 0.2 * (floor_c - 19.0),
            hair: random.between(0.3, 0.6),
        }
    }

    /// The column of the body's middle.
    fn column(&self, time_s: f64) -> f64 {
        let swing = |period: f64, phase: f64| (TAU * (time_s / period + phase)).sin();
        self.middle
            + self.reach * swing(self.periods_s.0, self.phases.0)
            + 0.15 * self.reach * swing(self.periods_s.1, self.phases.1)
    }

    fn draw(&self, time_s: f64, picture: &mut Array2<f32>) {
        let column = self.column(time_s);
        // One pair of steps covers about eight tenths of the height.
        let stride = (TAU * column / (0.8 * self.height)).sin();
        let top = self.feet - self.height;
        let mut part =
            |celsius: f64, (row, side): (f64, f64), (tall, wide): (f64, f64), lean: f64| {
                let centre = (top + row * self.height, column + side * self.height);
                let radius = (tall * self.height, wide * self.height);
                Ellipse { centre, radius, lean }.draw(celsius, 1.0, picture);
            };
        // Sizes are shares of the height, as in drawing manuals: a head is an
        // eighth, the legs are half.
        for side in [-1.0, 1.0] {
            let swing = side * stride;
            part(self.trousers_c, (0.74, 0.03 * side + 0.05 * swing), (0.25, 0.055), 0.25 * swing);
            part(
                self.shirt_c - 0.7,
                (0.34, 0.1 * side - 0.04 * swing),
                (0.17, 0.035),
                -0.3 * swing,
            );
            part(self.skin_c - 2.0, (0.51, 0.1 * side - 0.09 * swing), (0.03, 0.025), 0.0);
        }
        part(self.shirt_c, (0.33, 0.0), (0.19, 0.1), 0.0);
        part(self.skin_c - 1.0, (0.135, 0.0), (0.03, 0.03), 0.0);
        part(self.skin_c, (0.065, 0.0), (0.065, 0.048), 0.0);
        let hair = 0.065 * self.hair;
        part(self.skin_c - 5.0, (hair * 0.6, 0.0), (hair, 0.046), 0.0);
    }
}

/// A warm body's outline.
struct Ellipse {
    /// Row and column of the centre.
    centre: (f64, f64),
    /// Half height and half width in pixels.
    radius: (f64, f64),
    /// Columns that it leans per row below its centre.
    lean: f64,
}

impl Ellipse {
    /// Blends `celsius` into `picture` by `strength` and by the share of each
    /// pixel that lies inside.
    fn draw(&self, celsius: f64, strength: f64, picture: &mut Array2<f32>) {
        let (tall, wide) = self.radius;
        let reach = wide + (self.lean * tall).abs() + 1.0;
        let span = |centre: f64, reach: f64, size: usize| {
            let clip = |at: f64| at.clamp(0.0, size as f64) as usize;
            clip(centre - reach)..clip(centre + reach + 1.0)
        };
        for row in span(self.centre.0, tall + 1.0, ROWS) {
            let down = row as f64 - self.centre.0;
            for column in span(self.centre.1, reach, COLUMNS) {
                let across = column as f64 - self.centre.1 - self.lean * down;
                let distance = (down / tall).hypot(across / wide);
                // The edge is about a pixel wide, on the shorter side.
                let inside = ((1.0 - distance) * tall.min(wide) + 0.5).clamp(0.0, 1.0) * strength;
                if inside > 0.0 {
                    let value = &mut picture[(row, column)];
                    *value += (inside * (celsius - f64::from(*value))) as f32;
                }
            }
        }
    }
}

/// The lens: a point becomes a spot of about one pixel (standard deviation
/// 0.7), rows first, then columns. Borders repeat.
fn blur(picture: &Array2<f32>) -> Array2<f32> {
    // A Gaussian at -1, 0 and 1 pixels, normalised.
    const SIDE: f32 = 0.21;
    const MIDDLE: f32 = 1.0 - 2.0 * SIDE;
    let along = |source: &Array2<f32>, axis: usize| {
        let last = source.len_of(Axis(axis)) - 1;
        let mut blurred = source * MIDDLE;
        for (at, mut lane) in blurred.axis_iter_mut(Axis(axis)).enumerate() {
            lane.scaled_add(SIDE, &source.index_axis(Axis(axis), at.saturating_sub(1)));
            lane.scaled_add(SIDE, &source.index_axis(Axis(axis), (at + 1).min(last)));
        }
        blurred
    };
    along(&along(picture, 0), 1)
}

/// The fixed pattern of a detector: each pixel and each column deviates.
fn pattern(random: &mut Random) -> Array2<f32> {
    let columns: Vec<f64> = (0..COLUMNS).map(|_| PATTERN_K.1 * random.normal()).collect();
    Array2::from_shape_fn((ROWS, COLUMNS), |(_, column)| {
        (columns[column] + PATTERN_K.0 * random.normal()) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(seed: u64, count: usize) -> Vec<Array3<f32>> {
        let camera = Simulated::new(seed, None).unwrap();
        camera.take(count).map(|frame| frame.unwrap().data).collect()
    }

    #[test]
    fn a_seed_is_a_scene() {
        assert_eq!(frames(7, 3), frames(7, 3));
        let (a, b) = (&frames(7, 1)[0], &frames(8, 1)[0]);
        let difference = (a - b).mapv(f32::abs).mean().unwrap();
        assert!(difference > 0.3, "seeds 7 and 8 differ by {difference} K");
    }

    #[test]
    fn the_profile_on_the_shelf_is_this_camera() {
        let profile = Profile::find("simulated-lwir").unwrap();
        let camera = Simulated::new(0, Some(&profile)).unwrap();
        assert_eq!(Simulated::new(0, None).unwrap().source().bands, camera.source().bands);
        assert_eq!(profile.listed_bands().unwrap(), &*camera.source().bands);
    }

    #[test]
    fn temperatures_are_those_of_rooms_and_people() {
        for seed in 0..20 {
            let camera = Simulated::new(seed, None).unwrap();
            // Every fifth second for two minutes.
            for second in (0..120).step_by(5) {
                let picture = camera.picture(f64::from(second));
                let (low, high) = picture
                    .iter()
                    .fold((f32::MAX, f32::MIN), |(low, high), &v| (low.min(v), high.max(v)));
                assert!(low > 10.0 && high < 60.0, "seed {seed}: {low}..{high}");
                let mean = picture.mean().unwrap();
                assert!((17.0..28.0).contains(&mean), "seed {seed}: mean {mean}");
            }
        }
    }

    #[test]
    fn somebody_is_seen_and_moves_smoothly() {
        for seed in 0..20 {
            let camera = Simulated::new(seed, None).unwrap();
            let bodies = |second: f64| {
                camera.picture(second).iter().filter(|&&v| (29.0..37.0).contains(&v)).count()
            };
            let seen = (0..60).filter(|&second| bodies(f64::from(second)) > 40).count();
            assert!(seen > 20, "seed {seed}: seen in {seen} of 60 seconds");
            for person in &camera.people {
                for step in 0..600 {
                    let time = f64::from(step) * PERIOD_S;
                    let moved = (person.column(time + PERIOD_S) - person.column(time)).abs();
                    assert!(moved < 8.0, "seed {seed}: {moved} pixels in a frame");
                }
            }
        }
    }

    #[test]
    fn noise_is_that_of_the_data_sheet() {
        let camera = Simulated::new(3, None).unwrap();
        let clean = camera.picture(0.0) + &camera.pattern;
        let frame = camera.into_iter().next().unwrap().unwrap();
        let deviation = &frame.data.index_axis(Axis(0), 0) - &clean;
        let rms = (deviation.mapv(|d| d * d).mean().unwrap()).sqrt();
        // Rounding to steps of 0.04 K adds a variance of 0.04^2 / 12.
        let expected = (NOISE_K.powi(2) + STEP_K.powi(2) / 12.0).sqrt() as f32;
        assert!((rms - expected).abs() < 0.002, "{rms} against {expected}");
        for &value in &frame.data {
            let count = (f64::from(value) + CELSIUS_ZERO_K) / STEP_K;
            assert!((count - count.round()).abs() < 1e-3, "{value} degC is no whole count");
        }
    }
}
