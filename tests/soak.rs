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

use skipped::skipped;

#[cfg(feature = "gige")]
#[path = "fake/network.rs"]
mod network;

#[path = "fake/pulse.rs"]
mod pulse;

#[path = "fake/skipped.rs"]
mod skipped;

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
        skipped("WYSIWYH_DATA is unset: only files of our own are damaged");
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
        skipped("WYSIWYH_DATA is unset: there are no recordings to damage");
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
        // Where the record is, everything is.
        for path in names_in(&out).iter().filter(|path| !is_hidden(path)) {
            let (sound, record) = (path.with_extension("wav"), path.with_extension("record.json"));
            if path.extension().is_some_and(|ending| ending == "npy") && record.exists() {
                let frames = sink::read(&sound).unwrap().header.unwrap().frames.unwrap();
                let expected = 192 + (frames * 48 * 64 * 4) as u64;
                assert_eq!(fs::metadata(path).unwrap().len(), expected, "{}", path.display());
            }
        }
        let _ = fs::remove_dir_all(&out);
    });
}

/// Chips of real Sentinel-2 scenes, one file each, in `folder`.
#[cfg(feature = "gdal")]
fn chips(data: &Path, folder: &Path, count: usize) -> Vec<PathBuf> {
    use gdal::DriverManager;
    use gdal::raster::Buffer;
    use wysiwyh::sensor::raster::Raster;

    let mut scenes = names_in(&data.join("sentinel2"));
    scenes.retain(|path| ending(path) == "tif");
    scenes.sort();
    let driver = DriverManager::get_driver_by_name("GTiff").unwrap();
    let side = 128;
    let cut = |number: usize| {
        let raster = Raster::open(&scenes[number % scenes.len()], None).unwrap();
        let at = 8 * (number / scenes.len());
        let frame = raster.read(at, at, side, side).unwrap();
        let path = folder.join(format!("chip{number:03}.tif"));
        let bands = frame.bands.len();
        let file = driver.create_with_band_type::<f32, _>(&path, side, side, bands).unwrap();
        for (index, plane) in frame.data.outer_iter().enumerate() {
            let mut buffer = Buffer::new((side, side), plane.iter().copied().collect());
            file.rasterband(index + 1).unwrap().write((0, 0), (side, side), &mut buffer).unwrap();
        }
        path
    };
    (0..count).map(cut).collect()
}

/// Names and contents of all files in `folder`; of records, without how long
/// it took.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let content = |path: PathBuf| {
        let mut bytes = fs::read(&path).unwrap();
        if ending(&path) == "json" {
            let mut record: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            record["timing"].take();
            bytes = record.to_string().into_bytes();
        }
        (path.strip_prefix(folder).unwrap().to_owned(), bytes)
    };
    names_in(folder).into_iter().map(content).collect()
}

