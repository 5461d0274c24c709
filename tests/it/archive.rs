//! Archives with the real program: what was stopped goes on, what is planned
//! is carried out in parts, and what failed is known.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::AtomicBool;

use arrow::array::Array;
use serde_json::Value;
use wysiwyh::Fault;
use wysiwyh::convert::{self, Job, Settings, Unit};
use wysiwyh::sensor::Options;
use wysiwyh::sink::Format;
use wysiwyh::table::Table;
use wysiwyh::voice::Voice;

use crate::cli::{names_in, picture, program, refused, text};

/// Names and contents of the files in `folder`; of records, without how long
/// it took.
pub fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let content = |name: String| {
        let mut bytes = fs::read(folder.join(&name)).unwrap();
        if name.ends_with(".record.json") {
            let mut record: Value = serde_json::from_slice(&bytes).unwrap();
            assert!(record["timing"].take()["elapsed_s"].is_number());
            bytes = record.to_string().into_bytes();
        }
        (name, bytes)
    };
    names_in(folder).into_iter().map(content).collect()
}

/// A folder of `count` pictures, and their paths.
fn pictures(folder: &Path, count: usize) -> Vec<PathBuf> {
    let paths: Vec<PathBuf> = (0..count).map(|n| folder.join(format!("scene{n}.png"))).collect();
    paths.iter().for_each(|path| picture(path));
    paths
}

fn run(arguments: &[&str], paths: &[PathBuf], out: &Path) -> Output {
    let mut call = program();
    call.args(arguments).args(["--sensor", "hituav-lwir", "-o"]).arg(out).args(paths);
    call.output().unwrap()
}

#[test]
fn what_is_there_is_made_again_only_where_something_changed() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = pictures(folder.path(), 3);
    let out = folder.path().join("out");
    let said = |arguments: &[&str]| text(&run(arguments, &scenes, &out).stdout);
    assert!(said(&["convert"]).starts_with("3 of 3 scenes converted, 0 failed:"));
    let first = contents(&out);
    let nothing = "0 of 3 scenes converted, 0 failed, 3 already there.\n";
    assert_eq!(said(&["convert"]), nothing);
    let one = "1 of 3 scenes converted, 0 failed, 2 already there:";
    // A file of the outputs is gone, or cut short.
    fs::remove_file(out.join("scene1.wav")).unwrap();
    assert!(said(&["convert"]).starts_with(one));
    fs::write(out.join("scene1.wav"), "RIFF").unwrap();
    assert!(said(&["convert"]).starts_with(one));
    assert!(contents(&out) == first);
    // The record is the last file to appear: without it nothing counts.
    fs::remove_file(out.join("scene2.record.json")).unwrap();
    assert!(said(&["convert"]).starts_with(one));
    assert!(contents(&out) == first);
    let all = "3 of 3 scenes converted, 0 failed:";
    assert!(said(&["convert", "--force"]).starts_with(all));
    assert!(contents(&out) == first);
    assert!(said(&["convert", "--seed", "1"]).starts_with(all));
    assert!(said(&["convert", "--span", "20..200"]).starts_with(all));
    assert_eq!(said(&["convert", "--span", "20..200"]), nothing);
    assert!(said(&["convert"]).starts_with(all));
    // An input that changed.
    image::GrayImage::from_pixel(64, 51, image::Luma([9])).save(&scenes[0]).unwrap();
    assert!(said(&["convert"]).starts_with(one));
    assert!(contents(&out)["scene0.wav"] != first["scene0.wav"]);
}

