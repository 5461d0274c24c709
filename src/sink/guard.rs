//! Ears first: what lies between the sound and the ear, on the way to a
//! speaker only.
//!
//! Somebody turns the volume up while the scene is cold, and then a stove
//! comes into view. Whatever the code says and whatever the volume, what
//! leaves the [`Guard`] keeps these promises:
//!
//! - **Never too loud.** The K-weighted loudness (ITU-R BS.1770-4) of any
//!   100 ms, that of both ears together, is at most [`CAP_LUFS`]. The momentary
//!   loudness, over 400 ms, is a mean of four such windows and therefore at most
//!   that too.
//! - **Never startling.** The loudness of any 100 ms is at most [`RISE_DB`]
//!   above that of the 100 ms before, where those count as at least
//!   [`FLOOR_LUFS`]: from silence, the first 100 ms end at most at -40 LUFS.
//!   As a mean of such windows, momentary loudness rises no faster. The fade
//!   at the start and every change of volume are included. The same holds for
//!   either ear alone, from half of that floor on: sound that leaps from one
//!   ear to the other rises there, too.
//! - **The direction stays.** Both ears have one gain, that which the one needs
//!   that needs the lowest.
//! - **Starts quietly.** The sound rises by [`FADE_DB`] over one second, at
//!   the start and after [`Guard::restart`].
//! - **Volume moves in small steps**, 3 dB in 100 ms. [`Guard::set_muted`]
//!   fades to silence within 200 ms, and from it like at the start.
//! - **No true peak** above [`CEILING_DBTP`], by four-fold oversampling, on
//!   either channel or on both in one.
//!   Nothing that the synth makes comes near it at [`DEFAULT_VOLUME_DB`].
//! - What is no number is silence.
//!
//! # How
//!
//! Sound passes in blocks of 5 ms. What a block may spend of the loudness of
//! the windows that it lies in follows from the blocks before it: see
//! `spent`. As long as no block spends more, no window does. The gain
//! falls as far as that takes at once, over a block, and recovers by 8 dB in
//! 100 ms; the rise that is aimed at is 8 dB, too. As the share is one of 5 ms,
//! sound that swells and fades within 100 ms, as all of ours does, stays some
//! decibels below the cap. To know a block before its gain begins to move takes
//! two blocks of delay: [`DELAY`].

mod spent;

use self::spent::{Energies, Spent, affordable, together};
use super::meter::{Biquad, KWeighting, TruePeak};
use crate::synth::SAMPLE_RATE;

/// No 100 ms are louder than this, in LUFS.
pub const CAP_LUFS: f64 = -10.0;
/// No 100 ms are louder than the 100 ms before by more than this, in dB.
pub const RISE_DB: f64 = 10.0;
/// What is quieter counts as this loud where a rise begins, in LUFS.
pub const FLOOR_LUFS: f64 = -50.0;
/// The highest true peak, in dB of full scale.
pub const CEILING_DBTP: f64 = -1.0;
/// How far below its volume the sound starts, in dB.
pub const FADE_DB: f64 = 40.0;
/// How far below its volume the sound counts as silent, in dB.
const SILENT_DB: f64 = 60.0;
/// Volume at which the loudest sound that the synth makes stays below every
/// limit but that on the rise, in dB.
pub const DEFAULT_VOLUME_DB: f32 = -3.0;
/// The lowest and the highest volume in dB.
pub const VOLUMES_DB: [f32; 2] = [-60.0, 20.0];
/// Samples by which the sound is delayed: 10 ms.
pub const DELAY: usize = 2 * BLOCK;

