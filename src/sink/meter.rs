//! Filters that measure sound as it passes, sample by sample.

use std::f64::consts::PI;

use crate::spectrum::hearing::{K_HIGH_PASS, K_SHELF};
use crate::synth::SAMPLE_RATE;

/// A filter of second order, transposed direct form II.
#[derive(Clone, Debug)]
pub(crate) struct Biquad {
    zeros: [f64; 3],
    poles: [f64; 3],
    state: [f64; 2],
}

impl Biquad {
    pub fn new([zeros, poles]: [[f64; 3]; 2]) -> Self {
        Self { zeros, poles, state: [0.0; 2] }
    }

    /// Butterworth's high-pass at `hz`, by the bilinear transform.
    pub fn high_pass(hz: f64) -> Self {
        let k = (PI * hz / SAMPLE_RATE as f64).tan();
        let root = std::f64::consts::SQRT_2 * k;
        let norm = 1.0 / (1.0 + root + k * k);
        let poles = [1.0, 2.0 * (k * k - 1.0) * norm, (1.0 - root + k * k) * norm];
        Self::new([[norm, -2.0 * norm, norm], poles])
    }

    pub fn next(&mut self, input: f64) -> f64 {
        let output = self.zeros[0] * input + self.state[0];
        self.state[0] = self.zeros[1] * input - self.poles[1] * output + self.state[1];
        self.state[1] = self.zeros[2] * input - self.poles[2] * output;
        output
    }

    /// Ends a decay before its numbers become too small to be fast.
    pub fn settle(&mut self) {
        for state in &mut self.state {
            if state.abs() < 1e-30 {
                *state = 0.0;
            }
        }
    }
}

/// The K-weighting of ITU-R BS.1770 at 48 kHz.
#[derive(Clone, Debug)]
pub(super) struct KWeighting {
    shelf: Biquad,
    high_pass: Biquad,
}

impl Default for KWeighting {
    fn default() -> Self {
        Self { shelf: Biquad::new(K_SHELF), high_pass: Biquad::new(K_HIGH_PASS) }
    }
}

impl KWeighting {
    pub fn next(&mut self, input: f64) -> f64 {
        self.high_pass.next(self.shelf.next(input))
    }

    /// See [`Biquad::settle`].
    pub fn settle(&mut self) {
        self.shelf.settle();
        self.high_pass.settle();
    }
}

/// Taps of one phase of the interpolator.
const TAPS: usize = 12;
/// Points at which the sound between two samples is looked at.
const PHASES: usize = 4;

/// The peak of the sound between its samples, as in ITU-R BS.1770-5, Annex 2:
/// a windowed sine cardinal at four times the rate.
#[derive(Clone, Debug)]
pub(super) struct TruePeak {
    taps: [[f64; TAPS]; PHASES],
    history: [f64; TAPS],
    position: usize,
}

impl TruePeak {
    pub fn new() -> Self {
        let mut taps = [[0.0; TAPS]; PHASES];
        for (phase, taps) in taps.iter_mut().enumerate() {
            for (index, tap) in taps.iter_mut().enumerate() {
                let at = index as f64 - (TAPS / 2) as f64 + phase as f64 / PHASES as f64;
                let window = 0.5 + 0.5 * (PI * at / (TAPS / 2 + 1) as f64).cos();
                *tap = if at == 0.0 { 1.0 } else { (PI * at).sin() / (PI * at) * window };
            }
        }
        Self { taps, history: [0.0; TAPS], position: 0 }
    }

    /// Takes a sample; the highest magnitude near the one six samples ago.
    pub fn next(&mut self, sample: f64) -> f64 {
        self.history[self.position] = sample;
        self.position = (self.position + 1) % TAPS;
        self.taps.iter().fold(sample.abs(), |peak, taps| {
            let (late, early) = self.history.split_at(self.position);
            let value: f64 = early.iter().chain(late).zip(taps).map(|(x, t)| x * t).sum();
            peak.max(value.abs())
        })
    }
}
