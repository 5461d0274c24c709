//! The whole trip with the real program: pictures to sound files, and the sound
//! files back to pictures.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use ndarray::{Array4, ArrayView3, s};
use ndarray_npy::ReadNpyExt;
use tempfile::TempDir;
use wysiwyh::model::Model;
use wysiwyh::profile::Profile;
use wysiwyh::receiver::Receiver;
use wysiwyh::sink;
use wysiwyh::synth::SLOT;

use crate::cli::{names_in, pages, picture, program, refused, text};
use crate::data;
use crate::scene::psnr_db;
use crate::skipped::skipped;

pub fn array(path: &Path) -> Array4<f32> {
    Array4::read_npy(File::open(path).unwrap()).unwrap()
}

/// Converts `scene` into `out` with `more` arguments.
pub fn convert(scene: &Path, out: &Path, more: &[&str]) {
    program().arg("convert").arg(scene).arg("-o").arg(out).args(more).assert().success();
}

pub fn listen(sound: &Path, out: &Path) {
    program().arg("listen").arg(sound).arg("-o").arg(out).assert().success();
}

/// Asserts that the sound at `path` is complete, and gives its frames.
pub fn whole(path: &Path) -> usize {
    let recording = sink::read(path).unwrap();
    let frames = recording.header.expect("a header").frames.expect("the number of frames");
    assert_eq!(Receiver::slots(recording.samples.len()), frames, "{}", path.display());
    frames
}

#[test]
fn the_same_scene_makes_the_same_files_and_names_do_not_collide() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = ["a", "b"].map(|name| folder.path().join(name).join("FLIR0001.png"));
    for (scene, count) in scenes.iter().zip(1..) {
        fs::create_dir(scene.parent().unwrap()).unwrap();
        image::GrayImage::from_pixel(64, 51, image::Luma([60 * count])).save(scene).unwrap();
    }
    let out = |name: &str| folder.path().join(name);
    for (name, format) in [("1", "wav"), ("2", "wav"), ("3", "flac")] {
        let arguments = ["convert", "--npy", "--sensor", "hituav-lwir", "--format", format, "-o"];
        program().args(arguments).arg(out(name)).args(&scenes).assert().success();
    }
    let named = |ending: &str| [format!("FLIR0001-2.{ending}"), format!("FLIR0001.{ending}")];
    let mut all = ["npy", "parquet", "record.json", "wav"].map(named).concat();
    all.sort();
    assert_eq!(names_in(&out("1")), all);
    let names = ["FLIR0001-2.npy", "FLIR0001-2.wav", "FLIR0001.npy", "FLIR0001.wav"];
    for name in names {
        let read = |run: &str| fs::read(out(run).join(name)).unwrap();
        assert!(read("1") == read("2"), "{name} differs");
    }
    let first = |name: &str| array(&out("1").join(name))[(0, 0, 20, 20)];
    assert_eq!([first("FLIR0001.npy"), first("FLIR0001-2.npy")], [60.0, 120.0]);
    // FLAC holds the same samples.
    let samples = |run: &str, name: &str| sink::read(&out(run).join(name)).unwrap().samples;
    assert!(samples("1", "FLIR0001.wav") == samples("3", "FLIR0001.flac"));
}

#[test]
fn a_span_is_the_same_in_each_unit_of_temperature() {
    let folder = tempfile::tempdir().unwrap();
    let spans = ["15C..25C", "59F..77F", "59 °F..77°F", "288.15K..298.15K"];
    let sounds = spans.map(|span| {
        let out = folder.path().join(span);
        convert(Path::new("simulated"), &out, &["--frames", "3", "--span", span]);
        sink::read(&out.join("simulated.wav")).unwrap()
    });
    let range = |sound: &sink::Recording| sound.header.as_ref().unwrap().range.clone();
    for (span, sound) in spans.iter().zip(&sounds) {
        let [low, high] = range(sound)[0];
        assert!((low - 15.0).abs() < 1e-9 && (high - 25.0).abs() < 1e-9, "{span}: {low} {high}");
    }
    assert!(sounds[0].samples == sounds[1].samples && sounds[1].samples == sounds[2].samples);
    for (span, wrong) in [("59F..25C", "different units, degF and degC"), ("59X..77X", "\"59X\"")] {
        let call = ["convert", "simulated", "--frames", "3", "--span", span, "-o", "never"];
        let output = program().args(call).current_dir(folder.path()).output().unwrap();
        refused(&output, 2, wrong);
    }
}

