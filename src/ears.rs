//! One listener's ears: a short check of what they hear, and what suits them.
//!
//! The check plays soft tones over the axis and asks whether they were heard.
//! It is no audiogram: loudspeaker, room and ears are measured together, and
//! nothing is calibrated. That is what is wanted here, as the sound comes the
//! same way. What counts is the shape: how much less is heard of a tone than
//! of the others, beside what the standard ear hears of them (ISO 226:2023).
//! Then one sound comes from either side, and the listener says which is louder.

mod sides;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Fault, Result};
use crate::intake;
use crate::profile;
use crate::random::Random;
use crate::sink::Speaker;
use crate::spectrum::{MOST_GAIN_DB, Mapping, hearing};
use crate::staging::{self, StagedFile};
use crate::stereo::centred;
use crate::synth::SAMPLE_RATE;

use self::sides::rushing;

pub use self::sides::{Comparison, Louder, MOST_QUIETER_DB, Pair, Sides};

/// Number of tones, equally far apart on the ear's axis.
const TONES: usize = 10;
/// The lowest and the highest of them in hertz.
const TONES_HZ: [f64; 2] = [60.0, 8000.0];
/// Level of the loudest tones in dB of full scale: softer than any picture.
const LOUDEST_DB: f64 = -24.0;
/// Levels lie this far apart, in dB.
const STEP_DB: f64 = 4.0;
/// Number of levels: with "not heard at all" a power of two, so that four
/// answers decide.
const LEVELS: usize = 15;
/// Times when nothing is played.
const SILENCES: usize = 3;
/// Who hears nothing so often did not listen, or is somewhere loud.
const MOST_FALSE: usize = 1;
/// Of a loss, this share is made up for: with more, loud sounds would be too
/// loud (Lybarger, 1944).
const MADE_UP: f64 = 0.5;
/// What is heard has to be at least so wide, in ERBs, to carry a picture.
const NARROWEST_ERBS: f64 = 8.0;
/// Seconds of silence before the first tone, while the speaker begins quietly,
/// before each other one, and after it, until it has been played.
const BEFORE_FIRST_S: f64 = 1.5;
const BEFORE_S: f64 = 0.6;
const AFTER_S: f64 = 0.3;
/// How long to wait for an answer at a time.
const LISTEN: Duration = Duration::from_millis(20);
/// A file of settings is not longer.
const MAX_BYTES: u64 = 65_536;

/// What suits one listener's ears.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ears {
    /// The lowest and the highest frequency that is heard, in hertz.
    pub band_hz: [f64; 2],
    /// Frequencies in hertz, ascending, and what they are to be raised by, in
    /// dB, 0 to [`MOST_GAIN_DB`].
    pub gains_db: Vec<[f64; 2]>,
    /// What each ear needs of a speaker.
    #[serde(default, skip_serializing_if = "Sides::are_alike")]
    pub sides: Sides,
}

impl Ears {
    /// Where a user's settings lie: `$XDG_CONFIG_HOME/wysiwyh/hearing.toml`.
    pub fn place() -> Option<PathBuf> {
        profile::user_configuration().map(|folder| folder.join("hearing.toml"))
    }

    /// The user's settings, if there are any.
    ///
    /// # Errors
    ///
    /// As for [`Ears::load`].
    pub fn of_user() -> Result<Option<Self>> {
        let path = Self::place().filter(|path| path.exists());
        path.map(|path| Self::load(&path)).transpose()
    }

    /// Reads the settings at `path`.
    ///
    /// # Errors
    ///
    /// If the file is missing, damaged, or says nothing sensible.
    pub fn load(path: &Path) -> Result<Self> {
        const ANEW: &str = "make it anew: wysiwyh hearing";
        let damaged = |what: String| Error::input(path, what).hint(ANEW);
        let text = intake::text(path, MAX_BYTES).map_err(|e| e.hint(ANEW))?;
        let ears: Self = toml::from_str(&text).map_err(|e| damaged(e.message().to_owned()))?;
        let [low_hz, high_hz] = ears.band_hz;
        if !(low_hz >= 20.0 && low_hz < high_hz && high_hz <= 20_000.0) {
            return Err(damaged(format!(
                "a band of {low_hz}..{high_hz} Hz is not within 20..20000"
            )));
        }
        if !ears.sides.is_sensible() {
            let [left, right] = ears.sides.quieter_db;
            return Err(damaged(format!(
                "sides quieter by {left} and {right} dB: one of them is 0 and the other at most \
                 {MOST_QUIETER_DB}"
            )));
        }
        Ok(ears)
    }

