//! Which of a listener's ears hears more of the same sound.

use serde::{Deserialize, Serialize};

use super::{Ears, TONES_HZ};
use crate::error::Result;
use crate::random::Random;
use crate::spectrum::{Layout, Mapping, Preset};
use crate::synth::{SAMPLE_RATE, Synth};

/// The most by which a side is made quieter, in dB.
pub const MOST_QUIETER_DB: f64 = 12.0;
/// Once the balance is known to so many dB, their middle will do: the ear tells
/// levels apart that differ by about 1 dB.
const EXACT_DB: f64 = 3.0;
/// Whoever hears one side alone so often in a row hears with one ear.
const UNHEARD: usize = 2;
/// Values of the sound that is compared: so few that they fit the narrowest band
/// that a check lets pass.
const VALUES: usize = 16;
/// Slots of that sound: with its fades, 1.2 s.
const SLOTS: usize = 10;
/// Samples of silence between the sides: 0.4 s.
const BETWEEN: usize = SAMPLE_RATE * 2 / 5;

/// What a listener's two ears need of a speaker. Files know nothing of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sides {
    /// By how much left and right are made quieter, in dB, 0 to
    /// [`MOST_QUIETER_DB`]; one of them is 0, so that nothing is louder than it
    /// was.
    pub quieter_db: [f64; 2],
    /// Whether one ear alone hears: then both sides play the same, and nothing
    /// comes from a place.
    pub one_ear: bool,
}

impl Sides {
    /// The left side quieter by `balance_db`, or, below 0, the right one.
    fn balanced(balance_db: f64) -> Self {
        let db = balance_db.abs();
        let quieter_db = if balance_db > 0.0 { [db, 0.0] } else { [0.0, db] };
        Self { quieter_db, one_ear: false }
    }

    /// What is left of amplitudes on the left and on the right.
    pub fn gains(&self) -> [f32; 2] {
        self.quieter_db.map(|db| 10f64.powf(-db / 20.0) as f32)
    }

    /// The side that is made quieter, and by how many dB; none where the ears are
    /// alike.
    pub fn louder(&self) -> Option<(&'static str, f64)> {
        let mut sides = ["left", "right"].into_iter().zip(self.quieter_db);
        sides.find(|(_, db)| *db > 0.0)
    }

    /// Whether it says something sensible.
    pub(super) fn is_sensible(&self) -> bool {
        let least = self.quieter_db[0].min(self.quieter_db[1]);
        let within = self.quieter_db.iter().all(|db| (0.0..=MOST_QUIETER_DB).contains(db));
        within && least == 0.0
    }

    pub(super) fn are_alike(&self) -> bool {
        *self == Self::default()
    }
}

/// The side on which a sound was louder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Louder {
    /// The left one.
    Left,
    /// The right one.
    Right,
    /// Neither.
    Same,
    /// One side alone was heard.
    Alone,
}

/// What to play next: the same sound on either side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// By how much the sides are made quieter meanwhile.
    pub sides: Sides,
    /// Whether the right side comes first.
    pub right_first: bool,
}

/// A comparison in progress: one sound comes from either side in turn, and each
/// answer halves the balances in question.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The balance lies within these: the left side quieter by so many dB, or,
    /// below 0, the right one.
    within_db: [f64; 2],
    found: Option<Sides>,
    /// How often in a row one side alone was heard.
    unheard: usize,
    right_first: bool,
    random: Random,
}

impl Comparison {
    /// A comparison in which the order of the sides is that of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::named(seed, "sides");
        let right_first = random.below(2) == 1;
        let within_db = [-MOST_QUIETER_DB, MOST_QUIETER_DB];
        Self { within_db, found: None, unheard: 0, right_first, random }
    }

    /// What to play and ask for; `None` at the end.
    pub fn pair(&self) -> Option<Pair> {
        let pair = Pair { sides: Sides::balanced(self.middle_db()), right_first: self.right_first };
        self.found.is_none().then_some(pair)
    }

    /// What the answers come to, at the end.
    pub fn found(&self) -> Option<Sides> {
        self.found
    }

    /// Takes the answer to the present pair.
    pub fn answer(&mut self, louder: Louder) {
        let middle_db = self.middle_db();
        self.right_first = self.random.below(2) == 1;
        match louder {
            Louder::Left => self.within_db[0] = middle_db,
            Louder::Right => self.within_db[1] = middle_db,
            Louder::Same => self.within_db = [middle_db; 2],
            Louder::Alone => {
                self.unheard += 1;
                if self.unheard == UNHEARD {
                    self.found = Some(Sides { one_ear: true, ..Sides::default() });
                }
                return;
            }
        }
        self.unheard = 0;
        let [low_db, high_db] = self.within_db;
        if high_db - low_db <= EXACT_DB {
            self.found = Some(Sides::balanced(self.middle_db()));
        }
    }

    fn middle_db(&self) -> f64 {
        self.within_db.iter().sum::<f64>() / 2.0
    }
}

impl Pair {
    /// `sound` on one side, silence, and `sound` on the other: left and right of
    /// each sample.
    pub(super) fn samples(&self, sound: &[f32]) -> Vec<[f32; 2]> {
        let [left, right] = self.sides.gains();
        let on_left = sound.iter().map(|sample| [sample * left, 0.0]);
        let on_right = sound.iter().map(|sample| [0.0, sample * right]);
        let pause = std::iter::repeat_n([0.0; 2], BETWEEN);
        match self.right_first {
            true => on_right.chain(pause).chain(on_left).collect(),
            false => on_left.chain(pause).chain(on_right).collect(),
        }
    }
}

