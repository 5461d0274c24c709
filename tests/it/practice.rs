//! Training for the ear, by lines and without a speaker.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use wysiwyh::model::Model;
use wysiwyh::sink;
use wysiwyh::sonifier::Sonifier;

#[cfg(unix)]
use crate::cli::limited;
use crate::cli::{names_in, program, refused, text};
use crate::keys::Talk;
use crate::speaker::{self, Pulse, metered, wait_for};

/// Slots of a picture and of the rest after it.
const EACH: usize = 17;

fn practise(folder: &Path, more: &[&str], lines: &str) -> Output {
    program()
        .args(["practice", "simulated:1", "--no-speaker", "--trials", "6", "--seed", "3"])
        .args(more)
        .current_dir(folder)
        .write_stdin(lines.to_owned())
        .output()
        .unwrap()
}

/// The columns `played`, `answer` and `right` of a log.
fn log(path: &Path) -> Vec<[String; 3]> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let rows = reader.records().map(|row| [2, 3, 4].map(|at| row.as_ref().unwrap()[at].to_owned()));
    rows.collect()
}

#[test]
fn what_is_logged_was_played_and_right_answers_score() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let ones = "1\n".repeat(6);
    let files = ["-o", "played.wav", "--log", "ones.csv", "--no-feedback"];
    let output = practise(folder.path(), &files, &ones);
    let (said, told) = (text(&output.stderr), text(&output.stdout));
    assert!(output.status.success(), "{said}");
    // Each of the six is played once.
    assert!(told.starts_with("1 of 6 right: 17 %, 3 to 56 %"), "{told}");
    assert!(!said.contains("Right") && !said.contains("No:"), "{said}");
    assert_eq!(said.matches("That was ").count(), 6, "{said}");
    assert_eq!(said.matches("Hottest ").count(), 6, "{said}");
    let trials = log(&path("ones.csv"));
    assert_eq!(trials.len(), 6);

    // The sound is the six in order, and then what the log says.
    let recording = sink::read(&path("played.wav")).unwrap();
    let header = recording.header.unwrap();
    assert_eq!(header.frames, Some(12 * EACH));
    let model = Model::shipped("simulated-lwir").unwrap();
    let sonifier = Sonifier::new(model, header.mapping, 0).unwrap();
    let mut sonifier = sonifier.with_range(header.range);
    let mut code = |picture: usize| {
        assert_eq!(sonifier.hear(&recording.samples, picture * EACH + EACH - 1), None, "no rest");
        sonifier.hear(&recording.samples, picture * EACH + 8).unwrap()
    };
    let codes: Vec<Vec<f32>> = (0..12).map(&mut code).collect();
    let apart = |a: &[f32], b: &[f32]| -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len() as f32
    };
    for (trial, [played, ..]) in codes[6..].iter().zip(&trials) {
        let played: usize = played.parse().unwrap();
        for (choice, code) in codes[..6].iter().enumerate() {
            let apart = apart(trial, code);
            assert_eq!(apart < 0.01, choice + 1 == played, "{choice}: {apart}, played {played}");
        }
    }

    let answers: String = trials.iter().map(|[played, ..]| format!("{played}\n")).collect();
    let output = practise(folder.path(), &["--log", "right.csv"], &answers);
    let told = text(&output.stdout);
    assert!(told.starts_with("6 of 6 right: 100 %, 61 to 100 %"), "{told}");
    assert!(told.contains("better than guessing"), "{told}");
    assert_eq!(text(&output.stderr).matches("Right: it was ").count(), 6);
    assert!(log(&path("right.csv")).iter().all(|[_, _, right]| right == "true"));
}

#[test]
fn two_that_are_the_same_or_not_and_answers_that_make_no_sense() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let same = ["--task", "same", "--log", "a.csv"];
    let output = practise(folder.path(), &same, "what\n3\na\ns\ns\nq\n");
    let (said, told) = (text(&output.stderr), text(&output.stdout));
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Say s for same, d for different, a number"), "{said}");
    assert!(said.contains("Say s for same or d for different."), "{said}");
    assert_eq!(said.matches("1 of 6: same or different?").count(), 2, "{said}");
    assert!(told.contains(" of 2 right"), "{told}");
    for [played, answer, right] in log(&path("a.csv")) {
        let (first, second) = played.split_once(' ').unwrap();
        assert_eq!((answer.as_str(), right == "true"), ("same", first == second));
    }
    // Whoever says nothing leaves nothing behind.
    let nothing = ["--log", "b.csv", "-o", "b.wav"];
    refused(&practise(folder.path(), &nothing, "q\n"), 1, "before the first answer");
    refused(&practise(folder.path(), &["-o", "b.mp3"], ""), 2, "no name of a sound file");
    assert_eq!(names_in(folder.path()), ["a.csv"]);
    let picture = path("flat.png");
    image::GrayImage::from_pixel(64, 51, image::Luma([90])).save(&picture).unwrap();
    let mut one = program();
    let one = one.args(["practice", "--no-speaker", "-o", "c.wav", "--sensor", "hituav-lwir"]);
    refused(&one.arg(&picture).output().unwrap(), 1, "only 1 picture to tell apart");
    assert!(fs::read_dir(folder.path()).unwrap().count() == 2);
}

