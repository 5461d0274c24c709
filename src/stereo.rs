//! Sound on two channels: each frame as a whole is heard from a place between
//! left and right, and the two channels become one again.
//!
//! A place `p` from -1, left, to 1, right, is the angle `a = (1 + p) pi / 4`,
//! and the channels are `cos(a)` and `sin(a)` times the sound: their power
//! together is that of the sound wherever it is. The place glides within the
//! joins alone, so that nothing clicks and the part of a slot that a receiver
//! reads stands still. There `sqrt(L^2 + R^2)` is the amplitude of every bin.

use std::borrow::Cow;
use std::f64::consts::FRAC_PI_2;

use crate::sensor::Scene;
use crate::synth::{JOIN, SLOT, rise};

/// Puts one slot after another in its place.
#[derive(Clone, Debug, Default)]
pub struct Panner {
    /// Where the last slot was; `None` before the first.
    place: Option<f64>,
}

impl Panner {
    /// The next slot at `place`, as [`Synth::push`](crate::synth::Synth::push)
    /// makes it, beginning with its join: left and right of every sample. What
    /// lies beyond -1..1 counts as the nearer end, and NaN as the middle; `None`
    /// is where the last slot was, and the middle before the first one.
    pub fn push(&mut self, samples: &[f32], place: Option<f32>) -> Vec<[f32; 2]> {
        let place = match place {
            Some(place) if place.is_nan() => 0.0,
            Some(place) => f64::from(place.clamp(-1.0, 1.0)),
            None => self.place.unwrap_or_default(),
        };
        let from = self.place.replace(place).unwrap_or(place);
        let glide = |n: usize| from + (place - from) * f64::from(rise(n, JOIN));
        let (join, rest) = samples.split_at(samples.len().min(JOIN));
        let gliding = join.iter().enumerate().map(|(n, &sample)| put(sample, shares(glide(n))));
        let still = shares(place);
        gliding.chain(rest.iter().map(|&sample| put(sample, still))).collect()
    }
}

/// The channels of a file: one, or two between which each slot has its place.
#[derive(Clone, Debug)]
pub struct Channels(Option<Panner>);

impl Channels {
    /// Two channels, or one.
    pub fn new(stereo: bool) -> Self {
        Self(stereo.then(Panner::default))
    }

    /// The next slot at `place` as a [`Sink`](crate::sink::Sink) takes it; see
    /// [`Panner::push`].
    pub fn lay<'a>(&mut self, samples: &'a [f32], place: Option<f32>) -> Cow<'a, [f32]> {
        match &mut self.0 {
            Some(panner) => Cow::Owned(panner.push(samples, place).into_flattened()),
            None => Cow::Borrowed(samples),
        }
    }
}

/// `sample` on the left and on the right.
fn put(sample: f32, shares: [f32; 2]) -> [f32; 2] {
    shares.map(|share| sample * share)
}

/// `samples` in the middle: as loud on both channels together as on one.
pub fn centred(samples: &[f32]) -> Vec<[f32; 2]> {
    let middle = shares(0.0);
    samples.iter().map(|&sample| put(sample, middle)).collect()
}

/// The amplitudes on the left and on the right of what is heard at `place`.
pub fn shares(place: f64) -> [f32; 2] {
    let (right, left) = ((1.0 + place) / 2.0 * FRAC_PI_2).sin_cos();
    [left as f32, right as f32]
}

/// Where a chip whose upper left pixel is at `row` and `column` lies from west,
/// -1, to east, 1, of its scene; without a map, from its left to its right.
pub fn easting(scene: &Scene, [row, column]: [usize; 2]) -> f32 {
    let x = |row: f64, column: f64| match &scene.georeference {
        Some(reference) => reference.locate(row, column).0,
        None => column,
    };
    let [rows, columns] = [scene.rows, scene.columns].map(|pixels| pixels as f64);
    let corners = [x(0.0, 0.0), x(0.0, columns), x(rows, 0.0), x(rows, columns)];
    let west = corners.iter().copied().fold(f64::INFINITY, f64::min);
    let east = corners.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // The chips at the far edges may reach beyond it.
    let middle = |start: usize, end: f64| {
        let start = start as f64;
        (start + (start + scene.chip as f64).min(end)) / 2.0
    };
    let place = x(middle(row, rows), middle(column, columns));
    (2.0 * (place - west) / (east - west) - 1.0) as f32
}

/// One channel from two, as our own files have them: slot after slot from the
/// first sample on; see `fold_slot`.
pub fn fold(sides: &[Vec<f32>; 2]) -> Vec<f32> {
    let [left, right] = sides;
    let mut samples = Vec::with_capacity(left.len());
    for (left, right) in left.chunks(SLOT).zip(right.chunks(SLOT)) {
        fold_slot([left, right], &mut samples);
    }
    samples
}

