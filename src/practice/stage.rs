//! Where the sounds of a training go, and who hears them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::Answer;
use crate::error::Result;
use crate::frame::Frame;
use crate::sink::{FileSink, Header, Sink, Speaker};
use crate::sonifier::Sonifier;
use crate::synth::SLOT;

/// Slots that a picture is held for; the first three are its fade-in.
const HELD: usize = 12;
/// Slots of rest after it: the last one is silent, the others fade.
const REST: usize = 5;
/// Slots of silence after a sentence that the next sound would drown.
const TOLD: usize = 30;
/// How long to wait for an answer at a time.
const LISTEN: Duration = Duration::from_millis(20);
/// While it waits, the speaker has so many seconds of silence before it: after
/// a gap it would begin quietly anew.
const AHEAD_S: f64 = 0.3;

/// Where the sounds of a training go.
pub struct Stage<'a> {
    /// Makes them.
    pub sonifier: Sonifier,
    /// Plays them, where there is one.
    pub speaker: Option<&'a mut Speaker>,
    /// Keeps them, where that is wanted.
    pub file: Option<Box<dyn FileSink>>,
    /// Slots so far.
    pub slots: usize,
}

impl std::fmt::Debug for Stage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").field("slots", &self.slots).finish_non_exhaustive()
    }
}

impl Stage<'_> {
    /// Ends the sound, and completes the file, which says `header` of itself.
    ///
    /// # Errors
    ///
    /// If it cannot be played or written.
    pub fn finish(mut self, header: Header) -> Result<()> {
        let slots = self.slots;
        let samples = self.sonifier.finish();
        self.write(&samples)?;
        let Some(mut file) = self.file else { return Ok(()) };
        file.replace_header(&Header { frames: Some(slots), ..header })?;
        file.finish()
    }

    /// Plays a picture, whole or as it is sent; false where `listener` ends it.
    pub(super) fn play(&mut self, frame: &Frame, listener: &Listener<'_>) -> Result<bool> {
        for slot in 0..HELD + REST {
            if listener.is_done() {
                return Ok(false);
            }
            let samples = match slot {
                0..HELD => self.sonifier.sonify(frame)?.samples,
                _ => self.sonifier.rest(),
            };
            self.write(&samples)?;
        }
        Ok(true)
    }

    fn write(&mut self, samples: &[f32]) -> Result<()> {
        self.slots += 1;
        if let Some(speaker) = &mut self.speaker {
            speaker.write(samples)?;
        }
        self.file.as_mut().map_or(Ok(()), |file| file.write(samples))
    }

    /// A slot of silence at the speaker; the file needs none.
    fn silence(&mut self) -> Result<()> {
        self.speaker.as_mut().map_or(Ok(()), |speaker| speaker.write(&[0.0; SLOT]))
    }

    /// Silence while something is read aloud; false where `listener` ends it.
    pub(super) fn pause(&mut self, listener: &Listener<'_>) -> Result<bool> {
        for _ in 0..TOLD {
            if listener.is_done() {
                return Ok(false);
            }
            self.silence()?;
        }
        Ok(true)
    }

    /// Until what was written has been heard; false where `listener` ends it.
    pub(super) fn await_silence(&mut self, listener: &Listener<'_>) -> bool {
        if let Some(speaker) = &mut self.speaker {
            speaker.wait(Duration::from_secs_f64(AHEAD_S), listener.stop);
        }
        !listener.is_done()
    }
}

/// Who is asked.
pub(super) struct Listener<'a> {
    pub answers: &'a Receiver<Answer>,
    pub stop: &'a AtomicBool,
    /// Whether there is a speaker.
    pub hears: bool,
}

impl Listener<'_> {
    /// Whether they want no more, asked while something plays. Whatever else they say
    /// meanwhile answers nothing, as nothing has been asked yet. Where nothing is
    /// heard there is no meanwhile: answers from a file wait for their questions.
    pub fn is_done(&self) -> bool {
        let quits = self.hears && self.answers.try_iter().any(|answer| answer == Answer::Quit);
        quits || self.stop.load(Ordering::Relaxed)
    }

    /// Their next answer; `None` where no more will come. The speaker of `stage`
    /// meanwhile plays silence.
    pub fn answer(&self, stage: &mut Stage<'_>) -> Result<Option<Answer>> {
        while !self.stop.load(Ordering::Relaxed) {
            match self.answers.recv_timeout(LISTEN) {
                Ok(answer) => return Ok(Some(answer)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if stage.speaker.as_ref().is_some_and(|speaker| speaker.waiting_s() < AHEAD_S) {
                stage.silence()?;
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_come_before_the_question_count_where_nothing_is_heard() {
        let (sender, answers) = std::sync::mpsc::channel();
        let stop = AtomicBool::new(false);
        let done = |hears| Listener { answers: &answers, stop: &stop, hears }.is_done();
        let say = |answer| sender.send(answer).unwrap();
        say(Answer::Choice(3));
        assert!(!done(true) && answers.try_recv().is_err(), "forgotten");
        say(Answer::Choice(3));
        say(Answer::Quit);
        assert!(!done(false));
        assert_eq!(answers.try_iter().collect::<Vec<_>>(), [Answer::Choice(3), Answer::Quit]);
        say(Answer::Choice(3));
        say(Answer::Quit);
        assert!(done(true));
        stop.store(true, Ordering::Relaxed);
        assert!(done(true) && done(false));
    }
}
