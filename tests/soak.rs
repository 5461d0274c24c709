//! Long runs with the real program: damaged copies of real files, and kills at
//! random moments. `make soak` runs them; `WYSIWYH_SOAK_S` is how many seconds
//! each takes, `WYSIWYH_SOAK_SEED` where the generator starts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panic")]
#![cfg(unix)]

#[path = "it/damage.rs"]
mod damage;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wysiwyh::random::Random;
use wysiwyh::receiver::Receiver;
use wysiwyh::sink;
use wysiwyh::table::Table;

#[cfg(feature = "gige")]
#[path = "fake/network.rs"]
mod network;

/// A call that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// So long may a damaged recording take.
const LONGEST: Duration = Duration::from_secs(10);
/// What a call may take of memory, in KiB.
const MEMORY_KIB: u64 = 6_000_000;
/// What reading a damaged thermal recording may take of it: the largest
/// picture that is read, twice over.
const RECORDING_KIB: u64 = 3_000_000;
/// Larger files are not taken for damage: they tell no more, and are slow.
const LARGEST: u64 = 2 << 20;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Calls `round` with its number and generator until the time is up.
fn soak(purpose: &str, mut round: impl FnMut(u64, &mut Random)) {
    let (seed, seconds) = (number("WYSIWYH_SOAK_SEED", 0), number("WYSIWYH_SOAK_S", 300));
    let started = Instant::now();
    let mut rounds = 0;
    while started.elapsed() < Duration::from_secs(seconds) {
        // One generator for each round, so that a round can be run again.
        round(rounds, &mut Random::named(seed + rounds, purpose));
        rounds += 1;
    }
    eprintln!("{purpose}: {rounds} rounds from seed {seed}");
}

/// The program under a limit of memory.
fn program(arguments: &[&Path]) -> assert_cmd::Command {
    let mut shell = assert_cmd::Command::new("sh");
    let script = format!("ulimit -v {MEMORY_KIB}; exec \"$@\"");
    shell.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_wysiwyh")]).args(arguments);
    shell.env("WYSIWYH_PLAIN", "1").timeout(PATIENCE);
    shell
}

fn names_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Asserts that the sounds in `folder` are complete, however they came there,
/// and so are their tables.
fn whole_sounds(folder: &Path) {
    for path in names_in(folder).iter().filter(|path| sink::Format::of(path).is_some()) {
        let recording = sink::read(path).unwrap();
        let frames = recording.header.unwrap().frames.unwrap();
        assert_eq!(Receiver::slots(recording.samples.len()), frames, "{}", path.display());
        let table = Table::open(&path.with_extension("parquet")).unwrap();
        assert_eq!(table.rows(), frames, "{}", path.display());
    }
}

/// Endings of formats that are not taken for damage: the HDF libraries under
/// GDAL crash on damaged files, and the program with them; the README says so.
const CRASHING: [&str; 5] = ["h5", "he5", "hdf", "nc", "nc4"];

/// The ending of a file's name, in small letters.
fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Files to damage, by their endings, so that each kind has its turn: the real
/// data, and what the program makes itself.
fn originals(own: &Path) -> Vec<Vec<PathBuf>> {
    let out = own.join("own");
    for format in ["wav", "flac"] {
        let call = ["convert", "simulated", "--frames", "5", "--format", format, "-o"];
        let call: Vec<&Path> = call.iter().map(Path::new).chain([out.as_path()]).collect();
        program(&call).assert().success();
    }
    let mut files = vec![out.join("simulated.wav"), out.join("simulated.flac")];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    files.push(root.join("sensors/simulated-lwir.safetensors"));
    files.push(root.join("sensors/simulated-lwir.toml"));
    let mut folders: Vec<PathBuf> =
        std::env::var_os("WYSIWYH_DATA").map(PathBuf::from).into_iter().collect();
    if folders.is_empty() {
        eprintln!("WYSIWYH_DATA is unset: only files of our own are damaged");
    }
    while let Some(folder) = folders.pop() {
        for path in names_in(&folder) {
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() => folders.push(path),
                Ok(found) if (1..LARGEST).contains(&found.len()) => files.push(path),
                _ => {}
            }
        }
    }
    files.retain(|file| !CRASHING.contains(&ending(file).as_str()));
    files.sort();
    let mut kinds: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    files.into_iter().for_each(|file| kinds.entry(ending(&file)).or_default().push(file));
    kinds.into_values().collect()
}

/// What is done with the damaged copy at `file` of a file that ends in
/// `ending`.
fn calls<'a>(file: &'a Path, out: &'a Path, ending: &str) -> Vec<Vec<&'a Path>> {
    let call = |words: &'static [&'static str], paths: &[&'a Path]| -> Vec<&'a Path> {
        words.iter().map(Path::new).chain(paths.iter().copied()).collect()
    };
    match ending {
        "wav" | "flac" => vec![call(&["listen", "-o"], &[out, file])],
        "safetensors" => {
            let model = call(&["--model"], &[file]);
            let convert = call(&["convert", "simulated", "--frames", "3", "-o"], &[out]);
            vec![[convert, model].concat()]
        }
        "toml" => vec![call(&["sensors", "show"], &[file])],
        _ => vec![
            call(&["inspect"], &[file]),
            call(&["convert", "--sensor", "hituav-lwir", "--npy", "-o"], &[out, file]),
            call(&["convert", "--sensor", "sentinel2-l2a", "--npy", "-o"], &[out, file]),
        ],
    }
}

