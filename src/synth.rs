//! Spectrum to samples.
//!
//! A frame is heard for one slot of 100 ms. Within it the sound is cyclic with
//! a period of 80 ms and built like an OFDM symbol with a cyclic guard: any
//! 80 ms that lie within the slot, clear of the joins, hold exactly one period
//! and so give back every amplitude exactly. A receiver takes the centred
//! 80 ms, which leaves it 5 ms to spare on either side.
//!
//! Neighbouring frames give way to each other over a join of 10 ms that
//! straddles the boundary of their slots, so that nothing clicks. The phase of
//! each bin is fixed and counts from the first sample of the sound, not of the
//! slot: a still picture is one unbroken sound, without a dip at its joins.

mod phases;

use std::f64::consts::PI;
use std::fmt;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner};

use crate::spectrum::{Layout, Spectrum};

/// Samples in a second, always.
pub const SAMPLE_RATE: usize = 48_000;
/// Samples in a slot: every frame is heard this long.
pub const SLOT: usize = 4800;
/// Seconds in a slot.
pub const SLOT_S: f64 = 0.1;
/// Samples after which the sound of one frame repeats: 80 ms, so that its
/// frequencies are the multiples of 12.5 Hz.
pub const CYCLE: usize = 3840;
/// Samples over which one frame gives way to the next: 10 ms, half of them on
/// each side of the slot's boundary.
pub const JOIN: usize = 480;

/// Turns one spectrum after another into one sound.
///
/// The sound starts with a lead-in, one slot that repeats the first frame and
/// fades it in, and ends with a lead-out that repeats the last frame and fades
/// it out, 80 ms each. Frame n is heard in slot n + 1; times count from the
/// end of the lead-in.
pub struct Synth {
    /// Half of a unit phasor for every bin: a sine of amplitude 1 is a pair of
    /// bins of 1/2.
    phasors: Vec<Complex32>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    bins: Vec<Complex32>,
    scratch: Vec<Complex32>,
    /// One period of the frame that sounds.
    cycle: Vec<f32>,
    /// One period of the frame that follows.
    next: Vec<f32>,
    /// Samples since the start of the sound; 0 before the first frame.
    position: usize,
}

impl fmt::Debug for Synth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Synth").field("position", &self.position).finish_non_exhaustive()
    }
}

impl Synth {
    /// A synth for the sounds of `layout`, whose phases are those of `seed`.
    pub fn new(seed: u64, layout: &Layout) -> Self {
        let inverse = RealFftPlanner::new().plan_fft_inverse(CYCLE);
        Self {
            phasors: phases::phasors(seed, layout, inverse.as_ref()),
            bins: inverse.make_input_vec(),
            scratch: inverse.make_scratch_vec(),
            inverse,
            cycle: vec![0.0; CYCLE],
            next: vec![0.0; CYCLE],
            position: 0,
        }
    }

    /// Appends the next slot to `samples`.
    ///
    /// What is appended ends where the join to a following frame begins, 5 ms
    /// before the end of the slot. The first call appends the lead-in too,
    /// 9360 samples in all; every other call appends 4800 and, where `samples`
    /// has room for them, allocates nothing.
    pub fn push(&mut self, spectrum: &Spectrum, samples: &mut Vec<f32>) {
        self.begin(spectrum, samples);
        self.hold(SLOT - JOIN, samples);
    }

    /// Appends the join to `spectrum`, or the lead-in to the first one, and
    /// leaves the rest of the slot to [`Self::hold`].
    pub fn begin(&mut self, spectrum: &Spectrum, samples: &mut Vec<f32>) {
        self.render(spectrum);
        std::mem::swap(&mut self.cycle, &mut self.next);
        if self.position == 0 {
            self.play(CYCLE, samples, |i, frame, _| frame * rise(i, CYCLE));
            self.hold(SLOT + JOIN / 2 - CYCLE, samples);
        } else {
            // Linear in amplitude, as both frames have the same phases.
            let join = |i, frame: f32, last: f32| last + (frame - last) * rise(i, JOIN);
            self.play(JOIN, samples, join);
        }
    }

    /// Appends `count` samples more of the frame that sounds: a slot may be
    /// longer or shorter than others, and its sound repeats all the same.
    pub fn hold(&mut self, count: usize, samples: &mut Vec<f32>) {
        self.play(count, samples, |_, frame, _| frame);
    }

    /// Samples so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Appends the rest of the last slot and the lead-out to `samples`, so
    /// that the whole sound has `(frames + 2) * SLOT` samples. The synth is
    /// then as good as new. Without a frame it appends nothing.
    pub fn finish(&mut self, samples: &mut Vec<f32>) {
        if self.position == 0 {
            return;
        }
        self.hold(JOIN / 2 + SLOT - CYCLE, samples);
        self.play(CYCLE, samples, |i, frame, _| frame * (1.0 - rise(i, CYCLE)));
        self.position = 0;
    }

    /// Writes one period of `spectrum` to `next`.
    fn render(&mut self, spectrum: &Spectrum) {
        self.bins.fill(Complex32::default());
        for ((bin, phasor), &amplitude) in
            self.bins.iter_mut().zip(&self.phasors).zip(&spectrum.amplitudes)
        {
            *bin = phasor * amplitude;
        }
        transform(self.inverse.as_ref(), &mut self.bins, &mut self.next, &mut self.scratch);
    }

    /// Appends `count` samples: `mix` of how many precede, the frame that
    /// sounds and the one before.
    fn play(&mut self, count: usize, samples: &mut Vec<f32>, mix: impl Fn(usize, f32, f32) -> f32) {
        let start = self.position;
        samples.extend((0..count).map(|i| {
            let phase = (start + i) % CYCLE;
            mix(i, self.cycle[phase], self.next[phase])
        }));
        self.position += count;
    }
}

