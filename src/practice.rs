//! Training for the ear: pictures are played, and the listener is asked what
//! was heard. Every choice is a sound and a sentence, never a picture alone.
//!
//! What is played is one sound of the sonifier's with rests between the
//! pictures, so that a file of it decodes like any other.

mod stage;

use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Instant;

use crate::error::{Error, Fault, Result};
use crate::evaluate::figures::wilson;
use crate::frame::Frame;
use crate::live::glance::Glance;
use crate::random::Random;
use crate::sensor::{self, Sensor};
use crate::sonifier::Sonifier;
use crate::staging::StagedFile;

use self::stage::Listener;

pub use self::stage::Stage;

/// So many pictures are told apart.
pub const CHOICES: usize = 6;
/// They are chosen from so many.
const LOOKED_AT: usize = 200;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Whether two sounds are of the same picture.
    Same,
    /// Which of the pictures a sound is of.
    Which,
}

impl Task {
    /// Its name in the log.
    fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Which => "which",
        }
    }
}

/// What a listener says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The two are the same.
    Same,
    /// They differ.
    Different,
    /// It was the picture of this number, from 1.
    Choice(usize),
    /// Play it again.
    Again,
    /// Play and tell all the choices again.
    List,
    /// Enough.
    Quit,
}

impl FromStr for Answer {
    type Err = String;

    /// Reads a word, its first letter or a number; the error is a sentence.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "s" | "same" => Ok(Self::Same),
            "d" | "different" => Ok(Self::Different),
            "a" | "again" => Ok(Self::Again),
            "l" | "list" => Ok(Self::List),
            "q" | "quit" => Ok(Self::Quit),
            number => match number.parse() {
                Ok(number) if (1..=CHOICES).contains(&number) => Ok(Self::Choice(number)),
                _ => Err(format!(
                    "Say s for same, d for different, a number from 1 to {CHOICES}, a for again, \
                     l to hear all pictures, or q to quit."
                )),
            },
        }
    }
}

/// A trial: what is played, and what was said to it.
#[derive(Clone, Debug)]
struct Trial {
    /// Numbers of the pictures, from 0: two of the task `Same`, one of `Which`.
    played: Vec<usize>,
    answered: Option<Answered>,
}

/// What was said to a trial.
#[derive(Clone, Copy, Debug)]
struct Answered {
    answer: Answer,
    right: bool,
    /// How often the trial was played.
    times: usize,
    /// From the question to the answer.
    seconds: f64,
}

impl Trial {
    /// The right answer.
    fn right(&self) -> Answer {
        match self.played[..] {
            [first, second] if first == second => Answer::Same,
            [_, _] => Answer::Different,
            _ => Answer::Choice(self.played.first().map_or(0, |first| first + 1)),
        }
    }
}

/// A picture that is played: as it is sent, and what is in it.
#[derive(Clone, Debug)]
struct Choice {
    /// On the model's grid.
    sent: Frame,
    /// Of the picture as it was taken.
    glance: Glance,
}

/// A training: its pictures, its trials and what was answered.
#[derive(Debug)]
pub struct Practice {
    task: Task,
    choices: Vec<Choice>,
    trials: Vec<Trial>,
}

/// How many were right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Trials that were answered rightly.
    pub right: usize,
    /// Trials that were answered.
    pub answered: usize,
    /// Where the share of right answers lies, with 95 % confidence: see
    /// [`wilson`].
    pub interval: [f64; 2],
    /// The share that guessing gives.
    pub guessing: f64,
}