/// Samples in a block: 5 ms.
const BLOCK: usize = 240;
/// Seconds in a block.
const BLOCK_S: f64 = BLOCK as f64 / SAMPLE_RATE as f64;
/// How fast the gain recovers, in dB a block: 8 dB in 100 ms.
const RELEASE_DB: f64 = 0.4;
/// The gain from which it recovers at least, in dB: from nothing it would
/// never.
const RETURN_DB: f64 = -40.0;
/// How fast the volume moves, in dB a block: 3 dB in 100 ms.
const VOLUME_STEP_DB: f64 = 0.15;
/// How fast it fades when it is muted, in dB a block: 30 dB in 100 ms.
const MUTE_STEP_DB: f64 = 1.5;
/// Full scale is 1; what is far beyond is no sound of ours.
const LARGEST: f64 = 8.0;
/// A gain that is lower than this, in dB, is worth telling.
const TELL_DB: f64 = 0.1;

/// Protects the ears; see the module's page for its promises. Left and right at
/// 48 kHz, full scale 1.0.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The volume asked for, and the one in force, in dB.
    asked_db: f64,
    volume_db: f64,
    /// Where the fade is, in dB below the volume; from [`SILENT_DB`] on it is
    /// silent.
    fade_db: f64,
    muted: bool,
    blockers: [Biquad; 2],
    /// The loudness of what comes in, and of what leaves.
    inlets: [KWeighting; 2],
    outlets: [KWeighting; 2],
    peaks: [TruePeak; 2],
    /// Samples that leave, that wait, and that come in.
    ready: [[f32; 2]; BLOCK],
    waiting: Block,
    incoming: [[f32; 2]; BLOCK],
    position: usize,
    /// Gain where the waiting block begins.
    gain: f64,
    /// Scale of samples where the incoming block begins: volume and fade.
    scale: f64,
    spent: Spent,
    acted: u64,
}

/// A block with its volume, before its gain.
#[derive(Clone, Debug)]
struct Block {
    samples: [[f64; 2]; BLOCK],
    /// K-weighted energies.
    energies: Energies,
    /// Highest true peak, or more where the channels differ: the root of the sum
    /// of their squares, so that both in one are not above it either.
    peak: f64,
}

impl Block {
    const SILENCE: Self = Self { samples: [[0.0; 2]; BLOCK], energies: [0.0; 3], peak: 0.0 };
}

impl Guard {
    /// A guard at `volume_db`, which starts quietly.
    pub fn new(volume_db: f32) -> Self {
        let volume_db = possible(volume_db);
        let mut guard = Self {
            asked_db: volume_db,
            volume_db,
            fade_db: FADE_DB,
            muted: false,
            blockers: [Biquad::high_pass(20.0), Biquad::high_pass(20.0)],
            inlets: Default::default(),
            outlets: Default::default(),
            peaks: [TruePeak::new(), TruePeak::new()],
            ready: [[0.0; 2]; BLOCK],
            waiting: Block::SILENCE,
            incoming: [[0.0; 2]; BLOCK],
            position: 0,
            gain: 1.0,
            scale: 0.0,
            spent: Spent::default(),
            acted: 0,
        };
        guard.scale = guard.target_scale();
        guard
    }

    /// Asks for another volume, which is reached in small steps. It is bounded
    /// by [`VOLUMES_DB`]; what is no number changes nothing.
    pub fn set_volume(&mut self, volume_db: f32) {
        if !volume_db.is_nan() {
            self.asked_db = possible(volume_db);
        }
    }

    /// Fades to silence, or from it to the volume like at the start.
    pub fn set_muted(&mut self, muted: bool) {
        // Nothing to hear yet, so nothing to fade.
        if muted && !self.muted && self.fade_db >= FADE_DB {
            self.fade_db = SILENT_DB;
        }
        self.muted = muted;
    }

    /// Starts quietly again, as on another device.
    pub fn restart(&mut self) {
        self.fade_db = self.fade_db.max(FADE_DB);
    }

    /// The device ran dry: what it plays next comes after silence, and rises
    /// from there.
    pub fn interrupt(&mut self) {
        self.ready = [[0.0; 2]; BLOCK];
        self.outlets = Default::default();
        self.spent.forget();
        self.gain = 0.0;
    }

    /// Seconds of sound that were held back so far, the fades not counted.
    pub fn acted_s(&self) -> f64 {
        self.acted as f64 * BLOCK_S
    }

