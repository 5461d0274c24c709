//! Talking to `live` while it plays: lines through a pipe, keys at a terminal.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wysiwyh::sink::guard::{CAP_LUFS, RISE_DB};
use wysiwyh::sink::{self, Recording};
use wysiwyh::synth::SLOT;

use super::speaker::{Process, Pulse, metered, pictures, program, wait_for};
use super::trip::listen;
use crate::pulse::{PATIENCE, interrupt};
use crate::skipped::skipped;

/// A program that is talked to.
pub struct Talk {
    process: Process,
    input: Option<ChildStdin>,
    said: Arc<Mutex<String>>,
}

impl Talk {
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process(command.spawn().unwrap());
        let said = Arc::new(Mutex::new(String::new()));
        let outputs: [Box<dyn Read + Send>; 2] = [
            Box::new(process.0.stdout.take().unwrap()),
            Box::new(process.0.stderr.take().unwrap()),
        ];
        for mut output in outputs {
            let said = said.clone();
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = output.read(&mut buffer) {
                    *said.lock().unwrap() += &String::from_utf8_lossy(&buffer[..count]);
                }
            });
        }
        let input = process.0.stdin.take();
        Self { process, input, said }
    }

    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub fn send(&mut self, text: &str) {
        self.write(text.as_bytes());
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Sends `bytes` again and again, `period` apart, until `done` holds of all that it
    /// said; how often.
    pub fn feed(&mut self, bytes: &[u8], period: Duration, done: impl Fn(&str) -> bool) -> usize {
        let (start, mut sent) = (Instant::now(), 0);
        while !done(&self.said()) {
            assert!(start.elapsed() < PATIENCE, "fed in vain: {}", self.said());
            self.write(bytes);
            std::thread::sleep(period);
            sent += 1;
        }
        sent
    }

    /// The end of what it is sent.
    pub fn close(&mut self) {
        self.input = None;
    }

    /// Sends `text` and waits for an answer that holds `expected` after what
    /// was said before.
    pub fn ask(&mut self, text: &str, expected: &str) -> String {
        let before = self.said().len();
        self.send(text);
        let start = Instant::now();
        while !self.said()[before..].contains(expected) {
            assert!(start.elapsed() < PATIENCE, "no {expected:?} in: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        self.said()[before..].to_owned()
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&self) {
        interrupt(&self.process.0);
    }

    /// Its exit status, and all it said.
    pub fn end(mut self) -> (Option<i32>, String) {
        let status = self.process.0.wait().unwrap();
        wait_for("the summary", || self.said().contains(" sent: "));
        (status.code(), self.said())
    }
}

/// Waits until `wav` holds some sound.
fn wait_for_sound(wav: &Path) {
    wait_for("sound", || fs::metadata(wav).is_ok_and(|file| file.len() > 4 * 48_000));
}

fn live(wav: &Path) -> Command {
    let mut command = Command::new(program());
    command.args(["live", "simulated:1", "--no-speaker", "-o"]).arg(wav);
    command
}

#[test]
fn lines_through_a_pipe_are_answered_and_quit_closes_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let wav = folder.path().join("sound.wav");
    let mut talk = Talk::start(&mut live(&wav));
    wait_for_sound(&wav);
    let told = talk.ask("where\n", "centre ");
    let line = told.lines().find(|line| line.contains("centre ")).unwrap();
    assert!(line.starts_with("Hottest ") && line.contains("; coldest "), "{line}");
    assert_eq!(line.matches(" degC").count(), 3, "{line}");
    let told = talk.ask("status\n", " repeated");
    assert!(told.contains("nothing is played; 64 of 64 groups;"), "{told}");
    talk.ask("mark\nl\n", "Mark 2 at ");
    talk.ask("more\n", "64 of 64 groups, the finest.");
    talk.ask("less\n-\n", "16 of 64 groups.");
    talk.ask("mute\n", "Nothing is played.");
    talk.ask("help\n", "q or quit: the end.");
    talk.ask("sing\n", "no command \"sing\"");
    talk.ask(&format!("{}\n s \r\n", "x".repeat(100_000)), " repeated");
    assert!(talk.said().len() < 5000 && !talk.said().contains('\u{1b}'));
    talk.send("quit\n");
    let (code, said) = talk.end();
    assert_eq!(code, Some(0), "{said}");
    let Recording { samples, header, .. } = sink::read(&wav).unwrap();
    assert_eq!(samples.len(), (header.unwrap().frames.expect("a whole file") + 2) * SLOT);
    // One receiver reads the fine and the coarse part.
    listen(&wav, &folder.path().join("back"));
}

#[test]
fn the_end_of_the_lines_is_not_the_end_of_the_sound() {
    let folder = tempfile::tempdir().unwrap();
    let wav = folder.path().join("sound.wav");
    let mut talk = Talk::start(live(&wav).args(["--frames", "25"]));
    talk.send("help");
    talk.close();
    let (code, said) = talk.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("25 sound frames sent") && said.contains("h or help"), "{said}");
}