#[test]
fn a_renamed_sound_still_decodes() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    pages(&place("a.tif"), 3);
    for (format, renamed) in [("wav", "song.flac"), ("flac", "song")] {
        convert(&place("a.tif"), &place(format), &["--sensor", "hituav-lwir", "--format", format]);
        let sound = place(format).join(format!("a.{format}"));
        listen(&sound, &place("before"));
        fs::rename(&sound, place(renamed)).unwrap();
        listen(&place(renamed), &place("after"));
        let frames = ["before", "after"].map(|name| array(&place(name).join("frames.npy")));
        assert_eq!(frames[0].shape(), [3, 1, 51, 64]);
        assert!(frames[0] == frames[1]);
    }
}

#[test]
fn a_sound_cut_short_gives_what_there_is_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    pages(&place("a.tif"), 30);
    convert(&place("a.tif"), folder.path(), &["--sensor", "hituav-lwir"]);
    listen(&place("a.wav"), &place("all"));
    let bytes = fs::read(place("a.wav")).unwrap();
    fs::write(place("half.wav"), &bytes[..bytes.len() / 2]).unwrap();
    let output =
        program().arg("listen").arg(place("half.wav")).arg("-o").arg(place("some")).output();
    let output = output.unwrap();
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("cut short"), "{}", text(&output.stdout));
    let [all, some] = ["all", "some"].map(|name| array(&place(name).join("frames.npy")));
    let count = some.shape()[0];
    assert!((12..16).contains(&count), "{count} of 30");
    // The last frame may be cut in its middle.
    let before = ndarray::s![..count - 1, .., .., ..];
    assert!(all.slice(before) == some.slice(before));
}

#[test]
fn a_sound_of_a_scene_that_was_cut_or_trimmed_gives_its_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let scene = place("scene.tif");
    let driver = gdal::DriverManager::get_driver_by_name("GTiff").unwrap();
    let file = driver.create_with_band_type::<f32, _>(&scene, 512, 256, 1).unwrap();
    let pixels = (0..512 * 256).map(|at| ((at % 512) as f32 / 9.0).sin() * 8.0 + 20.0).collect();
    let mut buffer = gdal::raster::Buffer::new((512, 256), pixels);
    file.rasterband(1).unwrap().write((0, 0), (512, 256), &mut buffer).unwrap();
    file.close().unwrap();
    let call = ["--preset", "data", "--span", "0..40", "--sensor", "generic-scene"];
    convert(&scene, &place("out"), &call);
    let sound = place("out/scene.wav");
    let bytes = fs::read(&sound).unwrap();
    fs::write(place("cut.wav"), &bytes[..bytes.len() - 1000]).unwrap();
    let whole = sink::read(&sound).unwrap();
    let mut header = whole.header.unwrap();
    assert_eq!(header.frames, Some(32));
    header.frames = None;
    let mut trimmed = sink::create(&place("trimmed.wav"), sink::Format::Wav, &header).unwrap();
    trimmed.write(&whole.samples[2 * SLOT + 1234..]).unwrap();
    header.frames = Some(32);
    trimmed.replace_header(&header).unwrap();
    trimmed.finish().unwrap();
    for (name, least) in [("cut.wav", 31), ("trimmed.wav", 28)] {
        listen(&place(name), &place("heard"));
        let frames = array(&place("heard/frames.npy"));
        assert!((least..=32).contains(&frames.dim().0), "{name}: {:?}", frames.dim());
        assert!(!place("heard/mosaic.tif").exists());
    }
    // What is a WAV file at our rate needs no other program.
    let mut alone = program();
    alone.env("PATH", "").arg("listen").arg(place("trimmed.wav")).arg("-o").arg(place("alone"));
    let output = alone.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(array(&place("alone/frames.npy")) == array(&place("heard/frames.npy")));
}