#[test]
fn a_log_that_cannot_be_written_is_told_before_the_first_question() {
    let folder = tempfile::tempdir().unwrap();
    let output = practise(folder.path(), &["--log", "none/a.csv", "-o", "a.wav"], "1\n2\n");
    refused(&output, 1, "none/a.csv");
    assert!(!text(&output.stderr).contains("1 of 6"), "{}", text(&output.stderr));
    assert_eq!(names_in(folder.path()), [""; 0]);
}

#[cfg(unix)]
#[test]
fn what_was_answered_is_logged_where_the_sound_cannot_be_written_on() {
    let folder = tempfile::tempdir().unwrap();
    // The six pictures are 1.0 MB, and each of 24 trials 0.16 MB; the unit is 512
    // bytes or 1024, as the shell likes.
    let mut limited = limited("-f 2800");
    let output = limited
        .args(["practice", "simulated:1", "--no-speaker", "--seed", "3", "-o", "a.wav"])
        .args(["--log", "a.csv"])
        .current_dir(folder.path())
        .write_stdin("1\n".repeat(24))
        .output()
        .unwrap();
    refused(&output, 1, "a.wav");
    assert_eq!(names_in(folder.path()), ["a.csv"]);
    let answered = log(&folder.path().join("a.csv"));
    assert!((1..24).contains(&answered.len()), "{}", answered.len());
}

#[test]
fn what_is_said_while_the_pictures_are_listed_answers_nothing_and_q_ends_it_at_once() {
    let Some(pulse) = Pulse::start() else { return };
    let log_csv = pulse.folder.path().join("log.csv");
    let started = || {
        let mut practice = pulse.command(speaker::program());
        practice.args(["practice", "simulated:1", "--trials", "1", "--seed", "3", "--log"]);
        let mut talk = Talk::start(practice.arg(&log_csv));
        wait_for("the first picture", || talk.said().contains("That was 1."));
        talk.send("3\n");
        talk
    };
    let mut talk = started();
    wait_for("the question", || talk.said().contains("1 of 1: which was it?"));
    assert!(!talk.said().contains(": it was"), "{}", talk.said());
    talk.ask("6\n", ": it was");
    wait_for("the log", || log_csv.is_file());
    assert_eq!(log(&log_csv)[0][1], "6");
    let mut talk = started();
    talk.ask("q\n", "before the first answer");
    assert!(!talk.said().contains("That was 3."), "{}", talk.said());
    let talk = started();
    talk.interrupt();
    wait_for("its end", || talk.said().contains("before the first answer"));
    assert!(!talk.said().contains("That was 3."), "{}", talk.said());
}

#[test]
fn a_speaker_plays_the_pictures_and_is_silent_while_it_waits() {
    let Some(pulse) = Pulse::start() else { return };
    let tape = pulse.record();
    let questions = pulse.folder.path().join("questions");
    let mut practice = pulse.command(speaker::program());
    practice
        .args(["practice", "simulated:1", "--task", "same", "--trials", "1", "--seed", "3"])
        .args(["--volume", "0", "--no-feedback"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&questions).unwrap());
    let mut practice = practice.spawn().unwrap();
    let asked = || fs::read_to_string(&questions).unwrap().contains("1 of 1: same or different?");
    wait_for("the question", asked);
    // A second of nothing, then the answer.
    let heard = tape.channels().len();
    wait_for("a second", || tape.channels().len() > heard + 48_000);
    practice.stdin.take().unwrap().write_all(b"s\n").unwrap();
    let told = practice.wait_with_output().unwrap();
    assert!(text(&told.stdout).contains(" of 1 right"), "{}", text(&told.stdout));
    let channels = tape.finish();
    let loud = |part: &[[f32; 2]]| part.iter().flatten().any(|sample| sample.abs() > 1e-3);
    let silent = channels[..heard + 48_000].rchunks(24_000).next().unwrap();
    assert!(loud(&channels[..heard]) && !loud(silent), "pictures and then silence");
    let (momentary, ..) = metered(&channels);
    assert!(momentary > -40.0, "{momentary} LUFS");
}