    /// The sides of the user's settings; both alike, where there are none.
    ///
    /// # Errors
    ///
    /// As for [`Ears::load`].
    pub fn sides_of_user() -> Result<Sides> {
        Ok(Self::of_user()?.map_or_else(Sides::default, |ears| ears.sides))
    }

    /// Whether settings can be written to `path`, whose folder may be missing as long
    /// as the nearest one above it that is there can be written; leaves nothing there.
    ///
    /// # Errors
    ///
    /// If not.
    pub fn check_place(path: &Path) -> Result<()> {
        let folder = staging::folder_of(path);
        let nearest = folder.ancestors().find(|above| above.exists()).unwrap_or(Path::new("."));
        if nearest == folder {
            return staging::check_place(path);
        }
        // What is made there at the end is a folder.
        match staging::part_of(&nearest.join("wysiwyh"), "") {
            Ok(_) => Ok(()),
            Err(error) => {
                let what = format!("cannot be made in {}: {error}", nearest.display());
                Err(Error::output(path, what).hint("give a place that can be written"))
            }
        }
    }

    /// Writes the settings to `path`, and makes its folder.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = toml::to_string(self).map_err(|e| Error::output(path, e))?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Error::output(folder, e))?;
        }
        let mut staged = StagedFile::create(path)?;
        std::io::Write::write_all(staged.file(), text.as_bytes())
            .map_err(|e| Error::output(path, e))?;
        staged.finish()
    }

    /// Fits `mapping` to these ears: no wider than what is heard, and raised
    /// where little is heard.
    pub fn fit(&self, mapping: &mut Mapping) {
        let [low_hz, high_hz] = self.band_hz;
        mapping.low_hz = mapping.low_hz.max(low_hz);
        mapping.high_hz = mapping.high_hz.min(high_hz);
        mapping.gains_db.clone_from(&self.gains_db);
    }
}

/// What to play next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// Frequency in hertz.
    pub hz: f64,
    /// Level in dB, 0 being a full-scale sine; `None`: silence.
    pub level_db: Option<f64>,
}

/// A tone whose softest level that is heard is looked for.
#[derive(Clone, Debug)]
struct Tone {
    hz: f64,
    /// The softest level that is heard lies within these, in steps from the
    /// softest of all; [`LEVELS`]: not heard at all.
    within: [usize; 2],
}

impl Tone {
    /// The level to ask for next, in steps: the middle.
    fn step(&self) -> usize {
        (self.within[0] + self.within[1]) / 2
    }

    fn is_found(&self) -> bool {
        self.within[0] == self.within[1]
    }
}

/// A check in progress. Tones come in random order, each four times, with
/// silences among them; each answer halves the levels in question.
#[derive(Clone, Debug)]
pub struct Check {
    tones: Vec<Tone>,
    /// What is played next: a tone, or, past the last one, silence.
    next: Option<usize>,
    silences: usize,
    answered: usize,
    heard_nothing: usize,
    random: Random,
}

impl Check {
    /// How often is asked.
    pub const TRIALS: usize = TONES * (LEVELS + 1).ilog2() as usize + SILENCES;

    /// A check whose order is that of `seed`.
    pub fn new(seed: u64) -> Self {
        let [low, high] = TONES_HZ.map(hearing::erb_rate);
        let hz = |tone: usize| {
            let erb = low + (high - low) * tone as f64 / (TONES - 1) as f64;
            hearing::hz_of_erb_rate(erb).round()
        };
        let tones = (0..TONES).map(|tone| Tone { hz: hz(tone), within: [0, LEVELS] }).collect();
        let random = Random::named(seed, "check");
        let mut check =
            Self { tones, next: None, silences: SILENCES, answered: 0, heard_nothing: 0, random };
        check.draw();
        check
    }

    /// What to play and ask for; `None` at the end.
    pub fn trial(&self) -> Option<Trial> {
        let index = self.next?;
        Some(match self.tones.get(index) {
            Some(tone) => Trial { hz: tone.hz, level_db: Some(level_db(tone.step())) },
            None => Trial { hz: 1000.0, level_db: None },
        })
    }

    /// How many trials were answered.
    pub fn answered(&self) -> usize {
        self.answered
    }

    /// Takes the answer to the present trial.
    pub fn answer(&mut self, heard: bool) {
        let Some(index) = self.next else { return };
        self.answered += 1;
        match self.tones.get_mut(index) {
            Some(tone) if heard => tone.within[1] = tone.step(),
            Some(tone) => tone.within[0] = tone.step() + 1,
            None => {
                self.silences -= 1;
                self.heard_nothing += usize::from(heard);
            }
        }
        self.draw();
    }

