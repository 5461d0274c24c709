//! Sessions that are played again: the same sound, without the camera.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wysiwyh::random::Random;
use wysiwyh::recorder::{Recorder, Replay};
use wysiwyh::sensor::Session;
use wysiwyh::sink::{self, Recording};
use wysiwyh::synth::SAMPLE_RATE;

use super::cli::{program, refused, text};
use super::damage::damage;
use super::keys::Talk;
use super::recorder::{codes, moment, recording, save, session};
use super::speaker::wait_for;
use super::trip::{array, listen};

/// `live` of `source`, to files in `folder` called `name`.
fn live(folder: &Path, source: &str, name: &str) -> (Command, [PathBuf; 2]) {
    let files = ["wav", "rrd"].map(|ending| folder.join(name).with_extension(ending));
    let mut command = Command::new(env!("CARGO_BIN_EXE_wysiwyh"));
    command.args(["live", source, "--plain", "--no-speaker", "-o"]).arg(&files[0]);
    command.arg("--rrd").arg(&files[1]);
    (command, files)
}

/// Plays `session` again; what was said, and its files.
fn again(folder: &Path, session: &Path, more: &[&str]) -> (String, [PathBuf; 2]) {
    let name = format!("{}-again", session.file_stem().unwrap().display());
    let (mut command, files) = live(folder, session.to_str().unwrap(), &name);
    let output = command.args(more).stdin(Stdio::null()).output().unwrap();
    let said = text(&output.stderr) + &text(&output.stdout);
    assert!(output.status.success(), "{said}");
    (said, files)
}

fn sound(wav: &Path) -> Recording {
    sink::read(wav).unwrap()
}

/// A session of the simulated camera, of which a part was coarser.
fn recorded(folder: &Path) -> [PathBuf; 2] {
    let (mut command, files) = live(folder, "simulated:1", "first");
    let mut talk = Talk::start(command.args(["--seed", "3", "--frames", "50"]));
    talk.ask("less\n", "32 of 64 groups.");
    talk.ask("mark\n", "Mark 1 at ");
    let (code, said) = talk.end();
    assert_eq!(code, Some(0), "{said}");
    files
}

#[test]
fn a_session_sounds_as_it_did_and_is_one_again() {
    let folder = tempfile::tempdir().unwrap();
    let [wav, rrd] = recorded(folder.path());
    let (said, [wav_again, rrd_again]) = again(folder.path(), &rrd, &[]);
    assert!(said.contains("a session of simulated:1, begun 20"), "{said}");
    assert!(said.contains("0 sound frames repeated"), "{said}");
    let [first, second] = [&wav, &wav_again].map(|wav| sound(wav));
    assert!(first.samples == second.samples, "{} samples", second.samples.len());
    let [first, second] = [first, second].map(|recording| recording.header.unwrap());
    assert_eq!((second.seed, &second.mapping, second.area), (3, &first.mapping, first.area));
    let command = first.command.unwrap();
    assert!(command.contains(" live simulated:1 --plain "), "{command}");
    assert!(command.ends_with(" --seed 3 --frames 50"), "{command}");
    assert!(second.command.unwrap().contains("first.rrd --plain "));
    let [first, second] = [&rrd, &rrd_again].map(|rrd| codes(&recording(rrd)));
    assert!(first.len() == 50 && first == second, "{} codes", second.len());
    // A session of a session is one, too.
    let (_, [wav_again, _]) = again(folder.path(), &rrd_again, &["--frames", "20"]);
    let samples = sound(&wav_again).samples;
    let part = 20 * SAMPLE_RATE / 10;
    assert_eq!(samples[..part], sound(&wav).samples[..part]);
    let (mut command, _) = live(folder.path(), rrd.to_str().unwrap(), "first");
    let output = command.stdin(Stdio::null()).output().unwrap();
    refused(&output, 2, "first.rrd: is the source that is heard");
    assert_eq!(codes(&recording(&rrd)).len(), 50);
    let told = text(&program().arg("inspect").arg(&rrd).output().unwrap().stdout);
    assert!(told.contains("It can be heard again: wysiwyh live "), "{told}");
}

