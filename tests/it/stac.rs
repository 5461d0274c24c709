//! Items of STAC catalogues, in the words of 1.0 and of 1.1, against the
//! numbers written into their files.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wysiwyh::sensor::{Options, open};
use wysiwyh::{Frame, Profile, Unit};

use crate::cli::{names_in, program, text};
use crate::product::geotiff;
use crate::skipped::skipped;

/// Bands as a catalogue of Sentinel-2 names them, in no order: name, common
/// name, centre in micrometres, and the name in the profile.
const BANDS: [(&str, &str, f64, &str); 12] = [
    ("swir22", "swir22", 2.190, "B12"),
    ("red", "red", 0.665, "B04"),
    ("rededge2", "rededge", 0.740, "B06"),
    ("rededge1", "rededge", 0.704, "B05"),
    ("rededge3", "rededge", 0.783, "B07"),
    ("blue", "blue", 0.490, "B02"),
    ("nir", "nir", 0.842, "B08"),
    ("nir08", "nir08", 0.865, "B8A"),
    ("nir09", "nir09", 0.945, "B09"),
    ("green", "green", 0.560, "B03"),
    ("swir16", "swir16", 1.610, "B11"),
    ("coastal", "coastal", 0.443, "B01"),
];

/// Bands of the profile `sentinel2-l2a`, in its order.
const LISTED: [&str; 12] =
    ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"];

fn stored(position: usize, row: usize, column: usize) -> u16 {
    if (row, column) == (3, 5) { 0 } else { (2000 + 100 * position + 7 * row + column) as u16 }
}

/// An item whose files lie in `folder`, with hrefs that begin with `root`;
/// bands as STAC 1.1 has them if `new`.
fn item(folder: &Path, root: &str, id: &str, new: bool) -> Value {
    let mut assets = json!({
        "visual": { "href": format!("{root}visual.tif"), "roles": ["visual"],
            "eo:bands": [{ "name": "red", "common_name": "red" }] },
        "thumbnail": { "href": "thumbnail.png", "roles": ["thumbnail"] },
        "metadata": { "href": "metadata.xml" },
    });
    for (position, (name, common_name, centre, _)) in BANDS.iter().enumerate() {
        let file = format!("{id}-{name}.tif");
        let side = if name.starts_with("swir") { 32 } else { 64 };
        let step = 64 / side;
        geotiff(&folder.join(&file), side, 640.0 / side as f64, 1, |_, row, column| {
            stored(position, row * step, column * step)
        });
        let href = format!("{root}{file}");
        let numbers = json!({ "nodata": 0, "scale": 1e-4, "offset": -0.1 });
        assets[name] = match new {
            false => json!({ "href": href, "roles": ["data", "reflectance"],
                "eo:bands": [{ "name": name, "common_name": common_name,
                    "center_wavelength": centre }],
                "raster:bands": [numbers] }),
            true => json!({ "href": href, "roles": ["data"], "nodata": 0,
                "raster:scale": 1e-4, "raster:offset": -0.1,
                "bands": [{ "name": name, "eo:common_name": common_name,
                    "eo:center_wavelength": centre }] }),
        };
    }
    json!({ "type": "Feature", "stac_version": if new { "1.1.0" } else { "1.0.0" }, "id": id,
        "properties": { "platform": "sentinel-2b", "datetime": "2024-05-06T10:00:00Z" },
        "assets": assets })
}

/// Writes the items called `ids` as one collection.
fn collection(folder: &Path, root: &str, ids: &[&str]) -> PathBuf {
    let items: Vec<Value> =
        ids.iter().enumerate().map(|(at, id)| item(folder, root, id, at % 2 == 1)).collect();
    let path = folder.join("items.json");
    let text = json!({ "type": "FeatureCollection", "features": items }).to_string();
    fs::write(&path, text).unwrap();
    path
}

fn whole(source: &str) -> Frame {
    let profile = Profile::find("sentinel2-l2a").unwrap();
    open(source, Some(&profile), &Options::default()).unwrap().next().unwrap().unwrap()
}