#[test]
fn gaps_within_tiles_are_counted_and_come_back_filled() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    // Two tiles and a part of a third one, below each other; one pixel of the first
    // has no reading, and a quarter of the second.
    let pixel = |at: usize| match (at / 64, at % 64) {
        (5, 7) | (64..96, 0..32) => -1.0,
        (row, column) => 10.0 + (row + column) as f32 / 20.0,
    };
    let driver = gdal::DriverManager::get_driver_by_name("GTiff").unwrap();
    let made = |name: &str, pixel: &dyn Fn(usize) -> f32| {
        let file = driver.create_with_band_type::<f32, _>(place(name), 64, 140, 1).unwrap();
        let mut band = file.rasterband(1).unwrap();
        band.set_no_data_value(Some(-1.0)).unwrap();
        let mut buffer = gdal::raster::Buffer::new((64, 140), (0..64 * 140).map(pixel).collect());
        band.write((0, 0), (64, 140), &mut buffer).unwrap();
        file.close().unwrap();
    };
    made("holed.tif", &pixel);
    made("whole.tif", &|_| 12.0);
    let said = |name: &str| {
        let call = ["--span", "0..40", "--sensor", "generic-scene", "-o"];
        let mut command = program();
        let output = command.arg("convert").arg(place(name)).args(call).arg(place("out")).output();
        text(&output.unwrap().stdout)
    };
    let holed = said("holed.tif");
    assert!(holed.contains("2 of 3 tiles have gaps: they are filled"), "{holed}");
    let whole = said("whole.tif");
    assert!(whole.contains("1 of 1 scenes") && !whole.contains("gaps"), "{whole}");
    listen(&place("out/holed.wav"), &place("back"));
    let back = array(&place("back/frames.npy"));
    assert_eq!(back.dim(), (3, 1, 64, 64));
    assert!(back.slice(s![..2, .., .., ..]).iter().all(|value| value.is_finite()));
    assert!(back.slice(s![2, .., 12.., ..]).iter().all(|value| value.is_nan()));
}

#[test]
fn a_folder_with_one_broken_picture_makes_no_sound() {
    let folder = tempfile::tempdir().unwrap();
    let (flight, out) = (folder.path().join("flight"), folder.path().join("out"));
    fs::create_dir(&flight).unwrap();
    (1..=12).for_each(|number| picture(&flight.join(format!("{number}.png"))));
    fs::write(flight.join("7.png"), "").unwrap();
    let convert = ["convert", "--sensor", "hituav-lwir", "--npy", "-o"];
    let output = program().args(convert).args([&out, &flight]).output().unwrap();
    refused(&output, 1, "7.png");
    assert!(!out.exists());
}

#[test]
fn results_for_programs_are_json() {
    let folder = tempfile::tempdir().unwrap();
    let scene = folder.path().join("a.png");
    picture(&scene);
    let json = |call: &[&str]| -> serde_json::Value {
        let output = program().args(call).output().unwrap();
        assert!(output.status.success(), "{call:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let scene = scene.to_str().unwrap();
    let inspected = json(&["inspect", scene, "--sensor", "hituav-lwir", "--json"]);
    assert_eq!([&inspected["rows"], &inspected["columns"], &inspected["frames"]], [51, 64, 1]);
    // The picture runs from 40 to 40 + 2 x 63 + 50.
    assert_eq!([&inspected["bands"][0]["min"], &inspected["bands"][0]["max"]], [40.0, 216.0]);
    assert_eq!(inspected["sound"]["slots"], 1);
    assert_eq!(json(&["evaluate", "hituav-lwir", scene, "--json"])["frames"], 1);
    assert!(json(&["sensors", "list", "--json"]).as_array().unwrap().len() >= 3);
}

#[test]
fn a_model_that_is_not_here_is_asked_for_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let groups: Vec<String> = (1..=5).map(|seed| format!("simulated:{seed}")).collect();
    let train = ["train", "--sensor", "simulated-lwir", "--values", "8", "-o"];
    fs::create_dir(place("models")).unwrap();
    let file = place("models").join("mine.safetensors");
    program().args(train).arg(&file).args(groups).assert().success();
    let model = file.to_str().unwrap();
    program()
        .args(["convert", "simulated", "--frames", "10", "--model", model, "-o"])
        .arg(folder.path())
        .assert()
        .success();

    let sound = place("simulated.wav");
    let listen = |more: &[&str]| {
        let call = ["listen", "-o"].map(Path::new);
        program().args(call).args([&place("out"), &sound]).args(more).output().unwrap()
    };
    let output = listen(&[]);
    let said = text(&output.stderr);
    let hash = Model::load(&file).unwrap().hash().to_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&hash[..12]) && said.contains("--model"), "{said}");
    assert!(!place("out").exists());
    assert!(listen(&["--model", model]).status.success());
    fs::rename(&file, place("any.safetensors")).unwrap();
    assert!(listen(&[]).status.success(), "the model lies beside the sound");
}

