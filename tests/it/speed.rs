//! Sources that are heard faster or slower than by themselves, with the real
//! program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use arrow::array::{Array, AsArray};
use arrow::datatypes::UInt8Type;
use serde_json::Value;
use wysiwyh::sink;
use wysiwyh::table::Table;

use crate::cli::{names_in, pages, program, refused, text};
use crate::trip::{array, convert, listen, whole};

/// What a table says of its slots: when each picture was taken, and its code.
fn slots(table: &Path) -> (Vec<Option<f64>>, Vec<Vec<u8>>) {
    let (mut times, mut codes) = (vec![], vec![]);
    for batch in Table::open(table).unwrap().read(&["chip", "start_s", "time_s", "code"]).unwrap() {
        let batch = batch.unwrap();
        let [chips, starts, taken] =
            ["chip", "start_s", "time_s"].map(|name| batch.numbers(name).unwrap());
        let code = batch.column("code").unwrap();
        for (row, code) in code.as_list::<i32>().iter().enumerate() {
            // Seconds of sound stay that.
            assert!((starts.value(row) - chips.value(row) / 10.0).abs() < 1e-9);
            times.push(taken.is_valid(row).then(|| taken.value(row)));
            codes.push(code.unwrap().as_primitive::<UInt8Type>().values().to_vec());
        }
    }
    (times, codes)
}

/// A folder of three pictures that a drone took.
fn flight(folder: &Path) -> Option<PathBuf> {
    let flight = folder.join("flight");
    fs::create_dir(&flight).unwrap();
    for name in ["0_100_30_0_03280.jpg", "0_100_40_0_03315.jpg", "0_100_50_0_03349.jpg"] {
        fs::copy(crate::data()?.join("hituav").join(name), flight.join(name)).unwrap();
    }
    Some(flight)
}

#[test]
fn each_picture_of_a_folder_is_heard_for_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let Some(flight) = flight(folder.path()) else { return };
    let out = folder.path().join("out");
    let said = |more: &[&str]| {
        let mut call = program();
        call.args(["convert", "--sensor", "hituav-lwir", "-o"]).arg(&out).arg(&flight).args(more);
        let output = call.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    said(&[]);
    let own = slots(&out.join("flight.parquet"));
    assert_eq!(own.0, [None; 3]);

    // Another speed is another request, and the same one is not.
    let one = "1 of 1 scenes converted, 0 failed:";
    assert!(said(&["--speed", "0.1"]).starts_with(one));
    assert!(said(&["--speed", "0.1"]).contains("1 already there"));
    let (times, codes) = slots(&out.join("flight.parquet"));
    assert_eq!((times, whole(&out.join("flight.wav"))), (vec![None; 30], 30));
    for (slot, code) in codes.iter().enumerate() {
        assert!(*code == own.1[slot / 10], "{slot}");
    }
    let record = fs::read(out.join("flight.record.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["request"]["settings"]["voice"]["reading"]["speed"], 0.1);
    assert_eq!(record["outcome"]["header"]["speed"], 0.1);
    listen(&out.join("flight.wav"), &folder.path().join("back"));
    assert_eq!(array(&folder.path().join("back/frames.npy")).shape()[0], 30);
    let summary = fs::read_to_string(folder.path().join("back/summary.txt")).unwrap();
    assert!(summary.contains("heard at 0.1 times its speed"), "{summary}");

    // Three pictures of three slots and a third.
    assert!(said(&["--speed", "0.3"]).starts_with(one));
    let (_, codes) = slots(&out.join("flight.parquet"));
    let pictures = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2];
    assert!(codes.iter().eq(pictures.iter().map(|&picture| &own.1[picture])));
    assert!(said(&["--speed", "1"]).starts_with(one));
    let record = fs::read_to_string(out.join("flight.record.json")).unwrap();
    assert!(!record.contains("speed"), "{record}");
}

#[test]
fn live_and_inspect_hear_it_at_the_same_speed() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    pages(&place("a.tif"), 3);
    let how = ["--sensor", "hituav-lwir", "--speed", "0.5"];
    convert(&place("a.tif"), &place("out"), &[&how[..], &["--preset", "listen"]].concat());
    let mut live = program();
    live.args(["live", "--no-speaker", "-o"]).args([place("live.wav"), place("a.tif")]);
    let output = live.args(how).output().unwrap();
    let said = text(&output.stderr) + &text(&output.stdout);
    assert!(said.contains("each picture for 0.2 s: ten sound frames"), "{said}");
    assert!(said.contains("6 sound frames sent: 0 pictures"), "{said}");
    assert!(said.contains("3 sound frames repeated"), "{said}");
    let [live, converted] =
        ["live.wav", "out/a.wav"].map(|name| sink::read(&place(name)).unwrap().samples);
    assert!(live == converted);

    let inspect = |more: &[&str]| -> Value {
        let mut call = program();
        call.args(["inspect", "--json"]).args(more);
        serde_json::from_slice(&call.output().unwrap().stdout).unwrap()
    };
    let page = place("a.tif").to_string_lossy().into_owned();
    let found = inspect(&[&[page.as_str()][..], &how].concat());
    assert_eq!([&found["frames"], &found["sound"]["slots"]], [3, 6]);
    let found = inspect(&["simulated", "--frames", "18", "--speed", "2"]);
    // Nine pictures a second are what the camera takes.
    assert!((found["period_s"].as_f64().unwrap() - 1.0 / 9.0).abs() < 1e-9, "{found}");
    assert_eq!(found["sound"]["slots"], 10);
}

