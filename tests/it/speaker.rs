//! Sound out of the speaker: the program against a private PulseAudio server
//! whose sink is recorded; and what `live` leaves on disk.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use ebur128::{EbuR128, Mode};
use ndarray::Axis;
use realfft::RealFftPlanner;
use wysiwyh::ears::Sides;
use wysiwyh::live::{self, Sent, Settings, Summary};
use wysiwyh::receiver::Receiver;
use wysiwyh::recorder::Target;
use wysiwyh::sensor::Options;
use wysiwyh::sink::guard::{CAP_LUFS, FLOOR_LUFS, Guard, RISE_DB};
use wysiwyh::sink::{self, Recording};
use wysiwyh::spectrum::{Layout, Preset};
use wysiwyh::synth::{JOIN, SAMPLE_RATE, SLOT};
use wysiwyh::voice::Voice;

use crate::pulse::{PATIENCE, interrupt};
pub use crate::pulse::{Process, Pulse, Tape, wait_for};
use crate::skipped::skipped;
use crate::trip::{array, convert, listen};

/// The highest momentary loudness of both channels together, and the steepest
/// rises in 100 ms: of the momentary loudness, and of that of 100 ms.
pub fn metered(channels: &[[f32; 2]]) -> (f64, f64, f64) {
    let mut meter = EbuR128::new(2, SAMPLE_RATE as u32, Mode::M).unwrap();
    let (mut momentary, mut short) = (vec![], vec![]);
    for part in channels.chunks(SLOT / 50) {
        meter.add_frames_f32(part.as_flattened()).unwrap();
        momentary.push(meter.loudness_momentary().unwrap().max(FLOOR_LUFS));
        short.push(meter.loudness_window(100).unwrap().max(FLOOR_LUFS));
    }
    let rise = |lufs: &[f64]| lufs.windows(51).map(|w| w[50] - w[0]).fold(0.0, f64::max);
    let loudest = momentary.iter().copied().fold(f64::MIN, f64::max);
    (loudest, rise(&momentary), rise(&short))
}

/// The program, as built for these tests.
pub fn program() -> PathBuf {
    assert_cmd::cargo::cargo_bin!("wysiwyh").into()
}

