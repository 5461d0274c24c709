//! What else `live` does while it plays: viewers, an alarm, means of pictures.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use wysiwyh::model::Model;
use wysiwyh::random::Random;
use wysiwyh::sink;
use wysiwyh::sink::guard::{CAP_LUFS, RISE_DB};
use wysiwyh::synth::SAMPLE_RATE;

use super::keys::Talk;
use super::speaker::{Pulse, metered, pictures, program, wait_for};
use crate::pulse::interrupt;
use crate::skipped::skipped;

fn live(wav: &Path) -> Command {
    let mut command = Command::new(program());
    command.args(["live", "simulated:1", "-o"]).arg(wav);
    command
}

/// Amplitude of the tone of `hz` in `samples` (Goertzel).
fn tone(samples: &[f32], hz: f64) -> f64 {
    let step = 2.0 * std::f64::consts::PI * hz / SAMPLE_RATE as f64;
    let (mut before, mut last) = (0.0, 0.0);
    for &sample in samples {
        (before, last) = (last, f64::from(sample) + 2.0 * step.cos() * last - before);
    }
    let power = before * before + last * last - 2.0 * step.cos() * before * last;
    2.0 * power.max(0.0).sqrt() / samples.len() as f64
}

#[test]
fn an_alarm_is_heard_and_told_and_leaves_the_file_alone() {
    let Some(pulse) = Pulse::start() else { return };
    let [with, without] = ["with.wav", "without.wav"].map(|name| pulse.folder.path().join(name));
    let tape = pulse.record();
    let mut command = live(&with);
    command.args(["--seconds", "4", "--volume", "0", "--alarm", ">-10C"]);
    let mut played = pulse.command(program());
    played.args(command.get_args());
    let (code, said) = Talk::start(&mut played).end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("An alarm is set above -10.0 degC"), "{said}");
    assert!(said.contains("\nAlarm: ") && said.contains(", above -10.0 degC."), "{said}");
    assert!(said.contains("no safety alarm"), "{said}");
    let channels = tape.finish();
    let (loudest, steepest, steepest_100_ms) = metered(&channels);
    assert!(loudest <= CAP_LUFS, "{loudest} LUFS");
    assert!(steepest <= RISE_DB && steepest_100_ms <= RISE_DB, "{steepest}, {steepest_100_ms} dB");
    // The loudest 80 ms of each tone, against what lies between the tones.
    let left: Vec<f32> = channels.iter().map(|frame| frame[0]).collect();
    let strongest = |hz: f64| left.chunks(3840).map(|part| tone(part, hz)).fold(0.0, f64::max);
    for hz in [880.0, 1100.0, 1320.0] {
        let (pulse, beside) = (strongest(hz), strongest(hz + 110.0));
        assert!(pulse > 3.0 * beside, "{pulse} at {hz} Hz, {beside} beside it");
    }
    // The file is as without it.
    let mut quiet = live(&without);
    quiet.args(["--no-speaker", "--seconds", "4", "--alarm", ">500C"]).stdin(Stdio::null());
    let output = quiet.output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("in words alone") && !said.contains("\nAlarm: "), "{said}");
    let rms = |path: &Path, hz: f64| {
        let samples = sink::read(path).unwrap().samples;
        samples.chunks(3840).map(|part| tone(part, hz)).fold(0.0, f64::max)
    };
    let (with, without) = (rms(&with, 880.0), rms(&without, 880.0));
    assert!(with < 1.5 * without, "{with} against {without}");
}

#[test]
fn an_alarm_tells_where_it_is_hot_when_it_is_over_and_when_it_is_blind() {
    let folder = tempfile::tempdir().unwrap();
    let wav = folder.path().join("sound.wav");
    let mut command = thermal(folder.path(), 10);
    command.args(["--no-speaker", "-o"]).arg(&wav);
    let mut talk = Talk::start(&mut command);
    talk.write(&[degrees(20.0), degrees(20.0), degrees(61.25)].concat());
    wait_for("the alarm", || {
        talk.said().contains("Alarm: 61.2 degC, upper left, above 60.0 degC.")
    });
    wait_for("its blindness", || talk.said().contains("No picture for 2.0 s: the alarm is blind"));
    let over = |said: &str| said.contains("The alarm is over after ");
    talk.feed(&degrees(30.0), Duration::from_millis(100), over);
    talk.close();
    let (code, said) = talk.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("Alarm: ").count(), 1, "{said}");
    assert!(said.contains("The alarm sees again."), "{said}");
}