    /// Puts guarded sound in the place of `samples`, left and right of each,
    /// [`DELAY`] samples later. Allocates nothing.
    pub fn process(&mut self, samples: &mut [[f32; 2]]) {
        for sample in samples {
            self.incoming[self.position] = sample.map(|x| if x.is_finite() { x } else { 0.0 });
            *sample = self.ready[self.position];
            self.position += 1;
            if self.position == BLOCK {
                self.position = 0;
                self.advance();
            }
        }
    }

    /// Takes the block that came in, and lets the one that waited go.
    fn advance(&mut self) {
        let next = self.receive();
        let caps = self.spent.caps(None);
        let recovered = self.gain.max(from_db(RETURN_DB)) * from_db(RELEASE_DB);
        let current = affordable(caps, self.waiting.energies);
        // The waiting block ends with the gain at which the next one begins,
        // so that this must suit both. What the waiting one will have spent
        // is known well enough.
        let most = |at: usize| (recovered.powi(2) * self.waiting.energies[at]).min(caps[at]);
        let following = self.spent.caps(Some(std::array::from_fn(most)));
        let following = affordable(following, next.energies);
        let ceiling = from_db(CEILING_DBTP) / self.waiting.peak.max(next.peak).max(1e-9);
        let mut end = recovered.min(1.0).min(current).min(following).min(ceiling);
        // The gain moves ahead of the K-weighting, which the shares neglect.
        let (mut energies, mut outlets) = self.emit(end);
        for _ in 0..8 {
            if energies.iter().zip(&caps).all(|(energy, cap)| energy <= cap) {
                break;
            }
            end *= 0.8;
            (energies, outlets) = self.emit(end);
        }
        self.outlets = outlets;
        self.spent.push(energies);
        let sounds = energies.iter().any(|&energy| energy > 0.0);
        self.acted += u64::from(self.gain.min(end) < from_db(-TELL_DB) && sounds);
        self.gain = end;
        self.waiting = next;
    }

    /// The incoming block with its volume and fade.
    fn receive(&mut self) -> Block {
        let start = self.scale;
        let change = self.asked_db - self.volume_db;
        self.volume_db += change.clamp(-VOLUME_STEP_DB, VOLUME_STEP_DB);
        self.fade_db = match self.muted {
            true => (self.fade_db + MUTE_STEP_DB).min(SILENT_DB),
            false => (self.fade_db.min(FADE_DB) - FADE_DB * BLOCK_S).max(0.0),
        };
        self.scale = self.target_scale();
        let (mut block, mut energies, mut square) = (Block::SILENCE, [0.0; 2], 0.0_f64);
        for (i, (&input, sample)) in self.incoming.iter().zip(&mut block.samples).enumerate() {
            let scale = start + (self.scale - start) * (i as f64 / BLOCK as f64);
            let mut peak = 0.0;
            for side in 0..2 {
                let input = f64::from(input[side]).clamp(-LARGEST, LARGEST);
                sample[side] = self.blockers[side].next(input) * scale;
                energies[side] += self.inlets[side].next(sample[side]).powi(2);
                peak += self.peaks[side].next(sample[side]).powi(2);
            }
            square = square.max(peak);
        }
        self.blockers.iter_mut().for_each(Biquad::settle);
        self.inlets.iter_mut().for_each(KWeighting::settle);
        (block.energies, block.peak) = (together(energies), square.sqrt());
        block
    }

    /// Writes the waiting block to `ready`, its gain running to `end`; returns
    /// its K-weighted energies, and the meters after it.
    fn emit(&mut self, end: f64) -> (Energies, [KWeighting; 2]) {
        let (mut outlets, mut energies) = (self.outlets.clone(), [0.0; 2]);
        let ceiling = from_db(CEILING_DBTP);
        for (i, (&input, ready)) in self.waiting.samples.iter().zip(&mut self.ready).enumerate() {
            let gain = self.gain + (end - self.gain) * (i as f64 / BLOCK as f64);
            let output = bounded(input.map(|input| input * gain), ceiling);
            for side in 0..2 {
                energies[side] += outlets[side].next(output[side]).powi(2);
            }
            *ready = output.map(|output| output as f32);
        }
        outlets.iter_mut().for_each(KWeighting::settle);
        (together(energies), outlets)
    }

