//! What hearing does to a frequency: its place on the ear's axis, the level
//! at which it is as loud as others, and its weight in a loudness meter.

use std::f64::consts::TAU;

use crate::synth::SAMPLE_RATE;

/// The place of `hz` on the ERB-rate scale, in ERBs: how many auditory
/// filters lie below it.
///
/// Glasberg & Moore, "Derivation of auditory filter shapes from notched-noise
/// data", Hearing Research 47 (1990).
pub fn erb_rate(hz: f64) -> f64 {
    21.4 * (1.0 + 0.00437 * hz).log10()
}

/// The frequency in hertz at the place `erb` of the ERB-rate scale: the inverse
/// of [`erb_rate`].
pub fn hz_of_erb_rate(erb: f64) -> f64 {
    (10_f64.powf(erb / 21.4) - 1.0) / 0.00437
}

/// The threshold of hearing at `hz` in dB of sound pressure: ISO 226:2023,
/// Table 1, interpolated in logarithmic frequency; its last value outside
/// 20 Hz..12.5 kHz, where the standard ends.
pub fn threshold_db(hz: f64) -> f64 {
    interpolated(hz, |tone| tone.threshold_db)
}

/// The correction in dB that makes a tone at `hz` as loud as one at 1 kHz.
///
/// The 60-phon contour of ISO 226:2023 less 60 dB, interpolated between the
/// third-octaves in logarithmic frequency and clamped to +-12 dB: beyond that
/// a small loudspeaker would distort instead of getting louder. Outside
/// 20 Hz..12.5 kHz, where the standard ends, its last value holds.
pub fn equal_loudness_db(hz: f64) -> f64 {
    const PHON: f64 = 60.0;
    const LIMIT_DB: f64 = 12.0;
    (interpolated(hz, |tone| tone.contour_db(PHON)) - PHON).clamp(-LIMIT_DB, LIMIT_DB)
}

/// What `of` says of the third-octaves around `hz`, interpolated.
fn interpolated(hz: f64, of: impl Fn(&Tone) -> f64) -> f64 {
    line(&ISO_226, hz.ln(), |tone| tone.hz.ln(), of)
}

/// The value at `x` of the line through `points`, which lie `at` ascending places and
/// whose values are what `of` says; beyond its ends that of the nearer end, and 0 where
/// there are no points.
pub(crate) fn line<T>(points: &[T], x: f64, at: impl Fn(&T) -> f64, of: impl Fn(&T) -> f64) -> f64 {
    let after = points.partition_point(|point| at(point) <= x);
    match (after.checked_sub(1).and_then(|before| points.get(before)), points.get(after)) {
        (Some(a), Some(b)) => of(a) + (of(b) - of(a)) * (x - at(a)) / (at(b) - at(a)),
        (Some(end), None) | (None, Some(end)) => of(end),
        (None, None) => 0.0,
    }
}

/// The gain in dB at `hz` of a curve of frequencies in hertz, ascending, and
/// gains: linear on the ERB-rate scale between its points, constant beyond; 0
/// where there are none.
pub fn gain_db(gains_db: &[[f64; 2]], hz: f64) -> f64 {
    line(gains_db, erb_rate(hz), |[hz, _]| erb_rate(*hz), |[_, db]| *db)
}

/// One third-octave of ISO 226:2023, Table 1.
#[derive(Debug)]
struct Tone {
    hz: f64,
    /// Exponent of loudness perception.
    exponent: f64,
    /// Magnitude of the linear transfer function, re 1 kHz, in dB.
    transfer_db: f64,
    /// Threshold of hearing in dB SPL.
    threshold_db: f64,
}

impl Tone {
    const fn new(hz: f64, exponent: f64, transfer_db: f64, threshold_db: f64) -> Self {
        Self { hz, exponent, transfer_db, threshold_db }
    }

    /// Sound pressure level in dB at which this tone has `phon` of loudness.
    ///
    /// ISO 226:2023, formula (1).
    fn contour_db(&self, phon: f64) -> f64 {
        let Self { exponent, transfer_db, threshold_db, .. } = *self;
        let level = 4e-10_f64.powf(0.3 - exponent)
            * (10_f64.powf(0.03 * phon) - 10_f64.powf(0.072))
            + 10_f64.powf(exponent * (threshold_db + transfer_db) / 10.0);
        10.0 / exponent * level.log10() - transfer_db
    }
}

