//! Sound that is fitted to a listener: the check, its settings, and frequencies
//! by hand; and that such sound still is a picture.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use wysiwyh::ears::{Check, Comparison, Ears, Louder, Sides};
use wysiwyh::sink::{self, Header};
use wysiwyh::spectrum::{Axis, hearing};

use crate::cli::{program, refused, text};
use crate::pulse::Pulse;
use crate::trip::{array, convert, listen};

fn header(sound: &Path) -> Header {
    sink::read(sound).unwrap().header.unwrap()
}

/// Largest difference of the pictures in two folders of `listen`.
fn apart(a: &Path, b: &Path) -> f32 {
    let [a, b] = [a, b].map(|folder| array(&folder.join("frames.npy")));
    a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Somebody who hears nothing below 150 Hz, and little above 2 kHz.
fn hears(hz: f64, db: f64) -> bool {
    let loss = if hz > 2000.0 { 16.0 } else { 0.0 };
    hz > 150.0 && db >= hearing::threshold_db(hz) - 65.0 + loss
}

/// Takes the real check over standard input, as a program does that listens.
fn take_the_check(home: &Path) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wysiwyh"))
        .args(["hearing", "--no-speaker", "--seed", "5"])
        .env("XDG_CONFIG_HOME", home)
        .env("WYSIWYH_PLAIN", "1")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answers = child.stdin.take().unwrap();
    // The listener is played the same tones, by the same seed.
    let mut check = Check::new(5);
    let mut comparison = Comparison::new(5);
    let questions = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    for question in questions.filter(|line| line.contains('?')) {
        let Some(trial) = check.trial() else {
            assert!(question.starts_with("Which side was louder? l for left"), "{question}");
            // Who hears 5 dB less on the right, and first has misheard.
            let louder = match comparison.pair().unwrap().sides.quieter_db {
                [0.0, 0.0] if answers.write(b"yes\nleft\n").is_ok() => Louder::Left,
                [6.0, 0.0] if answers.write(b"R\n").is_ok() => Louder::Right,
                [3.0, 0.0] if answers.write(b"l\n").is_ok() => Louder::Left,
                other => panic!("{other:?}"),
            };
            comparison.answer(louder);
            continue;
        };
        assert!(question.starts_with(&format!("{} of ", check.answered() + 1)), "{question}");
        let heard = trial.level_db.is_some_and(|db| hears(trial.hz, db));
        writeln!(answers, "{}", if heard { "yes" } else { "N" }).unwrap();
        check.answer(heard);
    }
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success());
    let told = String::from_utf8(done.stdout).unwrap();
    assert!(told.contains("is raised by 8 dB") && told.contains("hearing.toml"), "{told}");
    assert!(told.contains("more on the left side, which is made quieter by 4.5 dB."), "{told}");
    let sides = comparison.found().unwrap();
    assert_eq!(sides, Sides { quieter_db: [4.5, 0.0], one_ear: false });
    let ears = Ears { sides, ..check.finish().unwrap() };
    assert_eq!(Ears::load(&home.join("wysiwyh/hearing.toml")).unwrap(), ears);
}

/// Lets both answer tones until sides are compared, and then `answers`.
fn after_the_tones(answers: &str) -> String {
    let (mut check, mut lines) = (Check::new(0), String::new());
    while let Some(trial) = check.trial() {
        let heard = trial.level_db.is_some_and(|db| hears(trial.hz, db));
        lines += if heard { "y\n" } else { "n\n" };
        check.answer(heard);
    }
    lines + answers
}

