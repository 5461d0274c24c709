//! The phase of every bin: when each tone of a frame is heard within the period.
//!
//! A delay that grows with the frequency lets tones take turns: they glide by, one
//! after another. Neither amplitudes nor loudness change by that, and a receiver
//! need not know of it.

use std::f64::consts::TAU;

use realfft::ComplexToReal;
use realfft::num_complex::Complex32;

use super::transform;
use crate::random::Random;
use crate::spectrum::{BIN_HZ, Layout, Spectrum, hearing};

/// Widths of a glide in ERBs, for ears and for receivers; one of negative width
/// falls.
const GLIDE_ERBS: [f64; 2] = [1.0, -8.0];

/// Of so many draws we take the one with the lowest peak.
const DRAWS: usize = 32;

/// Half of a unit phasor for every bin of the sounds of `layout`: a sine of
/// amplitude 1 is a pair of bins of 1/2.
///
/// What is made for ears, by [`equal_loudness`], glides once in every ERB: of the
/// tones that one auditory filter hears, each has a moment of its own, and they
/// beat less than with random phases. A still picture is half as rough, and
/// fluctuates a little less. What is made for receivers has wider glides: a codec
/// then hears fewer tones of a band at a time, and keeps more of them. They fall, as
/// Opus takes such sound for speech, of which it keeps less, more seldom. One glide
/// over the whole axis (Schroeder's phases) would pass every auditory filter as a
/// click, 12.5 times a second; see ARCHITECTURE.md.
///
/// When each glide begins is random, and so is the crest factor: on the loudest
/// sound that is made for ears it is about 9 dB for the best of [`DRAWS`], and 10 to 12.5
/// otherwise. Single codes vary too much for any phases to suit them all.
///
/// [`equal_loudness`]: crate::spectrum::Mapping::equal_loudness
pub(super) fn phasors(
    seed: u64,
    layout: &Layout,
    inverse: &dyn ComplexToReal<f32>,
) -> Vec<Complex32> {
    let [ears, receivers] = GLIDE_ERBS;
    let width = if layout.mapping().equal_loudness { ears } else { receivers };
    let loudest = layout.spectrum(&vec![1.0; layout.mapping().values]);
    let (mut wave, mut scratch) = (inverse.make_output_vec(), inverse.make_scratch_vec());
    let mut peak = |phasors: &[Complex32]| {
        let mut bins: Vec<_> =
            phasors.iter().zip(&loudest.amplitudes).map(|(phasor, a)| phasor * a).collect();
        transform(inverse, &mut bins, &mut wave, &mut scratch);
        wave.iter().fold(0f32, |peak, sample| peak.max(sample.abs()))
    };
    let mut random = Random::named(seed, "phases");
    let mut draw = || {
        let phasors = glides(width, &mut random);
        (peak(&phasors), phasors)
    };
    let mut best = draw();
    for _ in 1..DRAWS {
        let other = draw();
        if other.0 < best.0 {
            best = other;
        }
    }
    best.1
}

/// Phases with which every `width` ERBs of the axis are a glide that takes the whole
/// period, and that begins at a moment of its own; it falls where `width` is negative.
fn glides(width: f64, random: &mut Random) -> Vec<Complex32> {
    let offset = random.uniform();
    let (mut glide, mut delay, mut turns) = (usize::MAX, 0.0, 0.0);
    let inner = (1..Spectrum::BINS - 1).map(|bin| {
        let place = hearing::erb_rate(bin as f64 * BIN_HZ) / width.abs() + offset;
        if place as usize != glide {
            glide = place as usize;
            (delay, turns) = (random.uniform(), random.uniform());
        }
        // From one bin to the next, a delay of one period is one turn.
        turns -= (place * width.signum() + delay).rem_euclid(1.0);
        Complex32::from_polar(0.5, (TAU * turns) as f32)
    });
    // Neither 0 Hz nor the Nyquist frequency has a phase.
    let silent = std::iter::once(Complex32::default());
    silent.clone().chain(inner).chain(silent).collect()
}

#[cfg(test)]
mod tests {
    use realfft::RealFftPlanner;

    use super::super::CYCLE;
    use super::super::tests::layout;
    use super::*;
    use crate::spectrum::Preset;

    #[test]
    fn tones_take_turns_within_an_erb_for_ears_and_within_eight_for_receivers() {
        let inverse = RealFftPlanner::new().plan_fft_inverse(CYCLE);
        for (preset, width) in [(Preset::Listen, 1.0), (Preset::Data, -8.0)] {
            let phasors = phasors(1, &layout(preset), inverse.as_ref());
            // The phase falls from one bin to the next by its delay, in turns.
            let delay = |bin: usize| {
                f64::from((phasors[bin - 1] * phasors[bin].conj()).arg()).rem_euclid(TAU) / TAU
            };
            // From 500 Hz to 5 kHz, where several bins are in each ERB.
            let mut widths: Vec<f64> = (40..400)
                .map(|bin| {
                    let [before, after] =
                        [bin, bin + 1].map(|bin| hearing::erb_rate(bin as f64 * BIN_HZ));
                    let step = (delay(bin + 1) - delay(bin)) * f64::signum(width);
                    f64::signum(width) * (after - before) / step.rem_euclid(1.0)
                })
                .collect();
            widths.sort_by(f64::total_cmp);
            let middle = widths[widths.len() / 2];
            assert!((middle / width - 1.0).abs() < 0.05, "{preset:?}: {middle} ERBs");
        }
    }
}