fn assert_reflectance(frame: &Frame) {
    let names: Vec<&str> = frame.bands.iter().map(|band| band.name.as_str()).collect();
    assert_eq!(names, LISTED);
    assert_eq!((frame.rows(), frame.columns()), (64, 64));
    for (band, plane) in frame.bands.iter().zip(frame.data.outer_iter()) {
        assert_eq!(band.unit, Unit::Reflectance);
        let position = BANDS.iter().position(|entry| entry.3 == band.name).unwrap();
        let step = if BANDS[position].0.starts_with("swir") { 2 } else { 1 };
        for ((row, column), &value) in plane.indexed_iter() {
            match stored(position, row / step * step, column / step * step) {
                0 => assert!(value.is_nan()),
                number => {
                    let expected = f64::from(number) * 1e-4 - 0.1;
                    assert!((f64::from(value) - expected).abs() < 1e-6, "{} {value}", band.name);
                }
            }
        }
    }
}

#[test]
fn the_assets_of_an_item_are_one_scene_in_the_bands_of_the_profile() {
    let folder = tempfile::tempdir().unwrap();
    let path = collection(folder.path(), "./", &["old", "new"]);
    for id in ["old", "new"] {
        assert_reflectance(&whole(&format!("{}#{id}", path.display())));
    }
    let alone = folder.path().join("alone.json");
    fs::write(&alone, item(folder.path(), "", "alone", true).to_string()).unwrap();
    assert_reflectance(&whole(alone.to_str().unwrap()));
    let profile = Profile::find("sentinel2-l2a").unwrap();
    let refusal = |source: String| {
        open(&source, Some(&profile), &Options::default()).unwrap_err().to_string()
    };
    let missing = refusal(format!("{}#none", path.display()));
    assert!(missing.ends_with("there is no item of the id none"), "{missing}");
    assert!(refusal(path.display().to_string()).contains("holds 2 items"));
}