    fn target_scale(&self) -> f64 {
        if self.fade_db >= SILENT_DB { 0.0 } else { from_db(self.volume_db - self.fade_db) }
    }
}

/// Left and right as they are, or in the same ratio where the root of the sum of
/// their squares would be above `ceiling`.
fn bounded([left, right]: [f64; 2], ceiling: f64) -> [f64; 2] {
    let square = left * left + right * right;
    let scale = if square > ceiling * ceiling { ceiling / square.sqrt() } else { 1.0 };
    [left * scale, right * scale]
}

/// The volume within its bounds.
fn possible(volume_db: f32) -> f64 {
    let [low, high] = VOLUMES_DB;
    // What is no number is the lowest: `max` prefers the other one.
    f64::from(volume_db.max(low).min(high))
}

/// The factor of amplitude that `db` decibels are.
fn from_db(db: f64) -> f64 {
    10_f64.powf(db / 20.0)
}

#[cfg(test)]
mod tests {
    use ebur128::{EbuR128, Mode};

    use super::*;
    use crate::random::Random;
    use crate::spectrum::hearing::{K_HIGH_PASS, K_SHELF};
    use crate::spectrum::{Layout, Mapping, Preset};
    use crate::stereo::{Panner, centred};
    use crate::synth::{SLOT, Synth};

    const SECOND: usize = SAMPLE_RATE;
    /// Samples of the windows that the limits are about.
    const WINDOW: usize = SECOND / 10;

    /// One channel of sound, or both in one.
    fn side(frames: &[[f32; 2]], side: usize) -> Vec<f32> {
        frames.iter().map(|frame| frame[side]).collect()
    }

    fn folded(frames: &[[f32; 2]]) -> Vec<f32> {
        frames.iter().map(|[left, right]| (left + right) * 0.5f32.sqrt()).collect()
    }

    /// K-weighted energies summed up: a window's is a difference of two.
    fn energies(samples: &[f32]) -> Vec<f64> {
        let mut wave: Vec<f64> = samples.iter().map(|&s| f64::from(s)).collect();
        for [b, a] in [K_SHELF, K_HIGH_PASS] {
            let input = wave.clone();
            for n in 0..wave.len() {
                let at = |wave: &[f64], back: usize| n.checked_sub(back).map_or(0.0, |n| wave[n]);
                wave[n] = b[0] * input[n] + b[1] * at(&input, 1) + b[2] * at(&input, 2)
                    - a[1] * at(&wave, 1)
                    - a[2] * at(&wave, 2);
            }
        }
        let mut sum = 0.0;
        std::iter::once(0.0)
            .chain(wave.iter().map(|w| {
                sum += w * w;
                sum
            }))
            .collect()
    }

    /// The loudest 100 ms and the steepest rise from `floor_lufs` on, at every
    /// sample of `energies` that are summed up.
    fn worst(energies: &[f64], floor_lufs: f64) -> (f64, f64) {
        let lufs = |end: usize| {
            let energy = (energies[end] - energies[end - WINDOW]).max(1e-12);
            -0.691 + 10.0 * (energy / WINDOW as f64).log10()
        };
        (2 * WINDOW..energies.len()).fold((f64::MIN, f64::MIN), |(loudest, steepest), end| {
            let (now, before) = (lufs(end), lufs(end - WINDOW));
            (loudest.max(now), steepest.max(now - before.max(floor_lufs)))
        })
    }

