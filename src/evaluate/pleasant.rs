//! How rough a sound is, and how much it fluctuates: what makes a steady sound
//! tire the ear.
//!
//! Both sensations come from the envelopes in critical bands. Each of 47
//! channels, one Bark wide and half a Bark apart, takes the components inside
//! it and what spills over from outside along the slopes of excitation. The
//! envelope of what it takes is filtered by how strongly each rate of
//! modulation is felt; its effective value over its mean is a depth of
//! modulation. Channels whose envelopes agree with their neighbours' count
//! more, and all together are scaled to a tone of 1 kHz, fully modulated in
//! amplitude: 1 asper at 70 Hz and 1 vacil at 4 Hz, both at 60 dB.
//!
//! Roughness: Daniel & Weber, "Psychoacoustical roughness: implementation of an
//! optimized model", Acustica 83 (1997). Fluctuation strength: the same
//! channels, with the weight of modulation rates of Zwicker & Fastl,
//! "Psychoacoustics" (1990), chapter 10.

use std::f64::consts::TAU;

use rayon::prelude::*;
use realfft::RealFftPlanner;
use realfft::num_complex::Complex64;

use super::figures::{correlation, mean};
use crate::spectrum::hearing::line;
use crate::synth::SAMPLE_RATE;

/// Sound pressure in pascals of a full-scale sample, where -23 LUFS are as loud
/// as speech, 65 dB.
pub const FULL_SCALE_PA: f64 = 0.502;

/// Sound pressure at 0 dB in pascals.
const REFERENCE_PA: f64 = 2e-5;
/// Number of channels, centred on 0.5, 1, 1.5 .. 23.5 Bark.
const CHANNELS: usize = 47;
/// Channels this far apart, one Bark, are compared.
const NEIGHBOUR: usize = 2;

/// Edges of the critical bands in hertz (Zwicker, J. Acoust. Soc. Am. 33, 1961).
const BAND_EDGES_HZ: [f64; 25] = [
    0.0, 100.0, 200.0, 300.0, 400.0, 510.0, 630.0, 770.0, 920.0, 1080.0, 1270.0, 1480.0, 1720.0,
    2000.0, 2320.0, 2700.0, 3150.0, 3700.0, 4400.0, 5300.0, 6400.0, 7700.0, 9500.0, 12_000.0,
    15_500.0,
];

/// Points of a curve, `(x, y)`, ascending in x; between them it is straight.
type Curve = [(f64, f64)];

/// From free field to the inner ear in dB, by Bark (Zwicker & Fastl, figure
/// 8.18).
const TRANSMISSION_DB: &Curve = &[
    (10.0, 0.0),
    (12.0, 1.15),
    (13.0, 2.31),
    (14.0, 3.85),
    (15.0, 5.62),
    (16.0, 6.92),
    (16.5, 7.38),
    (17.0, 6.92),
    (18.0, 4.23),
    (18.5, 2.31),
    (19.0, 0.0),
    (20.0, -1.43),
    (21.0, -2.59),
    (21.5, -3.57),
    (22.0, -5.19),
    (22.5, -7.41),
    (23.0, -11.3),
    (23.5, -20.0),
    (24.0, -40.0),
];

/// Threshold in quiet in dB, by Bark (Zwicker & Fastl, figure 2.1).
const THRESHOLD_DB: &Curve = &[
    (0.0, 130.0),
    (0.01, 70.0),
    (0.17, 60.0),
    (0.8, 30.0),
    (1.0, 25.0),
    (1.5, 20.0),
    (2.0, 15.0),
    (3.3, 10.0),
    (4.0, 8.1),
    (5.0, 6.3),
    (6.0, 5.0),
    (8.0, 3.5),
    (10.0, 2.5),
    (12.0, 1.7),
    (13.3, 0.0),
    (15.0, -2.5),
    (16.0, -4.0),
    (17.0, -3.7),
    (18.0, -1.5),
    (19.0, 1.4),
    (20.0, 3.8),
    (21.0, 5.0),
    (22.0, 7.5),
    (23.0, 15.0),
    (24.0, 48.0),
    (24.5, 60.0),
    (25.0, 130.0),
];