impl Practice {
    /// A training of `count` trials with pictures of `sensor`, as `sonifier`
    /// sounds them: those of its first 200 that are least alike. Pictures and
    /// trials are drawn with `seed`, all kinds of trials about as often.
    ///
    /// # Errors
    ///
    /// If a picture cannot be read, there are not two that differ, or `stop` becomes
    /// true.
    pub fn new(
        sensor: Box<dyn Sensor>,
        sonifier: &Sonifier,
        task: Task,
        count: usize,
        seed: u64,
        stop: &AtomicBool,
    ) -> Result<Self> {
        let name = sensor.source().description.clone();
        // Whole pictures of a film would not all fit into memory.
        let (mut pictures, mut codes) = (Vec::new(), Vec::new());
        for frame in sensor.take(LOOKED_AT) {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::new(Fault::Interrupted, "practice", "stopped"));
            }
            let frame = frame?;
            if frame.valid_fraction() > 0.5 {
                let prepared = sonifier.prepare(&frame)?;
                codes.push(prepared.code().to_vec());
                let (sent, glance) = (prepared.sent().clone(), Glance::at(&frame));
                pictures.push(Choice { sent, glance });
            }
        }
        let mut random = Random::named(seed, "practice");
        let chosen = unlike(&codes, &mut random);
        if chosen.len() < 2 {
            let found = sensor::count(chosen.len(), "picture");
            let what = format!("only {found} to tell apart, at least 2 are needed");
            return Err(Error::new(Fault::Input, name, what));
        }
        let choices: Vec<Choice> = chosen.into_iter().map(|at| pictures[at].clone()).collect();
        let trials = trials(task, choices.len(), count, &mut random);
        Ok(Self { task, choices, trials })
    }

    /// Number of pictures to choose from.
    pub fn choices(&self) -> usize {
        self.choices.len()
    }

    /// Picture `choice`, from 0, in words.
    fn words(&self, choice: usize) -> String {
        self.choices.get(choice).map_or_else(String::new, |choice| choice.glance.to_string())
    }

    /// The score so far.
    pub fn score(&self) -> Score {
        let answered = self.trials.iter().filter_map(|trial| trial.answered);
        let (right, count) = answered.fold((0, 0), |(right, count), answered| {
            (right + usize::from(answered.right), count + 1)
        });
        let guessing = match self.task {
            Task::Same => 0.5,
            Task::Which => 1.0 / self.choices.len() as f64,
        };
        Score { right, answered: count, interval: wilson(right, count), guessing }
    }

    /// Writes what was answered as CSV: a row for each trial.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn save_log(&self, path: &Path) -> Result<()> {
        let mut file = StagedFile::create(path)?;
        let failed = |e: csv::Error| Error::output(path, e);
        let mut writer = csv::Writer::from_writer(file.file());
        writer
            .write_record(["trial", "task", "played", "answer", "right", "times_played", "seconds"])
            .map_err(failed)?;
        for (number, trial) in self.trials.iter().enumerate() {
            let Some(Answered { answer, right, times, seconds }) = trial.answered else { continue };
            let played: Vec<String> = trial.played.iter().map(|p| (p + 1).to_string()).collect();
            let row = [
                (number + 1).to_string(),
                self.task.name().to_owned(),
                played.join(" "),
                word(answer),
                right.to_string(),
                times.to_string(),
                format!("{seconds:.2}"),
            ];
            writer.write_record(row).map_err(failed)?;
        }
        writer.flush().map_err(|e| Error::output(path, e))?;
        drop(writer);
        file.finish()
    }
}

/// The word for `answer`.
fn word(answer: Answer) -> String {
    match answer {
        Answer::Same => "same".to_owned(),
        Answer::Different => "different".to_owned(),
        Answer::Choice(number) => number.to_string(),
        Answer::Again => "again".to_owned(),
        Answer::List => "list".to_owned(),
        Answer::Quit => "quit".to_owned(),
    }
}

/// Of some codes those that are least alike, [`CHOICES`] at most: each is the
/// farthest from all before it, the first is drawn.
fn unlike(codes: &[Vec<f32>], random: &mut Random) -> Vec<usize> {
    let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>();
    let mut chosen: Vec<usize> = Vec::new();
    let mut distances = vec![f32::INFINITY; codes.len()];
    let mut next = (!codes.is_empty()).then(|| random.below(codes.len()));
    while let Some(index) = next.filter(|_| chosen.len() < CHOICES) {
        chosen.push(index);
        for (distance, code) in distances.iter_mut().zip(codes) {
            *distance = distance.min(apart(code, &codes[index]));
        }
        let farthest = (0..codes.len()).max_by(|a, b| distances[*a].total_cmp(&distances[*b]));
        next = farthest.filter(|farthest| distances[*farthest] > 0.0);
    }
    chosen
}

/// Trials in random order, as many of each kind as of the others.
fn trials(task: Task, choices: usize, count: usize, random: &mut Random) -> Vec<Trial> {
    let mut trials = Vec::with_capacity(count);
    while trials.len() < count {
        let mut block: Vec<Vec<usize>> = Vec::new();
        for choice in 0..choices {
            match task {
                Task::Which => block.push(vec![choice]),
                Task::Same => {
                    let other = (choice + 1 + random.below(choices - 1)) % choices;
                    block.extend([vec![choice; 2], vec![choice, other]]);
                }
            }
        }
        random.shuffle(&mut block);
        trials.extend(block.into_iter().map(|played| Trial { played, answered: None }));
    }
    trials.truncate(count);
    trials
}

/// Takes a listener through `practice`: plays each trial on `stage` and waits
/// for one of `answers`. With `feedback`, each is told whether it was right.
/// What is to be read goes to `say`, and never just before or during a sound,
/// as it may be read aloud. What is answered at a speaker before the question is
/// asked counts for nothing. Ends where the listener, `answers` or `stop` does, also
/// within a sound.
///
/// # Errors
///
/// If a sound cannot be made, played or written.
pub fn ask(
    practice: &mut Practice,
    stage: &mut Stage<'_>,
    feedback: bool,
    answers: &Receiver<Answer>,
    stop: &AtomicBool,
    say: &mut dyn FnMut(&str),
) -> Result<()> {
    let listener = Listener { answers, stop, hears: stage.speaker.is_some() };
    if practice.task == Task::Which && !list(practice, stage, &listener, say)? {
        return Ok(());
    }
    for number in 0..practice.trials.len() {
        let Some(answered) = ask_one(practice, number, stage, &listener, say)? else { break };
        practice.trials[number].answered = Some(answered);
        if feedback {
            say(&verdict(practice, &practice.trials[number], answered.right));
            if !stage.pause(&listener)? {
                break;
            }
        }
    }
    Ok(())
}

