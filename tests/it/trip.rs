//! The whole trip with the real program: pictures to sound files, and the sound
//! files back to pictures.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ndarray::{Array4, ArrayView3};
use ndarray_npy::ReadNpyExt;
use serde_json::Value;
use wysiwyh::model::Model;
use wysiwyh::receiver::Receiver;
use wysiwyh::sink;

use crate::cli::{names_in, pages, picture, program, text};

fn array(path: &Path) -> Array4<f32> {
    Array4::read_npy(File::open(path).unwrap()).unwrap()
}

/// Converts `scene` into `out` with `more` arguments.
fn convert(scene: &Path, out: &Path, more: &[&str]) {
    program().arg("convert").arg(scene).arg("-o").arg(out).args(more).assert().success();
}

fn listen(sound: &Path, out: &Path) {
    program().arg("listen").arg(sound).arg("-o").arg(out).assert().success();
}

/// Asserts that the sound at `path` is complete, and gives its frames.
fn whole(path: &Path) -> usize {
    let recording = sink::read(path).unwrap();
    let frames = recording.header.expect("a header").frames.expect("the number of frames");
    assert_eq!(Receiver::slots(recording.samples.len()), frames, "{}", path.display());
    frames
}

/// PSNR in dB of `back` against `sent`, over readings that both have.
fn psnr_db(sent: ArrayView3<f32>, back: ArrayView3<f32>, [low, high]: [f64; 2]) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (&a, &b) in sent.iter().zip(back).filter(|(a, b)| !a.is_nan() && !b.is_nan()) {
        sum += (f64::from(a - b) / (high - low)).powi(2);
        count += 1.0;
    }
    -10.0 * f64::log10(sum / count)
}

/// A Sentinel-2 scene of a place that the shipped model has not seen.
#[cfg(feature = "gdal")]
fn unseen_scene() -> Option<PathBuf> {
    let model = Model::shipped("sentinel2-l2a").unwrap();
    let mut scenes: Vec<PathBuf> = fs::read_dir(crate::data()?.join("sentinel2"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "tif"))
        .filter(|path| !model.record().trained_groups.contains(&model.profile().group(path)))
        .collect();
    scenes.sort();
    scenes.into_iter().next()
}

#[cfg(feature = "gdal")]
#[test]
fn a_scene_comes_back_from_its_sound_as_well_as_evaluate_says() {
    let Some(scene) = unseen_scene() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (sounds, pictures) = (folder.path().join("sounds"), folder.path().join("pictures"));
    convert(&scene, &sounds, &["--npy"]);
    let stem = scene.file_stem().unwrap().to_str().unwrap();
    let file = |ending: &str| sounds.join(format!("{stem}.{ending}"));
    assert_eq!(names_in(&sounds), ["geojson", "npy", "wav"].map(|e| format!("{stem}.{e}")));
    listen(&file("wav"), &pictures);

    let (sent, back) = (array(&file("npy")), array(&pictures.join("frames.npy")));
    assert_eq!(sent.shape(), [25, 12, 64, 64]);
    assert_eq!(back.shape(), sent.shape());
    // As `evaluate` does, of chips that are mostly ground.
    let mostly = |chip: &ArrayView3<f32>| {
        chip.iter().filter(|value| !value.is_nan()).count() * 2 > chip.len()
    };
    let range = Model::shipped("sentinel2-l2a").unwrap().range()[0];
    let scores: Vec<f64> = sent
        .outer_iter()
        .zip(back.outer_iter())
        .filter(|(chip, _)| mostly(chip))
        .map(|(chip, back)| psnr_db(chip, back, range))
        .collect();
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    let output =
        program().args(["evaluate", "sentinel2-l2a", "--json"]).arg(&scene).output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["frames"], scores.len());
    let expected = said["psnr_sound_db"]["128"].as_f64().unwrap();
    assert!((mean - expected).abs() < 0.1, "{mean} dB, evaluate says {expected} dB");
    assert!(mean > 25.0, "{mean} dB");
}