#[test]
fn a_recording_goes_faster_or_slower_and_keeps_its_own_times() {
    let folder = tempfile::tempdir().unwrap();
    for (speed, expected) in [("0.5", 100), ("1", 50), ("2", 25), ("10", 5)] {
        let out = folder.path().join(speed);
        let how = ["--frames", "45", "--speed", speed, "--no-scores"];
        convert("simulated:1".as_ref(), &out, &how);
        let (times, codes) = slots(&out.join("simulated-1.parquet"));
        assert_eq!([times.len(), whole(&out.join("simulated-1.wav"))], [expected; 2]);
        let factor: f64 = speed.parse().unwrap();
        for (slot, taken_s) in times.iter().enumerate() {
            // The newest of nine pictures a second.
            let expected_s = (slot as f64 / 10.0 * factor * 9.0 + 1e-6).floor() / 9.0;
            assert!((taken_s.unwrap() - expected_s).abs() < 1e-9, "{speed} {slot}: {taken_s:?}");
        }
        // The same pictures at any speed.
        let own = slots(&folder.path().join("0.5/simulated-1.parquet"));
        for (taken_s, code) in times.iter().zip(&codes) {
            let same = own.0.iter().position(|own_s| {
                own_s.is_some_and(|own_s| (own_s - taken_s.unwrap()).abs() < 1e-9)
            });
            assert!(*code == own.1[same.unwrap()], "{speed}");
        }
    }
}

#[test]
fn what_has_no_other_speed_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let tiff = folder.path().join("a.tif");
    pages(&tiff, 2);
    let asked = |speed: &str, source: &Path, more: &[&str]| -> Output {
        let mut call = program();
        call.args(["convert", "--speed", speed, "-o"]).arg(&out).arg(source).args(more);
        call.write_stdin(vec![0; 64]).output().unwrap()
    };
    for speed in ["0.09", "11", "-1", "nan", "slow"] {
        let output = asked(speed, &tiff, &["--sensor", "hituav-lwir"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("--speed") && said.contains("from 0.1 to 10"), "{said}");
    }
    let sensor = ["--sensor", "hituav-lwir"];
    refused(&asked("2", &tiff, &sensor), 2, "2 is asked for, and 1 is the most");
    refused(&asked("2", Path::new("lepton3"), &["--sensor", "lepton3"]), 2, "lepton3 is a camera");
    #[cfg(feature = "gdal")]
    if let Some(data) = crate::data() {
        let scene = data.join("formats/terramind/S2L2A/38D_378R_2_3.tif");
        refused(&asked("0.5", &scene, &["--sensor", "sentinel2-l2a"]), 2, "is heard in tiles");
    }
    #[cfg(feature = "rerun")]
    {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/format-3/");
        let session = Path::new(golden).join("simulated-113.rrd");
        refused(&asked("2", &session, &[]), 2, "is a session");
        let mut live = program();
        let output = live.args(["live", "--no-speaker", "--speed", "0.5", "-o"]).arg(&out);
        refused(&output.arg(&session).output().unwrap(), 2, "is a session");
        let inspect = program().args(["inspect", "--speed", "2"]).arg(&session).output();
        refused(&inspect.unwrap(), 2, "is a session");
    }
    assert!(!out.exists());
    let raw = ["--raw", "gray8", "8x8@9"];
    refused(&asked("2", Path::new("-"), &[&raw[..], &sensor].concat()), 2, "is a pipe");
    assert!(names_in(&out).is_empty());
}

#[test]
fn a_plan_says_how_fast_and_older_ones_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    pages(&place("a.tif"), 2);
    let plan = |name: &str, more: &[&str]| {
        let mut call = program();
        call.args(["plan", "--sensor", "hituav-lwir", "-o"]).args([place(name), place("a.tif")]);
        call.args(more).assert().success();
        fs::read_to_string(place(name)).unwrap()
    };
    let slow = plan("slow.jsonl", &["--speed", "0.2"]);
    assert!(slow.contains("\"speed\":0.2"), "{slow}");
    // As versions that knew no speed wrote it, the identifier included.
    assert!(!plan("own.jsonl", &[]).contains("speed"));
    for (manifest, frames) in [("slow.jsonl", 10), ("own.jsonl", 2)] {
        let out = place("out").join(manifest);
        let mut call = program();
        call.args(["convert", "--manifest"]).arg(place(manifest)).arg("-o").arg(&out);
        call.assert().success();
        let sound = names_in(&out).into_iter().find(|name| name.ends_with(".wav")).unwrap();
        assert_eq!(whole(&out.join(sound)), frames);
    }
    let mut both = program();
    both.args(["convert", "--speed", "1", "--manifest"]).arg(place("own.jsonl")).arg("-o");
    assert_eq!(both.arg(place("out")).output().unwrap().status.code(), Some(2));
}