#[test]
fn a_frame_of_a_recording_is_a_tenth_of_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    pages(&place("pages.tif"), 40);
    convert(&place("pages.tif"), folder.path(), &["--sensor", "hituav-lwir"]);
    assert_eq!(whole(&place("pages.wav")), 40);

    let source = ["-v", "error", "-f", "lavfi", "-i", "testsrc2=rate=30:duration=2,format=gray"];
    match Command::new("ffmpeg").args(source).arg(place("video.mkv")).status() {
        Ok(status) => assert!(status.success()),
        Err(_) => return skipped("ffmpeg is not installed"),
    }
    convert(&place("video.mkv"), folder.path(), &["--sensor", "hituav-lwir"]);
    assert_eq!(whole(&place("video.wav")), 20);
}

/// A long conversion, after its first scene is done.
#[cfg(unix)]
fn busy(folder: &Path) -> std::process::Child {
    let scene = folder.join("a.tif");
    pages(&scene, 5);
    let mut child = Command::new(env!("CARGO_BIN_EXE_wysiwyh"))
        .args(["convert", "--sensor", "simulated-lwir", "--frames", "100000000", "--npy", "-o"])
        .args([&folder.join("out"), &scene])
        .arg("simulated")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.as_mut().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("a.wav"), "{line}");
    child
}

#[cfg(unix)]
fn signal(child: &std::process::Child, name: &str) {
    let status = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

#[cfg(unix)]
#[test]
fn an_interrupted_conversion_leaves_whole_files_only() {
    for name in ["INT", "TERM"] {
        let folder = tempfile::tempdir().unwrap();
        let child = busy(folder.path());
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("error: simulated: stopped"), "{output:?}");
        assert_eq!(
            names_in(&folder.path().join("out")),
            ["a.npy", "a.parquet", "a.record.json", "a.wav"]
        );
        assert_eq!(whole(&folder.path().join("out/a.wav")), 5);
    }
}

#[cfg(unix)]
#[test]
fn a_killed_conversion_leaves_no_half_file_under_a_final_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = busy(folder.path());
    signal(&child, "KILL");
    child.wait().unwrap();
    let names = names_in(&folder.path().join("out"));
    let shown: Vec<&String> = names.iter().filter(|name| !name.starts_with('.')).collect();
    assert_eq!(shown, ["a.npy", "a.parquet", "a.record.json", "a.wav"]);
    assert_eq!(whole(&folder.path().join("out/a.wav")), 5);
}

#[test]
fn the_demo_makes_a_sound_a_sheet_and_a_session() {
    let folder = tempfile::tempdir().unwrap();
    program().args(["demo", "-o"]).arg(folder.path()).assert().success();
    let mut expected = vec!["contact-sheet.png", "session.rrd", "sound.wav"];
    expected.retain(|name| cfg!(feature = "rerun") || *name != "session.rrd");
    assert_eq!(names_in(folder.path()), expected);
    assert_eq!(whole(&folder.path().join("sound.wav")), 200);
    image::open(folder.path().join("contact-sheet.png")).unwrap();
    #[cfg(feature = "rerun")]
    crate::recorder::accepted_by_the_viewer(
        &folder.path().join("session.rrd"),
        &["/input/picture", "/reconstruction/from_sound/picture", "/spectrum", "/code"],
    );
}