/// `live` of a camera that sends hundredths of a kelvin through a pipe, 9 x 9
/// pixels and so many pictures a second, with an alarm above 60 degC.
fn thermal(folder: &Path, rate_hz: u32) -> Command {
    let profile = folder.join("my-thermal.toml");
    let text = "name = \"my-thermal\"\ntitle = \"\"\nsource = \"frames\"\ntested = \"never\"\n\
                range = [10.0, 45.0]\n[[bands]]\nname = \"LWIR\"\nwavelength_um = 11.0\n\
                fwhm_um = 6.0\nunit = \"celsius\"\nscale = 0.01\noffset = -273.15\n";
    fs::write(&profile, text).unwrap();
    let mut command = Command::new(program());
    command.args(["live", "--raw", "gray16le", &format!("9x9@{rate_hz}"), "--sensor"]);
    command.arg(&profile).args(["--alarm", ">60C"]);
    command
}

/// One of its pictures: 20 degC, and three pixels by three in a corner.
fn degrees(celsius: f64) -> Vec<u8> {
    let corner = |at: usize| at % 9 < 3 && at / 9 < 3;
    let kelvin = |at: usize| if corner(at) { celsius + 273.15 } else { 293.15 };
    (0..81).flat_map(|at| ((kelvin(at) * 100.0).round() as u16).to_le_bytes()).collect()
}

#[test]
fn an_alarm_is_blind_where_a_camera_never_sends_a_picture() {
    let Some(pulse) = Pulse::start() else { return };
    let wav = pulse.folder.path().join("sound.wav");
    let tape = pulse.record();
    let mut command = thermal(pulse.folder.path(), 10);
    command.args(["--volume", "0", "-o"]).arg(&wav);
    let mut played = pulse.command(program());
    played.args(command.get_args());
    let mut talk = Talk::start(&mut played);
    wait_for("its blindness", || talk.said().contains("No picture for 2.0 s: the alarm is blind"));
    let heard = || {
        let left: Vec<f32> = tape.channels().iter().map(|frame| frame[0]).collect();
        let strongest = |hz: f64| left.chunks(3840).map(|part| tone(part, hz)).fold(0.0, f64::max);
        strongest(330.0) > 1e-3 && strongest(330.0) > 3.0 * strongest(440.0)
    };
    wait_for("its tones", heard);
    let sees = |said: &str| said.contains("The alarm sees again. Alarm: 70.0 degC");
    talk.feed(&degrees(70.0), Duration::from_millis(100), sees);
    talk.close();
    let (code, said) = talk.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("the alarm is blind").count(), 1, "{said}");
    assert!(sink::read(&wav).unwrap().header.is_some());
}

#[test]
fn what_piled_up_in_a_pipe_does_not_stay_late() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = thermal(folder.path(), 30);
    command.args(["--no-speaker", "-o"]).arg(folder.path().join("sound.wav"));
    let mut talk = Talk::start(&mut command);
    let period = Duration::from_nanos(33_333_333);
    // Two seconds of pictures before anybody listens, and three after the writer
    // was stopped for as long.
    for (piled, alarms) in [(60, 1), (90, 2)] {
        talk.write(&degrees(20.0).repeat(piled));
        wait_for("the program", || talk.said().contains("You will hear"));
        let hot = |said: &str| said.matches("Alarm: 70.0 degC").count() >= alarms;
        let late = talk.feed(&degrees(70.0), period, hot);
        assert!(late < piled / 2, "{late} pictures late, of {piled} that had piled up");
        let over = |said: &str| said.matches("The alarm is over").count() >= alarms;
        talk.feed(&degrees(20.0), period, over);
        if alarms == 1 {
            wait_for("the stall", || talk.said().contains("has sent no picture for 2.0 s"));
            std::thread::sleep(30 * period);
        }
    }
    talk.close();
    let (code, said) = talk.end();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn an_alarm_needs_temperatures() {
    let folder = tempfile::tempdir().unwrap();
    let scene = pictures(folder.path(), &[10, 20]);
    let output = Command::new(program())
        .args(["live", "--sensor", "hituav-lwir", "--alarm", ">60C", "--no-speaker", "-o"])
        .args([&folder.path().join("sound.wav"), &scene])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("60 degC is asked for") && said.contains("in counts"), "{said}");
    assert!(!folder.path().join("sound.wav").exists());
}

