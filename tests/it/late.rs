//! When a picture is heard, and what happens when pictures or the speaker stay
//! away.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use wysiwyh::sink;
use wysiwyh::synth::{CYCLE, JOIN, SAMPLE_RATE, SLOT};

use super::keys::Talk;
use super::speaker::{Pulse, program, wait_for};
use crate::skipped::skipped;

/// Pictures of 16 x 12 bytes at `rate` a second through a pipe, in `command`.
fn live(command: &mut Command, rate: usize, wav: &Path) -> Talk {
    command.args(["--raw", "gray8", &format!("16x12@{rate}"), "--sensor", "cptv-lepton3"]);
    command.args(["--span", "0..255", "--volume", "-3", "-o"]).arg(wav);
    Talk::start(command)
}

/// Between two of 30 a second. A camera keeps time.
const PERIOD: Duration = Duration::from_nanos(33_333_333);

/// So many pictures of a bright or of a dark scene.
fn scene(bright: bool, count: usize) -> Vec<u8> {
    let pixel = |at: usize| (if bright { 150 + at / 2 } else { 110 - at / 2 }) as u8;
    (0..192).map(pixel).collect::<Vec<u8>>().repeat(count)
}

/// The first sample from `start` on that is not like the one a cycle before.
fn change(samples: &[f32], start: usize, tolerance: f32) -> usize {
    let differs = |at: &usize| (samples[*at] - samples[at - CYCLE]).abs() > tolerance;
    (start..samples.len()).find(differs).expect("a change")
}

/// What became of scenes that followed each other.
#[cfg(feature = "rerun")]
struct Played {
    /// The slots in which one began, and the first sample of each that the session
    /// tells.
    begun: Vec<[usize; 2]>,
    /// The samples of the file.
    written: Vec<f32>,
    /// Those that were heard, from the first one on.
    heard: Vec<f32>,
}

/// Plays bright and dark scenes of `each` pictures in turn, `rate` a second and sent as
/// `send` says. None where there were gaps in the sound.
#[cfg(feature = "rerun")]
fn play(pulse: &Pulse, send: &str, rate: usize, each: usize, scenes: usize) -> Option<Played> {
    use super::recorder::{recording, scalars};
    let [wav, rrd] = ["sound.wav", "session.rrd"].map(|name| pulse.folder.path().join(name));
    let tape = pulse.record();
    let mut command = pulse.command(program());
    command.args(["live", "--send", send, "--rrd"]).arg(&rrd);
    let mut talk = live(&mut command, rate, &wav);
    let pictures: Vec<u8> = (0..scenes).flat_map(|n| scene(n % 2 == 0, each)).collect();
    talk.write(&pictures);
    talk.close();
    let (code, said) = talk.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("From the choice of a picture to its sound: "), "{said}");
    if !said.contains(" 0 gaps in the sound") {
        return None;
    }
    let engine = recording(&rrd);
    let highest = scalars(&engine, "slot", "/scene/highest");
    let samples = scalars(&engine, "slot", "/scores/sample");
    let told = |slot| samples.iter().find(|(at, _)| *at == slot).expect("its sample").1 as usize;
    let turns = highest.windows(2).filter(|pair| (pair[0].1 < 120.0) != (pair[1].1 < 120.0));
    let begun = turns.map(|pair| [pair[1].0 as usize, told(pair[1].0)]).collect();
    let heard: Vec<f32> = tape.finish().iter().map(|[left, _]| *left).collect();
    let start = heard.iter().position(|&sample| sample != 0.0).expect("sound");
    let heard = heard[start..].to_vec();
    Some(Played { begun, written: sink::read(&wav).unwrap().samples, heard })
}

/// Plays them until there are no gaps, which a busy machine may leave, and after
/// which nothing lies where it should.
#[cfg(feature = "rerun")]
fn play_whole(send: &str, rate: usize, each: usize, scenes: usize) -> Option<Played> {
    for _ in 0..8 {
        if let Some(played) = play(&Pulse::start()?, send, rate, each, scenes) {
            return Some(played);
        }
    }
    skipped("this machine leaves gaps in each of eight recordings");
    None
}

/// The loudest sample.
#[cfg(feature = "rerun")]
fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |most: f32, sample| most.max(sample.abs()))
}

#[cfg(feature = "rerun")]
#[test]
fn a_flash_is_heard_at_the_sample_that_the_session_tells() {
    let Some(Played { begun, written, heard }) = play_whole("newest", 30, 45, 3) else { return };
    assert_eq!(begun.len(), 2);
    for [slot, told] in begun {
        let due = (slot + 1) * SLOT - JOIN / 2;
        let found = change(&written, due - SLOT, 1e-4);
        eprintln!("written {due}, found {found}");
        // A join begins with next to nothing, and 16 bits do not show it.
        assert!((due..due + JOIN / 3).contains(&found), "{found} for {due}");
        let found = change(&heard, told - SLOT, 0.02 * peak(&heard));
        eprintln!("played {told}, found {found}");
        assert!((told..told + JOIN / 2).contains(&found), "{found} for {told}");
    }
}

