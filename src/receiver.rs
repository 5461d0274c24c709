//! Samples to spectrum.

pub mod align;

use std::fmt;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};

use crate::spectrum::Spectrum;
use crate::synth::{CYCLE, JOIN, SLOT};

/// Noise is averaged over so many bins on either side, 200 Hz.
const NEAR_BINS: usize = 16;

/// Noise is averaged over so many frames on either side.
const NEAR_SLOTS: usize = 2;

/// Reads spectra back from sound: the inverse of [`crate::synth::Synth`].
///
/// It reads sound at 48 kHz that starts with the lead-in, as our files do. A
/// start that is off by up to 5 ms changes nothing.
pub struct Receiver {
    forward: Arc<dyn RealToComplex<f32>>,
    cycle: Vec<f32>,
    bins: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

/// Power of the noise in each bin; 1.0 is that of a full-scale sine.
#[derive(Clone, Debug)]
pub struct Noise {
    /// By one frame alone, which tells little of any bin.
    pub own: Vec<f64>,
    /// By the bins and the frames around, too.
    pub around: Vec<f64>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

impl Receiver {
    /// A receiver; it keeps no state from one spectrum to the next.
    pub fn new() -> Self {
        let forward = RealFftPlanner::new().plan_fft_forward(CYCLE);
        Self {
            cycle: forward.make_input_vec(),
            bins: forward.make_output_vec(),
            scratch: forward.make_scratch_vec(),
            forward,
        }
    }

    /// How many frames a whole sound of `samples` samples holds: its slots
    /// less the lead-in and the lead-out.
    pub fn slots(samples: usize) -> usize {
        (samples / SLOT).saturating_sub(2)
    }

    /// The spectrum of frame `slot` of a sound that starts at `samples[0]`
    /// with its lead-in. `None` where the sound ends before the frame does.
    ///
    /// A sound that was cut off holds frames beyond [`Receiver::slots`]: all
    /// those for which this gives a spectrum.
    pub fn spectrum(&mut self, samples: &[f32], slot: usize) -> Option<Spectrum> {
        // Slot 0 is the lead-in; the join is over after half of it, and 5 ms
        // more are to spare.
        let start = slot.checked_add(1)?.checked_mul(SLOT)?.checked_add(JOIN)?;
        self.window(samples, start)
    }

    /// The noise around frame `slot`, numbered as for [`Receiver::spectrum`]. `None`
    /// where the sound ends before the frame does.
    ///
    /// A frame is clear of its neighbours for 90 ms, and repeats after 80: 5 ms
    /// at its start and at its end are alike, and what they differ by is
    /// noise, whatever the frame holds. It has the power of 10 ms of noise,
    /// and is taken as steady over 400 Hz and over five frames.
    pub fn noise(&mut self, samples: &[f32], slot: usize) -> Option<Noise> {
        let mut own = vec![0.0; Spectrum::BINS];
        self.add_noise(samples, slot, &mut own)?;
        let (mut rough, mut frames) = (own.clone(), 1.0);
        for near in (1..=NEAR_SLOTS).flat_map(|n| [slot.checked_sub(n), slot.checked_add(n)]) {
            let near = near.filter(|&near| near < Self::slots(samples.len()));
            if near.and_then(|near| self.add_noise(samples, near, &mut rough)).is_some() {
                frames += 1.0;
            }
        }
        let smooth = |bin: usize| {
            let low = bin.saturating_sub(NEAR_BINS);
            let near = &rough[low..(bin + NEAR_BINS + 1).min(rough.len())];
            near.iter().sum::<f64>() / near.len() as f64 / frames
        };
        Some(Noise { around: (0..rough.len()).map(smooth).collect(), own })
    }

    /// Adds a rough estimate of the noise in frame `slot` to `power`.
    fn add_noise(&mut self, samples: &[f32], slot: usize, power: &mut [f64]) -> Option<()> {
        const APART: usize = JOIN / 2;
        let start = slot.checked_add(1)?.checked_mul(SLOT)?.checked_add(JOIN - APART / 2)?;
        let clear = samples.get(start..start.checked_add(CYCLE + APART)?)?;
        self.cycle.fill(0.0);
        for (difference, (first, last)) in
            self.cycle.iter_mut().zip(clear.iter().zip(&clear[CYCLE..]))
        {
            *difference = first - last;
        }
        self.transform()?;
        for (sum, bin) in power.iter_mut().zip(&self.bins) {
            let amplitude = f64::from(bin.norm()) * 2.0 / CYCLE as f64;
            *sum += amplitude * amplitude * CYCLE as f64 / (2 * APART) as f64;
        }
        Some(())
    }