#[test]
fn a_check_by_lines_fits_what_is_played_and_it_still_decodes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    take_the_check(folder.path());
    let live = |name: &str, more: &[&str]| {
        let arguments = ["live", "simulated:1", "--no-speaker", "--frames", "6"];
        program()
            .env("XDG_CONFIG_HOME", folder.path())
            .args(arguments)
            .args(more)
            .arg("-o")
            .arg(path(name))
            .assert()
            .success();
        let back = path(name).with_extension("back");
        listen(&path(name), &back);
        (header(&path(name)).mapping, back)
    };
    let (fitted, back) = live("fitted.wav", &[]);
    assert!(fitted.low_hz > 150.0 && fitted.high_hz == 5000.0 && !fitted.gains_db.is_empty());
    let (plain, plain_back) = live("plain.wav", &["--hearing", "none"]);
    assert!(plain.low_hz == 60.0 && plain.gains_db.is_empty());
    let (data, _) = live("data.wav", &["--preset", "data"]);
    assert!(data.gains_db.is_empty(), "what is read by machines is as it was");
    // The first frames of two live runs can differ by a slot; the last do not.
    let last = |folder: &Path| array(&folder.join("frames.npy")).outer_iter().last().unwrap().sum();
    assert!((last(&back) - last(&plain_back)).abs() < 0.02 * last(&back).abs());
}

#[test]
fn frequencies_and_ears_change_the_sound_and_not_the_picture() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let ears = Ears {
        band_hz: [100.0, 6000.0],
        gains_db: vec![[100.0, 0.0], [2000.0, 4.0], [6000.0, 12.0]],
        sides: Sides { quieter_db: [0.0, 9.0], one_ear: false },
    };
    ears.save(&path("ears.toml")).unwrap();
    let file = path("ears.toml");
    let made = |name: &str, more: &[&str]| {
        convert("simulated:3".as_ref(), &path(name), &[&["--frames", "5"], more].concat());
        let sound = path(name).join("simulated-3.wav");
        listen(&sound, &path(name).join("back"));
        header(&sound).mapping
    };
    made("plain", &[]);
    let low = made("low", &["--low", "200", "--high", "9000.5"]);
    assert_eq!([low.low_hz, low.high_hz], [200.0, 9000.5]);
    let own = made("own", &["--preset", "data", "--hearing", file.to_str().unwrap()]);
    assert_eq!(([own.low_hz, own.high_hz], &own.gains_db), ([100.0, 5000.0], &ears.gains_db));
    assert_eq!(made("hertz", &["--axis", "linear"]).axis, Axis::Linear);
    for name in ["low", "own", "hertz"] {
        let apart = apart(&path("plain").join("back"), &path(name).join("back"));
        // What second digits a file keeps depends on how loud each value is.
        assert!(apart < 1.0, "{name}: {apart} degrees");
    }
    let tried = |arguments: &[&str]| {
        program()
            .args(["convert", "simulated", "--frames", "2", "-o"])
            .arg(path("no"))
            .args(arguments)
            .output()
            .unwrap()
    };
    refused(&tried(&["--low", "900", "--high", "800"]), 2, "frequencies");
    refused(&tried(&["--low", "900", "--high", "1800"]), 2, "values");
    fs::write(&file, "band_hz = [60, 90]\ngains_db = [[60, 99]]").unwrap();
    refused(&tried(&["--hearing", file.to_str().unwrap()]), 2, "");
    refused(&tried(&["--hearing", "/nonexistent/ears.toml"]), 1, "/nonexistent/ears.toml");
}

/// A gain that a check measures has as many digits as a number can have, and a
/// manifest is told from others by them.
#[test]
fn a_plan_that_is_fitted_to_ears_is_carried_out_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let ears = Ears {
        band_hz: [100.0, 6000.0],
        gains_db: vec![[100.0, 0.0], [2000.0, 2.6207232111410406]],
        sides: Sides { quieter_db: [0.0, 0.0], one_ear: false },
    };
    ears.save(&path("ears.toml")).unwrap();
    let [plan, sounds] = ["plan.jsonl", "sounds"].map(path);
    let mut planned = program();
    planned.args(["plan", "simulated:3", "--frames", "5", "--hearing"]).arg(path("ears.toml"));
    planned.arg("-o").arg(&plan).assert().success();
    for told in ["1 of 1 scenes converted", "0 of 1 scenes converted, 0 failed, 1 already there"] {
        let mut carried = program();
        carried.args(["convert", "--manifest"]).arg(&plan).arg("-o").arg(&sounds);
        carried.assert().success().stdout(predicates::str::contains(told));
    }
}