/// Plays trial `number` and asks until there is an answer that answers; none where the
/// listener quits.
fn ask_one(
    practice: &Practice,
    number: usize,
    stage: &mut Stage<'_>,
    listener: &Listener<'_>,
    say: &mut dyn FnMut(&str),
) -> Result<Option<Answered>> {
    let (trial, total, choices) =
        (&practice.trials[number], practice.trials.len(), practice.choices());
    let question = match practice.task {
        Task::Same => "same or different? s or d".to_owned(),
        Task::Which => format!("which was it? 1 to {choices}"),
    };
    let mut times = 0;
    loop {
        for &choice in &trial.played {
            if !stage.play(&practice.choices[choice].sent, listener)? {
                return Ok(None);
            }
        }
        times += 1;
        if !stage.await_silence(listener) {
            return Ok(None);
        }
        say(&format!("{} of {total}: {question}", number + 1));
        let since = Instant::now();
        loop {
            let answer = match listener.answer(stage)? {
                Some(Answer::Quit) | None => return Ok(None),
                Some(Answer::Again) => break,
                Some(Answer::List) if !list(practice, stage, listener, say)? => return Ok(None),
                Some(Answer::List) => break,
                Some(answer) => answer,
            };
            match (practice.task, answer) {
                (Task::Same, Answer::Choice(_)) => say("Say s for same or d for different."),
                (Task::Which, Answer::Same | Answer::Different) => {
                    say(&format!("Say a number from 1 to {choices}."));
                }
                (Task::Which, Answer::Choice(number)) if number > choices => {
                    say(&format!("There are {choices} pictures."));
                }
                _ => {
                    let (right, seconds) = (answer == trial.right(), since.elapsed().as_secs_f64());
                    return Ok(Some(Answered { answer, right, times, seconds }));
                }
            }
        }
    }
}

/// Whether an answer was right, and what was played.
fn verdict(practice: &Practice, trial: &Trial, right: bool) -> String {
    let opening = if right { "Right" } else { "No" };
    match (trial.right(), &trial.played[..]) {
        (Answer::Same, _) => format!("{opening}: they were the same."),
        (Answer::Choice(number), &[choice]) => {
            format!("{opening}: it was {number}. {}", practice.words(choice))
        }
        (_, played) => {
            let words: Vec<String> = played.iter().map(|&choice| practice.words(choice)).collect();
            format!("{opening}: they were different. First: {}", words.join(" Then: "))
        }
    }
}

/// Plays every picture, and tells each after its sound; false where `listener` ends it.
fn list(
    practice: &Practice,
    stage: &mut Stage<'_>,
    listener: &Listener<'_>,
    say: &mut dyn FnMut(&str),
) -> Result<bool> {
    for (choice, Choice { sent, .. }) in practice.choices.iter().enumerate() {
        if !(stage.play(sent, listener)? && stage.await_silence(listener)) {
            return Ok(false);
        }
        say(&format!("That was {}. {}", choice + 1, practice.words(choice)));
        if !stage.pause(listener)? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_alike_are_chosen_and_none_twice() {
        let codes: Vec<Vec<f32>> =
            [0.0, 0.01, 0.5, 0.51, 1.0, 1.0, 0.0].into_iter().map(|v| vec![v; 4]).collect();
        for seed in 0..20 {
            let chosen = unlike(&codes, &mut Random::new(seed));
            assert_eq!(chosen.len(), 5, "{chosen:?}");
            let third = chosen[..3].iter().map(|&index| (2.0 * codes[index][0]).round() as u8);
            let third: std::collections::BTreeSet<u8> = third.collect();
            assert_eq!(third.len(), 3, "seed {seed}: {chosen:?}");
        }
        assert!(unlike(&[], &mut Random::new(0)).is_empty());
        let equal = vec![vec![0.5]; 3];
        assert_eq!(unlike(&equal, &mut Random::new(0)).len(), 1);
    }

    #[test]
    fn every_kind_of_trial_comes_as_often() {
        let drawn = |task, seed| trials(task, 6, 24, &mut Random::new(seed));
        for seed in 0..10 {
            let which = drawn(Task::Which, seed);
            for choice in 0..6 {
                assert_eq!(which.iter().filter(|trial| trial.played == [choice]).count(), 4);
            }
            let same = drawn(Task::Same, seed);
            assert_eq!(same.iter().filter(|trial| trial.right() == Answer::Same).count(), 12);
            assert!(same.iter().all(|trial| trial.played.iter().all(|&played| played < 6)));
        }
        let order =
            |seed| drawn(Task::Which, seed).into_iter().map(|t| t.played).collect::<Vec<_>>();
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }

    #[test]
    fn answers_are_words_letters_and_numbers() {
        assert_eq!(" Same ".parse(), Ok(Answer::Same));
        assert_eq!("d".parse(), Ok(Answer::Different));
        assert_eq!("6".parse(), Ok(Answer::Choice(6)));
        for odd in ["", "0", "7", "-1", "x", "1.5"] {
            assert!(odd.parse::<Answer>().unwrap_err().starts_with("Say s"), "{odd:?}");
        }
    }
}