/// The record of the scene called `name` in `folder`.
fn record(folder: &Path, name: &str) -> Value {
    let text = fs::read(folder.join(format!("{name}.record.json"))).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn without_scores_all_else_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = pictures(folder.path(), 2);
    let out = folder.path().join("out");
    let score = |file: &Path| {
        let rows = Table::open(file).unwrap().read(&["psnr_db"]).unwrap().next().unwrap().unwrap();
        let column = rows.column("psnr_db").unwrap();
        (column.is_valid(0), column.is_valid(column.len() - 1))
    };
    let catalogue = folder.path().join("catalogue.parquet");
    let collect = || {
        program().arg("collect").arg(&out).arg("-o").arg(&catalogue).assert().success();
        score(&catalogue)
    };
    assert!(run(&["convert", "--rrd"], &scenes, &out).status.success());
    let sound = fs::read(out.join("scene0.wav")).unwrap();
    assert_eq!((score(&out.join("scene0.parquet")), collect()), ((true, true), (true, true)));
    assert!(record(&out, "scene0")["outcome"]["psnr_db"].as_f64().unwrap() > 15.0);

    let again = || text(&run(&["convert", "--no-scores", "--rrd"], &scenes, &out).stdout);
    assert!(again().starts_with("2 of 2 scenes converted"));
    assert!(again().contains("2 already there"));
    assert!(fs::read(out.join("scene0.wav")).unwrap() == sound);
    assert_eq!((score(&out.join("scene0.parquet")), collect()), ((false, false), (false, false)));
    assert!(record(&out, "scene0")["outcome"]["psnr_db"].is_null());
    assert!(text(&run(&["convert"], &scenes, &out).stdout).starts_with("2 of 2"));
}

#[test]
fn a_record_agrees_with_what_lies_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = pictures(folder.path(), 2);
    let out = folder.path().join("out");
    assert!(run(&["convert", "--npy"], &scenes, &out).status.success());
    let before = contents(&out);
    // Other settings leave nothing of the ones before.
    assert!(run(&["convert", "--format", "flac"], &scenes, &out).status.success());
    let endings = ["flac", "parquet", "record.json"];
    let expected = [0, 1].map(|n| endings.map(|ending| format!("scene{n}.{ending}")));
    assert_eq!(names_in(&out), expected.concat());
    assert!(run(&["convert", "--npy"], &scenes, &out).status.success());
    assert!(contents(&out) == before);

    // A scene that broke keeps its sound, and the record says both.
    let sound = fs::read(&scenes[1]).unwrap();
    fs::write(&scenes[1], "no picture").unwrap();
    assert_eq!(run(&["convert", "--npy"], &scenes, &out).status.code(), Some(3));
    let mut after = contents(&out);
    let told = record(&out, "scene1");
    assert!(told["error"].as_str().unwrap().contains("scene1.png"), "{told}");
    let earlier: Value = serde_json::from_slice(&before["scene1.record.json"]).unwrap();
    assert_eq!(told["outcome"], earlier["outcome"]);
    after.insert("scene1.record.json".into(), before["scene1.record.json"].clone());
    assert!(after == before);
    // So does what is left of it, where somebody took a file away.
    fs::remove_file(out.join("scene1.wav")).unwrap();
    assert_eq!(run(&["convert", "--npy"], &scenes, &out).status.code(), Some(3));
    assert_eq!(record(&out, "scene1")["outcome"], earlier["outcome"]);
    let mut after = contents(&out);
    after.insert("scene1.record.json".into(), before["scene1.record.json"].clone());
    after.insert("scene1.wav".into(), before["scene1.wav"].clone());
    assert!(after == before);
    // One that broke before it had one has none.
    for ending in ["npy", "parquet", "record.json"] {
        fs::remove_file(out.join(format!("scene1.{ending}"))).unwrap();
    }
    assert_eq!(run(&["convert", "--npy"], &scenes, &out).status.code(), Some(3));
    assert!(record(&out, "scene1")["outcome"].is_null());
    assert_eq!(names_in(&out).iter().filter(|name| name.starts_with("scene1")).count(), 1);
    fs::write(&scenes[1], sound).unwrap();
    assert!(run(&["convert", "--npy"], &scenes, &out).status.success());
    assert!(record(&out, "scene1")["error"].is_null());
}

