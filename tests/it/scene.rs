//! Scenes on the map: to sound with the real program, and back onto the map.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::ArrayView3;
use serde_json::Value;
use wysiwyh::model::Model;
use wysiwyh::sensor::raster::Raster;
use wysiwyh::sink;

use crate::cli::{names_in, program, text};
use crate::skipped::skipped;
use crate::trip::{array, convert, example, listen, whole};

/// PSNR in dB of `back` against `sent`, over readings that both have.
pub fn psnr_db(sent: ArrayView3<f32>, back: ArrayView3<f32>, [low, high]: [f64; 2]) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (&a, &b) in sent.iter().zip(back).filter(|(a, b)| !a.is_nan() && !b.is_nan()) {
        sum += (f64::from(a - b) / (high - low)).powi(2);
        count += 1.0;
    }
    -10.0 * f64::log10(sum / count)
}

/// A Sentinel-2 scene of a place that the shipped model has not seen.
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

#[test]
fn a_scene_comes_back_from_its_sound_as_well_as_evaluate_says() {
    let Some(scene) = unseen_scene() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (sounds, pictures) = (folder.path().join("sounds"), folder.path().join("pictures"));
    convert(&scene, &sounds, &["--npy"]);
    let stem = scene.file_stem().unwrap().to_str().unwrap();
    let file = |ending: &str| sounds.join(format!("{stem}.{ending}"));
    let endings = ["npy", "parquet", "record.json", "wav"];
    assert_eq!(names_in(&sounds), endings.map(|ending| format!("{stem}.{ending}")));
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
    let expected = said["psnr_sound_db"]["256"].as_f64().unwrap();
    assert!((mean - expected).abs() < 0.1, "{mean} dB, evaluate says {expected} dB");
    assert!(mean > 25.0, "{mean} dB");
}

#[test]
fn the_mosaic_of_a_sound_is_where_its_scene_is() {
    let Some(data) = crate::data() else { return };
    let scene = data.join("formats/terramind/S2L2A/38D_378R_2_3.tif");
    let folder = tempfile::tempdir().unwrap();
    convert(&scene, folder.path(), &[]);
    let stem = folder.path().join(scene.file_stem().unwrap());
    listen(&stem.with_extension("wav"), folder.path());
    let told = |path: &Path| -> Option<Value> {
        let output = Command::new("gdalinfo").arg("-json").arg(path).output().ok()?;
        serde_json::from_slice(&output.stdout).ok()
    };
    let (Some(there), Some(here)) = (told(&scene), told(&folder.path().join("mosaic.tif"))) else {
        skipped("gdalinfo is not installed");
        return;
    };
    for key in ["size", "geoTransform", "cornerCoordinates", "wgs84Extent"] {
        assert!(!there[key].is_null() && there[key] == here[key], "{key}: {}", here[key]);
    }
}

