//! What the slots show: the newest picture, the one before again, or nothing while
//! the camera is away.

use std::time::Instant;

use super::capture::{Newest, Taken};
use super::outputs::Played;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::sensor::{Hold, Source};

/// What slots show of a source.
#[derive(Debug)]
pub(super) struct Shown {
    /// The picture that was sent last, or was heard already in the slot before.
    pub frame: Option<Frame>,
    /// How it was played already.
    ahead: Option<Played>,
    absence: Option<Absence>,
    hold: Hold,
    /// Only a source with a clock may be slower than the slots.
    clockless: bool,
}

/// What the next slot is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    /// For the picture shown: a new one, of which `picture` tells when it arrived
    /// and was chosen, one that was `heard` already, or the last one again.
    Slot { picture: Option<[Instant; 2]>, heard: Option<Played> },
    /// For no picture: the camera is away.
    Rest,
    /// Not due: nothing has come yet, or what comes next.
    Idle,
    /// There is no slot any more.
    Over,
}

impl Turn {
    /// Whether it has a picture that no slot before had.
    pub fn is_fresh(&self) -> bool {
        matches!(self, Self::Slot { picture, heard } if picture.is_some() || heard.is_some())
    }
}

impl Shown {
    pub fn new(source: &Source) -> Self {
        let clockless = source.period_s.is_none() || source.is_slotted();
        let (frame, ahead, absence, hold) = (None, None, None, Hold::new(source));
        Self { frame, ahead, absence, hold, clockless }
    }

    /// Whether the camera is away.
    pub fn is_away(&self) -> bool {
        self.absence.is_some()
    }

    /// A picture that was heard before its slot, and how.
    pub fn anticipate(&mut self, frame: Frame, played: Played) {
        (self.frame, self.ahead) = (Some(frame), Some(played));
    }

    /// What the next slot is for, by what `newest` has; where that is nothing to go
    /// on with, a little time is given for it to come, if this may `wait`.
    ///
    /// # Errors
    ///
    /// If the source failed.
    pub fn turn(&mut self, newest: &Newest, wait: bool, say: &mut dyn FnMut(&str)) -> Result<Turn> {
        let idle = self.frame.is_none() || (self.clockless && self.hold.is_over());
        let taken = match self.clockless && !idle {
            true => Taken::Nothing,
            false => newest.take(idle && wait),
        };
        let mut picture = None;
        match taken {
            Taken::Frame(frame, arrived) => {
                (self.frame, self.ahead) = (Some(frame), None);
                picture = Some([arrived, Instant::now()]);
                if let Some(absence) = self.absence.take() {
                    absence.end(say);
                }
            }
            Taken::Nothing if idle => return Ok(Turn::Idle),
            Taken::Nothing => {}
            Taken::Away(error) => {
                let sounds = self.frame.is_some();
                self.absence.get_or_insert_with(Absence::begin).tell(&error, sounds, say);
            }
            // What was heard already is still to be kept.
            Taken::End if self.ahead.is_some() => {}
            Taken::End => return Ok(Turn::Over),
            Taken::Failure(error) => return Err(error),
        }
        if self.frame.is_none() {
            return Ok(Turn::Idle);
        }
        // A picture that was heard already has its slot before the sound fades.
        let turn = match (picture, self.ahead.take()) {
            (None, None) if self.is_away() => Turn::Rest,
            (picture, heard) => Turn::Slot { picture, heard },
        };
        self.hold.pass(turn.is_fresh());
        Ok(turn)
    }
}

/// A time in which the camera is away.
#[derive(Debug)]
struct Absence {
    since: Instant,
    /// What was said of it, so that it is said once.
    said: String,
}

impl Absence {
    fn begin() -> Self {
        Self { since: Instant::now(), said: String::new() }
    }

    /// Says why it is away, while something `sounds` or before that.
    fn tell(&mut self, error: &Error, sounds: bool, say: &mut dyn FnMut(&str)) {
        let reason = error.to_string();
        if reason != self.said {
            let fades = if sounds { "fades, and " } else { "" };
            say(&format!("{reason}; the sound {fades}waits for it."));
            self.said = reason;
        }
    }

    fn end(self, say: &mut dyn FnMut(&str)) {
        let away_s = self.since.elapsed().as_secs_f64();
        say(&format!("The camera is back after {away_s:.1} s."));
    }
}