    /// The highest momentary loudness of both channels on another meter, and its
    /// steepest rise in 100 ms.
    fn metered(frames: &[[f32; 2]]) -> (f64, f64) {
        let mut meter = EbuR128::new(2, SECOND as u32, Mode::M).unwrap();
        let mut momentary = vec![];
        for part in frames.chunks(WINDOW / 50) {
            meter.add_frames_f32(part.as_flattened()).unwrap();
            momentary.push(meter.loudness_momentary().unwrap().max(FLOOR_LUFS));
        }
        let loudest = momentary.iter().copied().fold(f64::MIN, f64::max);
        (loudest, momentary.windows(51).map(|w| w[50] - w[0]).fold(0.0, f64::max))
    }

    /// The highest true peak in dB on that meter.
    fn peak_dbtp(samples: &[f32]) -> f64 {
        let mut meter = EbuR128::new(1, SECOND as u32, Mode::TRUE_PEAK).unwrap();
        meter.add_frames_f32(samples).unwrap();
        20.0 * meter.true_peak(0).unwrap().log10()
    }

    /// What leaves a guard at `volume_db`, in parts of any size.
    fn guarded(frames: &[[f32; 2]], volume_db: f32) -> (Vec<[f32; 2]>, Guard) {
        let mut guard = Guard::new(volume_db);
        let mut output = frames.to_vec();
        output.extend([[0.0; 2]; DELAY]);
        for part in output.chunks_mut(331) {
            guard.process(part);
        }
        (output, guard)
    }

    /// Checks every promise of loudness on `frames`.
    fn check(name: &str, frames: &[[f32; 2]]) {
        assert!(frames.as_flattened().iter().all(|s| s.is_finite()), "{name}");
        let silence = [[0.0; 2]; 2 * WINDOW];
        let padded = [&silence, frames].concat();
        let [left, right] = [0, 1].map(|n| energies(&side(&padded, n)));
        let both: Vec<f64> = left.iter().zip(&right).map(|(left, right)| left + right).collect();
        let ear_lufs = FLOOR_LUFS - 10.0 * 2f64.log10();
        let heard =
            [("both", &both, FLOOR_LUFS), ("left", &left, ear_lufs), ("right", &right, ear_lufs)];
        for (ear, energies, floor_lufs) in heard {
            let (loudest, steepest) = worst(energies, floor_lufs);
            assert!(loudest <= CAP_LUFS + 0.001, "{name}, {ear}: 100 ms at {loudest} LUFS");
            assert!(steepest <= RISE_DB + 0.001, "{name}, {ear}: 100 ms rise by {steepest} dB");
        }
        let (loudest, steepest) = metered(frames);
        assert!(loudest <= CAP_LUFS, "{name}: {loudest} LUFS");
        assert!(steepest <= RISE_DB, "{name}: {steepest} LU in 100 ms");
        for channel in [side(frames, 0), side(frames, 1), folded(frames)] {
            let peak = peak_dbtp(&channel);
            assert!(peak <= CEILING_DBTP + 0.3, "{name}: {peak} dBTP");
        }
    }

    fn noise(seconds: f64) -> Vec<f32> {
        let mut random = Random::new(1);
        let count = (seconds * SECOND as f64) as usize;
        (0..count).map(|_| random.between(-1.0, 1.0) as f32).collect()
    }

    fn sine(hz: f64, seconds: f64) -> Vec<f32> {
        let count = (seconds * SECOND as f64) as usize;
        let step = std::f64::consts::TAU * hz / SECOND as f64;
        (0..count).map(|n| (n as f64 * step).sin() as f32).collect()
    }

    /// The sound of codes that are all one value each, 100 ms a code.
    fn scene(values: &[f32]) -> Vec<f32> {
        let mapping = Mapping::preset(Preset::Listen, [60.0, 5000.0]);
        let layout = Layout::new(&mapping).unwrap();
        let (mut synth, mut samples) = (Synth::new(1), vec![]);
        for &value in values {
            synth.push(&layout.spectrum(&vec![value; mapping.values]), &mut samples);
        }
        synth.finish(&mut samples);
        samples
    }

