//! What is in a source, in numbers and as a file for other programs.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use ndarray::Array4;
use ndarray_npy::ReadNpyExt;
use wysiwyh::inspect::{Inspection, run};
use wysiwyh::sensor::{Options, open};
use wysiwyh::{Fault, Result};

use crate::speaker::program;

static NEVER: AtomicBool = AtomicBool::new(false);

fn inspect(source: &Path, npy: Option<&Path>) -> Result<Inspection> {
    let sensor = open(&source.to_string_lossy(), None, &Options::default())?;
    run(sensor, npy, &NEVER, &mut |_| {})
}

#[test]
fn numbers_and_array_are_those_of_an_independent_decoder() {
    let Some(data) = crate::data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let npy = folder.path().join("frames.npy");
    let name = "formats/cacophony-cptv/derived_lepton3_40frames_u16.tif";
    let found = inspect(&data.join(name), Some(&npy)).unwrap();
    let whole = 2_032_613_180.0;
    let statistics = found.statistics[0];
    assert_eq!((found.frames, found.pixels, statistics.count), (40, 768_000, 768_000));
    assert!((statistics.mean * 768_000.0 - whole).abs() < 1.0, "{statistics:?}");
    let array = Array4::<f32>::read_npy(File::open(&npy).unwrap()).unwrap();
    assert_eq!(array.shape(), [40, 1, 120, 160]);
    assert_eq!(array.iter().map(|&v| f64::from(v)).sum::<f64>(), whole);
    let lowest = array.iter().copied().fold(f32::INFINITY, f32::min);
    assert_eq!(statistics.min, lowest);
}

#[test]
fn a_table_for_eyes_and_sentences_for_ears() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ramp.png");
    // Half of the pixels are 10, the others rise from 100 to 199.
    let picture = image::GrayImage::from_fn(100, 20, |x, y| {
        image::Luma([if y < 10 { 10 } else { 100 + x as u8 }])
    });
    picture.save(&path).unwrap();
    let told = |more: &[&str]| {
        let mut command = Command::new(program());
        let command = command.arg("inspect").arg(&path).args(["--sensor", "hituav-lwir"]);
        let output = command.args(more).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // Twelve bars of 15.75: 1000 pixels lie in the first, none until 88.75, 60
    // in the sixth, and 150 or 160 in each after it: the second of eight heights.
    let table = told(&[]);
    assert!(
        table.contains("from min to max") && table.contains("0.0 %    █    ▁▂▂▂▂▂▂"),
        "{table}"
    );
    let said = told(&["--say"]);
    for sentence in [
        "1 frame of 20 rows x 100 columns.",
        "Band 1 of 1, LWIR, at 11 micrometres: 10.0000 to 199.0000 counts, 79.7500 on average.",
        "Half of the readings lie between ",
        "None is missing.",
    ] {
        assert!(said.contains(sentence), "{sentence} is not in {said}");
    }
    assert!(said.lines().all(|line| line.ends_with('.')) && !said.contains('█'), "{said}");
    let json: serde_json::Value = serde_json::from_str(&told(&["--json"])).unwrap();
    let quartiles: Vec<f64> =
        serde_json::from_value(json["bands"][0]["quartiles"].clone()).unwrap();
    let right = [10.0, 10.0, 149.0];
    assert!(quartiles.iter().zip(right).all(|(a, b)| (a - b).abs() < 1.0), "{quartiles:?}");
}