#[test]
fn a_folder_of_pictures_is_one_sound() {
    let folder = tempfile::tempdir().unwrap();
    let flight = folder.path().join("flight.7");
    fs::create_dir(&flight).unwrap();
    (1..=12).for_each(|number| picture(&flight.join(format!("{number}.png"))));
    convert(&flight, folder.path(), &["--sensor", "hituav-lwir"]);
    assert_eq!(whole(&folder.path().join("flight.7.wav")), 12);
}

/// The example called `name`. `cargo test` builds it, but not where one test
/// binary alone is asked for; a line says so then.
pub fn example(name: &str) -> Option<Command> {
    let program = Path::new(env!("CARGO_BIN_EXE_wysiwyh"));
    let example = program.parent()?.join("examples").join(name);
    if !example.exists() {
        skipped(format_args!("the example {name} is not built"));
        return None;
    }
    Some(Command::new(example))
}

#[test]
fn a_frame_made_by_hand_comes_back_in_the_example() {
    let folder = tempfile::tempdir().unwrap();
    let hello = folder.path().join("hello.wav");
    let Some(mut hello_frame) = example("hello_frame") else { return };
    let output = hello_frame.arg(&hello).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("dB PSNR"));
    listen(&hello, &folder.path().join("hello"));
}

/// What the example `name` says to `arguments`; none where it is not built.
fn run_example(name: &str, arguments: &[&str]) -> Option<String> {
    let output = example(name)?.args(arguments).output().unwrap();
    assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    Some(text(&output.stdout))
}

#[test]
fn every_example_is_short_and_run_by_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests: String = ["trip", "scene"]
        .map(|name| fs::read_to_string(folder.join(format!("tests/it/{name}.rs"))).unwrap())
        .concat();
    for file in names_in(&folder.join("examples")).iter().filter(|name| name.ends_with(".rs")) {
        let lines = fs::read_to_string(folder.join("examples").join(file)).unwrap().lines().count();
        assert!(lines < 60, "{file} has {lines} lines");
        let name = file.trim_end_matches(".rs");
        assert!(tests.contains(&format!("example(\"{name}\"")), "{name} is not run");
    }
}

#[test]
fn a_flir_picture_is_heard_in_the_example() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sound = folder.path().join("flir.wav");
    let picture = data.join("formats/thermal_parser/FLIR_AX8.jpg");
    let arguments = [picture.to_str().unwrap(), sound.to_str().unwrap()];
    let Some(told) = run_example("sonify_a_flir", &arguments) else { return };
    // As the reader of the metadata has it: see the tests of that format.
    assert!(told.starts_with("80 x 60 pixels") && told.contains("degC"), "{told}");
    assert_eq!(whole(&sound), 10);
    listen(&sound, &folder.path().join("back"));
}

#[test]
fn a_sensor_is_trained_in_the_example() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("own.safetensors");
    let sources = ["simulated:1", "simulated:2", "simulated:3", "simulated:4", "simulated:5"];
    let arguments = [&["simulated-lwir", model.to_str().unwrap()], &sources[..]].concat();
    let Some(told) = run_example("train_a_sensor", &arguments) else { return };
    assert!(told.contains("Report: simulated:") && told.contains("against PCA: "), "{told}");
    let output = program()
        .args(["evaluate", model.to_str().unwrap(), "simulated:6", "--json"])
        .output()
        .unwrap();
    let scores: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(scores["psnr_code_db"].as_f64().unwrap() > 20.0, "{scores}");
}