#[cfg(feature = "rerun")]
#[test]
fn pictures_are_heard_as_they_come_and_files_keep_their_slots() {
    // One more than fill twelve slots, so that scenes begin in each of their parts.
    let Some(Played { begun, written, heard }) = play_whole("each", 30, 37, 4) else { return };
    let mut early = [false; 3];
    for [slot, told] in begun {
        let due = (slot + 1) * SLOT - JOIN / 2;
        let found = change(&written, due - SLOT, 1e-4);
        assert!((due..due + JOIN / 3).contains(&found), "{found} for {due}");
        let found = change(&heard, told - SLOT, 0.02 * peak(&heard));
        let parts = (0..3).find(|parts| {
            let first = told - parts * SLOT / 3;
            (first - 8..first + JOIN / 2).contains(&found)
        });
        early[parts.unwrap_or_else(|| panic!("{found} for {told}"))] = true;
    }
    assert_eq!(early, [true; 3], "some scenes begin in each part of a slot");
}

#[cfg(feature = "rerun")]
#[test]
fn a_picture_that_is_heard_before_its_slot_is_told_at_its_sample() {
    // Slower than the slots, it has one of its own, wherever in a slot it came; but on
    // a busy machine the next one may have come by then.
    for _ in 0..3 {
        let Some(Played { begun, heard, .. }) = play_whole("each", 9, 11, 4) else { return };
        let found = |told: usize| change(&heard, told - SLOT, 0.02 * peak(&heard));
        let found: Vec<_> = begun.iter().map(|&[_, told]| (told, found(told))).collect();
        eprintln!("told and found: {found:?}");
        if found.iter().all(|(told, found)| (*told..told + JOIN / 2).contains(found)) {
            assert_eq!(found.len(), 3);
            return;
        }
    }
    panic!("in each of three recordings a picture is told at another sample");
}

#[test]
fn a_source_that_stalls_fades_and_says_so_and_fades_in_again() {
    let folder = tempfile::tempdir().unwrap();
    let wav = folder.path().join("sound.wav");
    let mut talk = live(Command::new(program()).args(["live", "--no-speaker"]), 30, &wav);
    talk.write(&scene(true, 60));
    wait_for("the word", || talk.said().contains("the source: has sent no picture for 2.0 s; "));
    let until = length(&wav) + 2 * SAMPLE_RATE as u64;
    wait_for("silence", || length(&wav) > until);
    for _ in 0..30 {
        talk.write(&scene(true, 1));
        std::thread::sleep(PERIOD);
    }
    wait_for("its return", || talk.said().contains("The camera is back after "));
    talk.close();
    let (code, said) = talk.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("has sent no picture").count(), 1, "{said}");
    let samples = sink::read(&wav).unwrap().samples;
    let silent = samples.windows(SLOT).step_by(480).filter(|w| w.iter().all(|&s| s == 0.0));
    assert!(silent.count() > 0, "it never fell silent");
    assert!(samples[samples.len() - 4 * SLOT..].iter().any(|&s| s.abs() > 1e-2));
    // No jump is larger than those of the sound itself.
    let jump = |part: &[f32]| part.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    assert!(jump(&samples) <= 1.01 * jump(&samples[..2 * SAMPLE_RATE]));
}

#[test]
fn a_pipe_that_sends_nothing_is_told_and_heard_once_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let wav = folder.path().join("sound.wav");
    let mut talk = live(Command::new(program()).args(["live", "--no-speaker"]), 30, &wav);
    wait_for("the word", || {
        talk.said().contains("has sent no picture for 2.0 s; the sound waits for it.")
    });
    talk.write(&scene(true, 30));
    talk.close();
    let (code, said) = talk.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("The camera is back after "), "{said}");
    assert!(sink::read(&wav).unwrap().samples.iter().any(|&sample| sample.abs() > 1e-2));
}

/// Bytes of the file at `path`.
fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// `live` of the simulated camera, to the speaker and into `wav`, once there is a second
/// of it.
fn playing(pulse: &Pulse, wav: &Path) -> Talk {
    let mut command = pulse.command(program());
    let talk = Talk::start(command.args(["live", "simulated:1", "-o"]).arg(wav));
    wait_for("sound", || length(wav) > 2 * SAMPLE_RATE as u64);
    talk
}

#[test]
fn a_sound_server_that_hangs_holds_nothing_else_up() {
    let Some(pulse) = Pulse::start() else { return };
    let wav = pulse.folder.path().join("sound.wav");
    let mut talk = playing(&pulse, &wav);
    pulse.freeze_server();
    wait_for("the word", || talk.said().contains(" is gone: nothing is heard"));
    // Past the first attempts to find it again.
    let until = length(&wav) + 8 * SAMPLE_RATE as u64;
    wait_for("more of the file", || length(&wav) > until);
    talk.ask("status\n", " sent, ");
    talk.send("q\n");
    let (code, said) = talk.end();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_speaker_that_is_unloaded_is_told_and_so_is_its_return() {
    let Some(pulse) = Pulse::start() else { return };
    let wav = pulse.folder.path().join("sound.wav");
    let mut talk = playing(&pulse, &wav);
    pulse.pactl(&["unload-module", "module-null-sink"]);
    wait_for("the word", || talk.said().contains(" is gone: nothing is heard"));
    let before = length(&wav);
    wait_for("more of the file", || length(&wav) > before + 2 * SAMPLE_RATE as u64);
    pulse.pactl(&[
        "load-module",
        "module-null-sink",
        "sink_name=test",
        "rate=48000",
        "format=float32le",
    ]);
    wait_for("its return", || talk.said().contains("It plays again, to "));
    let tape = pulse.record();
    wait_for("sound at the sink", || tape.channels().iter().flatten().any(|&s| s.abs() > 1e-3));
    talk.send("q\n");
    let (code, said) = talk.end();
    assert_eq!(code, Some(0), "{said}");
}