/// Weight of a channel's modulation in roughness, by Bark (Aures, 1985).
const CHANNEL_WEIGHT: [f64; 25] = [
    0.15, 0.26, 0.38, 0.47, 0.54, 0.65, 0.76, 0.83, 0.90, 0.98, 0.98, 0.90, 0.80, 0.70, 0.62, 0.54,
    0.49, 0.43, 0.39, 0.35, 0.30, 0.30, 0.30, 0.30, 0.30,
];

/// How strongly rates of modulation in hertz are felt as roughness, from
/// channels 1, 5, 16, 21 and 42 on (Daniel & Weber, figure 2).
const ROUGH: [(usize, &Curve); 5] = [
    (
        1,
        &[
            (0.0, 0.0),
            (17.0, 0.8),
            (23.0, 0.95),
            (25.0, 0.975),
            (32.0, 1.0),
            (37.0, 0.975),
            (48.0, 0.9),
            (67.0, 0.8),
            (90.0, 0.7),
            (114.0, 0.6),
            (171.0, 0.4),
            (206.0, 0.3),
            (247.0, 0.2),
            (294.0, 0.1),
            (358.0, 0.0),
        ],
    ),
    (
        5,
        &[
            (0.0, 0.0),
            (32.0, 0.8),
            (43.0, 0.95),
            (56.0, 1.0),
            (69.0, 0.975),
            (92.0, 0.9),
            (120.0, 0.8),
            (142.0, 0.7),
            (165.0, 0.6),
            (231.0, 0.4),
            (277.0, 0.3),
            (331.0, 0.2),
            (397.0, 0.1),
            (502.0, 0.0),
        ],
    ),
    (
        16,
        &[
            (0.0, 0.0),
            (23.5, 0.4),
            (34.0, 0.6),
            (47.0, 0.8),
            (56.0, 0.9),
            (63.0, 0.95),
            (79.0, 1.0),
            (100.0, 0.975),
            (115.0, 0.95),
            (135.0, 0.9),
            (159.0, 0.85),
            (172.0, 0.8),
            (194.0, 0.7),
            (215.0, 0.6),
            (244.0, 0.5),
            (290.0, 0.4),
            (348.0, 0.3),
            (415.0, 0.2),
            (500.0, 0.1),
            (645.0, 0.0),
        ],
    ),
    (
        21,
        &[
            (0.0, 0.0),
            (19.0, 0.4),
            (44.0, 0.8),
            (52.5, 0.9),
            (58.0, 0.95),
            (75.0, 1.0),
            (101.5, 0.95),
            (114.5, 0.9),
            (132.5, 0.85),
            (143.5, 0.8),
            (165.5, 0.7),
            (197.5, 0.6),
            (241.0, 0.5),
            (290.0, 0.4),
            (348.0, 0.3),
            (415.0, 0.2),
            (500.0, 0.1),
            (645.0, 0.0),
        ],
    ),
    (
        42,
        &[
            (0.0, 0.0),
            (15.0, 0.4),
            (41.0, 0.8),
            (49.0, 0.9),
            (53.0, 0.965),
            (64.0, 0.99),
            (71.0, 1.0),
            (88.0, 0.95),
            (94.0, 0.9),
            (106.0, 0.85),
            (115.0, 0.8),
            (137.0, 0.7),
            (180.0, 0.6),
            (238.0, 0.5),
            (290.0, 0.4),
            (348.0, 0.3),
            (415.0, 0.2),
            (500.0, 0.1),
            (645.0, 0.0),
        ],
    ),
];

/// The slowest modulation that is felt as roughness, in hertz.
const SLOWEST_ROUGH_HZ: f64 = 10.0;
/// The fastest modulation that is felt as fluctuation, in hertz.
const FASTEST_FLUCTUATION_HZ: f64 = 32.0;

/// A sensation of modulated sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensation {
    /// Of modulation faster than can be followed, in asper.
    Roughness,
    /// Of modulation that can be followed, in vacil.
    Fluctuation,
}