#[cfg(feature = "gdal")]
#[test]
fn an_archive_that_is_killed_fifty_times_ends_as_if_undisturbed() {
    let Some(data) = std::env::var_os("WYSIWYH_DATA").map(PathBuf::from) else {
        skipped("WYSIWYH_DATA is unset: there are no scenes");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let scenes = chips(&data, folder.path(), 200);
    let convert = |out: &str| {
        let mut call = Command::new(env!("CARGO_BIN_EXE_wysiwyh"));
        call.args(["convert", "--npy", "--sensor", "sentinel2-l2a", "-o"]);
        call.arg(folder.path().join(out)).args(&scenes);
        call.stdout(Stdio::null()).stderr(Stdio::null());
        call
    };
    let started = Instant::now();
    assert!(convert("undisturbed").status().unwrap().success());
    let whole_s = started.elapsed().as_secs_f64();
    let expected = contents(&folder.path().join("undisturbed"));
    let mut random = Random::named(number("WYSIWYH_SOAK_SEED", 0), "archive");
    let (mut kills, mut ends) = (0, 0);
    while kills < 50 || ends == 0 {
        let mut child = convert("killed").spawn().unwrap();
        if kills < 50 {
            std::thread::sleep(Duration::from_secs_f64(whole_s * random.between(0.0, 0.3)));
            kills += usize::from(child.try_wait().unwrap().is_none());
            // The child may have ended by itself.
            let _ = child.kill();
        }
        if child.wait().unwrap().success() {
            let out = folder.path().join("killed");
            let found = contents(&out);
            assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
            let differing = expected.iter().filter(|(name, bytes)| &&found[*name] != bytes);
            assert_eq!(differing.map(|(name, _)| name).collect::<Vec<_>>(), [] as [&PathBuf; 0]);
            fs::remove_dir_all(&out).unwrap();
            ends += 1;
        }
    }
    eprintln!("archive: {kills} kills, {ends} whole archives, {whole_s:.1} s undisturbed");
}

/// A process that ends with the test.
struct Helper(std::process::Child);

impl Drop for Helper {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for what has to come.
fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < 2 * PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Needs `distributed` in the Python environment of `WYSIWYH_ORACLES`.
#[test]
fn a_dask_cluster_that_loses_a_worker_carries_out_the_whole_plan() {
    let python =
        std::env::var_os("WYSIWYH_ORACLES").map(|root| Path::new(&root).join("bin/python"));
    let call = |arguments: &[&str]| {
        let mut call = Command::new(python.as_deref().unwrap_or(Path::new("python3")));
        call.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        call
    };
    if !call(&["-c", "import distributed"]).status().is_ok_and(|status| status.success()) {
        skipped("there is no Python with distributed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let scenes: Vec<String> = (0..40).map(|seed| format!("simulated:{seed}")).collect();
    let scenes: Vec<&Path> = scenes.iter().map(Path::new).collect();
    let plan = place("plan.jsonl");
    program(
        &[&[Path::new("plan"), "--frames=5".as_ref(), "-o".as_ref(), &plan], &scenes[..]].concat(),
    )
    .assert()
    .success();
    let manifest = [Path::new("--manifest"), &plan];
    let convert = [Path::new("convert"), "-o".as_ref(), &place("undisturbed")];
    program(&[&convert[..], &manifest].concat()).assert().success();

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let scheduler = ["-m", "distributed.cli.dask_scheduler", "--no-dashboard", "--host=127.0.0.1"];
    let _scheduler = Helper(call(&scheduler).args(["--port", &port]).spawn().unwrap());
    let address = format!("tcp://127.0.0.1:{port}");
    await_that("scheduler", || std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok());
    let worker =
        ["-m", "distributed.cli.dask_worker", "--no-dashboard", "--no-nanny", "--nthreads=1"];
    let mut workers = [0, 1].map(|_| Helper(call(&worker).arg(&address).spawn().unwrap()));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/cluster/dask_convert.py");
    let mut run = call(&[script.to_str().unwrap(), &address]);
    run.args([&plan, &place("out")]).args(["--program", env!("CARGO_BIN_EXE_wysiwyh")]);
    let mut run = Helper(run.spawn().unwrap());
    let sounds = || names_in(&place("out")).iter().filter(|path| ending(path) == "wav").count();
    await_that("the first sounds", || sounds() >= 10);
    workers[0].0.kill().unwrap();
    let at_the_kill = sounds();
    await_that("the end", || run.0.try_wait().unwrap().is_some());
    assert!(run.0.wait().unwrap().success());
    assert!(at_the_kill < 40, "it was killed too late");
    // A child of the killed worker may still be at it.
    await_that("no one at work", || !names_in(&place("out")).iter().any(|path| is_hidden(path)));
    assert!(contents(&place("out")) == contents(&place("undisturbed")));
    eprintln!("dask: a worker killed after {at_the_kill} of 40 sounds, all 40 as if undisturbed");
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

/// What the program `name` prints when it is called so; none where it is missing.
fn printed(name: &str, arguments: &[&str], path: &Path) -> Option<Vec<u8>> {
    let output = Command::new(name).args(arguments).arg(path).output().ok()?;
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

/// Twelve and a half hours of sound, as fast as they can be written, read by
/// ffmpeg and SoX: how long they are, and what lies around the 4 GiB.
#[test]
fn a_sound_of_more_than_four_gibibytes_is_read_by_others() {
    const SAMPLES: u64 = (1 << 31) + (1 << 20);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("own");
    let call = ["convert", "simulated", "--frames", "2", "-o"];
    let call: Vec<&Path> = call.iter().map(Path::new).chain([out.as_path()]).collect();
    program(&call).assert().success();
    let header = sink::read(&out.join("simulated.wav")).unwrap().header.unwrap();
    let wav = folder.path().join("long.wav");
    let began = Instant::now();
    let mut file = sink::create(&wav, sink::Format::Wav, &header).unwrap();
    // A slope whose period divides no power of two.
    let value = |n: u64| (n % 30_011) as i16;
    for start in (0..SAMPLES).step_by(48_000) {
        let samples: Vec<f32> =
            (start..SAMPLES.min(start + 48_000)).map(|n| f32::from(value(n)) / 32_768.0).collect();
        file.write(&samples).unwrap();
    }
    file.replace_header(&header).unwrap();
    file.finish().unwrap();
    let written_s = began.elapsed().as_secs_f64();
    let bytes = fs::metadata(&wav).unwrap().len();
    assert!(bytes > 1 << 32);

    let number = |text: Vec<u8>| String::from_utf8(text).unwrap().trim().parse::<u64>().unwrap();
    let entries = ["-v", "error", "-of", "csv=p=0", "-show_entries", "stream=duration_ts"];
    let [ffmpeg, sox] =
        [printed("ffprobe", &entries, &wav), printed("soxi", &["-s"], &wav)].map(|p| p.map(number));
    for samples in ffmpeg.iter().chain(&sox) {
        assert_eq!(*samples, SAMPLES);
    }
    // A second before the 4 GiB, in samples, to a second after them.
    let start = (1u64 << 31) - 48_000;
    let (from, length) = (format!("{start}s"), "96000s");
    let raw = ["-t", "raw", "-", "trim", &from, length];
    let part = Command::new("sox").arg(&wav).args(raw).output();
    if let Ok(part) = &part {
        assert!(part.status.success(), "{}", String::from_utf8_lossy(&part.stderr));
        let expected: Vec<u8> =
            (start..start + 96_000).flat_map(|n| value(n).to_le_bytes()).collect();
        assert!(part.stdout == expected, "{} bytes", part.stdout.len());
    }
    eprintln!(
        "4 GiB: {bytes} bytes written in {written_s:.0} s; samples by ffprobe: {ffmpeg:?}, by \
         soxi: {sox:?}; around the 4 GiB by sox: {}",
        part.is_ok()
    );
}

/// The memory that process `id` holds, in MiB.
fn resident_mib(id: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

/// By how much `values` grow with `times`: the slope of least squares.
fn slope(times: &[f64], values: &[f64]) -> f64 {
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let (time, value) = (mean(times), mean(values));
    let both: f64 = times.iter().zip(values).map(|(t, v)| (t - time) * (v - value)).sum();
    both / times.iter().map(|t| (t - time).powi(2)).sum::<f64>()
}

/// A camera of 640 x 512 pixels at 30 pictures a second, played, written and
/// recorded: memory is flat. Gaps and latencies are told; they mean something
/// on a machine that does nothing else.
#[cfg(feature = "rerun")]
#[test]
fn a_camera_plays_for_long_and_takes_no_more_memory() {
    use std::io::{Read, Write};

    let Some(pulse) = pulse::Pulse::start() else { return };
    let _ear = pulse.listen();
    let [wav, rrd] = ["sound.wav", "session.rrd"].map(|name| pulse.folder.path().join(name));
    let mut live = pulse.command(env!("CARGO_BIN_EXE_wysiwyh"));
    live.args(["live", "--raw", "gray16le", "640x512@30", "--sensor", "cptv-lepton3"]);
    live.args(["--span", "0..4000", "-o"]).args([&wav]).arg("--rrd").arg(&rrd);
    let live = live.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut live = Helper(live.unwrap());
    let mut input = live.0.stdin.take().unwrap();
    let pixel = |at: usize| [(at % 251) as u8, (4 + at / 40_000) as u8];
    let row: Vec<u8> = (0..640 * 1024).flat_map(pixel).collect();
    let seconds = number("WYSIWYH_SOAK_S", 300).max(30);
    let (mut times_min, mut memory_mib) = (vec![], vec![]);
    let began = Instant::now();
    for number in 0..30 * seconds {
        let due = Duration::from_secs_f64(number as f64 / 30.0);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        // The scene moves by a row from one picture to the next.
        let start = 2 * 640 * (number as usize % 512);
        input.write_all(&row[start..start + 2 * 640 * 512]).unwrap();
        // After the first minute, or third.
        if number % 30 == 0 && number > 30 * 60.min(seconds / 3) {
            times_min.push(due.as_secs_f64() / 60.0);
            memory_mib.extend(resident_mib(live.0.id()));
        }
    }
    drop(input);
    let mut said = String::new();
    live.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(live.0.wait().unwrap().success(), "{said}");
    assert_eq!(times_min.len(), memory_mib.len());
    let growth = slope(&times_min, &memory_mib);
    let last = memory_mib.last().unwrap();
    eprintln!("live: {seconds} s, {last:.0} MiB, {growth:.2} MiB a minute; {said}");
    // A minute tells a slope no better than that.
    let most = if seconds >= 300 { 1.0 } else { 20.0 };
    assert!(growth < most, "{growth} MiB a minute");
    assert!(!said.contains("recorder was behind"), "{said}");
    let slots = sink::read(&wav).unwrap().header.unwrap().frames.unwrap();
    // A machine that is busy with other things makes fewer.
    assert!((5 * seconds as usize..11 * seconds as usize).contains(&slots), "{slots}");
}