#[cfg(all(unix, feature = "rerun"))]
mod viewers {
    use std::net::TcpListener;
    use std::os::unix::process::CommandExt;

    use super::super::recorder::{codes, recording, scalars, viewer};
    use super::super::speaker::Process;
    use super::*;

    /// A program and those that it started, which end with the test.
    struct Group(Process);

    impl Drop for Group {
        fn drop(&mut self) {
            let group = format!("-{}", self.0.0.id());
            let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        }
    }

    /// Rerun's own program with `arguments`, in `folder`; without a window.
    fn rerun(folder: &Path, arguments: &[&str]) -> Option<Group> {
        let Some(viewer) = viewer() else {
            skipped("the Rerun viewer is not installed");
            return None;
        };
        let mut command = Command::new(viewer);
        command.args(arguments).current_dir(folder).env("RERUN_ANALYTICS", "0");
        command.env("HOME", folder).stdin(Stdio::null()).process_group(0);
        Some(Group(Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())))
    }

    /// A port that is free.
    fn port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    #[test]
    fn a_session_takes_as_much_as_was_told() {
        let folder = tempfile::tempdir().unwrap();
        let [wav, rrd] = ["a.wav", "a.rrd"].map(|name| folder.path().join(name));
        let mut command = live(&wav);
        command.args(["--no-speaker", "--frames", "80", "--rrd"]).arg(&rrd);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let told = |before: &str| -> f64 {
            let (_, rest) = said.split_once(before).expect(&said);
            rest.split_whitespace().next().unwrap().parse().unwrap()
        };
        // 80 of 36000 slots, in megabytes.
        let found = |path: &Path| fs::metadata(path).unwrap().len() as f64 / 80.0 * 36_000.0 / 1e6;
        let (session, stated) = (found(&rrd), told("the session takes about "));
        assert!((session / stated - 1.0).abs() < 0.2, "{session} MB an hour, {stated} stated");
        let (sound, stated) = (found(&wav), told("a.wav: "));
        assert!((sound / stated - 1.0).abs() < 0.05, "{sound} MB an hour, {stated} stated");
    }

    fn listens(port: u16) -> bool {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    }

    #[test]
    fn a_running_viewer_gets_the_session_and_may_be_closed() {
        let folder = tempfile::tempdir().unwrap();
        let (at, wav, rrd) = (port(), folder.path().join("a.wav"), folder.path().join("a.rrd"));
        let shown = folder.path().join("shown.rrd");
        let name = at.to_string();
        let arguments = ["--bind", "127.0.0.1", "--port", &name, "--save", "shown.rrd"];
        let Some(viewer) = rerun(folder.path(), &arguments) else { return };
        wait_for("the viewer", || listens(at));
        let mut command = live(&wav);
        command.args(["--no-speaker", "--rrd"]).arg(&rrd);
        let mut talk = Talk::start(command.arg(format!("--connect=127.0.0.1:{at}")));
        let length = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        wait_for("the session in the viewer", || length(&shown) > 50_000);
        drop(viewer);
        wait_for("the loss of the viewer", || talk.said().contains("A viewer is gone"));
        let until = length(&wav) + 10 * 9600;
        wait_for("sound without the viewer", || length(&wav) > until);
        talk.ask("status\n", " sent, ");
        talk.send("q\n");
        let (code, said) = talk.end();
        assert_eq!(code, Some(0), "{said}");
        let engine = recording(&rrd);
        let slots = codes(&engine).len();
        assert!(slots > 5, "{slots}");
        for score in ["scores/loudness_lufs", "scores/left_out", "scene/highest", "scene/centre"] {
            let values = scalars(&engine, "slot", &format!("/{score}"));
            assert!(values.len() > 5 && values.len() <= slots, "{score}: {}", values.len());
        }
        let degrees = scalars(&engine, "slot", "/scene/highest");
        assert!(degrees.iter().all(|(_, value)| (-20.0..120.0).contains(value)), "{degrees:?}");
    }

    #[test]
    fn without_its_viewer_a_session_leaves_old_files_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let [wav, rrd] = ["a.wav", "a.rrd"].map(|name| folder.path().join(name));
        let none = folder.path().join("none/a.wav");
        for path in [&wav, &rrd] {
            fs::write(path, "old").unwrap();
        }
        let connect = format!("--connect=127.0.0.1:{}", port());
        for (sound, more) in [(&wav, &[&connect[..]][..]), (&none, &[])] {
            let mut command = live(sound);
            command.args(["--no-speaker", "--rrd"]).arg(&rrd).args(more);
            let output = command.stdin(Stdio::null()).output().unwrap();
            assert!(!output.status.success(), "{sound:?}");
            for path in [&wav, &rrd] {
                assert_eq!(fs::read(path).unwrap(), b"old", "{path:?}");
            }
        }
    }

    #[test]
    fn viewers_connect_to_a_port_that_is_served() {
        let folder = tempfile::tempdir().unwrap();
        let (at, wav) = (port(), folder.path().join("a.wav"));
        let mut command = live(&wav);
        let mut talk = Talk::start(command.args(["--no-speaker", &format!("--serve={at}")]));
        wait_for("the address", || talk.said().contains("can show the session"));
        let address = format!("rerun+http://127.0.0.1:{at}/proxy");
        assert!(talk.said().contains(&address), "{}", talk.said());
        let Some(viewer) = rerun(folder.path(), &["--save", "shown.rrd", &address]) else {
            return;
        };
        let shown = folder.path().join("shown.rrd");
        wait_for("the session", || fs::metadata(&shown).is_ok_and(|file| file.len() > 100_000));
        drop(viewer);
        talk.ask("status\n", " sent, ");
        talk.send("q\n");
        let (code, said) = talk.end();
        assert_eq!(code, Some(0), "{said}");
    }

    /// `listen --live` of what the server plays, with `session`; it says what it
    /// has to say to a file.
    fn listening(pulse: &Pulse, said: &Path, session: &str) -> Process {
        let mut listen = pulse.command(program());
        listen.args(["listen", "--live", "--sensor", "simulated-lwir", "--preset", "listen"]);
        listen.arg(session).stdout(Stdio::null()).stderr(fs::File::create(said).unwrap());
        Process(listen.spawn().unwrap())
    }

    #[test]
    fn what_plays_is_shown_until_the_viewer_is_closed_or_ctrl_c() {
        let Some(pulse) = Pulse::start() else { return };
        let folder = pulse.folder.path();
        let [told, shown] = ["told", "shown.rrd"].map(|name| folder.join(name));
        let grown = || fs::metadata(&shown).is_ok_and(|file| file.len() > 50_000);
        let said = || fs::read_to_string(&told).unwrap_or_default();
        let mut live = pulse.command(program());
        live.args(["live", "simulated:1", "--send", "newest"]).stdin(Stdio::null());
        let _playing = Process(live.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());

        let at = port();
        let name = at.to_string();
        let arguments = ["--bind", "127.0.0.1", "--port", &name, "--save", "shown.rrd"];
        let Some(viewer) = rerun(folder, &arguments) else { return };
        wait_for("the viewer", || listens(at));
        let mut listen = listening(&pulse, &told, &format!("--connect=127.0.0.1:{at}"));
        wait_for("the session in the viewer", grown);
        drop(viewer);
        wait_for("the end", || listen.0.try_wait().unwrap().is_some());
        assert!(listen.0.wait().unwrap().success(), "{}", said());
        assert!(
            said().contains("A viewer is gone") && said().contains("so it ends."),
            "{}",
            said()
        );

        fs::remove_file(&shown).unwrap();
        let at = port();
        let mut listen = listening(&pulse, &told, &format!("--serve={at}"));
        wait_for("the address", || said().contains("can show the session"));
        let address = format!("rerun+http://127.0.0.1:{at}/proxy");
        let Some(viewer) = rerun(folder, &["--save", "shown.rrd", &address]) else { return };
        wait_for("the session", grown);
        drop(viewer);
        interrupt(&listen.0);
        assert!(listen.0.wait().unwrap().success(), "{}", said());
    }
}