impl Sensation {
    /// How strongly a sound is felt so: the mean over its stretches of 200 ms
    /// for roughness and of 2 s for fluctuation. `samples` are at 48 kHz, in
    /// pascals; 0 where there is no whole stretch.
    pub fn of(self, samples: &[f64]) -> f64 {
        let stretches: Vec<f64> =
            samples.chunks_exact(self.window()).map(|stretch| self.of_stretch(stretch)).collect();
        mean(&stretches)
    }

    /// Samples of a stretch.
    const fn window(self) -> usize {
        match self {
            Self::Roughness => SAMPLE_RATE / 5,
            Self::Fluctuation => SAMPLE_RATE * 2,
        }
    }

    /// How strongly modulation at `hz` is felt in channel `channel`, from 0.
    fn weight(self, channel: usize, hz: f64) -> f64 {
        match self {
            Self::Roughness if hz < SLOWEST_ROUGH_HZ => 0.0,
            Self::Roughness => {
                let next = ROUGH.partition_point(|&(first, _)| first <= channel + 1);
                ROUGH.get(next.wrapping_sub(1)).map_or(0.0, |(_, curve)| at(curve, hz))
            }
            Self::Fluctuation if hz > 0.0 && hz <= FASTEST_FLUCTUATION_HZ => {
                2.0 / (hz / 4.0 + 4.0 / hz)
            }
            Self::Fluctuation => 0.0,
        }
    }

    /// Weight of `channel`, from 0, and unit, so that the calibration tone
    /// gives 1.
    fn share(self, channel: usize) -> f64 {
        match self {
            Self::Roughness => {
                // Half a Bark apart: every second channel lies between two weights.
                let [low, high] = [channel.div_ceil(2), (channel + 2) / 2];
                0.25 * (CHANNEL_WEIGHT[low] + CHANNEL_WEIGHT[high]) / 2.0
            }
            Self::Fluctuation => 0.1626,
        }
    }

    fn of_stretch(self, stretch: &[f64]) -> f64 {
        let components = components(stretch);
        let envelopes: Vec<(Vec<f64>, f64)> = (0..CHANNELS)
            .into_par_iter()
            .map(|channel| self.felt(&components, stretch.len(), channel))
            .collect();
        let alike = |a: usize| match (envelopes.get(a), envelopes.get(a + NEIGHBOUR)) {
            (Some((a, _)), Some((b, _))) => correlation(a, b),
            _ => 1.0,
        };
        (0..CHANNELS)
            .map(|channel| {
                let below = channel.checked_sub(NEIGHBOUR).map_or(1.0, alike);
                self.share(channel) * (envelopes[channel].1 * below * alike(channel)).powi(2)
            })
            .sum()
    }

    /// What is felt of the envelope in `channel`, from 0, and the depth of its
    /// modulation, 0..1.
    fn felt(self, components: &[Component], length: usize, channel: usize) -> (Vec<f64>, f64) {
        let mut planner = RealFftPlanner::<f64>::new();
        let (inverse, forward) =
            (planner.plan_fft_inverse(length), planner.plan_fft_forward(length));
        let (mut bins, mut wave) = (inverse.make_input_vec(), inverse.make_output_vec());
        let centre = (channel + 1) as f64 / 2.0;
        let threshold_db = at(THRESHOLD_DB, centre);
        for component in components {
            bins[component.bin] = component.value * component.share(centre, threshold_db);
        }
        // They fail on wrong lengths alone, and on parts that are zero here.
        let done = inverse.process(&mut bins, &mut wave);
        debug_assert!(done.is_ok(), "{done:?}");
        wave.iter_mut().for_each(|v| *v = v.abs() / length as f64);
        let steady = mean(&wave);
        if steady <= 0.0 {
            return (wave, 0.0);
        }
        let done = forward.process(&mut wave, &mut bins);
        debug_assert!(done.is_ok(), "{done:?}");
        let last = bins.len() - 1;
        for (bin, value) in bins.iter_mut().enumerate() {
            *value *= self.weight(channel, bin as f64 * SAMPLE_RATE as f64 / length as f64);
        }
        (bins[0].im, bins[last].im) = (0.0, 0.0);
        let done = inverse.process(&mut bins, &mut wave);
        debug_assert!(done.is_ok(), "{done:?}");
        wave.iter_mut().for_each(|v| *v /= length as f64);
        let square = wave.iter().map(|v| v * v).sum::<f64>() / length as f64;
        (wave, (square.sqrt() / steady).min(1.0))
    }
}