    /// Chooses what is next: each answer that is still wanted is as likely.
    fn draw(&mut self) {
        let wanted = |tone: &Tone| (tone.within[1] + 1 - tone.within[0]).ilog2() as usize;
        let mut choices: Vec<usize> = vec![];
        for (index, tone) in self.tones.iter().enumerate().filter(|(_, tone)| !tone.is_found()) {
            choices.extend(std::iter::repeat_n(index, wanted(tone)));
        }
        choices.extend(std::iter::repeat_n(self.tones.len(), self.silences));
        self.next = (!choices.is_empty()).then(|| choices[self.random.below(choices.len())]);
    }

    /// What the answers come to.
    ///
    /// # Errors
    ///
    /// If silence was heard, or too few tones were.
    pub fn finish(&self) -> Result<Ears> {
        let again = |what: String| {
            Err(Error::new(Fault::Input, "hearing", what)
                .hint("try again where it is quiet, at a comfortable volume"))
        };
        if self.heard_nothing > MOST_FALSE {
            let count = self.heard_nothing;
            return again(format!("{count} of {SILENCES} times a tone was heard in silence"));
        }
        let heard = self.usable();
        let width = match (heard.first(), heard.last()) {
            (Some(low), Some(high)) => hearing::erb_rate(high.hz) - hearing::erb_rate(low.hz),
            _ => 0.0,
        };
        if width < NARROWEST_ERBS {
            let count = heard.len();
            return again(format!("{count} of {TONES} tones side by side were heard, too few"));
        }
        // How much more than the standard ear each tone needs.
        let over: Vec<f64> = heard
            .iter()
            .map(|tone| level_db(tone.within[0]) - hearing::threshold_db(tone.hz))
            .collect();
        let mut sorted = over.clone();
        sorted.sort_by(f64::total_cmp);
        let usual = sorted[sorted.len() / 2];
        // One step is as exact as an answer gets.
        let gain = |over: &f64| match over - usual {
            loss if loss > STEP_DB => (MADE_UP * loss).min(MOST_GAIN_DB),
            _ => 0.0,
        };
        let gains_db: Vec<[f64; 2]> =
            heard.iter().zip(&over).map(|(tone, over)| [tone.hz, gain(over)]).collect();
        let band_hz = [heard[0].hz, heard[heard.len() - 1].hz];
        Ok(Ears { band_hz, gains_db, sides: Sides::default() })
    }

    /// The longest row of neighbouring tones that were heard.
    fn usable(&self) -> &[Tone] {
        let rows = self.tones.split(|tone| tone.within[0] >= LEVELS);
        rows.max_by_key(|row| row.len()).unwrap_or_default()
    }
}

/// The level of `step` in dB.
fn level_db(step: usize) -> f64 {
    LOUDEST_DB - STEP_DB * (LEVELS - 1).saturating_sub(step) as f64
}

impl Trial {
    /// What is played: a second of a tone that swells and fades, or as long a
    /// silence. Mono, 48 kHz, full scale 1.0.
    pub fn samples(&self) -> Vec<f32> {
        let amplitude = self.level_db.map_or(0.0, |db| 10f64.powf(db / 20.0));
        let count = SAMPLE_RATE;
        let wave = |i: usize| {
            let t = i as f64 / SAMPLE_RATE as f64;
            // Over 200 ms at either end.
            let edge = (5.0 * t.min(1.0 - t)).min(1.0);
            let swell = (std::f64::consts::FRAC_PI_2 * edge).sin().powi(2);
            (amplitude * swell * (std::f64::consts::TAU * self.hz * t).sin()) as f32
        };
        (0..count).map(wave).collect()
    }
}

/// What a listener says to a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Something was heard.
    Yes,
    /// Nothing was, or nothing on one side.
    No,
    /// The left side was louder.
    Left,
    /// The right side was.
    Right,
    /// Neither was.
    Same,
    /// Play it again.
    Again,
    /// Enough.
    Quit,
}

impl FromStr for Answer {
    type Err = String;

    /// Reads a word or its first letter; the error is a sentence.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(Self::Yes),
            "n" | "no" => Ok(Self::No),
            "l" | "left" => Ok(Self::Left),
            "r" | "right" => Ok(Self::Right),
            "s" | "same" => Ok(Self::Same),
            "a" | "again" => Ok(Self::Again),
            "q" | "quit" => Ok(Self::Quit),
            _ => Err("Say y for yes, n for no, l for left, r for right, s for the same, a for \
                      again, or q to quit."
                .to_owned()),
        }
    }
}