/// Half a raised cosine: from 0 to 1 over `count` samples.
pub(crate) fn rise(sample: usize, count: usize) -> f32 {
    (0.5 - 0.5 * (PI * (sample as f64 + 0.5) / count as f64).cos()) as f32
}

/// The wave of `bins`, which are overwritten.
fn transform(
    inverse: &dyn ComplexToReal<f32>,
    bins: &mut [Complex32],
    wave: &mut [f32],
    scratch: &mut [Complex32],
) {
    let done = inverse.process_with_scratch(bins, wave, scratch);
    // It fails on wrong lengths, and ours are those that it asked for, or on
    // an imaginary part at 0 Hz or Nyquist, and there our phasors are zero.
    debug_assert!(done.is_ok(), "{done:?}");
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::random::Random;
    use crate::spectrum::{Mapping, Preset};

    pub(super) fn layout(preset: Preset) -> Layout {
        Layout::new(&Mapping::preset(preset, [60.0, 5000.0])).unwrap()
    }

    fn sound(frames: &[Spectrum]) -> Vec<f32> {
        let (mut synth, mut samples) = (Synth::new(1, &layout(Preset::Data)), Vec::new());
        frames.iter().for_each(|frame| synth.push(frame, &mut samples));
        synth.finish(&mut samples);
        samples
    }

    fn codes(count: usize) -> Vec<Spectrum> {
        let (layout, mut random) = (layout(Preset::Data), Random::new(1));
        let values = layout.mapping().values;
        let mut code = || (0..values).map(|_| random.uniform() as f32).collect::<Vec<f32>>();
        (0..count).map(|_| layout.spectrum(&code())).collect()
    }

    #[test]
    fn samples_are_the_sum_of_the_cosines() {
        let frames = codes(3);
        let synth = Synth::new(1, &layout(Preset::Data));
        let samples = sound(&frames);
        let oracle = |frame: &Spectrum, n: usize| -> f64 {
            let wave = |(bin, &amplitude): (usize, &f32)| {
                let phase = f64::from(synth.phasors[bin].arg());
                f64::from(amplitude) * (TAU * (bin * n) as f64 / CYCLE as f64 + phase).cos()
            };
            frame.amplitudes.iter().enumerate().map(wave).sum()
        };
        for n in (0..samples.len()).step_by(7) {
            // The frames on either side of the nearest boundary of two slots.
            let frame = |slot: usize| &frames[slot.clamp(1, 3) - 1];
            let boundary = (n + SLOT / 2) / SLOT;
            let (old, new) = (frame(boundary.max(1) - 1), frame(boundary));
            let place = (n as f64 + 0.5 - (boundary * SLOT) as f64) / JOIN as f64 + 0.5;
            let share = (PI * place.clamp(0.0, 1.0) / 2.0).sin().powi(2);
            let fade = |samples: f64| (PI * (samples / 3840.0).min(1.0) / 2.0).sin().powi(2);
            let fades = fade(n as f64 + 0.5) * fade((samples.len() - n) as f64 - 0.5);
            let expected = fades * (oracle(old, n) * (1.0 - share) + oracle(new, n) * share);
            assert!((f64::from(samples[n]) - expected).abs() < 2e-6, "sample {n}");
        }
    }

    #[test]
    fn the_sound_is_two_slots_longer_than_its_frames() {
        assert_eq!(sound(&[]).len(), 0);
        for count in 1..5 {
            assert_eq!(sound(&codes(count)).len(), (count + 2) * SLOT);
        }
        let (mut synth, mut samples) = (Synth::new(1, &layout(Preset::Data)), Vec::new());
        let mut ends = Vec::new();
        for frame in codes(3) {
            synth.push(&frame, &mut samples);
            ends.push(samples.len());
        }
        assert_eq!(ends, [2 * SLOT - JOIN / 2, 3 * SLOT - JOIN / 2, 4 * SLOT - JOIN / 2]);
    }

    #[test]
    fn a_finished_synth_is_as_good_as_new() {
        let frames = codes(3);
        let mut synth = Synth::new(1, &layout(Preset::Data));
        for _ in 0..2 {
            let mut samples = Vec::new();
            frames.iter().for_each(|frame| synth.push(frame, &mut samples));
            synth.finish(&mut samples);
            assert_eq!(samples, sound(&frames));
        }
    }

    #[test]
    fn a_still_picture_is_one_unbroken_sound() {
        let frame = codes(1).remove(0);
        let samples = sound(&vec![frame; 6]);
        let steady = &samples[SLOT..7 * SLOT];
        for (now, later) in steady.iter().zip(&steady[CYCLE..]) {
            assert!((now - later).abs() < 1e-6);
        }
    }

    #[test]
    fn other_seeds_have_other_phases() {
        let (one, two) =
            (Synth::new(1, &layout(Preset::Data)), Synth::new(2, &layout(Preset::Data)));
        assert_ne!(one.phasors, two.phasors);
        assert!(one.phasors[1..Spectrum::BINS - 1].iter().all(|p| (p.norm() - 0.5).abs() < 1e-6));
    }

    #[test]
    fn not_even_the_loudest_code_clips() {
        for preset in [Preset::Listen, Preset::Data] {
            let layout = layout(preset);
            let loudest = layout.spectrum(&vec![1.0; layout.mapping().values]);
            for seed in 0..20 {
                let (mut synth, mut samples) = (Synth::new(seed, &layout), Vec::new());
                synth.push(&loudest, &mut samples);
                let peak = samples.iter().fold(0.0, |peak: f32, s| peak.max(s.abs()));
                assert!((0.5..0.95).contains(&peak), "{preset:?}, seed {seed}: {peak}");
            }
        }
    }
}