#[test]
fn no_scene_takes_the_place_of_another_one_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let scene = |name: &str, bright: u8| {
        let path = folder.path().join(name);
        fs::create_dir(path.parent().unwrap()).unwrap();
        image::GrayImage::from_pixel(64, 51, image::Luma([bright])).save(&path).unwrap();
        path
    };
    let scenes = [scene("a/FLIR0001.png", 40), scene("b/FLIR0001.png", 90)];
    let out = folder.path().join("out");
    let said = |paths: &[PathBuf]| text(&run(&["convert"], paths, &out).stdout);
    assert!(said(&scenes[..1]).starts_with("1 of 1 scenes converted"));
    let first = contents(&out);
    assert!(said(&scenes[1..]).starts_with("1 of 1 scenes converted"));
    let mut both = contents(&out);
    assert_eq!(record(&out, "FLIR0001-2")["request"]["source"], scenes[1].to_str().unwrap());
    // Whatever the order, and whoever is asked for.
    let [a, b] = scenes.clone();
    assert!(said(&[b.clone(), a.clone()]).contains(" 2 already there"));
    assert!(said(&[b]).contains(" 1 already there") && said(&[a]).contains(" 1 already there"));
    assert!(contents(&out) == both);
    both.retain(|name, _| !name.starts_with("FLIR0001-2."));
    assert!(both == first);

    // Nor where a name on the command line, or case, is all that they share.
    let others = [scene("c/FLIR0001.png", 140), scene("d/flir0001.png", 190)];
    for (other, name) in others.iter().zip(["FLIR0001-3", "flir0001-4"]) {
        let here = || {
            let mut call = program();
            call.current_dir(other.parent().unwrap()).args(["convert", "--sensor", "hituav-lwir"]);
            let output = call.arg(other.file_name().unwrap()).arg("-o").arg(&out).output().unwrap();
            text(&output.stdout)
        };
        assert!(here().starts_with("1 of 1 scenes converted"));
        assert!(here().contains(" 1 already there"));
        assert_eq!(
            record(&out, name)["request"]["source"],
            other.file_name().unwrap().to_str().unwrap()
        );
    }
    let after = contents(&out);
    assert_eq!(after.len(), 12);
    assert!(first.iter().all(|(name, bytes)| after[name] == *bytes));
}

#[test]
fn a_planned_scene_is_refused_where_its_name_is_anothers() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = pictures(folder.path(), 1);
    let (out, manifest) = (folder.path().join("out"), folder.path().join("a.jsonl"));
    assert!(run(&["plan"], &scenes, &manifest).status.success());
    let convert = || {
        let mut call = program();
        call.args(["convert", "--manifest"]).arg(&manifest).arg("-o").arg(&out).output().unwrap()
    };
    assert!(convert().status.success());
    assert!(text(&convert().stdout).contains("1 already there"));
    let name = names_in(&out).into_iter().find(|name| name.ends_with(".record.json")).unwrap();
    let told = fs::read_to_string(out.join(&name)).unwrap();
    fs::write(out.join(&name), told.replace("scene0.png", "scene7.png")).unwrap();
    let before = contents(&out);
    refused(&convert(), 1, "scene7.png");
    assert!(contents(&out) == before);
}