/// ISO 226:2023, Table 1. Its exponents are not those of the 2003 edition.
const ISO_226: [Tone; 29] = [
    Tone::new(20.0, 0.635, -31.5, 78.1),
    Tone::new(25.0, 0.602, -27.2, 68.7),
    Tone::new(31.5, 0.569, -23.1, 59.5),
    Tone::new(40.0, 0.537, -19.3, 51.1),
    Tone::new(50.0, 0.509, -16.1, 44.0),
    Tone::new(63.0, 0.482, -13.1, 37.5),
    Tone::new(80.0, 0.456, -10.4, 31.5),
    Tone::new(100.0, 0.433, -8.2, 26.5),
    Tone::new(125.0, 0.412, -6.3, 22.1),
    Tone::new(160.0, 0.391, -4.6, 17.9),
    Tone::new(200.0, 0.373, -3.2, 14.4),
    Tone::new(250.0, 0.357, -2.1, 11.4),
    Tone::new(315.0, 0.343, -1.2, 8.6),
    Tone::new(400.0, 0.330, -0.5, 6.2),
    Tone::new(500.0, 0.320, 0.0, 4.4),
    Tone::new(630.0, 0.311, 0.4, 3.0),
    Tone::new(800.0, 0.303, 0.5, 2.2),
    Tone::new(1000.0, 0.300, 0.0, 2.4),
    Tone::new(1250.0, 0.295, -2.7, 3.5),
    Tone::new(1600.0, 0.292, -4.2, 1.7),
    Tone::new(2000.0, 0.290, -1.2, -1.3),
    Tone::new(2500.0, 0.290, 1.4, -4.2),
    Tone::new(3150.0, 0.289, 2.3, -6.0),
    Tone::new(4000.0, 0.289, 1.0, -5.4),
    Tone::new(5000.0, 0.289, -2.3, -1.5),
    Tone::new(6300.0, 0.293, -7.2, 6.0),
    Tone::new(8000.0, 0.303, -11.2, 12.6),
    Tone::new(10_000.0, 0.323, -10.9, 13.9),
    Tone::new(12_500.0, 0.354, -3.5, 12.3),
];

/// Loudness in LUFS of a steady mono sound of K-weighted mean square `power`.
///
/// ITU-R BS.1770-5, Annex 1, formula (2); one channel, no gate.
pub fn lufs(power: f64) -> f64 {
    -0.691 + 10.0 * power.log10()
}

/// The K-weighted mean square of a steady mono sound of `lufs`.
pub fn power_of_lufs(lufs: f64) -> f64 {
    10_f64.powf((lufs + 0.691) / 10.0)
}

/// The first filter of the K-weighting at 48 kHz, numerator and denominator in
/// powers of z^-1: ITU-R BS.1770-5, Annex 1, Table 1.
pub const K_SHELF: [[f64; 3]; 2] = [
    [1.535_124_859_586_97, -2.691_696_189_406_38, 1.198_392_810_852_85],
    [1.0, -1.690_659_293_182_41, 0.732_480_774_215_85],
];

/// The second filter of the K-weighting at 48 kHz, likewise: Table 2.
pub const K_HIGH_PASS: [[f64; 3]; 2] =
    [[1.0, -2.0, 1.0], [1.0, -1.990_047_454_833_98, 0.990_072_250_366_21]];

/// The power gain of the K-weighting at `hz`, both filters together.
pub fn k_weighting(hz: f64) -> f64 {
    let angle = TAU * hz / SAMPLE_RATE as f64;
    let response = |[zeros, poles]: [[f64; 3]; 2]| power(zeros, angle) / power(poles, angle);
    response(K_SHELF) * response(K_HIGH_PASS)
}