/// What is compared: the sound of an even picture of medium brightness, where
/// `ears` hear it. Mono, 48 kHz, full scale 1.0.
///
/// # Errors
///
/// If what they hear is too narrow for a picture.
pub(super) fn rushing(ears: &Ears) -> Result<Vec<f32>> {
    let mut mapping = Mapping { values: VALUES, ..Mapping::preset(Preset::Listen, TONES_HZ) };
    ears.fit(&mut mapping);
    let layout = Layout::new(&mapping)?;
    let spectrum = layout.spectrum(&[0.5; VALUES]);
    let (mut synth, mut samples) = (Synth::new(0, &layout), vec![]);
    (0..SLOTS).for_each(|_| synth.push(&spectrum, &mut samples));
    synth.finish(&mut samples);
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::super::NARROWEST_ERBS;
    use super::*;
    use crate::spectrum::hearing;

    /// The answers of ears that hear `lost_db` less on the left and on the right
    /// of a sound at 40 dB, and tell levels apart that differ by more than 1 dB.
    fn compared(seed: u64, lost_db: [f64; 2]) -> (Sides, usize) {
        let (mut comparison, mut asked) = (Comparison::new(seed), 0);
        while let Some(pair) = comparison.pair() {
            let heard_db = [0, 1].map(|side| 40.0 - lost_db[side] - pair.sides.quieter_db[side]);
            comparison.answer(match heard_db {
                [left, right] if left.min(right) < 0.0 => Louder::Alone,
                [left, right] if (left - right).abs() < 1.0 => Louder::Same,
                [left, right] if left > right => Louder::Left,
                _ => Louder::Right,
            });
            asked += 1;
        }
        (comparison.found().unwrap(), asked)
    }

    #[test]
    fn the_louder_side_becomes_as_quiet_as_the_other() {
        for tenths in -115i32..=115 {
            let lost_db = f64::from(tenths) / 10.0;
            // Who has lost something on the right hears more on the left.
            let (sides, asked) = compared(u64::from(tenths.unsigned_abs()), [0.0, lost_db]);
            let [left_db, right_db] = sides.quieter_db;
            assert!((left_db - right_db - lost_db).abs() <= 1.5, "{lost_db}: {sides:?}");
            assert!(!sides.one_ear && sides.is_sensible() && asked <= 3, "{sides:?}, {asked}");
            let [left, right] = sides.gains();
            assert!(left.max(right) == 1.0 && left.min(right) > 0.25, "never louder: {sides:?}");
        }
        assert_eq!(compared(1, [3.0, 3.0]), (Sides::default(), 1));
        let (deaf, asked) = compared(1, [30.0, 0.0]);
        assert_eq!((deaf.louder(), asked), (Some(("right", 10.5)), 3));
    }

    #[test]
    fn one_ear_alone_is_noticed_and_a_slip_is_not() {
        for lost_db in [[90.0, 0.0], [5.0, 90.0]] {
            let (sides, asked) = compared(3, lost_db);
            assert!(sides.one_ear && sides.louder().is_none() && asked == 2, "{sides:?}");
        }
        let mut comparison = Comparison::new(4);
        for louder in [Louder::Alone, Louder::Left, Louder::Alone, Louder::Same] {
            assert_eq!(comparison.found(), None);
            comparison.answer(louder);
        }
        let found = comparison.found().unwrap();
        assert_eq!((found.one_ear, found.louder()), (false, Some(("left", 6.0))));
        assert_eq!(comparison.pair(), None);
    }

    #[test]
    fn whatever_is_answered_ends_soon_and_makes_nothing_louder() {
        let all = [Louder::Left, Louder::Right, Louder::Same, Louder::Alone];
        let mut first = [0; 2];
        for seed in 0..200 {
            let (mut random, mut comparison) = (Random::new(seed), Comparison::new(seed));
            let mut asked = 0;
            while let Some(pair) = comparison.pair() {
                first[usize::from(pair.right_first)] += 1;
                comparison.answer(all[random.below(4)]);
                asked += 1;
            }
            let sides = comparison.found().unwrap();
            assert!(sides.is_sensible() && asked <= 6, "{sides:?} after {asked}");
        }
        // The side that comes first tells nothing.
        let [left, right] = first;
        assert!(left > right / 2 && right > left / 2, "{first:?}");
    }

    #[test]
    fn a_pair_is_one_sound_on_either_side_as_loud_as_a_picture() {
        let ears = |band_hz| Ears { band_hz, gains_db: vec![], sides: Sides::default() };
        let sound = rushing(&ears(TONES_HZ)).unwrap();
        let mut meter = ebur128::EbuR128::new(1, 48_000, ebur128::Mode::I).unwrap();
        meter.add_frames_f32(&sound).unwrap();
        let lufs = meter.loudness_global().unwrap();
        assert!((lufs + 23.0).abs() < 1.0, "{lufs} LUFS");
        let sides = Sides { quieter_db: [6.0, 0.0], ..Sides::default() };
        for right_first in [false, true] {
            let samples = Pair { sides, right_first }.samples(&sound);
            assert_eq!(samples.len(), 2 * sound.len() + BETWEEN);
            let (one, other) = (samples[sound.len() / 2], samples[BETWEEN + sound.len() * 3 / 2]);
            let [left, right] = if right_first { [other, one] } else { [one, other] };
            assert!(left[1] == 0.0 && right[0] == 0.0 && right[1] != 0.0);
            assert!((left[0] / right[1] - 10f32.powf(-0.3)).abs() < 1e-5);
        }
        // The narrowest band of a check, at its low end.
        let high = hearing::erb_rate(TONES_HZ[0]) + NARROWEST_ERBS;
        rushing(&ears([TONES_HZ[0], hearing::hz_of_erb_rate(high)])).unwrap();
    }
}