#[test]
fn pictures_on_standard_input_are_no_commands() {
    let folder = tempfile::tempdir().unwrap();
    let wav = folder.path().join("sound.wav");
    let mut command = Command::new(program());
    command.args(["live", "--raw", "gray8", "4x4", "--sensor", "cptv-lepton3", "--span", "0..255"]);
    let mut talk = Talk::start(command.args(["--no-speaker", "-o"]).arg(&wav));
    talk.send(&"q\nq\nq\nq\n".repeat(8));
    talk.close();
    let (code, said) = talk.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("4 sound frames sent"), "{said}");
}

#[cfg(feature = "rerun")]
#[test]
fn marks_stand_in_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let (wav, rrd) = (folder.path().join("sound.wav"), folder.path().join("session.rrd"));
    let mut talk = Talk::start(live(&wav).arg("--rrd").arg(&rrd));
    wait_for_sound(&wav);
    talk.ask("mark\n", "Mark 1 at ");
    talk.ask("less\n", "32 of 64 groups.");
    talk.send("q\n");
    let (code, said) = talk.end();
    assert_eq!(code, Some(0), "{said}");
    let marks = super::recorder::marks(&super::recorder::recording(&rrd));
    let texts: Vec<&str> = marks.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["Mark 1", "32 of 64 groups."]);
    let time_s = marks[0].0 as f64 / 10.0;
    assert!(said.contains(&format!("Mark 1 at {time_s:.1} s.")), "{said}");
}

/// A terminal by the program `script`, in which `live` runs between two looks
/// at the terminal's settings; `None`, and a line, where it is missing.
fn terminal(wav: &Path) -> Option<Talk> {
    terminal_that(wav, [""; 2])
}

/// Likewise; before and after `live` the shell does what these say.
fn terminal_that(wav: &Path, [first, then]: [&str; 2]) -> Option<Talk> {
    let asked = Command::new("script").arg("--version").output();
    if !asked.is_ok_and(|output| output.status.success()) {
        skipped("util-linux's script is not installed");
        return None;
    }
    // The shell outlives Ctrl-C, to look at the settings afterwards.
    let line = format!(
        "trap : INT; {first} echo \"before [$(stty -g)]\"; '{}' live simulated:1 --no-speaker -o '{}'; \
         {then} echo \"after [$(stty -g)]\"",
        program().display(),
        wav.display()
    );
    Some(Talk::start(Command::new("script").args(["-qec", &line, "/dev/null"])))
}

/// The terminal's settings that were told after `word`.
fn settings(said: &str, word: &str) -> String {
    let (_, rest) = said.split_once(&format!("{word} [")).expect("the settings");
    rest.split_once(']').expect("all of them").0.to_owned()
}

#[test]
fn a_terminal_gives_single_keys_and_gets_its_settings_back() {
    let folder = tempfile::tempdir().unwrap();
    for last in ["q", "\u{3}"] {
        let wav = folder.path().join("sound.wav");
        let Some(mut talk) = terminal(&wav) else { return };
        wait_for("the keys", || talk.said().contains("Keys: space mutes"));
        wait_for_sound(&wav);
        let told = talk.ask("s", " repeated");
        assert!(!told.starts_with('s'), "keys are not shown: {told}");
        talk.ask("w", "Hottest ");
        talk.ask(" ", "Nothing is played.");
        talk.ask("\u{1b}[A", "Nothing is played.");
        talk.ask("-", "32 of 64 groups.");
        talk.send(last);
        let whole = |said: &str| said.split_once("after [").is_some_and(|s| s.1.contains(']'));
        wait_for("the settings", || whole(&talk.said()));
        let said = talk.said();
        assert_eq!(settings(&said, "before"), settings(&said, "after"), "{said}");
        assert!(said.contains("sound frames sent: "), "{said}");
        let frames = sink::read(&wav).unwrap().header.unwrap().frames;
        assert!(frames.is_some(), "a whole file");
        fs::remove_file(&wav).unwrap();
    }
}

