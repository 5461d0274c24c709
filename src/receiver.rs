//! Samples to spectrum.

use std::fmt;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};

use crate::spectrum::Spectrum;
use crate::synth::{CYCLE, JOIN, SLOT};

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

    /// The spectrum of the 80 ms that begin at `samples[start]`. `None` where
    /// the sound ends before they do.
    pub fn window(&mut self, samples: &[f32], start: usize) -> Option<Spectrum> {
        self.cycle.copy_from_slice(samples.get(start..start.checked_add(CYCLE)?)?);
        // It fails on wrong lengths only, and ours are those it asked for.
        self.forward
            .process_with_scratch(&mut self.cycle, &mut self.bins, &mut self.scratch)
            .ok()?;
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
