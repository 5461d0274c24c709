//! Ears first: what lies between the sound and the ear, on the way to a
//! speaker only.
//!
//! Somebody turns the volume up while the scene is cold, and then a stove
//! comes into view. Whatever the code says and whatever the volume, what
//! leaves the [`Guard`] keeps these promises:
//!
//! - **Never too loud.** The K-weighted loudness (ITU-R BS.1770-5) of any
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
#[cfg(test)]
mod tests;

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
/// The true peak that is aimed at, in dB of full scale: meters look between the
/// samples by filters of their own, and differ by so much.
const AIM_DBTP: f64 = CEILING_DBTP - 0.3;
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
    /// Keep out what is no sound, but would become one as the gain moves.
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
        let ceiling = from_db(AIM_DBTP) / self.waiting.peak.max(next.peak).max(1e-9);
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
        let ceiling = from_db(AIM_DBTP);
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