    #[test]
    fn a_stove_after_the_volume_went_up_does_not_hurt() {
        let values = [[0.0; 30], [1.0; 30], [0.0; 30], [1.0; 30]].concat();
        for volume_db in [-20.0, 0.0, 10.0, 20.0] {
            let (output, guard) = guarded(&centred(&scene(&values)), volume_db);
            check(&format!("at {volume_db} dB"), &output);
            assert!(guard.acted_s() > 0.1);
        }
    }

    #[test]
    fn what_leaps_from_ear_to_ear_startles_neither_and_keeps_its_direction() {
        let sound = scene(&[0.7; 60]);
        // To and fro every second, and from one side to the middle.
        let places = [[-1.0, 1.0], [-0.5, 0.0], [-0.2, 0.2], [0.9, 0.9]];
        for (volume_db, [one, other]) in
            [-3.0, 20.0].into_iter().flat_map(|db| places.map(|places| (db, places)))
        {
            let name = format!("{one} and {other} at {volume_db} dB");
            let mut panner = Panner::default();
            let slots = sound.chunks(SLOT).enumerate();
            let sent: Vec<[f32; 2]> = slots
                .flat_map(|(n, slot)| {
                    panner.push(slot, Some(if n / 10 % 2 == 0 { one } else { other }))
                })
                .collect();
            let (output, guard) = guarded(&sent, volume_db);
            check(&name, &output);
            // A leap through and through is held back, and what stays is not.
            let (leaps, acted_s) = (other - one > 1.0, guard.acted_s());
            assert!(volume_db > 0.0 || leaps == (acted_s > 0.1), "{name}: {acted_s} s");
            // What a place sends in half a second comes out in the same shares.
            for start in (SECOND / 2..5 * SECOND).step_by(SECOND) {
                let ratio = |frames: &[[f32; 2]], start: usize| {
                    let square = |n| -> f64 {
                        let part = side(&frames[start..start + SECOND / 4], n);
                        part.iter().map(|&s| f64::from(s).powi(2)).sum()
                    };
                    (square(0) / (square(0) + square(1))).sqrt()
                };
                let apart = ratio(&sent, start) - ratio(&output, start + DELAY);
                assert!(apart.abs() < 0.01, "{name}: {apart}");
            }
        }
    }

    #[test]
    fn ears_that_hear_different_sounds_are_protected_together() {
        let mut random = Random::new(8);
        let mut on = [false; 2];
        let frames: Vec<[f32; 2]> = (0..6 * SECOND)
            .map(|n| {
                if n % 2400 == 0 {
                    on = on.map(|on| if random.uniform() < 0.3 { !on } else { on });
                }
                on.map(|on| if on { random.between(-1.0, 1.0) as f32 } else { 0.0 })
            })
            .collect();
        for volume_db in [0.0, 20.0] {
            let (output, _) = guarded(&frames, volume_db);
            check(&format!("noise on and off at {volume_db} dB"), &output);
            // Each ear waits for the other one, but is heard.
            let (loudest, _) = metered(&output);
            assert!(loudest > -40.0, "{loudest} LUFS");
        }
    }

    #[test]
    fn muting_fades_and_coming_back_is_like_the_start() {
        for (volume_db, period) in [(0.0, 3 * SECOND), (20.0, 3 * SECOND), (20.0, SECOND / 5)] {
            let mut output = centred(&noise(12.0));
            let mut guard = Guard::new(volume_db);
            for (n, part) in output.chunks_mut(480).enumerate() {
                guard.set_muted((480 * n / period) % 2 == 1);
                guard.process(part);
            }
            check(&format!("muted at {volume_db} dB, every {period} samples"), &output);
            if period == 3 * SECOND {
                let fade = period + SECOND / 5 + DELAY + BLOCK;
                assert!(output[fade..2 * period].iter().all(|&s| s == [0.0; 2]), "not silent");
                let peak = |part: &[[f32; 2]]| {
                    part.as_flattened().iter().fold(0f32, |most, s| most.max(s.abs()))
                };
                for at in (period - BLOCK..fade - 2 * BLOCK).step_by(BLOCK) {
                    let (now, next) =
                        (peak(&output[at..at + BLOCK]), peak(&output[at + BLOCK..at + 2 * BLOCK]));
                    assert!(next > 0.5 * now || now < 0.002, "{now}, then {next}");
                }
            }
        }
        // A device that comes while it is muted hears nothing.
        let (mut output, mut guard) = (centred(&noise(1.0)), Guard::new(0.0));
        guard.set_muted(true);
        guard.process(&mut output);
        guard.restart();
        guard.process(&mut output);
        assert!(output.as_flattened().iter().all(|&s| s.abs() < 1e-6));
    }