#[test]
fn a_collection_is_a_sound_for_each_item_from_a_server_too() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = crate::remote::Server::start(folder.path()) else { return };
    let root = format!("http://127.0.0.1:{}/", server.1);
    let (near, far) = (folder.path().join("near"), folder.path().join("far"));
    for (root, out) in [("", &near), (root.as_str(), &far)] {
        let path = collection(folder.path(), root, &["A", "B"]);
        let output = program()
            .args(["convert", "--sensor", "sentinel2-l2a", "--npy", "-o"])
            .args([out, &path])
            .env_remove("http_proxy")
            .env("no_proxy", "127.0.0.1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let names = names_in(&near);
    assert!(names.contains(&"A.wav".to_owned()) && names.contains(&"B.wav".to_owned()));
    assert_eq!(names_in(&far), names);
    for name in ["A.npy", "B.npy"] {
        assert!(fs::read(near.join(name)).unwrap() == fs::read(far.join(name)).unwrap());
    }
}

#[test]
fn files_of_one_band_each_are_one_scene_and_their_names_say_which() {
    let folder = tempfile::tempdir().unwrap();
    let bands = folder.path().join("bands");
    let number = |at: usize, row: usize, column: usize| (1000 + 100 * at + row + column) as u16;
    for (at, name) in LISTED.iter().enumerate() {
        let file = bands.join(format!("T34SXX_20240506_{name}_10m.tif"));
        geotiff(&file, 64, 10.0, 1, |_, row, column| number(at, row, column));
    }
    // What says that it is no band is none.
    geotiff(&bands.join("T34SXX_20240506_TCI_10m.tif"), 64, 10.0, 3, |_, row, _| row as u16);
    let check = |frame: &Frame| {
        assert_eq!(frame.bands.len(), 12);
        for (band, plane) in frame.bands.iter().zip(frame.data.outer_iter()) {
            let at = LISTED.iter().position(|name| *name == band.name).unwrap();
            let expected = f32::from(number(at, 7, 50)) * 1e-4;
            assert!((plane[(7, 50)] - expected).abs() < 1e-6, "{}: {}", band.name, plane[(7, 50)]);
        }
    };
    check(&whole(bands.to_str().unwrap()));
    let told = program().arg("inspect").arg(&bands).output().unwrap();
    for said in ["sentinel2-l2a", "without T34SXX_20240506_TCI_10m.tif"] {
        assert!(text(&told.stdout).contains(said), "{}", text(&told.stdout));
    }
    fs::remove_file(bands.join("T34SXX_20240506_TCI_10m.tif")).unwrap();
    // Sorted by name, as a shell does: the narrow infrared comes last.
    let mut files: Vec<PathBuf> = names_in(&bands).iter().map(|name| bands.join(name)).collect();
    files.sort();
    let stack = folder.path().join("stack.vrt");
    let mut build = std::process::Command::new("gdalbuildvrt");
    build.args(["-q", "-separate"]).arg(&stack).args(files);
    if !build.status().is_ok_and(|status| status.success()) {
        skipped("gdalbuildvrt is not installed");
        return;
    }
    let frame = whole(stack.to_str().unwrap());
    assert_eq!(frame.bands[11].name, "B8A");
    check(&frame);
    // What is no band of the scene makes it a folder of pictures.
    fs::copy(bands.join("T34SXX_20240506_B02_10m.tif"), bands.join("quality.tif")).unwrap();
    let told = program().arg("inspect").arg(&bands).output().unwrap();
    assert!(text(&told.stdout).contains("13 frames"), "{}", text(&told.stdout));
}

#[test]
fn a_virtual_raster_sounds_like_its_file_and_follows_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    geotiff(&file("a.tif"), 64, 10.0, 12, |band, row, column| (band * row + column) as u16);
    let built = std::process::Command::new("gdalbuildvrt")
        .args(["-q", "v.vrt", "a.tif"])
        .current_dir(&folder)
        .status();
    if !built.is_ok_and(|status| status.success()) {
        skipped("gdalbuildvrt is not installed");
        return;
    }
    let convert = |name: &str| {
        let sensor = ["convert", "--sensor", "sentinel2-l2a", "--npy", "-o"];
        let output = program().args(sensor).args([&file("out"), &file(name)]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    convert("a.tif");
    convert("v.vrt");
    let read = |name: &str| fs::read(file("out").join(name)).unwrap();
    assert!(read("a.npy") == read("v.npy"));
    assert!(convert("v.vrt").contains("1 already there"));
    geotiff(&file("a.tif"), 64, 10.0, 12, |band, row, column| (band * row + column + 9) as u16);
    assert!(convert("v.vrt").starts_with("1 of 1 scenes converted"));
    assert!(read("a.npy") != read("v.npy"));
    fs::remove_file(file("a.tif")).unwrap();
    for verb in [&["inspect"][..], &["convert", "--sensor", "sentinel2-l2a", "-o", "never"]] {
        let output = program().args(verb).arg(file("v.vrt")).current_dir(&folder).output().unwrap();
        let told = text(&output.stderr);
        let lost = format!("v.vrt: refers to {}, which is not there", file("a.tif").display());
        assert!(told.contains(&lost) && told.contains("hint: put it back"), "{verb:?}: {told}");
        assert!(!told.contains("damaged"), "{told}");
    }
}

/// Writes the items of the collection at argument 1 as a table to argument 2,
/// laid out as stac-geoparquet has it.
const AS_TABLE: &str = r#"
import datetime, json, sys
import pyarrow as pa, pyarrow.parquet as pq
rows = []
for item in json.load(open(sys.argv[1]))["features"]:
    row = {**item, **item["properties"]}
    row["datetime"] = datetime.datetime.fromisoformat(row["datetime"].replace("Z", "+00:00"))
    del row["properties"]
    rows.append(row)
pq.write_table(pa.Table.from_pylist(rows), sys.argv[2])
"#;

#[test]
fn a_collection_in_a_table_is_heard_like_the_one_in_json() {
    let Some(python) = crate::python("pyarrow") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = crate::remote::Server::start(folder.path()) else { return };
    let root = format!("http://127.0.0.1:{}/", server.1);
    let table = folder.path().join("items.parquet");
    for root in ["", root.as_str()] {
        let list = collection(folder.path(), root, &["A", "B"]);
        let mut told = std::process::Command::new(&python);
        let output = told.args(["-c", AS_TABLE]).args([&list, &table]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let made = [&list, &table].map(|source| {
            let out = tempfile::tempdir().unwrap();
            let mut convert = program();
            convert.args(["convert", "--sensor", "sentinel2-l2a", "--npy", "-o"]).arg(out.path());
            convert.arg(source).env_remove("http_proxy").env("no_proxy", "127.0.0.1");
            let output = convert.output().unwrap();
            assert!(output.status.success(), "{}", text(&output.stderr));
            ["A.npy", "B.npy"].map(|name| fs::read(out.path().join(name)).unwrap())
        });
        assert!(made[0] == made[1]);
    }
    let source = |id: &str| format!("{}#{id}", table.display());
    let refusal = open(&source("C"), None, &Options::default()).unwrap_err().to_string();
    assert!(refusal.ends_with("there is no item of the id C"), "{refusal}");
    let description = open(&source("A"), None, &Options::default()).unwrap();
    let description = &description.source().description;
    assert!(description.contains("taken 2024-05-06T10:00:00Z"), "{description}");
}