/// The squared magnitude of the polynomial in z^-1 at z = e^(i `angle`).
fn power(polynomial: [f64; 3], angle: f64) -> f64 {
    let [a, b, c] = polynomial;
    let real = a + b * angle.cos() + c * (2.0 * angle).cos();
    let imaginary = b * angle.sin() + c * (2.0 * angle).sin();
    real * real + imaginary * imaginary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erb_rate_counts_the_filters_that_the_paper_counts() {
        // 28.7 ERBs from 10 Hz to 5 kHz, and one ERB wide at any place.
        assert!((erb_rate(5000.0) - erb_rate(10.0) - 28.7).abs() < 0.1);
        for hz in [100.0, 500.0, 1000.0, 4000.0] {
            let width_hz = 24.7 * (0.00437 * hz + 1.0);
            let erbs = erb_rate(hz + width_hz / 2.0) - erb_rate(hz - width_hz / 2.0);
            assert!((erbs - 1.0).abs() < 0.03, "{hz} Hz: {erbs}");
        }
    }

    #[test]
    fn at_1_khz_the_contour_is_the_phon_and_at_the_threshold_it_is_the_threshold() {
        for tone in &ISO_226 {
            assert!((tone.contour_db(2.4) - tone.threshold_db).abs() < 1e-9, "{tone:?}");
        }
        let reference = ISO_226.iter().find(|tone| tone.hz == 1000.0).unwrap();
        for phon in [20.0, 40.0, 60.0, 80.0] {
            assert!((reference.contour_db(phon) - phon).abs() < 1e-9);
        }
    }

    #[test]
    fn the_contour_agrees_with_the_published_levels() {
        // ISO 226:2023, Table B.1, printed to 0.1 dB: phon, Hz, dB SPL.
        let published = [
            (20.0, 20.0, 89.5),
            (40.0, 63.0, 73.0),
            (40.0, 250.0, 50.3),
            (40.0, 8000.0, 51.6),
            (60.0, 100.0, 78.5),
            (60.0, 500.0, 62.1),
            (60.0, 2000.0, 60.0),
            (80.0, 12_500.0, 85.6),
            (90.0, 4000.0, 88.8),
        ];
        for (phon, hz, level_db) in published {
            let tone = ISO_226.iter().find(|tone| tone.hz == hz).unwrap();
            let found = tone.contour_db(phon);
            assert!((found - level_db).abs() <= 0.051, "{phon} phon, {hz} Hz: {found}");
        }
    }

    #[test]
    fn all_third_octaves_agree_with_another_implementation() {
        // The contours of STRAUSS 1.0.3 (Python, `Equaliser`) from a table of its
        // own, in dB above 1 kHz, for 40 and 80 phon.
        #[rustfmt::skip]
        let theirs: [(f64, [f64; 29]); 2] = [
            (40.0, [
                59.743, 53.942, 48.208, 42.662, 37.769, 32.963, 28.331, 24.240, 20.439, 16.648,
                13.284, 10.285, 7.584, 5.092, 3.129, 1.354, -0.010, 0.000, 1.782, 2.556, -0.784,
                -3.404, -4.534, -3.278, 0.059, 5.810, 11.601, 14.382, 11.306,
            ]),
            (80.0, [
                38.860, 34.192, 29.684, 25.441, 21.810, 18.347, 15.149, 12.461, 10.067, 7.822,
                5.906, 4.305, 2.929, 1.751, 0.858, 0.085, -0.364, 0.000, 2.463, 3.807, 0.710,
                -1.891, -2.843, -1.546, 1.756, 6.860, 11.330, 11.873, 5.606,
            ]),
        ];
        for (phon, levels_db) in theirs {
            for (tone, db) in ISO_226.iter().zip(levels_db) {
                let found = tone.contour_db(phon) - phon;
                assert!((found - db).abs() < 6e-4, "{phon} phon, {} Hz: {found}", tone.hz);
            }
        }
    }

    #[test]
    fn the_correction_is_continuous_and_bounded() {
        assert!(equal_loudness_db(1000.0).abs() < 1e-9);
        assert_eq!(equal_loudness_db(60.0), 12.0);
        assert!((equal_loudness_db(500.0) - 2.1).abs() < 0.051);
        let mut last = equal_loudness_db(5.0);
        for step in 1..24_000 {
            let db = equal_loudness_db(5.0 + f64::from(step));
            assert!((-12.0..=12.0).contains(&db) && (db - last).abs() < 0.3, "{step}: {db}");
            last = db;
        }
    }

    #[test]
    fn gains_are_straight_between_their_points() {
        let gains_db = [[500.0, 0.0], [1000.0, 6.0], [4000.0, 12.0]];
        for [hz, db] in [[50.0, 0.0], [500.0, 0.0], [1000.0, 6.0], [4000.0, 12.0], [9e3, 12.0]] {
            assert!((gain_db(&gains_db, hz) - db).abs() < 1e-9, "{hz} Hz");
        }
        let half = 0.5 * (erb_rate(1000.0) + erb_rate(4000.0));
        let hz = hz_of_erb_rate(half);
        assert!((gain_db(&gains_db, hz) - 9.0).abs() < 1e-9);
        assert_eq!(gain_db(&[], 700.0), 0.0);
    }

    #[test]
    fn a_full_scale_sine_at_997_hz_reads_minus_3_01_lufs() {
        // The calibration that BS.1770-5 itself states, Annex 1.
        assert!((lufs(0.5 * k_weighting(997.0)) - -3.01).abs() < 0.01);
        assert!((lufs(power_of_lufs(-23.0)) - -23.0).abs() < 1e-12);
    }
}