#[cfg(feature = "rerun")]
#[test]
fn a_session_is_inspected_in_the_example() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    convert("simulated:1".as_ref(), &out, &["--frames", "15", "--rrd"]);
    let session = names_in(&out).into_iter().find(|name| name.ends_with(".rrd")).unwrap();
    let (session, table) = (out.join(session), folder.path().join("table.csv"));
    let arguments = [session.to_str().unwrap(), table.to_str().unwrap()];
    let Some(told) = run_example("inspect_a_session", &arguments) else { return };
    assert!(told.contains("profile: simulated-lwir") && told.contains(" dB\n"), "{told}");
    let rows = csv::Reader::from_path(&table).unwrap().into_records().count();
    let sound = session.with_extension("wav");
    assert_eq!(rows, whole(&sound));
}

/// A sound of the simulated camera, and pictures that `listen` makes of it and
/// of copies that have lost what the file says about itself.
struct Original {
    folder: TempDir,
    preset: &'static str,
    sent: Array4<f32>,
}

impl Original {
    fn new(preset: &'static str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let how = [&["--preset", preset, "--no-scores"], more].concat();
        convert("simulated:7".as_ref(), folder.path(), &how);
        let mut original = Self { folder, preset, sent: Array4::zeros([0; 4]) };
        original.sent = original.decoded("simulated-7.wav");
        original
    }

    fn decoded(&self, name: &str) -> Array4<f32> {
        let (audio, out) = (self.folder.path().join(name), self.folder.path().join("decoded"));
        let how = ["--sensor", "simulated-lwir", "--preset", self.preset];
        program().arg("listen").arg(audio).arg("-o").arg(&out).args(how).assert().success();
        array(&out.join("frames.npy"))
    }

    /// By how many kelvins (root mean square) each picture of the copy called
    /// `name`, which ffmpeg makes by `options`, is away from what the original
    /// decodes to; none, and a line, where ffmpeg does not make it.
    fn away_k(&self, name: &str, options: &[&str]) -> Option<Vec<f32>> {
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-i"])
            .arg(self.folder.path().join("simulated-7.wav"))
            .args(["-map_metadata", "-1"])
            .args(options)
            .arg(self.folder.path().join(name))
            .status();
        if !made.is_ok_and(|status| status.success()) {
            skipped(format_args!("ffmpeg does not make {name}"));
            return None;
        }
        let heard = self.decoded(name);
        // The lead-in and the lead-out may count as frames.
        let extra = heard.dim().0.checked_sub(self.sent.dim().0).expect("all frames");
        assert!(extra <= 2, "{name}: {extra} frames more than were sent");
        let from = |first: usize| -> Vec<f32> {
            let pairs = self.sent.outer_iter().zip(heard.outer_iter().skip(first));
            let square = |(a, b): (ArrayView3<f32>, ArrayView3<f32>)| {
                (&a - &b).mapv(|v| if v.is_nan() { 0.0 } else { v * v })
            };
            pairs.map(|pair| square(pair).mean().unwrap().sqrt()).collect()
        };
        (0..=extra).map(from).min_by(|a, b| root_mean_square(a).total_cmp(&root_mean_square(b)))
    }
}

fn root_mean_square(values: &[f32]) -> f32 {
    (values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32).sqrt()
}

#[test]
fn copies_in_other_formats_decode_too() {
    let original = Original::new("data", &["--frames", "30"]);
    // The second digits, which hold 0.6 K, are lost on most ways.
    let copies: [(&str, &[&str], f32); 5] = [
        ("through-a-speaker.flac", &["-af", "treble=g=-8:f=3000,bass=g=5:f=200"], 1.6),
        ("copy.mp3", &["-b:a", "128k"], 0.5),
        ("copy.m4a", &["-c:a", "aac", "-b:a", "128k"], 0.9),
        ("copy.opus", &["-c:a", "libopus", "-b:a", "96k"], 0.9),
        ("late.flac", &["-af", "adelay=337|337,volume=-9dB"], 0.1),
    ];
    for (name, options, most_k) in copies {
        let Some(away_k) = original.away_k(name, options) else { continue };
        let away_k = root_mean_square(&away_k);
        eprintln!("{name}: {away_k} K away from what the original decodes to");
        assert!(away_k < most_k, "{name}: {away_k} K");
    }
    let out = original.folder.path().join("nowhere");
    program()
        .arg("listen")
        .arg(original.folder.path().join("late.flac"))
        .arg("-o")
        .arg(&out)
        .assert()
        .code(1)
        .stderr(predicates::str::contains("--sensor NAME"));
    assert!(!out.exists());
}