/// An audible component of a stretch.
struct Component {
    bin: usize,
    value: Complex64,
    bark: f64,
    level_db: f64,
    /// How fast its excitation falls towards higher channels, dB per Bark.
    slope_db: f64,
}

impl Component {
    /// The share of its amplitude in the channel around `centre`, in Bark, that
    /// is audible above `threshold_db` there.
    fn share(&self, centre: f64, threshold_db: f64) -> f64 {
        // The lower slope, in dB per Bark (Terhardt, 1979).
        const LOWER_DB: f64 = 27.0;
        let outside = (self.bark - centre).abs() - 0.5;
        if outside <= 0.0 {
            return 1.0;
        }
        let slope_db = if self.bark > centre { LOWER_DB } else { self.slope_db };
        let fall_db = slope_db * outside;
        if self.level_db - fall_db > threshold_db { 10f64.powf(-fall_db / 20.0) } else { 0.0 }
    }
}

/// The components of `stretch`, in pascals, that are audible, after the outer
/// and the middle ear.
fn components(stretch: &[f64]) -> Vec<Component> {
    let length = stretch.len();
    let turn = TAU / length as f64;
    // Blackman's window, whose mean is 0.42.
    let window =
        |i: usize| 0.42 - 0.5 * (turn * i as f64).cos() + 0.08 * (2.0 * turn * i as f64).cos();
    let forward = RealFftPlanner::<f64>::new().plan_fft_forward(length);
    let mut wave: Vec<f64> =
        stretch.iter().enumerate().map(|(i, v)| v * window(i) / 0.42).collect();
    let mut bins = forward.make_output_vec();
    let done = forward.process(&mut wave, &mut bins);
    debug_assert!(done.is_ok(), "{done:?}");
    let inner = 1..bins.len().saturating_sub(1);
    inner
        .filter_map(|bin| {
            let hz = bin as f64 * SAMPLE_RATE as f64 / length as f64;
            let bark = bark(hz);
            let value = bins[bin] * 10f64.powf(at(TRANSMISSION_DB, bark) / 20.0);
            let effective = value.norm() * std::f64::consts::SQRT_2 / length as f64;
            let level_db = 20.0 * (effective / REFERENCE_PA).log10();
            let slope_db = (24.0 + 230.0 / hz - 0.2 * level_db).max(0.0);
            let audible = level_db > at(THRESHOLD_DB, bark);
            audible.then_some(Component { bin, value, bark, level_db, slope_db })
        })
        .collect()
}

/// The critical-band rate of `hz` in Bark: how many of the critical bands lie
/// below it.
fn bark(hz: f64) -> f64 {
    let above = BAND_EDGES_HZ.partition_point(|&edge_hz| edge_hz <= hz);
    match (above.checked_sub(1).and_then(|i| BAND_EDGES_HZ.get(i)), BAND_EDGES_HZ.get(above)) {
        (Some(low_hz), Some(high_hz)) => (above - 1) as f64 + (hz - low_hz) / (high_hz - low_hz),
        _ => (BAND_EDGES_HZ.len() - 1) as f64,
    }
}

