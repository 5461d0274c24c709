//! What blocks of sound may spend of the loudness of their windows.
//!
//! With E_n the K-weighted energy of block n as it leaves, a window of 100 ms
//! that ends anywhere in block m lies within the 21 blocks up to m, and the
//! window before it holds at least the 19 blocks up to m - 21. So both limits
//! hold at every sample if
//!
//! ```text
//! E_(m-20) + .. + E_m <= L_m = min(cap, rise max(E_(m-39) + .. + E_(m-21), floor))
//! ```
//!
//! All windows that block n lies in have limits which depend on the past
//! alone. Block n may spend an even share of what each leaves,
//!
//! ```text
//! E_n <= min over j = 0..20 of (L_(n+j) - what that window has spent) / (j + 1),
//! ```
//!
//! and as long as every block does, no window is ever overspent.
//!
//! This holds for each ear alone and for both together, whose energies add up
//! (ITU-R BS.1770). An ear alone may be as loud as both, and its rise begins at
//! half of their floor: so sound in the middle is limited by both or by either
//! alike, and one that leaps from ear to ear by the ear that it comes to.

use super::{CAP_LUFS, FLOOR_LUFS, RISE_DB};
use crate::spectrum::hearing::power_of_lufs;
use crate::synth::SAMPLE_RATE;

/// Blocks that a window of 100 ms touches, at most.
const TOUCHED: usize = 21;
/// Blocks that a window of 100 ms holds whole, at least.
const WHOLE: usize = 19;
/// Blocks back from the end of a window to the end of those that the window
/// before it holds whole.
const BACK: usize = 21;
/// Blocks to remember.
const MEMORY: usize = 64;
/// Kept between the cap and what is aimed at, in dB: one meter's filter is
/// another's rounding.
const MARGIN_DB: f64 = 0.05;
/// Kept between the steepest rise and what is aimed at, in dB: a device that
/// loses a few milliseconds on a busy machine makes the rest steeper.
const RISE_MARGIN_DB: f64 = 2.0;

/// Energies of a block: that on the left, on the right, and both together.
pub(super) type Energies = [f64; 3];

/// What two ears spend alone.
pub(super) fn together([left, right]: [f64; 2]) -> Energies {
    [left, right, left + right]
}

/// The gain at which a block of `energies` spends no more than all but 2 % of
/// any of `caps`; they are left for what moves with the gain.
pub(super) fn affordable(caps: Energies, energies: Energies) -> f64 {
    caps.into_iter().zip(energies).fold(1.0, |gain: f64, (cap, energy)| {
        let cap = 0.98 * cap;
        if energy > cap { gain.min((cap / energy).sqrt()) } else { gain }
    })
}

/// What the last blocks spent: on the left, on the right, and together.
#[derive(Clone, Debug)]
pub(super) struct Spent([Line; 3]);

impl Default for Spent {
    fn default() -> Self {
        let ear = Line { floor: Line::default().floor / 2.0, ..Line::default() };
        Self([ear.clone(), ear, Line::default()])
    }
}

impl Spent {
    /// Takes all that was for silence.
    pub fn forget(&mut self) {
        self.0.iter_mut().for_each(|line| line.energies = [0.0; MEMORY]);
    }

    /// Adds the newest block.
    pub fn push(&mut self, energies: Energies) {
        self.0.iter_mut().zip(energies).for_each(|(line, energy)| line.push(energy));
    }

    /// What the next block may spend; or, where it is known how much the next
    /// one spends at most, what the one after it may.
    pub fn caps(&self, next: Option<Energies>) -> Energies {
        std::array::from_fn(|at| self.0[at].cap(next.map(|next| next[at])))
    }
}

/// What the last blocks spent, the newest last.
#[derive(Clone, Debug)]
struct Line {
    energies: [f64; MEMORY],
    newest: usize,
    cap: f64,
    floor: f64,
    rise: f64,
}

impl Default for Line {
    fn default() -> Self {
        let window = |lufs: f64| power_of_lufs(lufs) * SAMPLE_RATE as f64 / 10.0;
        Self {
            energies: [0.0; MEMORY],
            newest: 0,
            cap: window(CAP_LUFS - MARGIN_DB),
            floor: window(FLOOR_LUFS),
            rise: 10_f64.powf((RISE_DB - RISE_MARGIN_DB) / 10.0),
        }
    }
}

impl Line {
    fn push(&mut self, energy: f64) {
        self.newest = (self.newest + 1) % MEMORY;
        self.energies[self.newest] = energy;
    }

    /// The energy of the block `ago` blocks before the newest one.
    fn energy(&self, ago: usize) -> f64 {
        self.energies[(self.newest + MEMORY - ago) % MEMORY]
    }

    /// See [`Spent::caps`].
    fn cap(&self, next: Option<f64>) -> f64 {
        let ahead = usize::from(next.is_some());
        let ago = |back: usize| match back.checked_sub(ahead + 1) {
            Some(ago) => self.energy(ago),
            // It may spend less, and then allows less in its wake.
            None => 0.0,
        };
        let mut cap = f64::INFINITY;
        // Windows that end j blocks after the block in question: `spent` are
        // the blocks before it, `before` those of the window before.
        let spend = |back: usize| if back == ahead { next.unwrap_or(0.0) } else { ago(back) };
        let mut spent: f64 = (1..TOUCHED).map(spend).sum();
        let mut before: f64 = (BACK..BACK + WHOLE).map(ago).sum();
        for j in 0..TOUCHED {
            let limit = self.cap.min(self.rise * before.max(self.floor));
            cap = cap.min((limit - spent) / (j + 1) as f64);
            // One block later.
            if j + 1 < TOUCHED {
                spent -= spend(TOUCHED - 1 - j);
                before += ago(BACK - 1 - j) - ago(BACK + WHOLE - 1 - j);
            }
        }
        cap.max(0.0)
    }
}