#[test]
fn copies_at_other_sampling_rates_decode_too() {
    for (preset, rates) in [("data", &["32000", "44100", "96000"][..]), ("listen", &["16000"])] {
        let original = Original::new(preset, &["--frames", "30"]);
        for &rate in rates {
            let Some(away_k) = original.away_k(&format!("{rate}.wav"), &["-ar", rate]) else {
                continue;
            };
            let away_k = root_mean_square(&away_k);
            eprintln!("{preset} at {rate} Hz: {away_k} K away from what the original decodes to");
            assert!(away_k < 0.1, "{preset} at {rate} Hz: {away_k} K");
        }
    }
}

/// At 208 ppm a minute is 12.5 ms longer or shorter, and the guard forgives 5.
#[test]
fn a_minute_on_another_clock_decodes_to_its_end() {
    // Ten times as fast, so that no picture is like the one before.
    let original = Original::new("data", &["--frames", "600", "--speed", "10"]);
    for rate in [47_990, 48_010] {
        let clock = format!("asetrate={rate},aresample=48000");
        let Some(away_k) = original.away_k(&format!("{rate}.flac"), &["-af", &clock]) else {
            continue;
        };
        let parts: Vec<f32> = away_k.chunks(100).map(root_mean_square).collect();
        eprintln!("{rate} Hz: {parts:.3?} K away in each ten seconds");
        assert!(parts.iter().all(|&away_k| away_k < 1.0), "{rate} Hz: {parts:.3?} K");
    }
}