#[test]
fn a_source_is_not_overwritten_by_its_sound_or_that_of_another_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("deep")).unwrap();
    // Pixels without a header lie in files of any name.
    let pixels: Vec<u8> = (0..2 * 64 * 48).map(|at| (at / 64) as u8).collect();
    for (source, more) in [
        ("a.wav", &[][..]),
        ("./a.flac", &["--format", "flac"]),
        ("deep/../a.npy", &["--npy"]),
        ("a.gpkg", &["--gpkg"]),
        ("a.rrd", &["--rrd"]),
    ] {
        let path = folder.path().join(source);
        fs::write(&path, &pixels).unwrap();
        fs::write(folder.path().join("deep/a.raw"), &pixels).unwrap();
        let before = names_in(folder.path());
        for others in [&[][..], &["deep/a.raw"]] {
            for dry in [&["--dry-run"][..], &[]] {
                let mut call = program();
                call.args(["convert", "--raw", "gray8", "64x48@9", "--sensor", "simulated-lwir"]);
                call.args(others).arg(source).args(["-o", "."]).args(more).args(dry);
                let output = call.current_dir(folder.path()).output().unwrap();
                refused(&output, 2, source.rsplit('/').next().unwrap());
                assert!(text(&output.stderr).contains("\nhint: convert into another folder"));
            }
        }
        assert_eq!(names_in(folder.path()), before);
        assert!(fs::read(&path).unwrap() == pixels, "{source}");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn whoever_stops_while_scenes_are_checked_waits_for_none_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let scene = |number: u8| {
        let path = folder.path().join(format!("broken{number}.png"));
        fs::write(&path, "no picture").unwrap();
        path.to_string_lossy().into_owned()
    };
    let (scenes, out) = ([0, 1, 2].map(scene), folder.path().join("out"));
    let settings = Settings {
        voice: Voice::of_sensor("hituav-lwir", Options::default()),
        format: Format::Wav,
        stereo: false,
        rrd: false,
        npy: false,
        gpkg: false,
        unscored: false,
        frames: None,
    };
    let units = Unit::list(&scenes, &out, &settings);
    let job = Job { units, folder: out.clone(), settings, force: false, planned: false };
    let mut told = 0;
    let stopped = convert::run(&job, &AtomicBool::new(true), &mut |_| told += 1).unwrap_err();
    assert_eq!((stopped.fault, told), (Fault::Interrupted, 0), "{stopped}");
    assert!(!out.exists());
}

#[test]
fn a_model_of_the_users_own_makes_its_own_sounds() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = pictures(folder.path(), 1);
    let (out, shelf) = (folder.path().join("out"), folder.path().join("wysiwyh/sensors"));
    fs::create_dir_all(&shelf).unwrap();
    let said = || {
        let mut call = program();
        call.env("XDG_CONFIG_HOME", folder.path()).args(["convert", "--sensor", "hituav-lwir"]);
        let output = call.arg("-o").arg(&out).args(&scenes).output().unwrap();
        text(&output.stderr) + &text(&output.stdout)
    };
    let first = said();
    assert!(first.contains("1 of 1 scenes converted") && !first.contains("Your own"), "{first}");
    assert!(said().contains("1 already there"));
    // The model that ships, under another title and so another hash.
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/sensors/hituav-lwir.safetensors");
    let mut own = fs::read(shipped).unwrap();
    let at = own.windows(12).position(|bytes| bytes == b"drone frames").unwrap();
    own[at..at + 5].copy_from_slice(b"DRONE");
    let place = shelf.join("hituav-lwir.safetensors");
    fs::write(&place, own).unwrap();
    let sentence = format!("Your own model for hituav-lwir speaks: {}.", place.display());
    let second = said();
    assert!(second.contains("1 of 1 scenes converted") && second.contains(&sentence), "{second}");
    assert!(said().contains("1 already there"));
}

#[test]
fn a_plan_can_be_read_where_its_scenes_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, manifest) = (folder.path().join("flight.2020"), folder.path().join("a.jsonl"));
    fs::create_dir(&scene).unwrap();
    picture(&scene.join("a.png"));
    assert!(run(&["plan"], std::slice::from_ref(&scene), &manifest).status.success());
    fs::remove_dir_all(&scene).unwrap();
    let mut call = program();
    call.arg("collect").arg(folder.path()).arg("--manifest").arg(&manifest);
    let output = call.arg("-o").arg(folder.path().join("c.parquet")).output().unwrap();
    assert!(text(&output.stdout).ends_with("0 scenes done, 0 failed, 1 missing.\n"));
    // An address that asks is no pattern.
    let address = [PathBuf::from("http://127.0.0.1:9/a.tif?key=1")];
    assert!(run(&["plan"], &address, &manifest).status.success());
}