#[cfg(unix)]
#[test]
fn what_is_being_written_or_heard_is_not_written_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let (mut command, [wav, rrd]) = live(folder.path(), "simulated:1", "first");
    let mut talk = Talk::start(&mut command);
    talk.ask("mark\n", "Mark 1 at ");
    let live = |source: &Path, outputs: &[&Path]| {
        let mut command = program();
        command.args(["live", "--no-speaker", "--frames", "3"]).arg(source);
        for (option, path) in ["-o", "--rrd"].iter().zip(outputs) {
            command.arg(option).arg(path);
        }
        command.output().unwrap()
    };
    let (other_wav, other_rrd) = (folder.path().join("b.wav"), folder.path().join("b.rrd"));
    let camera = Path::new("simulated:2");
    for outputs in [[&wav, &other_rrd], [&other_wav, &rrd]] {
        let output = live(camera, &outputs.map(|path| path.as_path()));
        refused(&output, 1, "is being written by another program");
    }
    talk.send("q\n");
    let (code, said) = talk.end();
    assert_eq!(code, Some(0), "{said}");
    let frames = sound(&wav).header.unwrap().frames.expect("a whole file");
    assert_eq!(codes(&recording(&rrd)).len(), frames);
    // Nor are both outputs one file, nor one of them the source.
    let output = live(camera, &[&other_wav, &folder.path().join(".").join("b.wav")]);
    refused(&output, 2, "both are to be written to");
    let picture = folder.path().join("picture.wav");
    super::cli::picture(&folder.path().join("picture.png"));
    fs::rename(folder.path().join("picture.png"), &picture).unwrap();
    let before = fs::read(&picture).unwrap();
    refused(&live(&picture, &[&picture]), 2, "picture.wav: is the source that is heard");
    assert_eq!(fs::read(&picture).unwrap(), before);
    // Afterwards it is anybody's.
    assert!(live(camera, &[&wav, &rrd]).status.success());
    assert_eq!(codes(&recording(&rrd)).len(), 3);
}

#[test]
fn two_channels_decode_as_one_and_are_two_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let [one, rrd] = recorded(folder.path());
    // The same codes on two channels.
    let files = [path("two.flac"), path("two.rrd")];
    let mut command = Command::new(env!("CARGO_BIN_EXE_wysiwyh"));
    command.args(["live", rrd.to_str().unwrap(), "--plain", "--no-speaker", "--stereo", "-o"]);
    command.arg(&files[0]).arg("--rrd").arg(&files[1]).stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    for (sound, back) in [(&one, "from-one"), (&files[0], "from-two")] {
        listen(sound, &path(back));
    }
    let [from_one, from_two] =
        ["from-one", "from-two"].map(|back| array(&path(back).join("frames.npy")));
    let apart = from_one.iter().zip(&from_two).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    eprintln!("{apart} degrees apart");
    assert!(apart < 0.3, "{apart} degrees");
    // That session is on two channels without being asked for it.
    let (said, [again, _]) = again(folder.path(), &files[1], &[]);
    assert!(said.contains("from the side where there is more of that"), "{said}");
    let [first, second] = [&files[0], &again].map(|file| sound(file));
    assert!(first.header.unwrap().stereo && second.header.unwrap().stereo);
    let [first, second] = [first.sides, second.sides].map(|sides| sides.unwrap().concat());
    // Pictures are recorded in half precision, so places are a little off.
    let apart = first.iter().zip(&second).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(first.len() == second.len() && apart < 1e-3, "{apart}");
}