fn succeeded(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A folder of grey pictures, each of one brightness.
pub fn pictures(folder: &Path, brightness: &[u8]) -> PathBuf {
    let path = folder.join("pictures");
    fs::create_dir(&path).unwrap();
    for (n, &value) in brightness.iter().enumerate() {
        let picture = image::GrayImage::from_pixel(64, 51, image::Luma([value]));
        picture.save(path.join(format!("{n:03}.png"))).unwrap();
    }
    path
}

#[test]
fn a_scene_that_turns_hot_at_full_volume_is_bounded_at_the_device() {
    for original in [&[][..], &["--original"]] {
        let Some(pulse) = Pulse::start() else { return };
        let scene = pictures(pulse.folder.path(), &[[0; 25], [255; 25]].concat());
        let wav = pulse.folder.path().join("sound.wav");
        let tape = pulse.record();
        let output = pulse
            .command(program())
            .args(["live", "--sensor", "hituav-lwir", "--volume", "20", "-o"])
            .args([&wav, &scene])
            .args(original)
            .output()
            .unwrap();
        let said = succeeded(&output);
        assert!(said.contains("50 sound frames"), "{said}");
        let channels = tape.finish();
        let (loudest, steepest, steepest_100_ms) = metered(&channels);
        eprintln!("{loudest:.2} LUFS, rises of {steepest:.2} and {steepest_100_ms:.2} dB");
        assert!(loudest <= CAP_LUFS, "{loudest} LUFS");
        assert!(steepest <= RISE_DB, "{steepest} LU in 100 ms");
        assert!(steepest_100_ms <= RISE_DB, "{steepest_100_ms} LU in 100 ms");
        // It was heard, and without protection it would have been too much.
        assert!(loudest > CAP_LUFS - 6.0, "{loudest} LUFS");
        let bare: Vec<[f32; 2]> =
            sink::read(&wav).unwrap().samples.iter().map(|s| [s * 10.0 / 2f32.sqrt(); 2]).collect();
        let (loudest, _, steepest) = metered(&bare);
        assert!(loudest > CAP_LUFS + 5.0 && steepest > RISE_DB, "{loudest}, {steepest}");
    }
}

/// Where `part` lies in `whole`, and how well they correlate there.
fn find(part: &[f32], whole: &[f32]) -> (usize, f64) {
    let size = (whole.len() + part.len()).next_power_of_two();
    let mut planner = RealFftPlanner::<f64>::new();
    let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let spectrum = |samples: &[f32]| {
        let mut wave: Vec<f64> = samples.iter().map(|&s| f64::from(s)).collect();
        wave.resize(size, 0.0);
        let mut bins = forward.make_output_vec();
        forward.process(&mut wave, &mut bins).unwrap();
        bins
    };
    let (a, b) = (spectrum(part), spectrum(whole));
    let mut product: Vec<_> = a.iter().zip(&b).map(|(a, b)| a.conj() * b).collect();
    let mut correlation = inverse.make_output_vec();
    inverse.process(&mut product, &mut correlation).unwrap();
    let last = whole.len() - part.len();
    let (lag, value) = correlation[..=last]
        .iter()
        .copied()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap();
    let power = |samples: &[f32]| samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>();
    let norm = (power(part) * power(&whole[lag..lag + part.len()])).sqrt();
    (lag, value / size as f64 / norm)
}

#[test]
fn what_is_heard_is_what_is_written_and_decodes() {
    // A busy machine may leave gaps in a recording, of which the program knows or not, and
    // after which nothing lies where it should.
    let mut last = None;
    for _ in 0..8 {
        let Some(pulse) = Pulse::start() else { return };
        let Some(errors) = heard_against_written(&pulse) else { continue };
        eprintln!("largest error of the code in each slot: {errors:?}");
        if errors.iter().all(|&error| error < 0.02) {
            return;
        }
        last = Some(errors);
    }
    assert_eq!(last, None, "in none of eight recordings");
    skipped("this machine leaves gaps in each of eight recordings");
}

/// Plays the simulated camera; the largest error of the code in each slot
/// after the fade, between what was recorded and what was written. `None` where
/// there were gaps.
fn heard_against_written(pulse: &Pulse) -> Option<Vec<f32>> {
    let wav = pulse.folder.path().join("sound.wav");
    let tape = pulse.record();
    let output = pulse
        .command(program())
        .args(["live", "simulated:1", "--seconds", "5", "--send", "newest", "-o"])
        .arg(&wav)
        .output()
        .unwrap();
    let said = succeeded(&output);
    let heard: Vec<f32> = tape.finish().iter().map(|[left, _]| *left).collect();
    if !said.contains(" 0 gaps in the sound") {
        return None;
    }
    let Recording { samples: sent, header, .. } = sink::read(&wav).unwrap();
    let layout = Layout::new(&header.unwrap().mapping).unwrap();
    let mut receiver = Receiver::new();
    let mut code =
        |samples: &[f32], start: usize| layout.code(&receiver.window(samples, start).unwrap());
    // Still pictures repeat every 80 ms: only the whole tells where it lies.
    let (lag, _) = find(&sent[12 * SLOT..45 * SLOT], &heard);
    let errors = (0..33).map(|slot| {
        let at = slot * SLOT + JOIN;
        let (ours, theirs) = (code(&sent, 12 * SLOT + at), code(&heard, lag + at));
        ours.into_iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    });
    Some(errors.collect())
}

/// JACK keeps a list of eight servers, from which one that is killed is only taken when
/// another of its name begins.
const JACK: &str = "wysiwyh-test";

/// The JACK server [`JACK`], which plays 44,100 samples a second to nobody, until the test
/// has ended; `None`, and a line, where it cannot be started.
fn jack() -> Option<Jack> {
    // Some machines have the program and nothing that its servers need.
    for _ in 0..3 {
        let server = Command::new("jackd")
            .args(["--no-realtime", "-n", JACK])
            .args(["-d", "dummy", "-r", "44100", "-p", "2048"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(server) = server else {
            skipped("JACK is not installed");
            return None;
        };
        let (mut server, start) = (Jack(server), Instant::now());
        while server.0.try_wait().unwrap().is_none() && start.elapsed() < PATIENCE / 6 {
            if jack_ports().is_some() {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    skipped("JACK does not start on this machine");
    None
}

/// A JACK server, which frees what it shares with its clients when it is asked to end.
struct Jack(Child);

impl Drop for Jack {
    fn drop(&mut self) {
        let (start, mut asked) = (Instant::now(), false);
        while self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            if !std::mem::replace(&mut asked, true) {
                interrupt(&self.0);
            }
            if start.elapsed() > PATIENCE / 6 {
                let _ = self.0.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The ports of the server [`JACK`], if it answers.
fn jack_ports() -> Option<String> {
    let asked = Command::new("jack_lsp")
        .env("JACK_DEFAULT_SERVER", JACK)
        .env("JACK_NO_START_SERVER", "1")
        .output()
        .ok()?;
    asked.status.success().then(|| String::from_utf8_lossy(&asked.stdout).into_owned())
}

#[test]
fn a_device_of_another_rate_plays_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_server) = jack() else { return };
    let [conf, wav, heard] = ["conf", "sound.wav", "heard.wav"].map(|n| folder.path().join(n));
    let ports = "{ 0 system:playback_1 1 system:playback_2 }";
    fs::write(&conf, format!("pcm.!default {{ type jack playback_ports {ports} }}\n")).unwrap();
    let port = || {
        let ports = jack_ports()?;
        ports.lines().find(|port| port.starts_with("wysiwyh")).map(str::to_owned)
    };
    let mut live = Process(
        Command::new(program())
            .args(["live", "simulated:1", "-o"])
            .arg(&wav)
            .env("ALSA_CONFIG_PATH", &conf)
            .env("JACK_DEFAULT_SERVER", JACK)
            .stderr(fs::File::create(folder.path().join("said")).unwrap())
            .spawn()
            .unwrap(),
    );
    wait_for("its port", || port().is_some());
    let recorded = Command::new("jack_rec")
        .env("JACK_DEFAULT_SERVER", JACK)
        .arg("-f")
        .arg(&heard)
        .args(["-d", "8", &port().unwrap()])
        .output()
        .unwrap();
    assert!(recorded.status.success());
    interrupt(&live.0);
    assert_eq!(live.0.wait().unwrap().code(), Some(0));
    let said = fs::read_to_string(folder.path().join("said")).unwrap();
    assert!(said.contains("at 44.1 kHz"), "{said}");
    let sent = sink::read(&wav).unwrap().samples;
    let [heard] = sink::decode::<1>(&heard).unwrap();
    // A busy machine leaves gaps; half a second without any is as it was written, but for
    // the guard.
    let parts = heard.chunks_exact(SAMPLE_RATE / 2);
    let best = parts.map(|part| find(part, &sent).1).fold(0.0, f64::max);
    assert!(best > 0.95, "{best}: {said}");
}

#[test]
fn the_sound_of_the_original_is_heard_as_it_is_written() {
    // As above.
    let mut last = None;
    for _ in 0..8 {
        let Some(pulse) = Pulse::start() else { return };
        let wav = pulse.folder.path().join("sound.wav");
        let tape = pulse.record();
        let mut live = pulse.command(program());
        live.args(["live", "simulated:1", "--original", "--seconds", "5", "-o"]).arg(&wav);
        if !succeeded(&live.output().unwrap()).contains(" 0 gaps in the sound") {
            continue;
        }
        let heard: Vec<f32> = tape.finish().iter().map(|[left, _]| *left).collect();
        let sent = sink::read(&wav).unwrap().samples;
        let (lag, _) = find(&sent[12 * SLOT..45 * SLOT], &heard);
        // Its joins are hard, so that slots lie side by side.
        let alike = |slot: usize| {
            let at = lag + (slot - 12) * SLOT;
            find(&sent[slot * SLOT..][..SLOT], &heard[at..at + SLOT]).1
        };
        let alike: Vec<f64> = (12..45).map(alike).collect();
        eprintln!("correlation of each slot: {alike:.4?}");
        if alike.iter().filter(|&&alike| alike > 0.99).count() > alike.len() / 2 {
            return;
        }
        last = Some(alike);
    }
    assert_eq!(last, None, "in none of eight recordings");
    skipped("this machine leaves gaps in each of eight recordings");
}

/// Pictures of 16 x 12 bytes, one a slot, that are dark but for a bright column.
fn columns(columns: &[usize]) -> Vec<u8> {
    let picture = |&bright: &usize| (0..192).map(move |at| if at % 16 == bright { 255 } else { 0 });
    columns.iter().flat_map(picture).collect()
}

#[test]
fn a_bright_object_is_heard_from_its_side_and_leaps_startle_neither_ear() {
    let Some(pulse) = Pulse::start() else { return };
    let path = |name: &str| pulse.folder.path().join(name);
    // Three seconds on the left, three on the right, and then to and fro.
    let to_and_fro: Vec<usize> = (0..30).map(|n| if n / 5 % 2 == 0 { 1 } else { 14 }).collect();
    fs::write(path("a.raw"), columns(&[&[1; 30][..], &[14; 30], &to_and_fro].concat())).unwrap();
    let tape = pulse.record();
    let mut live = pulse.command(program());
    live.args(["live", "--stereo", "--volume", "20", "--sensor", "cptv-lepton3", "--span"]);
    live.args(["0..255", "--raw", "gray8", "16x12@10", "-o"]).args([path("a.wav"), path("a.raw")]);
    let output = live.output().unwrap();
    let said = succeeded(&output) + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("from the side where there is more of that"), "{said}");
    let channels = tape.finish();
    let (loudest, steepest, steepest_100_ms) = metered(&channels);
    assert!(loudest <= CAP_LUFS && steepest <= RISE_DB, "{loudest}, {steepest}");
    let ear = |side: usize| -> Vec<[f32; 2]> {
        channels.iter().map(|frame| [frame[side], 0.0]).collect()
    };
    let rises = [0, 1].map(|side| metered(&ear(side)).2);
    eprintln!("{loudest:.2} LUFS, rises of {steepest_100_ms:.2}, {rises:.2?} dB");
    assert!(rises.iter().all(|&rise| rise <= RISE_DB), "{rises:?}");
    // A centroid in column 1 of 16 is at -13/16: 16 dB more on that side.
    let balance_db = |frames: &[[f32; 2]]| {
        let power = |side: usize| frames.iter().map(|frame| f64::from(frame[side]).powi(2)).sum();
        let [left, right]: [f64; 2] = [power(0), power(1)];
        10.0 * (left / right).log10()
    };
    let start = channels.iter().position(|frame| frame[0].abs() > 1e-4).unwrap();
    let second = |n: usize| balance_db(&channels[start + n * SAMPLE_RATE..][..SAMPLE_RATE]);
    assert!((second(1) - 16.5).abs() < 1.0 && (second(4) + 16.5).abs() < 1.0);
    // The file has the same places, and all of the picture.
    let Recording { sides, header, .. } = sink::read(&path("a.wav")).unwrap();
    let [left, right] = sides.unwrap();
    let file: Vec<[f32; 2]> = left.into_iter().zip(right).map(|(l, r)| [l, r]).collect();
    assert!(header.unwrap().stereo);
    let second = |n: usize| balance_db(&file[n * SAMPLE_RATE..][..SAMPLE_RATE]);
    assert!((second(1) - 16.5).abs() < 1.0 && (second(4) + 16.5).abs() < 1.0);
}

#[test]
fn what_plays_is_seen_while_it_plays() {
    let Some(pulse) = Pulse::start() else { return };
    let path = |name: &str| pulse.folder.path().join(name);
    let listening = pulse
        .command(program())
        .args(["listen", "--live", "--sensor", "simulated-lwir", "--preset", "listen"])
        .args(["--seconds", "10", "-o"])
        .arg(path("heard"))
        .arg("--rrd")
        .arg(path("heard.rrd"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    convert("simulated:1".as_ref(), &path("sounds"), &["--preset", "listen", "--frames", "50"]);
    let sound = path("sounds").join("simulated-1.wav");
    let played = pulse.command("paplay").args(["-d", "test"]).arg(&sound).output().unwrap();
    succeeded(&played);
    let told = succeeded(&listening.wait_with_output().unwrap());
    assert!(told.contains("frames were heard"), "{told}");
    listen(&sound, &path("exact"));
    let [heard, exact] = ["heard", "exact"].map(|name| array(&path(name).join("frames.npy")));
    // A busy machine may leave gaps, and frames with one in them are spoilt.
    let seen = |frame: &ndarray::ArrayView3<f32>| {
        exact.outer_iter().any(|sent| {
            let square: f32 = frame.iter().zip(&sent).map(|(a, b)| (a - b).powi(2)).sum();
            (square / frame.len() as f32).sqrt() < 0.3
        })
    };
    let right = heard.outer_iter().filter(seen).count();
    eprintln!("{right} of {} frames, {} were sent", heard.len_of(Axis(0)), exact.dim().0);
    assert!(right > 20, "{right}");
    assert!(fs::metadata(path("heard.rrd")).is_ok_and(|rrd| rrd.len() > 10_000));
}

#[test]
fn the_device_that_was_asked_for_plays_and_no_other() {
    let Some(pulse) = Pulse::start() else { return };
    let live = |device: &str| {
        let live = ["live", "simulated:1", "--seconds", "2", "--device", device];
        pulse.command(program()).args(live).output().unwrap()
    };
    let listed = succeeded(&live("list"));
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(names, ["test", "other"], "{listed}");
    let (test, other) = (pulse.record_sink("test"), pulse.record_sink("other"));
    let output = live("other");
    succeeded(&output);
    let loud = |tape: Tape| tape.finish().iter().flatten().any(|sample| sample.abs() > 0.01);
    assert!(loud(other) && !loud(test), "{}", String::from_utf8_lossy(&output.stderr));
    let refused = live("third");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("\"third\"") && said.contains("test: "), "{said}");
}

#[test]
fn listening_to_an_input_without_any_sound_ends_in_its_time() {
    let Some(pulse) = Pulse::start() else { return };
    // A pipe that nobody writes to: not even silence comes from it.
    let pipe = format!("file={}", pulse.folder.path().join("pipe").display());
    let load = ["load-module", "module-pipe-source", "source_name=nothing", &pipe];
    pulse.pactl(&load);
    // What was heard before stays where nothing is.
    let heard = pulse.folder.path().join("heard");
    fs::create_dir(&heard).unwrap();
    for name in ["frames.npy", "summary.txt"] {
        fs::write(heard.join(name), "before").unwrap();
    }
    let listening = pulse
        .command(program())
        .args(["listen", "--live", "--sensor", "simulated-lwir", "--device", "nothing"])
        .args(["--seconds", "4", "-o"])
        .arg(&heard)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut listening = Process(listening);
    wait_for("the end", || listening.0.try_wait().unwrap().is_some());
    let mut told = String::new();
    let (out, err) = (listening.0.stdout.take().unwrap(), listening.0.stderr.take().unwrap());
    out.chain(err).read_to_string(&mut told).unwrap();
    assert!(listening.0.wait().unwrap().success(), "{told}");
    assert!(told.contains("0 frames") && told.contains("Nothing comes"), "{told}");
    assert!(told.contains("stays as it was"), "{told}");
    assert_eq!(fs::read_dir(&heard).unwrap().count(), 2);
    assert_eq!(fs::read(heard.join("frames.npy")).unwrap(), b"before");
}

#[test]
fn guarding_allocates_nothing() {
    let mut guard = Guard::new(20.0);
    let mut samples = vec![[0.7, -0.4]; 3 * SLOT];
    assert_no_alloc::assert_no_alloc(|| {
        for (n, part) in samples.chunks_mut(777).enumerate() {
            guard.set_volume(n as f32);
            guard.process(part);
        }
        guard.restart();
        guard.process(&mut samples);
    });
    assert!(guard.acted_s() > 0.0);
}

/// `live` without a device, whatever the machine has.
fn silent() -> Command {
    let mut command = Command::new(program());
    command.arg("live").env("ALSA_CONFIG_PATH", "/dev/null");
    command
}

#[test]
fn without_a_speaker_it_says_so_and_goes_on_for_the_files_alone() {
    let folder = tempfile::tempdir().unwrap();
    let output = silent().args(["simulated:1", "--seconds", "1"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: speaker") && said.contains("--no-speaker"), "{said}");
    let wav = folder.path().join("sound.wav");
    let output = silent().args(["simulated:1", "--frames", "3", "-o"]).arg(&wav).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("There is no speaker"), "{said}");
    assert_eq!(sink::read(&wav).unwrap().samples.len(), 5 * SLOT);
    let output = silent().args(["simulated:1", "--no-speaker"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "nothing would come of it");
}

/// Starts an endless `live` that writes `sound` and `rrd`, and waits until there
/// are two seconds of sound at least.
fn endless(sound: &Path, rrd: Option<&Path>) -> Process {
    let mut command = silent();
    command.args(["simulated:1", "--no-speaker", "-o"]).arg(sound);
    if let Some(rrd) = rrd {
        command.arg("--rrd").arg(rrd);
    }
    let live = Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let length = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    // As WAV; FLAC takes less.
    wait_for("two seconds of sound", || length(sound) > 4 * SAMPLE_RATE as u64);
    live
}

#[cfg(feature = "rerun")]
#[test]
fn ctrl_c_closes_every_file_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (wav, rrd) = (folder.path().join("sound.wav"), folder.path().join("session.rrd"));
    let mut live = endless(&wav, Some(&rrd));
    interrupt(&live.0);
    assert_eq!(live.0.wait().unwrap().code(), Some(0));
    let recording = sink::read(&wav).unwrap();
    let frames = recording.header.unwrap().frames.expect("the number of frames");
    assert!(frames >= 10);
    assert_eq!(recording.samples.len(), (frames + 2) * SLOT);
    let engine = super::recorder::recording(&rrd);
    assert_eq!(super::recorder::codes(&engine).len(), frames);
}

#[test]
fn a_kill_leaves_a_sound_that_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["sound.wav", "sound.flac"] {
        let sound = folder.path().join(name);
        let mut live = endless(&sound, None);
        // SIGKILL.
        live.0.kill().unwrap();
        live.0.wait().unwrap();
        let recording = sink::read(&sound).unwrap();
        assert!(recording.samples.len() >= 2 * SAMPLE_RATE, "{name}");
        let header = recording.header.expect("what it was made with");
        assert!(header.frames.is_none() && header.start_time.is_some(), "{name}");
        let pictures = folder.path().join(format!("pictures of {name}"));
        listen(&sound, &pictures);
        assert!(array(&pictures.join("frames.npy")).len_of(Axis(0)) >= 18, "{name}");
    }
}

/// Plays `source` of the drone camera without a speaker.
fn unheard(source: &Path, folder: &Path) -> (Summary, Recording) {
    let wav = folder.join("sound.wav");
    let settings = Settings {
        source: source.display().to_string(),
        voice: Voice {
            preset: Preset::Listen,
            ..Voice::of_sensor("hituav-lwir", Options::default())
        },
        again: true,
        volume_db: None,
        device: None,
        sides: Sides::default(),
        stereo: false,
        sound: Some(wav.clone()),
        session: Target::default(),
        sent: Sent::default(),
        alarm: None,
        learn: None,
        slots: None,
    };
    let (_, commands) = std::sync::mpsc::channel();
    let stop = AtomicBool::new(false);
    let summary = live::run(&settings, &commands, &stop, &mut |_| {}).unwrap();
    (summary, sink::read(&wav).unwrap())
}

#[test]
fn a_video_of_30_frames_a_second_gives_10_slots_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let video = folder.path().join("video.mkv");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=duration=2:rate=30:size=128x102"])
        .args(["-pix_fmt", "gray", "-c:v", "ffv1"])
        .arg(&video)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return skipped("ffmpeg is not installed");
    }
    let (summary, recording) = unheard(&video, folder.path());
    assert!((20..=21).contains(&summary.slots), "{summary:?}");
    // Every frame was sent or replaced.
    assert_eq!(summary.slots - summary.repeated + summary.dropped, 60, "{summary:?}");
    assert_eq!(recording.header.unwrap().frames, Some(summary.slots as usize));
}

#[test]
fn pages_and_pictures_have_one_slot_each() {
    use tiff::encoder::{TiffEncoder, colortype::Gray8};
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("pages.tif");
    let mut file = TiffEncoder::new(fs::File::create(&pages).unwrap()).unwrap();
    for page in 0..40u8 {
        file.write_image::<Gray8>(64, 51, &vec![5 * page; 64 * 51]).unwrap();
    }
    drop(file);
    let pictures = pictures(folder.path(), &[10, 200, 30]);
    for (source, count) in [(pages, 40), (pictures, 3)] {
        let (summary, recording) = unheard(&source, folder.path());
        assert_eq!(summary, Summary { slots: count, ..Summary::default() }, "{source:?}");
        assert_eq!(recording.samples.len(), (count as usize + 2) * SLOT);
    }
}

/// The program under a limit of a shell on the size of files, without the
/// signal that would end it: writing fails as on a full disk.
#[cfg(unix)]
pub fn with_files_of(blocks: usize) -> Command {
    let mut shell = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    shell.args(["-c", &script, "sh"]).arg(program()).env("ALSA_CONFIG_PATH", "/dev/null");
    shell
}

#[cfg(unix)]
#[test]
fn a_full_disk_ends_one_file_with_a_word_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let [wav, flac] = ["sound.wav", "sound.flac"].map(|name| folder.path().join(name));
    for sound in [wav, flac] {
        // 200 KB at least, two seconds of a WAV file; the simulated pictures go on.
        let mut command = with_files_of(400);
        command.args(["live", "simulated:1", "--seconds", "9", "--no-speaker", "-o"]).arg(&sound);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.matches("The sound is written no longer").count(), 1, "{said}");
        assert!(said.contains("90 sound frames sent"), "{said}");
        assert!(said.contains(&format!("error: {}: ", sound.display())), "{said}");
        let recording = sink::read(&sound).unwrap();
        assert!(recording.samples.len() >= 2 * SAMPLE_RATE, "{}", recording.samples.len());
        let header = recording.header.expect("what it was made with");
        assert!(header.frames.is_none());
    }
}