#[test]
fn the_example_makes_the_sound_that_the_program_makes() {
    let (Some(scene), Some(mut example)) = (unseen_scene(), example("raster_to_sound")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let sound = folder.path().join("scene.wav");
    let output = example.arg(&scene).arg("sentinel2-l2a").arg(&sound).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    convert(&scene, folder.path(), &[]);
    let converted = folder.path().join(scene.file_stem().unwrap()).with_extension("wav");
    let samples = |path: &Path| sink::read(path).unwrap().samples;
    assert!(samples(&sound) == samples(&converted));
    assert_eq!(whole(&sound), 25);
}

/// Chips along every route, from coarser pixels, are where they belong.
#[test]
fn a_coarser_scene_along_any_route_lies_where_the_scene_lies() {
    let Some(data) = crate::data() else { return };
    let scene = data.join("formats/terramind/S2L2A/38D_378R_2_3.tif");
    let folder = tempfile::tempdir().unwrap();
    let mut mosaics = vec![];
    for route in ["winding", "hilbert", "sweep"] {
        let out = folder.path().join(route);
        convert(&scene, &out, &["--gsd", "20", "--route", route, "--npy"]);
        let stem = out.join(scene.file_stem().unwrap());
        listen(&stem.with_extension("wav"), &out);
        let header = sink::read(&stem.with_extension("wav")).unwrap().header.unwrap();
        assert!(header.positions.is_empty(), "{:?}", header.positions);
        let told = header.scene.clone().unwrap();
        let whole = Raster::open(&scene, None).unwrap();
        assert_eq!((told.rows, told.columns), (whole.rows() / 2, whole.columns() / 2));
        let (here, there) = (told.georeference.unwrap(), whole.georeference().unwrap().clone());
        assert_eq!(here.locate(5.0, 7.0), there.locate(10.0, 14.0));
        // What was sent lies where the header says.
        let coarse = whole.coarser(2);
        let sent = array(&stem.with_extension("npy"));
        let places = header.places(sent.len_of(ndarray::Axis(0)));
        for (chip, [row, column]) in sent.outer_iter().zip(&places) {
            let (row, column) = (*row as usize, *column as usize);
            let rows = 64.min(coarse.rows() - row);
            let columns = 64.min(coarse.columns() - column);
            let due = coarse.read(row, column, rows, columns).unwrap();
            for ((place, &a), &b) in
                due.data.indexed_iter().zip(chip.slice(ndarray::s![.., ..rows, ..columns]))
            {
                // Without a profile the counts are not scaled.
                let b = b * if due.bands[0].unit == wysiwyh::Unit::Counts { 1e4 } else { 1.0 };
                assert!((a - b).abs() < 1e-2 * a.abs() + 1e-3, "{place:?}: {a} {b}");
            }
        }
        let mosaic = Raster::open(out.join("mosaic.tif"), None).unwrap();
        assert_eq!((mosaic.rows(), mosaic.columns()), (coarse.rows(), coarse.columns()));
        assert_eq!(mosaic.georeference().unwrap().transform, here.transform);
        mosaics.push(mosaic.read(0, 0, coarse.rows(), coarse.columns()).unwrap());
    }
    for mosaic in &mosaics[1..] {
        let pairs = mosaic.data.iter().zip(&mosaics[0].data);
        let apart = pairs.filter(|(a, b)| (*a - *b).abs() > 0.02).count();
        assert!(apart * 100 < mosaic.data.len(), "{apart} pixels differ");
    }
}

#[test]
fn how_coarse_a_scene_is_heard_is_said() {
    let Some(scene) = unseen_scene() else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| {
        let mut convert = program();
        convert.args(["convert", "-o"]).arg(folder.path().join("out")).arg(&scene).args(more);
        convert.output().unwrap()
    };
    let done = run(&["--duration", "1"]);
    let said = text(&done.stderr);
    assert!(done.status.success() && said.contains("2 x 2 pixels as one"), "{said}");
    // The stacks do not lie on a map.
    let refused = run(&["--gsd", "20"]);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("metres") && said.contains("--duration SECONDS"), "{said}");
    let refused = run(&["--gsd", "20", "--duration", "3"]);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_dry_run_tells_what_the_work_takes() {
    let Some(scene) = unseen_scene() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let run = |more: &[&str]| {
        let mut convert = program();
        convert.args(["convert", "--npy", "--sensor", "sentinel2-l2a", "-o"]);
        convert.arg(&out).args([&scene, &scene]).args(more).output().unwrap()
    };
    let done = run(&["--dry-run", "--json"]);
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    let lines = text(&run(&["--dry-run"]).stdout);
    assert_eq!(lines.lines().count(), 3, "{lines}");
    assert!(lines.lines().all(|line| line.contains("2.5 seconds") || line.contains("5.0 seconds")));
    assert!(!out.exists());
    assert!(run(&[]).status.success());
    let written: u64 = fs::read_dir(&out)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "wav" || e == "npy"))
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    let total = &told["total"];
    let estimated = total["bytes_written"].as_f64().unwrap();
    assert!((estimated / written as f64 - 1.0).abs() < 0.02, "{estimated}, not {written}");
    assert_eq!(total["bytes_read"], 2 * fs::metadata(&scene).unwrap().len());
    assert!((total["sound_s"].as_f64().unwrap() - 5.0).abs() < 1e-9);
    assert_eq!(told["scenes"].as_array().unwrap().len(), 2);
    assert!(total["hours"].as_f64().unwrap() > 0.0);
    // What is there takes nothing.
    let told: Value = serde_json::from_slice(&run(&["--dry-run", "--json"]).stdout).unwrap();
    assert_eq!((&told["already"], &told["total"]["files"]), (&2.into(), &0.into()));
}

#[test]
fn a_dry_run_counts_no_further_than_numbers_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut convert = program();
    convert.args(["convert", "simulated:1", "simulated:2", "--npy", "--stereo", "--dry-run"]);
    convert.args(["--json", "--frames", &usize::MAX.to_string(), "-o"]);
    let output = convert.arg(folder.path().join("out")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["total"]["bytes_written"], u64::MAX);
    assert!(told["total"]["sound_s"].as_f64().unwrap() > 1e18);
}

#[test]
fn no_byte_depends_on_the_number_of_cores() {
    let Some(scene) = unseen_scene() else { return };
    let folder = tempfile::tempdir().unwrap();
    let made = ["1", "2", "5"].map(|threads| {
        let out = folder.path().join(threads);
        let mut convert = program();
        convert.args(["convert", "--sensor", "sentinel2-l2a", "--npy", "--gpkg", "-o"]);
        convert.arg(&out).arg(&scene).env("RAYON_NUM_THREADS", threads).assert().success();
        crate::archive::contents(&out)
    });
    assert_eq!(made[0].len(), 5);
    assert!(made[1] == made[0] && made[2] == made[0]);
}