    #[test]
    fn nothing_passes_that_is_too_loud_or_too_sudden() {
        let silence = vec![0.0; 2 * SECOND];
        let after = |sound: Vec<f32>| [silence.clone(), sound].concat();
        let square = |hz| sine(hz, 2.0).iter().map(|s| s.signum()).collect::<Vec<f32>>();
        let mut gated = noise(4.0);
        for (n, sample) in gated.iter_mut().enumerate() {
            // On for 3 ms every 97 ms.
            *sample *= f32::from(u8::from(n % 4656 < 144));
        }
        let clicks: Vec<f32> =
            (0..4 * SECOND).map(|n| if n % 4801 == 0 { 1.0 } else { 0.0 }).collect();
        let step = after(vec![1.0; SECOND]);
        let sounds = [
            ("noise", noise(3.0)),
            ("noise after silence", after(noise(2.0))),
            ("a low sine", after(sine(25.0, 2.0))),
            ("a sine", after(sine(997.0, 2.0))),
            ("a high sine", after(sine(15_000.0, 2.0))),
            ("a sine near Nyquist", after(sine(11_999.0, 2.0))),
            ("a square wave", after(square(100.0))),
            ("bursts", gated),
            ("clicks", clicks),
            ("a step", step),
        ];
        for (name, sound) in sounds {
            for volume_db in [0.0, 20.0] {
                let (output, _) = guarded(&centred(&sound), volume_db);
                check(&format!("{name} at {volume_db} dB"), &output);
            }
        }
    }

    #[test]
    fn jumps_of_the_volume_are_steps() {
        let sound = [scene(&[0.5; 60]), sine(997.0, 2.0)].concat();
        let (mut guard, mut output) = (Guard::new(-60.0), centred(&sound));
        let last = output.len() / 4800;
        for (n, part) in output.chunks_mut(4800).enumerate() {
            guard.set_volume(if n % 14 < 7 || n > last - 10 { 20.0 } else { -60.0 });
            guard.process(part);
        }
        check("volume jumps", &output);
        // Without an ear to protect, the volume alone: from 40 dB below, in
        // 100 ms 3 dB of volume and 4 dB of fade.
        let (quiet, _) =
            guarded(&centred(&sine(997.0, 1.0).iter().map(|s| s * 1e-3).collect::<Vec<_>>()), 0.0);
        let quiet = folded(&quiet);
        let rms = |from: usize| quiet[from..from + 4800].iter().map(|s| s * s).sum::<f32>();
        assert!((10.0 * (rms(28_800) / rms(24_000)).log10() - 4.0).abs() < 0.1);
    }

    #[test]
    fn what_is_no_number_is_silence() {
        let mut sound = centred(&noise(2.0));
        for (n, sample) in sound.as_flattened_mut().iter_mut().enumerate() {
            match n % 97 {
                0 => *sample = f32::NAN,
                1 => *sample = f32::INFINITY,
                2 => *sample = f32::NEG_INFINITY,
                3 => *sample = f32::MAX,
                _ => {}
            }
        }
        let (output, mut guard) = guarded(&sound, f32::NAN);
        check("no numbers", &output);
        guard.set_volume(f32::NAN);
        guard.set_volume(f32::INFINITY);
        let mut output = sound;
        guard.process(&mut output);
        check("no numbers, louder", &output);
    }