    /// Transforms `cycle` into `bins`.
    fn transform(&mut self) -> Option<()> {
        // It fails on wrong lengths only, and ours are those it asked for.
        let Self { forward, cycle, bins, scratch } = self;
        forward.process_with_scratch(cycle, bins, scratch).ok()
    }

    /// The spectrum of the 80 ms that begin at `samples[start]`. `None` where
    /// the sound ends before they do.
    pub fn window(&mut self, samples: &[f32], start: usize) -> Option<Spectrum> {
        self.cycle.copy_from_slice(samples.get(start..start.checked_add(CYCLE)?)?);
        self.transform()?;
        // A sine of amplitude 1 is a pair of bins of N / 2.
        let amplitude = |bin: &Complex32| bin.norm() * 2.0 / CYCLE as f32;
        let mut spectrum = Spectrum { amplitudes: self.bins.iter().map(amplitude).collect() };
        // 0 Hz and the Nyquist frequency are no pairs.
        for end in [0, Spectrum::BINS - 1] {
            spectrum.amplitudes[end] /= 2.0;
        }
        Some(spectrum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    #[test]
    fn amplitudes_are_those_of_the_cosines() {
        let parts = [(0, 0.1, 0.0), (7, 0.25, 1.0), (400, 0.03, -2.0), (1920, 0.05, 0.0)];
        let sample = |n: usize| -> f32 {
            let wave = |&(bin, amplitude, phase): &(usize, f64, f64)| {
                amplitude * (TAU * (bin * n) as f64 / CYCLE as f64 + phase).cos()
            };
            parts.iter().map(wave).sum::<f64>() as f32
        };
        let samples: Vec<f32> = (0..4 * SLOT).map(sample).collect();
        let spectrum = Receiver::new().spectrum(&samples, 1).unwrap();
        for (bin, &amplitude) in spectrum.amplitudes.iter().enumerate() {
            let expected = parts.iter().find(|part| part.0 == bin).map_or(0.0, |part| part.1);
            assert!((f64::from(amplitude) - expected).abs() < 1e-6, "bin {bin}: {amplitude}");
        }
    }

    #[test]
    fn noise_is_told_from_sound() {
        let mut random = crate::random::Random::new(3);
        let tone = |n: usize| 0.2 * (TAU * 80.0 * n as f64 / CYCLE as f64).sin();
        let clean: Vec<f32> = (0..4 * SLOT).map(|n| tone(n) as f32).collect();
        let noisy: Vec<f32> = clean.iter().map(|&v| v + 0.01 * random.normal() as f32).collect();
        // White noise of variance v has the power 4 v / N in each bin.
        let expected = 4.0 * 0.01f64.powi(2) / CYCLE as f64;
        let mut receiver = Receiver::new();
        assert!(
            receiver.noise(&clean, 1).unwrap().around.iter().all(|&noise| noise < 1e-4 * expected)
        );
        let noise = receiver.noise(&noisy, 1).unwrap().around;
        let mean = noise.iter().sum::<f64>() / noise.len() as f64;
        assert!((mean / expected - 1.0).abs() < 0.2, "{mean} against {expected}");
        assert!(receiver.noise(&noisy, 3).is_none());
    }

    #[test]
    fn a_frame_that_is_not_whole_has_no_spectrum() {
        let (mut receiver, samples) = (Receiver::new(), vec![0.0; 3 * SLOT]);
        assert!(receiver.spectrum(&samples, 0).is_some());
        assert!(receiver.spectrum(&samples, 2).is_none());
        assert!(receiver.spectrum(&samples[..2 * SLOT - JOIN], 0).is_some());
        assert!(receiver.spectrum(&samples[..2 * SLOT - JOIN - 1], 0).is_none());
        assert!(receiver.spectrum(&samples, usize::MAX).is_none());
        assert!(receiver.window(&samples, usize::MAX).is_none());
    }

    #[test]
    fn slots_count_the_frames() {
        assert_eq!([0, SLOT, 3 * SLOT, 12 * SLOT].map(Receiver::slots), [0, 0, 1, 10]);
    }
}
