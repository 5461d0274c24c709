//! The tables beside sounds: against the sounds, against other readers, and
//! damaged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use arrow::array::{Array, AsArray};
use arrow::datatypes::UInt8Type;
use serde_json::Value;
use wysiwyh::model::Model;
use wysiwyh::random::Random;
use wysiwyh::sink;
use wysiwyh::sonifier::Sonifier;
use wysiwyh::table::{GEOMETRY, Table};

use crate::cli::{names_in, program, text};
use crate::damage::damage;
use crate::trip::{convert, whole};

/// What [`table_reader.py`](table_reader.py) makes of a table; none, with a
/// line that says so, where its libraries are not installed.
fn second_reader(table: &Path, scene: &Path) -> Option<Value> {
    let python = PathBuf::from(std::env::var_os("WYSIWYH_ORACLES")?).join("bin/python");
    let mut there = Command::new(&python);
    there.args(["-c", "import duckdb, pyarrow, rasterio, shapely"]);
    if !there.output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped, WYSIWYH_ORACLES lacks duckdb, pyarrow, rasterio or shapely");
        return None;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/table_reader.py");
    let output = Command::new(&python).arg(script).arg(table).arg(scene).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// The codes in a table, in its own reader's eyes.
fn codes(table: &Table) -> Vec<Vec<u8>> {
    let mut codes = vec![];
    for batch in table.read(&["code"]).unwrap() {
        let column = batch.unwrap().column("code").unwrap();
        for code in column.as_list::<i32>().iter() {
            codes.push(code.unwrap().as_primitive::<UInt8Type>().values().to_vec());
        }
    }
    codes
}

#[cfg(feature = "gdal")]
#[test]
fn a_table_says_what_its_sound_says_and_other_readers_agree() {
    let Some(data) = crate::data() else { return };
    let scene = data.join("formats/terramind/S2L2A/38D_378R_2_3.tif");
    let folder = tempfile::tempdir().unwrap();
    convert(&scene, folder.path(), &["--sensor", "sentinel2-l2a", "--gpkg"]);
    let stem = folder.path().join(scene.file_stem().unwrap());
    let [sound, file, package] =
        ["wav", "parquet", "gpkg"].map(|ending| stem.with_extension(ending));
    let table = Table::open(&file).unwrap();
    assert_eq!(table.rows(), whole(&sound));

    let recording = sink::read(&sound).unwrap();
    let header = recording.header.unwrap();
    assert_eq!(table.about("header"), Some(&*header.to_json().unwrap()));
    assert!(table.about("command").unwrap().contains("convert"));
    let model = Model::shipped("sentinel2-l2a").unwrap();
    let mut sonifier = Sonifier::new(model, header.mapping.clone(), header.seed).unwrap();
    let codes = codes(&table);
    for (slot, code) in codes.iter().enumerate() {
        let heard = sonifier.hear(&recording.samples, slot).unwrap();
        assert_eq!(heard.len(), code.len());
        for (heard, &byte) in heard.iter().zip(code) {
            // Half a step by rounding, and the noise of 16 bits.
            assert!((255.0 * heard - f32::from(byte)).abs() < 0.8, "{slot}: {heard}, {byte}");
        }
    }
    let columns = ["chip", "start_s", "end_s", "row", "column", "psnr_db", "valid_fraction"];
    let rows = table.read(&columns).unwrap().next().unwrap().unwrap();
    let [chips, starts, ends, tops, lefts, psnrs, valid] =
        columns.map(|name| rows.numbers(name).unwrap());
    for (slot, position) in header.positions.iter().enumerate() {
        assert_eq!(chips.value(slot), slot as f64);
        assert_eq!(starts.value(slot), if slot == 0 { 0.0 } else { ends.value(slot - 1) });
        assert!((ends.value(slot) - 0.1 * (slot + 1) as f64).abs() < 1e-9);
        assert_eq!([tops.value(slot), lefts.value(slot)], position.map(f64::from));
        assert!((15.0..70.0).contains(&psnrs.value(slot)), "{} dB", psnrs.value(slot));
        assert!((0.0..=1.0).contains(&valid.value(slot)));
    }

    let package = gdal::Dataset::open(&package).unwrap();
    let mut layer = package.layer(0).unwrap();
    let mut features = gdal::vector::LayerAccess::features(&mut layer)
        .map(|feature| {
            let chip = feature.field_as_integer64(0).unwrap().unwrap();
            (chip, feature.geometry().unwrap().wkb().unwrap())
        })
        .collect::<Vec<_>>();
    features.sort();
    let batch = table.read(&[GEOMETRY]).unwrap().next().unwrap().unwrap();
    let outlines = batch.bytes(GEOMETRY).unwrap();
    let expected = (0..).zip(outlines.iter().map(|wkb| wkb.unwrap().to_vec()));
    assert!(features.into_iter().eq(expected));

    let Some(read) = second_reader(&file, &scene) else { return };
    assert_eq!((&read["version"], &read["types"][0]), (&"1.1.0".into(), &"Polygon".into()));
    for claim in
        ["bounds_agree", "boxes_agree", "all_valid", "all_counterclockwise", "neighbours_agree"]
    {
        assert_eq!(read[claim], true, "{claim}");
    }
    assert!(read["furthest_degrees"].as_f64().unwrap() < 1e-7, "{}", read["furthest_degrees"]);
    assert_eq!(serde_json::from_value::<Vec<Vec<u8>>>(read["codes"].clone()).unwrap(), codes);
    assert_eq!(read["nearest"], (0..codes.len()).collect::<Value>());
}

#[test]
fn pictures_without_a_place_have_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let frames = ["convert", "simulated", "--frames", "12", "-o"];
    program().args(frames).arg(folder.path()).assert().success();
    assert_eq!(names_in(folder.path()), ["simulated.parquet", "simulated.wav"]);
    let table = Table::open(&folder.path().join("simulated.parquet")).unwrap();
    assert_eq!(table.rows(), whole(&folder.path().join("simulated.wav")));
    let rows = table.read(&["time_s", "row", GEOMETRY]).unwrap().next().unwrap().unwrap();
    assert_eq!(rows.numbers("time_s").unwrap().null_count(), 0);
    assert_eq!(rows.numbers("row").unwrap().null_count(), table.rows());
    assert_eq!(rows.bytes(GEOMETRY).unwrap().null_count(), table.rows());
}

#[test]
fn damaged_tables_end_in_rows_or_in_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let frames = ["convert", "simulated", "--frames", "12", "-o"];
    program().args(frames).arg(folder.path()).assert().success();
    let original = fs::read(folder.path().join("simulated.parquet")).unwrap();
    let damaged = folder.path().join("damaged.parquet");
    let mut whole = 0;
    for round in 0..400 {
        let mut bytes = original.clone();
        // The numbers that matter are at the end.
        bytes.reverse();
        damage(&mut bytes, &mut Random::named(round, "tables"));
        bytes.reverse();
        fs::write(&damaged, bytes).unwrap();
        let Ok(table) = Table::open(&damaged) else { continue };
        let names: Vec<&str> = table.columns().iter().map(|field| field.name().as_str()).collect();
        whole += usize::from(table.read(&names).is_ok_and(|mut rows| rows.all(|row| row.is_ok())));
    }
    eprintln!("{whole} of 400 damaged tables were read");
}
