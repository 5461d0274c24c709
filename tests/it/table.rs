//! The tables beside sounds: against the sounds, against other readers, and
//! damaged.

use std::fs;
use std::path::Path;
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
    let python = crate::python("duckdb, pyarrow, rasterio, shapely")?;
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
    let request: Value = serde_json::from_str(table.about("request").unwrap()).unwrap();
    assert_eq!(request["settings"]["voice"]["sensor"], "sentinel2-l2a");
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
    assert_eq!(
        names_in(folder.path()),
        ["simulated.parquet", "simulated.record.json", "simulated.wav"]
    );
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

/// The largest differences between a table's fractions of clouds and of valid
/// pixels and those that the mask and the bands of a Landsat product give: bits
/// 1 to 4 are clouds and their shadows, bit 0 is fill, and so are zeros.
const BY_RASTERIO: &str = r#"
import glob, json, sys
import numpy as np, pyarrow.parquet as pq, rasterio
product, table, keep = sys.argv[1:]
read = lambda name: [rasterio.open(path).read(1) for path in sorted(glob.glob(f"{product}/*{name}.TIF"))]
quality = read("QA_PIXEL")[0]
fill = (quality & 1 == 1)
missing = np.any([band == 0 for band in read("SR_B?") + read("ST_B10")], 0) | fill
cloud = (quality & 0b11110 != 0) & ~fill
if keep != "keep":
    missing |= cloud
apart = [0.0, 0.0]
rows = pq.read_table(table).to_pylist()
for row in rows:
    chip = np.s_[row["row"]:row["row"] + 64, row["column"]:row["column"] + 64]
    seen = (~fill[chip]).sum()
    fractions = [cloud[chip].sum() / seen if seen else None, 1 - missing[chip].mean()]
    for at, name in enumerate(["cloud_fraction", "valid_fraction"]):
        if fractions[at] is not None or row[name] is not None:
            apart[at] = max(apart[at], abs(fractions[at] - row[name]))
print(json.dumps([len(rows), *apart]))
"#;

#[test]
fn clouds_are_those_that_rasterio_counts() {
    let Some(data) = crate::data() else { return };
    let Some(python) = crate::python("pyarrow, rasterio") else { return };
    let product = data.join("formats/landsat");
    let mut chips = vec![];
    for clouds in ["mask", "keep"] {
        let folder = tempfile::tempdir().unwrap();
        convert(&product, folder.path(), &["--clouds", clouds]);
        let table = folder.path().join("landsat.parquet");
        let output = Command::new(&python)
            .args(["-c", BY_RASTERIO])
            .args([product.as_os_str(), table.as_os_str(), clouds.as_ref()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let told: Vec<f64> = serde_json::from_slice(&output.stdout).unwrap();
        assert!(told[1] < 1e-6 && told[2] < 1e-6, "{clouds}: {told:?}");
        chips.push(told[0]);
    }
    // Chips that show nothing but clouds are left out.
    assert!(10.0 < chips[0] && chips[0] < chips[1], "{chips:?}");
}