#[test]
fn damaged_scenes_among_others_are_recorded_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut scenes = pictures(folder.path(), 25);
    for (number, scene) in scenes.iter().enumerate().take(20) {
        let whole = fs::read(scene).unwrap();
        fs::write(scene, &whole[..whole.len() * number / 20]).unwrap();
    }
    scenes.push(folder.path().join("missing.png"));
    let out = folder.path().join("out");
    let output = run(&["convert"], &scenes, &out);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("5 of 26 scenes converted, 21 failed:"));
    for (number, scene) in scenes.iter().enumerate() {
        let stem = scene.file_stem().unwrap().to_string_lossy();
        let record = fs::read(out.join(format!("{stem}.record.json"))).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        assert_eq!(record["request"]["source"], scene.to_str().unwrap());
        let failed = !(20..25).contains(&number);
        assert_eq!(out.join(format!("{stem}.wav")).exists(), !failed, "{stem}");
        let error = record["error"].as_str();
        assert_eq!(error.is_some_and(|e| e.starts_with(scene.to_str().unwrap())), failed);
        assert_eq!(record["outcome"].is_null(), failed);
    }
    // Repaired, they are tried again, and the others are not.
    scenes.pop();
    scenes.iter().take(20).for_each(|scene| picture(scene));
    let output = run(&["convert"], &scenes, &out);
    let said = text(&output.stdout);
    assert!(said.starts_with("20 of 25 scenes converted, 0 failed, 5 already there"), "{said}");
}

#[test]
fn the_shards_of_a_plan_are_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut scenes = pictures(folder.path(), 5);
    let file = |name: &str| folder.path().join(name);
    assert!(run(&["plan"], &scenes, &file("a.jsonl")).status.success());
    scenes.reverse();
    scenes.push(scenes[0].clone());
    assert!(run(&["plan"], &scenes, &file("b.jsonl")).status.success());
    let pattern = [file("*.png")];
    assert!(run(&["plan"], &pattern, &file("c.jsonl")).status.success());
    let manifest = fs::read_to_string(file("a.jsonl")).unwrap();
    assert_eq!(manifest.lines().count(), 5);
    for other in ["b.jsonl", "c.jsonl"] {
        assert_eq!(fs::read_to_string(file(other)).unwrap(), manifest);
    }
    assert!(run(&["plan", "--seed", "1"], &scenes, &file("d.jsonl")).status.success());
    assert_ne!(fs::read_to_string(file("d.jsonl")).unwrap(), manifest);

    let convert = |out: &str, part: &[&str], variable: &str| {
        let mut call = program();
        call.args(["convert", "--manifest"]).arg(file("a.jsonl")).arg("-o").arg(file(out));
        if let Some((name, value)) = variable.split_once('=') {
            call.env(name, value);
        }
        call.args(part).output().unwrap()
    };
    assert!(convert("whole", &[], "").status.success());
    for shard in ["0/3", "1/3", "2/3"] {
        assert!(convert("shards", &["--shard", shard], "").status.success());
    }
    for index in 0..5 {
        let variable = ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"][index % 2];
        let output = convert("indices", &[], &format!("{variable}={index}"));
        assert!(output.status.success());
        assert!(
            text(&output.stderr).contains(&format!("scene {index} of the manifest, as {variable}"))
        );
    }
    let whole = contents(&file("whole"));
    assert_eq!(whole.len(), 15);
    assert!(whole == contents(&file("shards")) && whole == contents(&file("indices")));
    for line in manifest.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(whole.contains_key(&format!("{}.wav", line["id"].as_str().unwrap())));
    }

    refused(&convert("no", &["--index", "5"], ""), 2, "--index");
    refused(&convert("no", &[], "SLURM_ARRAY_TASK_ID=x"), 2, "SLURM_ARRAY_TASK_ID");
    assert_eq!(convert("no", &["--shard", "3/3"], "").status.code(), Some(2));
    assert_eq!(convert("no", &["--seed", "3"], "").status.code(), Some(2));
    fs::write(file("a.jsonl"), manifest.replace("scene1.png", "scene7.png")).unwrap();
    refused(&convert("no", &[], ""), 1, "line 2 is not the one that");
    assert!(!file("no").exists());
}