#[test]
fn silence_while_a_camera_was_away_is_played_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut command, [wav, rrd]) = live(folder.path(), "-", "first");
    command.args(["--raw", "gray8", "16x12@30", "--sensor", "cptv-lepton3", "--span", "0..255"]);
    let mut talk = Talk::start(&mut command);
    let picture = |bright: u8| (0..192).map(|at| bright + at / 2).collect::<Vec<u8>>();
    talk.write(&picture(90));
    wait_for("the word", || talk.said().contains("has sent no picture for 2.0 s"));
    let length = || fs::metadata(&wav).map_or(0, |file| file.len());
    let until = length() + 2 * SAMPLE_RATE as u64;
    wait_for("silence", || length() > until);
    talk.write(&picture(10));
    wait_for("its return", || talk.said().contains("The camera is back after "));
    let until = length() + SAMPLE_RATE as u64;
    wait_for("sound", || length() > until);
    talk.close();
    let (code, said) = talk.end();
    assert_eq!(code, Some(0), "{said}");
    let (said, [wav_again, _]) = again(folder.path(), &rrd, &[]);
    assert!(said.contains("the session: has no picture here; the sound fades"), "{said}");
    assert!(sound(&wav).samples == sound(&wav_again).samples);
}

#[test]
fn pictures_of_a_session_are_heard_anew_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let [wav, rrd] = recorded(folder.path());
    let (_, [anew, _]) = again(folder.path(), &rrd, &["--preset", "data"]);
    let [first, anew] = [&wav, &anew].map(|wav| sound(wav).header.unwrap());
    assert_eq!((first.mapping.values, anew.mapping.values), (64, 256));
    assert_eq!((anew.profile.as_str(), anew.frames), ("simulated-lwir", Some(50)));
    let out = folder.path().join("out");
    let output = program().arg("convert").arg(&rrd).arg("-o").arg(&out).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let converted = sound(&out.join("first.wav")).header.unwrap();
    assert_eq!((converted.frames, converted.profile.as_str()), (Some(50), "simulated-lwir"));
}

#[test]
fn sessions_that_are_cut_off_are_played_to_there_and_damaged_ones_end_in_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let [wav, rrd] = recorded(folder.path());
    let whole = fs::read(&rrd).unwrap();
    let cut = folder.path().join("cut.rrd");
    fs::write(&cut, &whole[..whole.len() * 7 / 10]).unwrap();
    let replay = Replay::read(&cut).unwrap();
    let slots = replay.moments.values().filter(|moment| moment.code.is_some()).count();
    assert!((5..50).contains(&slots), "{slots}");
    let (said, [wav_again, _]) = again(folder.path(), &cut, &[]);
    let heard = sound(&wav_again);
    assert_eq!(heard.header.unwrap().frames, Some(slots), "{said}");
    let part = slots * SAMPLE_RATE / 10;
    assert_eq!(heard.samples[..part], sound(&wav).samples[..part]);

    let damaged = folder.path().join("damaged.rrd");
    let refuse = |bytes: &[u8], subject: &str| {
        fs::write(&damaged, bytes).unwrap();
        let (mut command, _) = live(folder.path(), damaged.to_str().unwrap(), "again");
        refused(&command.stdin(Stdio::null()).output().unwrap(), 1, subject);
    };
    let mut bytes = whole.clone();
    let half = bytes.len() / 2;
    bytes[half..half + 5000].fill(0xff);
    refuse(&bytes, "damaged.rrd");
    refuse(&whole[..60], "damaged.rrd");
    let mut random = Random::new(9);
    for _ in 0..20 {
        let mut bytes = whole.clone();
        damage(&mut bytes, &mut random);
        fs::write(&damaged, bytes).unwrap();
        // Any pictures, and any error, will do but a crash.
        if let Ok(session) = Session::open(&damaged) {
            session.coded().for_each(drop);
        }
    }
    // One that does not say how its sound was made.
    let recorder = Recorder::new(&save(&damaged, Default::default()), &session()).unwrap();
    (0..5).for_each(|slot| recorder.log(moment(slot)));
    recorder.finish().unwrap();
    refuse(&fs::read(&damaged).unwrap(), "does not say how its sound was made");
}