#[test]
fn damaged_files_end_in_a_result_or_in_one_error() {
    let folder = tempfile::tempdir().unwrap();
    let kinds = originals(folder.path());
    soak("damage", |round, random| {
        let files = &kinds[random.below(kinds.len())];
        let original = &files[random.below(files.len())];
        let mut bytes = fs::read(original).unwrap();
        damage::damage(&mut bytes, random);
        let ending = ending(original);
        let (file, out) = (folder.path().join(format!("x.{ending}")), folder.path().join("out"));
        fs::write(&file, &bytes).unwrap();
        for call in calls(&file, &out, &ending) {
            let output = program(&call).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let about = || {
                let kept = std::env::temp_dir().join(format!("wysiwyh-soak-{round}.{ending}"));
                fs::copy(&file, &kept).unwrap();
                let (original, kept) = (original.display(), kept.display());
                format!("round {round}, {call:?} of {original}, kept as {kept}: {said}")
            };
            let left = names_in(&out);
            match output.status.code() {
                Some(0) => assert!(!left.iter().any(|path| is_hidden(path)), "{}", about()),
                Some(1 | 2) => {
                    assert!(said.contains("error: "), "{}", about());
                    assert!(left.is_empty(), "{left:?} {}", about());
                }
                _ => panic!("{} {}", output.status, about()),
            }
            assert!(!said.contains("panicked"), "{}", about());
            whole_sounds(&out);
            let _ = fs::remove_dir_all(&out);
        }
    });
}

/// The most memory that this process has had at once, in KiB; none where the
/// system does not tell.
fn peak_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn ten_thousand_damaged_recordings_end_in_frames_or_in_an_error() {
    let Some(data) = std::env::var_os("WYSIWYH_DATA").map(PathBuf::from) else {
        eprintln!("skipped, WYSIWYH_DATA is unset: there are no recordings to damage");
        return;
    };
    let seed = number("WYSIWYH_SOAK_SEED", 0);
    let mut started = Instant::now();
    let frames = damage::recordings(&data, seed..seed + 10_000, |round, name| {
        let elapsed = started.elapsed();
        assert!(elapsed < LONGEST, "round {round}: {name} took {elapsed:?}");
        let peak = peak_kib().unwrap_or(0);
        assert!(peak < RECORDING_KIB, "round {round}: {name} took {peak} KiB");
        started = Instant::now();
    });
    eprintln!("damaged recordings: 10000 rounds from seed {seed}, {frames} frames");
}

#[test]
fn kills_leave_whole_files_only() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    soak("kills", |_, random| {
        let mut scenes: Vec<String> = (0..8).map(|seed| format!("simulated:{seed}")).collect();
        random.shuffle(&mut scenes);
        let mut child = Command::new(env!("CARGO_BIN_EXE_wysiwyh"))
            .args(["convert", "--frames", "20", "--npy", "--rrd", "-o"])
            .arg(&out)
            .args(scenes)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_secs_f64(random.between(0.0, 4.0)));
        // The child may have ended by itself.
        let _ = child.kill();
        child.wait().unwrap();
        whole_sounds(&out);
        // Where the sound is, everything is.
        for path in names_in(&out).iter().filter(|path| !is_hidden(path)) {
            let sound = path.with_extension("wav");
            if path.extension().is_some_and(|ending| ending == "npy") && sound.exists() {
                let frames = sink::read(&sound).unwrap().header.unwrap().frames.unwrap();
                let expected = 192 + (frames * 48 * 64 * 4) as u64;
                assert_eq!(fs::metadata(path).unwrap().len(), expected, "{}", path.display());
            }
        }
        let _ = fs::remove_dir_all(&out);
    });
}

#[cfg(feature = "gige")]
#[test]
fn a_camera_sends_no_wrong_picture() {
    use ndarray::Axis;
    use wysiwyh::{Profile, sensor};

    let Some(_fake) = network::Fake::new(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let profile = network::profile(folder.path(), 160, 128);
    let profile = Profile::find(profile.to_str().unwrap()).unwrap();
    let options = sensor::Options::default();
    let mut camera = sensor::open("gige:127.0.0.1", Some(&profile), &options).unwrap();
    let (seconds, began) = (number("WYSIWYH_SOAK_S", 300), Instant::now());
    // The first picture is read ahead.
    camera.next();
    let (mut last, mut pictures, mut between) = (camera.next().unwrap().unwrap(), 2, 0);
    while began.elapsed() < Duration::from_secs(seconds) {
        let frame = camera.next().unwrap().unwrap();
        let pair = [&last, &frame].map(|frame| frame.data.index_axis(Axis(0), 0));
        let step = network::step(pair[0], pair[1]);
        between += step - 1;
        (last, pictures) = (frame, pictures + 1);
    }
    let losses = camera.losses().unwrap();
    // A picture may have been lost before the second one.
    assert!(losses.broken + losses.missed >= between as u64, "{losses:?}");
    eprintln!("camera: {pictures} pictures in {seconds} s, every pixel right, {losses:?}");
}