/// A listener, and what they listen to.
pub struct Sitting<'a> {
    /// Plays, where there is one.
    pub speaker: Option<&'a mut Speaker>,
    /// What the listener says.
    pub answers: &'a Receiver<Answer>,
    /// Ends it once it is true.
    pub stop: &'a AtomicBool,
}

impl std::fmt::Debug for Sitting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sitting").field("speaker", &self.speaker).finish_non_exhaustive()
    }
}

/// Takes a listener through `check`: plays each trial and waits for an answer.
/// What is to be read goes to `say`, and never just before or during a tone, as
/// it may be read aloud.
///
/// # Errors
///
/// If the listener ends it early, or it is stopped.
pub fn ask(check: &mut Check, sitting: &mut Sitting<'_>, say: &mut dyn FnMut(&str)) -> Result<()> {
    let mut pause_s = BEFORE_FIRST_S;
    while let Some(trial) = check.trial() {
        sitting.play(pause_s, &centred(&trial.samples()));
        pause_s = BEFORE_S;
        say(&format!("{} of {}: did you hear it? y or n", check.answered() + 1, Check::TRIALS));
        match sitting.answer(&[Answer::Yes, Answer::No], "Say y for yes or n for no.", say) {
            Some(Answer::Again) => {}
            Some(Answer::Quit) | None => {
                return Err(ended(format!("after {} of {}", check.answered(), Check::TRIALS)));
            }
            Some(answer) => check.answer(answer == Answer::Yes),
        }
    }
    Ok(())
}

/// Takes a listener through `comparison`, likewise: plays one sound, as `ears` are
/// to hear it, on either side in turn.
///
/// # Errors
///
/// As for [`ask`].
pub fn compare(
    comparison: &mut Comparison,
    ears: &Ears,
    sitting: &mut Sitting<'_>,
    say: &mut dyn FnMut(&str),
) -> Result<()> {
    let sound = rushing(ears)?;
    while let Some(pair) = comparison.pair() {
        sitting.play(BEFORE_S, &pair.samples(&sound));
        say("Which side was louder? l for left, r for right, s for the same, n if you heard one \
             side alone");
        let wanted = [Answer::Left, Answer::Right, Answer::Same, Answer::No];
        comparison.answer(match sitting.answer(&wanted, "Say l, r, s or n.", say) {
            Some(Answer::Left) => Louder::Left,
            Some(Answer::Right) => Louder::Right,
            Some(Answer::Same) => Louder::Same,
            Some(Answer::No) => Louder::Alone,
            Some(Answer::Again | Answer::Yes) => continue,
            Some(Answer::Quit) | None => {
                return Err(ended("before left and right were compared".to_owned()));
            }
        });
    }
    Ok(())
}

fn ended(when: String) -> Error {
    Error::new(Fault::Interrupted, "hearing", format!("ended {when}"))
        .hint("nothing was stored; your settings are as before")
}

impl Sitting<'_> {
    /// Plays `samples`, left and right of each, after a pause.
    fn play(&mut self, pause_s: f64, samples: &[[f32; 2]]) {
        if let Some(speaker) = &mut self.speaker {
            speaker.play(&silence(pause_s));
            speaker.play(samples);
            speaker.play(&silence(AFTER_S));
        }
    }

    /// The next answer that is `wanted`, or that asks for the sound again or the
    /// end; others are told `hint`. `None` where no more will come. The speaker
    /// meanwhile plays silence: after a gap it would begin quietly anew.
    fn answer(
        &mut self,
        wanted: &[Answer],
        hint: &str,
        say: &mut dyn FnMut(&str),
    ) -> Option<Answer> {
        while !self.stop.load(Ordering::Relaxed) {
            match self.answers.recv_timeout(LISTEN) {
                Ok(answer @ (Answer::Again | Answer::Quit)) => return Some(answer),
                Ok(answer) if wanted.contains(&answer) => return Some(answer),
                Ok(_) => say(hint),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(speaker) = &mut self.speaker
                && speaker.waiting_s() < AFTER_S
            {
                speaker.play(&silence(AFTER_S));
            }
        }
        None
    }
}

fn silence(seconds: f64) -> Vec<[f32; 2]> {
    vec![[0.0; 2]; (seconds * SAMPLE_RATE as f64) as usize]
}

#[cfg(test)]
mod tests;