/// Appends the sound of one slot on two channels to `samples`, wherever it was
/// put.
///
/// It is the sum along their principal axis. Where both channels hold one
/// sound, that has the amplitude `sqrt(L^2 + R^2)` in every bin; and noise that
/// they do not share is not added up, as it would be in powers.
pub(crate) fn fold_slot([left, right]: [&[f32]; 2], samples: &mut Vec<f32>) {
    let (mut squares, mut products) = (0.0, 0.0);
    let end = left.len().saturating_sub(JOIN / 2);
    for (&l, &r) in left.iter().zip(right).take(end).skip(JOIN / 2) {
        let (l, r) = (f64::from(l), f64::from(r));
        squares += l * l - r * r;
        products += 2.0 * l * r;
    }
    let (sin, cos) = (products.atan2(squares) / 2.0).sin_cos();
    let along = |(&l, &r): (&f32, &f32)| (cos * f64::from(l) + sin * f64::from(r)) as f32;
    samples.extend(left.iter().zip(right).map(along));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::GeoReference;
    use crate::random::Random;
    use crate::receiver::Receiver;
    use crate::receiver::align::align;
    use crate::sensor::Route;
    use crate::spectrum::{Layout, Mapping, Preset};
    use crate::synth::Synth;

    const FRAMES: usize = 40;

    /// Random codes at random places: mono, and left and right.
    fn sound() -> (Vec<f32>, [Vec<f32>; 2]) {
        let layout = Layout::new(&Mapping::preset(Preset::Data, [60.0, 5000.0])).unwrap();
        let (mut random, mut synth, mut panner) =
            (Random::new(2), Synth::new(1, &layout), Panner::default());
        let (mut mono, mut both) = (vec![], vec![]);
        for _ in 0..FRAMES {
            let code: Vec<f32> = (0..256).map(|_| random.uniform() as f32).collect();
            let mut samples = vec![];
            synth.push(&layout.spectrum(&code), &mut samples);
            both.extend(panner.push(&samples, Some(random.between(-1.0, 1.0) as f32)));
            mono.extend(samples);
        }
        let mut samples = vec![];
        synth.finish(&mut samples);
        both.extend(panner.push(&samples, None));
        mono.extend(samples);
        let side = |n: usize| both.iter().map(|frame| frame[n]).collect();
        (mono, [side(0), side(1)])
    }

    #[test]
    fn every_bin_has_the_amplitude_of_both_channels_together() {
        let (mono, sides) = sound();
        let folded = fold(&sides);
        assert_eq!(folded.len(), mono.len());
        let mut receiver = Receiver::new();
        for slot in 0..FRAMES {
            let mut of = |samples: &[f32]| receiver.spectrum(samples, slot).unwrap().amplitudes;
            let [sent, back, left, right] = [&mono, &folded, &sides[0], &sides[1]].map(|s| of(s));
            for bin in 0..sent.len() {
                assert!((sent[bin] - back[bin]).abs() < 1e-6, "slot {slot}, bin {bin}");
                assert!((sent[bin] - left[bin].hypot(right[bin])).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_power_of_both_channels_is_that_of_one_at_every_sample() {
        let (mono, [left, right]) = sound();
        for (n, sample) in mono.iter().enumerate() {
            assert!((left[n].hypot(right[n]) - sample.abs()).abs() < 1e-6, "sample {n}");
        }
        // No side moves faster than its own glide: nothing clicks.
        let bend =
            |s: &[f32]| s.windows(3).map(|w| (w[0] - 2.0 * w[1] + w[2]).abs()).fold(0.0, f32::max);
        let most = bend(&mono);
        assert!(bend(&left) < 1.1 * most && bend(&right) < 1.1 * most, "{most}");
    }

    #[test]
    fn frames_are_found_on_two_channels_and_in_their_mean() {
        let (mono, sides) = sound();
        let late = |side: &Vec<f32>| [vec![0.0; 1234], side.clone()].concat();
        let late = [late(&sides[0]), late(&sides[1])];
        let aligned = align([&late[0], &late[1]]).unwrap();
        assert_eq!(aligned.frames, FRAMES);
        let mut receiver = Receiver::new();
        for slot in 0..FRAMES {
            let mut of = |samples: &[f32]| receiver.spectrum(samples, slot).unwrap().amplitudes;
            let (sent, back) = (of(&mono), of(&aligned.samples));
            assert!(sent.iter().zip(&back).all(|(a, b)| (a - b).abs() < 1e-5), "slot {slot}");
        }
        let mean: Vec<f32> = late[0].iter().zip(&late[1]).map(|(l, r)| (l + r) / 2.0).collect();
        assert_eq!(align([&mean]).unwrap().frames, FRAMES);
    }

    #[test]
    fn places_are_those_on_the_map() {
        let mut scene = Scene::new([100, 300], 100, Route::Winding);
        let places = |scene: &Scene| [0, 100, 200].map(|column| easting(scene, [0, column]));
        for (place, due) in places(&scene).iter().zip([-2.0 / 3.0, 0.0, 2.0 / 3.0]) {
            assert!((place - due).abs() < 1e-6, "{place} is not {due}");
        }
        // A picture that hangs upside down: its first column lies in the east.
        let transform = [500_000.0, -10.0, 0.0, 0.0, 0.0, 10.0];
        scene.georeference = Some(GeoReference { transform, crs_wkt: String::new() });
        assert!(places(&scene)[0] > 0.66);
        assert_eq!(shares(-1.0), [1.0, 0.0]);
        assert!((shares(0.0)[0] - 0.5f32.sqrt()).abs() < 1e-7);
    }
}