#[cfg(feature = "gdal")]
#[test]
fn the_map_of_a_sound_is_where_its_scene_is() {
    let Some(scene) = unseen_scene() else { return };
    let folder = tempfile::tempdir().unwrap();
    convert(&scene, folder.path(), &[]);
    let stem = folder.path().join(scene.file_stem().unwrap());
    let map = fs::read_to_string(stem.with_extension("geojson")).unwrap();
    let map: Value = serde_json::from_str(&map).unwrap();
    assert_eq!(map["type"], "FeatureCollection");
    let features = map["features"].as_array().unwrap();
    assert_eq!(features.len(), whole(&stem.with_extension("wav")));
    for (frame, feature) in features.iter().enumerate() {
        let properties = &feature["properties"];
        let keys: Vec<&String> = properties.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["column", "end_s", "frame", "row", "start_s"]);
        assert_eq!(properties["frame"], frame);
        let times = ["start_s", "end_s"].map(|key| properties[key].as_f64().unwrap());
        let expected = [frame as f64 * 0.1, (frame + 1) as f64 * 0.1];
        assert!(times.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{times:?}");
    }

    listen(&stem.with_extension("wav"), folder.path());
    let told = |path: &Path| -> Option<Value> {
        let output = Command::new("gdalinfo").arg("-json").arg(path).output().ok()?;
        serde_json::from_slice(&output.stdout).ok()
    };
    let (Some(there), Some(here)) = (told(&scene), told(&folder.path().join("mosaic.tif"))) else {
        eprintln!("skipped, gdalinfo is not installed");
        return;
    };
    for key in ["size", "geoTransform", "cornerCoordinates", "wgs84Extent"] {
        assert!(!there[key].is_null() && there[key] == here[key], "{key}: {}", here[key]);
    }
    // The outlines together are the extent, in longitude and latitude.
    let corner = |value: &Value| [value[0].as_f64().unwrap(), value[1].as_f64().unwrap()];
    let ring = |outline: &Value| -> Vec<[f64; 2]> {
        outline["coordinates"][0].as_array().unwrap().iter().map(corner).collect()
    };
    let bounds = |points: &[[f64; 2]], axis: usize| {
        points
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), p| (low.min(p[axis]), high.max(p[axis])))
    };
    let outlines: Vec<[f64; 2]> = features.iter().flat_map(|f| ring(&f["geometry"])).collect();
    let extent = ring(&there["wgs84Extent"]);
    for axis in [0, 1] {
        let ((low, high), (west, east)) = (bounds(&outlines, axis), bounds(&extent, axis));
        assert!((low - west).abs() < 1e-6 && (high - east).abs() < 1e-6, "{low} {high}");
    }
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
    let names = ["FLIR0001-2.npy", "FLIR0001-2.wav", "FLIR0001.npy", "FLIR0001.wav"];
    assert_eq!(names_in(&out("1")), names);
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
        Err(_) => return eprintln!("skipped, ffmpeg is not installed"),
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
        assert_eq!(names_in(&folder.path().join("out")), ["a.npy", "a.wav"]);
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
    assert_eq!(shown, ["a.npy", "a.wav"]);
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
fn example(name: &str) -> Option<Command> {
    let program = Path::new(env!("CARGO_BIN_EXE_wysiwyh"));
    let example = program.parent()?.join("examples").join(name);
    if !example.exists() {
        eprintln!("skipped, the example {name} is not built");
        return None;
    }
    Some(Command::new(example))
}

#[test]
fn the_examples_do_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let hello = folder.path().join("hello.wav");
    let Some(mut hello_frame) = example("hello_frame") else { return };
    let output = hello_frame.arg(&hello).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("dB PSNR"));
    listen(&hello, &folder.path().join("hello"));

    #[cfg(feature = "gdal")]
    if let (Some(scene), Some(mut raster_to_sound)) = (unseen_scene(), example("raster_to_sound")) {
        let sound = folder.path().join("scene.wav");
        let output = raster_to_sound.arg(&scene).arg("sentinel2-l2a").arg(&sound).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        // The program itself makes the same samples.
        convert(&scene, folder.path(), &[]);
        let converted = folder.path().join(scene.file_stem().unwrap()).with_extension("wav");
        let samples = |path: &Path| sink::read(path).unwrap().samples;
        assert!(samples(&sound) == samples(&converted));
        assert_eq!(whole(&sound), 25);
    }
}