#[test]
fn many_bands_are_told_in_groups_and_all_of_them_where_they_are_looked_up() {
    let Some(data) = crate::data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let cube = data.join("formats/plantcv/corn-kernel-hyperspectral.raw");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(program());
        let output = command.args(arguments).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let cube = cube.to_str().unwrap();
    let said = run(&["inspect", cube, "--say"]);
    for sentence in [
        "580 bands, 0.3666 to 1.0484 micrometres, in 8 groups.",
        "\nBands 1 to 73, 0.3666 to ",
        "\nBands 512 to 580, ",
        "The lowest on average is band ",
        "No reading is missing.",
        "With --json each band is told by itself.",
    ] {
        assert!(said.contains(sentence), "{sentence} is not in {said}");
    }
    assert!(said.lines().count() < 20 && said.lines().all(|line| line.ends_with('.')), "{said}");
    let lines = |text: &str| text.lines().filter(|line| line.contains(" nm")).count();
    assert!(lines(&run(&["inspect", cube])) >= 580);
    run(&["convert", cube, "--sensor", "generic-scene", "-o", "sound"]);
    let said = run(&["listen", "sound/corn-kernel-hyperspectral.wav", "-o", "back"]);
    assert!(said.contains("580 bands, 0.3666 to 1.0484 micrometres, in 8 groups."), "{said}");
    assert!(said.contains("Each has a span of its own, within "), "{said}");
    assert!(said.contains("summary.txt tells each band by itself.") && said.lines().count() < 24);
    let all = fs::read_to_string(folder.path().join("back/summary.txt")).unwrap();
    assert_eq!(lines(&all), 580);
}

#[test]
fn pictures_of_two_sizes_make_no_array_and_leave_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    fs::create_dir(&pictures).unwrap();
    image::GrayImage::new(5, 4).save(pictures.join("1.png")).unwrap();
    image::GrayImage::new(6, 4).save(pictures.join("2.png")).unwrap();
    assert_eq!(inspect(&pictures, None).unwrap().pixels, 44);
    let error = inspect(&pictures, Some(&folder.path().join("a.npy"))).unwrap_err().to_string();
    assert!(error.contains("[1, 4, 5]") && error.contains("[1, 4, 6]"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only the pictures remain");
}

#[test]
fn a_stop_is_obeyed() {
    let sensor = open("simulated", None, &Options::default()).unwrap();
    let error = run(sensor, None, &AtomicBool::new(true), &mut |_| {}).unwrap_err();
    assert_eq!(error.fault, Fault::Interrupted);
}

#[test]
fn pictures_turn_as_another_program_turns_them() {
    let folder = tempfile::tempdir().unwrap();
    let picture = image::GrayImage::from_fn(5, 4, |x, y| image::Luma([(40 * y + 7 * x) as u8]));
    let path = folder.path().join("picture.png");
    picture.save(&path).unwrap();
    let expected = [
        (&["--rotate", "90"][..], image::imageops::rotate90(&picture)),
        (&["--rotate", "180"], image::imageops::rotate180(&picture)),
        (&["--rotate", "270"], image::imageops::rotate270(&picture)),
        (&["--flip", "horizontal"], image::imageops::flip_horizontal(&picture)),
        (
            &["--rotate", "90", "--flip", "vertical"],
            image::imageops::flip_vertical(&image::imageops::rotate90(&picture)),
        ),
    ];
    for (options, expected) in expected {
        let npy = folder.path().join("turned.npy");
        let mut command = Command::new(program());
        let output = command.arg("inspect").arg(&path).arg("--npy").arg(&npy).args(options);
        let output = output.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let size = format!("{} rows x {} columns", expected.height(), expected.width());
        assert!(said.contains(&size), "{size} is not in {said}");
        let array = Array4::<f32>::read_npy(File::open(&npy).unwrap()).unwrap();
        assert!(array.iter().copied().eq(expected.iter().map(|&v| f32::from(v))), "{options:?}");
    }
}

#[test]
fn a_map_is_not_turned() {
    let Some(data) = crate::data() else { return };
    let scenes = fs::read_dir(data.join("sentinel2")).unwrap().map(|entry| entry.unwrap().path());
    let scene = scenes.into_iter().find(|path| path.extension().is_some_and(|e| e == "tif"));
    let output = Command::new(program())
        .args(["convert", "--flip", "vertical", "-o", "/nonexistent/sounds"])
        .arg(scene.unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("lies on a map") && said.contains("hint: "), "{said}");
}