#[test]
fn what_becomes_of_fast_pictures_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for (send, expected) in [
        ("newest", "One picture in 3 is heard, the newest."),
        // Without a speaker nobody hears those between slots.
        ("each", "One picture in 3 is heard, the newest."),
        ("mean", "Each is the mean of about 3 pictures."),
    ] {
        let raw = folder.path().join("pictures.raw");
        fs::write(&raw, (0..30).flat_map(|n| [100 + n; 64]).collect::<Vec<u8>>()).unwrap();
        let wav = folder.path().join("sound.wav");
        let output = Command::new(program())
            .args(["live", "--raw", "gray8", "8x8@30", "--sensor", "cptv-lepton3"])
            .args(["--span", "0..255", "--send", send, "--no-speaker", "-o"])
            .args([&wav, &raw])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned();
        assert!(output.status.success() && said.contains(expected), "{said}");
        let left_out = !said.contains("sent: 0 pictures came too fast");
        assert_eq!(left_out, send != "mean", "{said}");
    }
}

/// A file of raw pictures of 16 x 12 counts: a slope, shifted by `step` pixels
/// from one picture to the next, and some noise.
fn slopes(path: &Path, count: usize, step: usize) {
    let mut random = Random::new(1);
    let mut pixel = |n: usize, at: usize| {
        let slope = 10 * (at % 16 + step * n) % 160 + 3 * (at / 16);
        (slope + random.below(3)) as u8
    };
    let bytes: Vec<u8> =
        (0..count).flat_map(|n| (0..192).map(|at| pixel(n, at)).collect::<Vec<_>>()).collect();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_model_is_learned_while_it_plays_and_speaks_from_the_next_run_on() {
    let folder = tempfile::tempdir().unwrap();
    let [wav, raw] = ["sound.wav", "pictures.raw"].map(|name| folder.path().join(name));
    let run = |arguments: &[&str]| {
        let mut command = Command::new(program());
        command.env("XDG_CONFIG_HOME", folder.path()).env_remove("XDG_DATA_HOME");
        let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned();
        assert!(output.status.success(), "{said}");
        said
    };
    let [wav_name, raw_name] = [&wav, &raw].map(|path| path.to_str().unwrap());
    let live = [
        "live",
        raw_name,
        "--raw",
        "gray8",
        "16x12",
        "--sensor",
        "cptv-lepton3",
        "--span",
        "0..255",
        "--no-speaker",
        "-o",
        wav_name,
    ];
    let learned = folder.path().join("wysiwyh/sensors/cptv-lepton3.safetensors");
    slopes(&raw, 20, 1);
    let said = run(&[&live[..], &["--learn"]].concat());
    assert!(said.contains("pictures were gathered") && said.contains("takes 30"), "{said}");
    assert!(!learned.exists());

    slopes(&raw, 40, 1);
    let said = run(&[&live[..], &["--learn=4s"]].concat());
    assert!(said.contains("it speaks for cptv-lepton3"), "{said}");
    assert!(said.contains("stored as") && !said.contains("too still"), "{said}");
    let first = Model::load(&learned).unwrap();

    // It speaks, and its sound is read, without being named.
    slopes(&raw, 40, 0);
    let said = run(&[&live[..], &["--learn=4s"]].concat());
    assert!(said.contains("Your own model for cptv-lepton3 speaks"), "{said}");
    assert!(said.contains("too still to learn much from"), "{said}");
    assert_eq!(sink::read(&wav).unwrap().header.unwrap().model_hash, first.hash());
    assert_ne!(Model::load(&learned).unwrap().hash(), first.hash());
    run(&["listen", wav_name, "-o", folder.path().join("back").to_str().unwrap()]);
}