#[test]
fn a_program_that_was_stopped_and_goes_on_takes_single_keys_again() {
    let folder = tempfile::tempdir().unwrap();
    let wav = folder.path().join("sound.wav");
    // As a shell does at its prompt, where nobody types within a second.
    let then = "stty icanon echo; echo stopped; sleep 1.5; fg;";
    let Some(mut talk) = terminal_that(&wav, ["set -m;", then]) else { return };
    wait_for("the keys", || talk.said().contains("Keys: space mutes"));
    talk.ask("s", " repeated");
    talk.ask("\u{1a}", "stopped");
    talk.ask("w", "Hottest ");
    let told = talk.ask("s", " repeated");
    assert!(!told.starts_with('s'), "keys are not shown: {told}");
    talk.send("q");
    let whole = |said: &str| said.split_once("after [").is_some_and(|s| s.1.contains(']'));
    wait_for("the settings", || whole(&talk.said()));
    let said = talk.said();
    assert_eq!(settings(&said, "before"), settings(&said, "after"), "{said}");
}

#[test]
fn mute_silences_the_speaker_alone_without_a_jump() {
    let Some(pulse) = Pulse::start() else { return };
    let values: Vec<u8> = (0..150).map(|n| 100 + n % 50).collect();
    let scene = pictures(pulse.folder.path(), &values);
    let [heard_wav, quiet_wav] = ["heard.wav", "quiet.wav"].map(|n| pulse.folder.path().join(n));
    let tape = pulse.record();
    let mut command = pulse.command(program());
    command.args(["live", "--sensor", "hituav-lwir", "--volume", "0", "-o"]);
    let mut talk = Talk::start(command.args([&heard_wav, &scene]));
    let silent = |part: &[[f32; 2]]| part.iter().flatten().all(|&sample| sample == 0.0);
    let last = || {
        let channels = tape.channels();
        channels[channels.len().saturating_sub(SLOT)..].to_vec()
    };
    let peak = |part: &[[f32; 2]]| part.iter().flatten().fold(0f32, |most, s| most.max(s.abs()));
    // A gap that a busy machine leaves is silent, too, and counted: what is looked
    // at is a mute that began without one.
    let gaps = |talk: &mut Talk| {
        let told = talk.ask("s\n", "gaps in the sound: ");
        let (_, count) = told.split_once("gaps in the sound: ").unwrap();
        count.split(|letter: char| !letter.is_ascii_digit()).next().unwrap().to_owned()
    };
    loop {
        wait_for("sound after its quiet start", || peak(&last()) > 0.05);
        let before = gaps(&mut talk);
        talk.ask("mute\n", "Muted.");
        wait_for("silence", || silent(&last()));
        if gaps(&mut talk) == before {
            break;
        }
        talk.ask("mute\n", "Not muted.");
    }
    talk.ask("louder\n", "Volume 3 dB, muted.");
    talk.ask("s\n", "volume 3 dB, muted;");
    let muted = tape.channels().len();
    talk.ask("mute\n", "Not muted.");
    wait_for("sound again", || !silent(&last()));
    let (code, said) = talk.end();
    assert_eq!(code, Some(0), "{said}");
    let channels = tape.finish();
    let (loudest, steepest, steepest_100_ms) = metered(&channels);
    assert!(loudest <= CAP_LUFS, "{loudest} LUFS");
    assert!(steepest <= RISE_DB && steepest_100_ms <= RISE_DB, "{steepest}, {steepest_100_ms} dB");
    // The last thing before the silence is faint, and there was some sound.
    let end = channels[..muted].iter().rposition(|frame| !silent(&[*frame])).unwrap() + 1;
    let (faint, loud) = (peak(&channels[end - 240..end]), peak(&channels[..end]));
    assert!(faint < 0.01 * loud, "{faint} after {loud}");
    // The file is as if nobody had listened.
    let output = Command::new(program())
        .args(["live", "--sensor", "hituav-lwir", "--no-speaker", "-o"])
        .args([&quiet_wav, &scene])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success());
    let samples = |wav: &Path| sink::read(wav).unwrap().samples;
    assert!(samples(&heard_wav) == samples(&quiet_wav), "mute changed the file");
}