    #[test]
    fn ordinary_sound_passes_untouched_but_for_the_volume_and_the_delay() {
        let mut random = Random::new(3);
        let slow: Vec<f32> = (0..80).map(|n| 0.5 + 0.3 * (n as f32 / 9.0).sin()).collect();
        let mapping = Mapping::preset(Preset::Listen, [60.0, 5000.0]);
        let layout = Layout::new(&mapping).unwrap();
        let (mut synth, mut sound) = (Synth::new(1), vec![]);
        for &mean in &slow {
            let code: Vec<f32> =
                (0..mapping.values).map(|_| mean + random.between(-0.2, 0.2) as f32).collect();
            synth.push(&layout.spectrum(&code), &mut sound);
        }
        let (output, guard) = guarded(&centred(&sound), DEFAULT_VOLUME_DB);
        assert_eq!(guard.acted_s(), 0.0);
        let output = folded(&output);
        // After the fade; what is left of the difference is the high-pass.
        let scale = from_db(f64::from(DEFAULT_VOLUME_DB)) as f32;
        let (mut error, mut power) = (0.0, 0.0);
        for (heard, sent) in output[DELAY..].iter().zip(&sound).skip(SECOND + SECOND / 10) {
            error += (heard - sent * scale).powi(2);
            power += (sent * scale).powi(2);
        }
        assert!(error < power * 0.25, "{error} of {power}");
    }

    #[test]
    fn the_loudest_scene_stays_below_the_ceiling_at_default_volume() {
        for preset in [Preset::Listen, Preset::Data] {
            let mapping = Mapping::preset(preset, [60.0, 5000.0]);
            let layout = Layout::new(&mapping).unwrap();
            let (mut synth, mut sound) = (Synth::new(7), vec![]);
            for _ in 0..30 {
                synth.push(&layout.spectrum(&vec![1.0; mapping.values]), &mut sound);
            }
            let peak = peak_dbtp(&sound);
            assert!(peak + f64::from(DEFAULT_VOLUME_DB) < CEILING_DBTP - 1.0, "{peak}");
            let (_, guard) = guarded(&centred(&sound), DEFAULT_VOLUME_DB);
            assert_eq!(guard.acted_s(), 0.0, "{preset:?}");
        }
    }

    #[test]
    fn after_an_interruption_the_sound_rises_from_silence() {
        let sound = [sine(300.0, 5.0), noise(1.0)].concat();
        for volume_db in [0.0, 20.0] {
            let (mut guard, mut output) = (Guard::new(volume_db), centred(&sound));
            let (first, second) = output.split_at_mut(2 * SECOND + 100);
            guard.process(first);
            guard.interrupt();
            guard.process(second);
            let gap = vec![[0.0; 2]; 12_000];
            check("an interruption", &[&*first, &gap, &*second].concat());
            let last = &second[SECOND..2 * SECOND];
            assert!(folded(last).iter().any(|s| s.abs() > 0.2), "it comes back");
        }
    }

    #[test]
    fn it_starts_quietly_and_again_after_a_restart() {
        let sound: Vec<f32> = sine(997.0, 4.0).iter().map(|s| s * 0.1).collect();
        let mut guard = Guard::new(0.0);
        let mut output = centred(&sound);
        let (first, second) = output.split_at_mut(2 * SECOND);
        guard.process(first);
        guard.restart();
        guard.process(second);
        for half in [first, second] {
            let half = folded(half);
            let level = |from: usize| {
                let part = &half[from..from + 960];
                10.0 * (part.iter().map(|s| s * s).sum::<f32>() / 960.0).log10()
            };
            let full = level(SECOND + 4800);
            assert!((level(DELAY + 240) - full + 40.0).abs() < 1.5, "{}", level(720) - full);
            assert!((level(DELAY + SECOND / 2) - full + 20.0).abs() < 1.5);
            assert!((level(DELAY + SECOND) - full).abs() < 0.1);
        }
        check("restart", &output);
    }
}