/// The value of `curve` at `x`; beyond its ends, that of the nearer end.
fn at(curve: &Curve, x: f64) -> f64 {
    line(curve, x, |point| point.0, |point| point.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// A tone of `hz`, modulated fully in amplitude at `rate_hz`, at `db`.
    fn modulated(hz: f64, rate_hz: f64, db: f64, seconds: f64) -> Vec<f64> {
        let wave = |i: usize| {
            let t = i as f64 / SAMPLE_RATE as f64;
            (1.0 + (TAU * rate_hz * t).cos()) * (TAU * hz * t).sin()
        };
        at_level((0..(seconds * SAMPLE_RATE as f64) as usize).map(wave).collect(), db)
    }

    fn at_level(mut samples: Vec<f64>, db: f64) -> Vec<f64> {
        let square = samples.iter().map(|v| v * v).sum::<f64>() / samples.len() as f64;
        let gain = REFERENCE_PA * 10f64.powf(db / 20.0) / square.sqrt();
        samples.iter_mut().for_each(|v| *v *= gain);
        samples
    }

    #[test]
    fn the_calibration_tones_are_one_asper_and_one_vacil() {
        let rough = Sensation::Roughness.of(&modulated(1000.0, 70.0, 60.0, 0.2));
        assert!((rough - 1.0).abs() < 0.03, "{rough} asper");
        let slow = Sensation::Fluctuation.of(&modulated(1000.0, 4.0, 60.0, 2.0));
        assert!((slow - 1.0).abs() < 0.02, "{slow} vacil");
    }

    #[test]
    fn roughness_agrees_with_another_implementation() {
        // `roughness_dw` of mosqito 1.2.1 (Python) for tones fully modulated at
        // 60 dB: carrier and rate in hertz, asper.
        let theirs = [
            (250.0, 30.0, 0.338),
            (250.0, 70.0, 0.352),
            (250.0, 120.0, 0.088),
            (1000.0, 30.0, 0.390),
            (1000.0, 70.0, 1.019),
            (1000.0, 120.0, 0.607),
            (4000.0, 30.0, 0.228),
            (4000.0, 70.0, 0.617),
            (4000.0, 120.0, 0.443),
        ];
        for (hz, rate_hz, asper) in theirs {
            let ours = Sensation::Roughness.of(&modulated(hz, rate_hz, 60.0, 0.2));
            assert!((ours - asper).abs() < 0.05 * asper, "{hz}, {rate_hz}: {ours}");
        }
    }

    #[test]
    fn fluctuation_is_strongest_at_4_hz_and_a_tone_has_next_to_none() {
        let felt = |rate_hz| Sensation::Fluctuation.of(&modulated(1000.0, rate_hz, 60.0, 2.0));
        let [slow, most, fast] = [1.0, 4.0, 16.0].map(felt);
        assert!(slow < 0.5 * most && fast < 0.4 * most, "{slow}, {most}, {fast}");
        let tone = (0..2 * SAMPLE_RATE).map(|i| (TAU * i as f64 / 48.0).sin()).collect();
        let tone = at_level(tone, 60.0);
        assert!(Sensation::Fluctuation.of(&tone) < 0.1 && Sensation::Roughness.of(&tone) < 0.01);
        assert_eq!(Sensation::Roughness.of(&[]), 0.0);
        assert_eq!(Sensation::Fluctuation.of(&vec![0.0; 2 * SAMPLE_RATE]), 0.0);
    }

    #[test]
    fn noise_fluctuates_as_a_textbook_has_it_once_it_is_modulated() {
        // Zwicker & Fastl, formula (10.1): 3.7 vacil for noise of 60 dB, fully
        // modulated at 4 Hz; and noise itself is not smooth.
        let mut random = Random::new(4);
        let noise: Vec<f64> = (0..2 * SAMPLE_RATE).map(|_| random.normal()).collect();
        let wave =
            |(i, v): (usize, &f64)| v * (1.0 + (TAU * 4.0 * i as f64 / SAMPLE_RATE as f64).cos());
        let modulated = at_level(noise.iter().enumerate().map(wave).collect(), 60.0);
        let vacil = Sensation::Fluctuation.of(&modulated);
        assert!((3.0..5.0).contains(&vacil), "{vacil} vacil");
        let steady = Sensation::Fluctuation.of(&at_level(noise, 60.0));
        assert!((0.05..0.3).contains(&steady), "{steady} vacil");
    }
}