#[test]
fn a_check_that_is_left_or_not_listened_to_stores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("hearing.toml");
    let told = |lines: String| {
        program()
            .args(["hearing", "--no-speaker", "-o"])
            .arg(&settings)
            .write_stdin(lines)
            .output()
            .unwrap()
    };
    refused(&told("y\nwhat\nn\nq\n".into()), 1, "after 2 of 43");
    refused(&told("y\n".into()), 1, "after 1 of 43");
    refused(&told("y\n".repeat(Check::TRIALS)), 1, "in silence");
    let left = told(after_the_tones("l\nq\n"));
    refused(&left, 1, "before left and right were compared");
    assert!(!settings.exists());
    // Where nothing can be stored, nobody listens in vain.
    let mut hearing = program();
    hearing.args(["hearing", "--no-speaker", "-o"]).arg(folder.path()).write_stdin("y\ny\n");
    let output = hearing.output().unwrap();
    refused(&output, 1, folder.path().to_str().unwrap());
    assert!(!text(&output.stderr).contains("1 of 43"), "{}", text(&output.stderr));
}

#[test]
fn who_hears_with_one_ear_is_noticed_and_who_slips_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("hearing.toml");
    for (answers, one_ear, told) in [
        ("n\nn\n", true, "You hear with one ear: both sides will play the same."),
        ("n\ns\n", false, "You hear left and right alike."),
    ] {
        let mut hearing = program();
        hearing.args(["hearing", "--no-speaker", "-o"]).arg(&settings);
        let output = hearing.write_stdin(after_the_tones(answers)).output().unwrap();
        let said = text(&output.stdout);
        assert!(output.status.success() && said.contains(told), "{said}");
        assert_eq!(Ears::load(&settings).unwrap().sides, Sides { one_ear, ..Sides::default() });
    }
}

/// Power on the left and on the right of what is heard of `simulated:1`.
fn powers(pulse: &Pulse, more: &[&str]) -> [f64; 2] {
    let tape = pulse.record();
    let mut live = pulse.command(env!("CARGO_BIN_EXE_wysiwyh"));
    live.args(["live", "simulated:1", "--seconds", "3"]).args(more);
    let output = live.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let channels = tape.finish();
    [0, 1].map(|side| channels.iter().map(|frame| f64::from(frame[side]).powi(2)).sum())
}

#[test]
fn the_louder_ear_gets_less_of_the_speaker_and_files_are_as_they_were() {
    let Some(pulse) = Pulse::start() else { return };
    let path = |name: &str| pulse.folder.path().join(name);
    let stored = |name: &str, sides: Sides| {
        let ears = Ears { band_hz: [60.0, 5000.0], gains_db: vec![], sides };
        ears.save(&path(name)).unwrap();
        path(name).display().to_string()
    };
    let left = stored("left.toml", Sides { quieter_db: [6.0, 0.0], one_ear: false });
    let deaf = stored("deaf.toml", Sides { quieter_db: [0.0; 2], one_ear: true });
    let wav = path("sound.wav");
    let [quiet, full] = powers(&pulse, &["--hearing", &left, "-o", wav.to_str().unwrap()]);
    let balance_db = 10.0 * (full / quiet).log10();
    assert!((balance_db - 6.0).abs() < 0.05, "{balance_db} dB");
    assert_eq!(sink::read(&wav).unwrap().channels, 1);
    let wav = path("stereo.wav");
    let file = ["-o", wav.to_str().unwrap()];
    let [left, right] = powers(&pulse, &[&["--hearing", &deaf, "--stereo"], &file[..]].concat());
    assert!(full > 0.0 && left == right && left > 0.0, "{left} and {right}");
    let [left, right] = sink::read(&wav).unwrap().sides.unwrap();
    assert!(left.iter().zip(&right).any(|(l, r)| (l - r).abs() > 0.002), "no places in the file");
}