#[test]
fn a_catalogue_tells_what_is_done_failed_and_missing() {
    let folder = tempfile::tempdir().unwrap();
    let mut scenes = pictures(folder.path(), 3);
    scenes.push(folder.path().join("broken.png"));
    fs::write(&scenes[3], "no picture").unwrap();
    let file = |name: &str| folder.path().join(name);
    assert!(run(&["plan"], &scenes, &file("a.jsonl")).status.success());
    let convert = |out: &str, index: &str| {
        let mut call = program();
        call.args(["convert", "--index", index, "--manifest"]).arg(file("a.jsonl"));
        call.arg("-o").arg(file(out)).output().unwrap().status.code()
    };
    let collect = |folders: &[&str], out: &str| {
        let mut call = program();
        call.arg("collect").args(folders.iter().map(|name| file(name)));
        let output = call.arg("-o").arg(file(out)).arg("--manifest").arg(file("a.jsonl"));
        let output = output.output().unwrap();
        let said = text(&output.stdout);
        let counts = said.trim().rsplit_once(": ").unwrap().1.to_owned();
        (output.status.code().unwrap(), counts)
    };
    // Index 0 is the broken one: manifests are sorted.
    assert_eq!(convert("a", "0"), Some(1));
    let failed = (1, "0 scenes done, 1 failed, 3 missing.".to_owned());
    assert_eq!(collect(&["a"], "c.parquet"), failed);
    for (out, index) in [("a", "1"), ("b", "1"), ("b", "2")] {
        assert_eq!(convert(out, index), Some(0));
    }
    let some = (3, "2 scenes done, 1 failed, 1 missing.".to_owned());
    assert_eq!(collect(&["a", "b"], "c.parquet"), some);
    let bytes = fs::read(file("c.parquet")).unwrap();
    assert_eq!(collect(&["b", "a"], "d.parquet"), some);
    assert!(bytes == fs::read(file("d.parquet")).unwrap());

    let table = Table::open(&file("c.parquet")).unwrap();
    let rows = table.read(&["id", "source", "sound", "slots", "loudness_lufs", "error"]).unwrap();
    let rows = rows.map(Result::unwrap).next().unwrap();
    assert_eq!(rows.rows(), 3);
    let of = |column: &str| rows.texts(column).unwrap();
    let (sources, sounds, errors) = (of("source"), of("sound"), of("error"));
    assert_eq!(sources.value(0), scenes[3].to_str().unwrap());
    assert!(sounds.is_null(0) && errors.value(0).contains("broken.png: "));
    let loudness_lufs = rows.numbers("loudness_lufs").unwrap();
    for row in 1..3 {
        assert!(errors.is_null(row) && Path::new(sounds.value(row)).exists());
        assert_eq!(rows.numbers("slots").unwrap().value(row), 1.0);
        assert!((-40.0..-10.0).contains(&loudness_lufs.value(row)));
    }

    picture(&scenes[3]);
    for index in ["0", "3"] {
        assert_eq!(convert("b", index), Some(0));
    }
    // The failure is history: there is a sound of it elsewhere.
    let all = (0, "4 scenes done, 0 failed, 0 missing.".to_owned());
    assert_eq!(collect(&["a", "b"], "c.parquet"), all);
}

#[test]
fn what_a_killed_process_left_goes_with_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = pictures(folder.path(), 1);
    let out = folder.path().join("out");
    fs::create_dir_all(out.join(".wysiwyh-killed")).unwrap();
    fs::write(out.join(".wysiwyh-killed/.lock"), "").unwrap();
    fs::write(out.join(".wysiwyh-killed/scene0.wav"), "half").unwrap();
    assert!(run(&["convert"], &scenes, &out).status.success());
    assert_eq!(names_in(&out), ["scene0.parquet", "scene0.record.json", "scene0.wav"]);
}