#[test]
fn a_band_that_was_not_sent_is_estimated_from_those_that_were() {
    let Some(data) = data() else { return };
    let scene = data.join("sentinel2/ssl4eos12_val_0080717_0.tif");
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    // Everything but B09, water vapour at 0.9432 um: a sensor nobody trained for.
    let profile = Profile::find("sentinel2-l2a").unwrap();
    let left_out = 9;
    let bands = profile.listed_bands().unwrap();
    let kept: Vec<usize> = (0..bands.len()).filter(|&band| band != left_out).collect();
    let mut sensor =
        "name = \"eleven\"\ntitle = \"\"\nsource = \"scene\"\ntested = \"never\"\nrange = [0.0, 1.0]\n"
            .to_owned();
    let mut vrt = "<VRTDataset rasterXSize=\"264\" rasterYSize=\"264\">\n".to_owned();
    for (number, &band) in kept.iter().enumerate() {
        sensor += &format!("[[bands]]\n{}\n", toml::to_string(&bands[band]).unwrap());
        vrt += &format!(
            "<VRTRasterBand dataType=\"Int16\" band=\"{}\"><SimpleSource><SourceFilename>{}\
             </SourceFilename><SourceBand>{}</SourceBand></SimpleSource></VRTRasterBand>\n",
            number + 1,
            scene.display(),
            band + 1
        );
    }
    fs::write(place("eleven.toml"), sensor).unwrap();
    fs::write(place("eleven.vrt"), vrt + "</VRTDataset>").unwrap();
    convert(&scene, &place("true"), &["--sensor", "sentinel2-l2a", "--npy"]);
    let eleven = place("eleven.toml").display().to_string();
    convert(&place("eleven.vrt"), folder.path(), &["--sensor", &eleven]);
    listen(&place("eleven.wav"), &place("sent"));
    let (sound, out) = (place("eleven.wav"), place("asked"));
    let asked = || {
        let mut listen = program();
        listen.arg("listen").arg(&sound).arg("-o").arg(&out);
        listen
    };
    let output = asked().args(["--wavelengths", "0.9432"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("estimated"), "{}", text(&output.stdout));

    let truth = array(&place("true").join("ssl4eos12_val_0080717_0.npy"));
    let estimate = array(&out.join("frames.npy"));
    assert_eq!(estimate.shape(), [25, 1, 64, 64]);
    let sent = array(&place("sent").join("frames.npy"));
    // Its neighbours by wavelength are B8A and B11.
    let neighbours = (&sent.slice(s![.., 8..9, .., ..]) + &sent.slice(s![.., 9..10, .., ..])) / 2.0;
    let truth = truth.slice(s![.., left_out..=left_out, .., ..]);
    let against_truth = |back: &Array4<f32>| {
        let frames = truth.outer_iter().zip(back.outer_iter());
        let db: Vec<f64> = frames.map(|(a, b)| psnr_db(a, b, [0.0, 1.0])).collect();
        db.iter().sum::<f64>() / db.len() as f64
    };
    let (estimated_db, mean_db) = (against_truth(&estimate), against_truth(&neighbours));
    println!("B09: {estimated_db:.2} dB from the others, {mean_db:.2} as its neighbours' mean");
    assert!(estimated_db > mean_db + 3.0, "{estimated_db:.2} dB, the mean {mean_db:.2} dB");

    let output = asked().args(["--wavelengths", "11"]).output().unwrap();
    refused(&output, 2, "11 um, the bands of sentinel2-l2a lie at 0.4427 to 2.2024 um");
}

#[test]
fn two_channels_hold_the_picture_as_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let frames = |name: &str| array(&out(name).join("frames.npy"));
    let asked: [&[&str]; 3] = [&["--npy"], &["--stereo"], &["--stereo", "--format", "flac"]];
    for (name, more) in ["one", "two", "flac"].into_iter().zip(asked) {
        let more = [&["--frames", "30"], more].concat();
        convert("simulated:3".as_ref(), &out(name), &more);
    }
    let sound = |folder: &str| out(folder).join("simulated-3.wav");
    listen(&sound("one"), &out("from-one"));
    listen(&sound("two"), &out("from-two"));
    listen(&out("flac").join("simulated-3.flac"), &out("from-flac"));
    let sent = array(&out("one").join("simulated-3.npy"));
    let fidelity_db = |heard: &Array4<f32>| {
        let pairs = sent.outer_iter().zip(heard.outer_iter());
        pairs.map(|(a, b)| psnr_db(a, b, [10.0, 45.0])).sum::<f64>() / sent.dim().0 as f64
    };
    let exact_db = fidelity_db(&frames("from-one"));
    for name in ["from-two", "from-flac"] {
        let loss_db = exact_db - fidelity_db(&frames(name));
        eprintln!("{name}: {loss_db:.5} dB lost of {exact_db:.2}");
        // Two channels round otherwise than one, and second digits are that fine.
        assert!(loss_db.abs() < 0.03, "{name}: {loss_db} dB");
    }
    // The sound goes from side to side, but as loud as it was.
    let [left, right] = sink::read(&sound("two")).unwrap().sides.unwrap();
    let one = sink::read(&sound("one")).unwrap().samples;
    assert!(left.iter().zip(&right).any(|(l, r)| (l - r).abs() > 0.002));
    let off = one.iter().zip(left.iter().zip(&right));
    assert!(off.into_iter().all(|(m, (l, r))| (l.hypot(*r) - m.abs()).abs() < 1e-4));
    // Copies that have lost what the file said, on two channels and mixed to one.
    // A codec takes some of the second digits.
    for (copy, channels, most_db) in [("copy.mp3", "2", 2.5), ("mono.wav", "1", 0.1)] {
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(sound("two"))
            .args(["-map_metadata", "-1", "-b:a", "192k", "-ac", channels])
            .arg(out(copy))
            .status();
        if !made.is_ok_and(|status| status.success()) {
            return skipped("ffmpeg is not installed");
        }
        let heard = out(&format!("from-{copy}"));
        program()
            .args(["listen", "--sensor", "simulated-lwir", "-o"])
            .args([&heard, &out(copy)])
            .assert()
            .success();
        let heard = array(&heard.join("frames.npy"));
        assert_eq!(heard.dim(), sent.dim(), "{copy}");
        let loss_db = exact_db - fidelity_db(&heard);
        eprintln!("{copy}: {loss_db:.3} dB lost");
        assert!(loss_db < most_db, "{copy}: {loss_db} dB");
    }
}
