//! Footprints against GDAL's own transformer, and mosaics there and back.

use std::io::Write;
use std::process::{Command, Stdio};

use gdal::spatial_ref::SpatialRef;
use gdal::vector::Geometry;
use ndarray::Axis;
use serde_json::{Value, json};
use wysiwyh::map::{Footprint, Mosaic, footprints};
use wysiwyh::sensor::raster::Raster;
use wysiwyh::sensor::{Route, Scene, Sensor};
use wysiwyh::{Frame, GeoReference, Profile};

use crate::data;
use crate::skipped::skipped;

/// Chips, their positions and the scene of a Landsat band.
fn scene(data: &std::path::Path, chip: usize) -> (Scene, Vec<Frame>, Vec<[u32; 2]>) {
    let path = data.join("formats/landsat/LC08_L2SP_008059_20191201_20200825_02_T1_SR_B4.TIF");
    let chips = Raster::open(path, None).unwrap().chips(chip, Route::Winding);
    let scene = chips.source().scene.clone().unwrap();
    let frames: Vec<Frame> = chips.map(Result::unwrap).collect();
    let position = |f: &Frame| [f.position.0 as u32, f.position.1 as u32];
    let positions = frames.iter().map(position).collect();
    (scene, frames, positions)
}

/// Longitude and latitude of map points, by `gdaltransform`.
fn gdaltransform(crs: &str, points: &[(f64, f64)]) -> Option<Vec<(f64, f64)>> {
    let mut child = Command::new("gdaltransform")
        .args(["-s_srs", crs, "-t_srs", "EPSG:4326", "-output_xy"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let lines: String = points.iter().map(|(x, y)| format!("{x:.6} {y:.6}\n")).collect();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let pair = |line: &str| {
        let (x, y) = line.split_once(' ').unwrap();
        (x.parse().unwrap(), y.trim().parse().unwrap())
    };
    Some(output.lines().map(pair).collect())
}

#[test]
fn footprints_lie_where_gdaltransform_puts_them() {
    let Some(data) = data() else { return };
    let (scene, _, positions) = scene(&data, 200);
    let footprints = footprints(&scene, &positions).unwrap();
    let footprints: Vec<Footprint> = footprints.into_iter().map(Option::unwrap).collect();
    assert_eq!(footprints.len(), 9);
    let map = scene.georeference.as_ref().unwrap();
    for (footprint, [row, column]) in footprints.iter().zip(&positions) {
        let outline = Geometry::from_wkb(&footprint.wkb()).unwrap();
        assert_eq!((outline.geometry_name(), outline.geometry_count()), ("POLYGON".into(), 1));
        let outline = outline.get_geometry(0);
        let corner = |index| (outline.get_point(index).0, outline.get_point(index).1);
        let ring: Vec<[f64; 2]> = (0..5).map(|index| corner(index).into()).collect();
        assert_eq!((ring.len(), ring[0]), (5, ring[4]));
        let area: f64 = ring.windows(2).map(|p| p[0][0] * p[1][1] - p[1][0] * p[0][1]).sum();
        assert!(area > 0.0, "a ring that runs clockwise");
        // The scene ends after 512 pixels, within the third chip.
        let edge = |start: u32| f64::from((start + 200).min(512));
        let corners = [
            (f64::from(*row), f64::from(*column)),
            (edge(*row), f64::from(*column)),
            (edge(*row), edge(*column)),
            (f64::from(*row), edge(*column)),
        ];
        let points = corners.map(|(row, column)| map.locate(row, column));
        let Some(places) = gdaltransform("EPSG:32618", &points) else {
            skipped("gdaltransform is not installed");
            return;
        };
        assert_eq!(places.len(), 4);
        for (corner, place) in ring.iter().zip(places) {
            let off = (corner[0] - place.0).abs().max((corner[1] - place.1).abs());
            assert!(off < 2e-7, "{corner:?} instead of {place:?}");
        }
    }
}

/// What [`place_reader.py`](place_reader.py) makes of the footprints of all
/// chips of `scene`; none, with a line that says so, where its libraries are not
/// installed.
fn second_look(crs: &str, scene: &Scene) -> Option<Value> {
    let python = crate::python("rasterio, shapely")?;
    let starts = |size: usize| (0..size as u32).step_by(scene.chip);
    let positions: Vec<[u32; 2]> = starts(scene.rows)
        .flat_map(|row| starts(scene.columns).map(move |column| [row, column]))
        .collect();
    let places = footprints(scene, &positions).unwrap();
    let places = places.iter().zip(&positions).map(|(place, position)| {
        let wkb = place.as_ref().unwrap().wkb();
        let wkb: String = wkb.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({ "position": position, "wkb": wkb })
    });
    let told = json!({
        "crs": crs,
        "transform": scene.georeference.as_ref().unwrap().transform,
        "rows": scene.rows,
        "columns": scene.columns,
        "chip": scene.chip,
        "footprints": places.collect::<Vec<_>>(),
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/place_reader.py");
    let mut child = Command::new(&python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(told.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn footprints_hold_their_chips_at_poles_and_at_the_antimeridian() {
    // The pole within a chip, on the border of two, at the corner of four; the
    // antimeridian; the whole globe; half of it.
    let scenes = [
        ("EPSG:3413", [-250_000.0, 260_000.0], 1000.0, [512, 512], 64),
        ("EPSG:3031", [-250_000.0, 260_000.0], 1000.0, [512, 512], 64),
        ("EPSG:3413", [-256_000.0, 250_000.0], 1000.0, [512, 512], 64),
        ("EPSG:3031", [-250_000.0, 256_000.0], 1000.0, [512, 512], 64),
        ("EPSG:3413", [-256_000.0, 256_000.0], 1000.0, [512, 512], 64),
        ("EPSG:3413", [-250_000.0, 260_000.0], 1000.0, [512, 512], 512),
        ("EPSG:32601", [300_000.0, 7_000_000.0], 1000.0, [512, 128], 64),
        ("EPSG:4326", [-180.0, 90.0], 0.25, [720, 1440], 64),
        ("EPSG:4326", [-180.0, 90.0], 0.25, [720, 1440], 1440),
        ("EPSG:3413", [-4_000_000.0, 4_000_000.0], 25_000.0, [320, 320], 64),
    ];
    for (crs, [left, top], pixel, [rows, columns], chip) in scenes {
        let crs_wkt = SpatialRef::from_definition(crs).unwrap().to_wkt().unwrap();
        let transform = [left, pixel, 0.0, top, 0.0, -pixel];
        let georeference = Some(GeoReference { transform, crs_wkt });
        let scene = Scene { rows, columns, chip, route: Route::Sweep, factor: 1, georeference };
        let Some(found) = second_look(crs, &scene) else { return };
        assert!(found["points"].as_u64().unwrap() > 15_000, "{found}");
        assert_eq!((&found["invalid"], &found["wrong"]), (&json!(0), &json!(0)), "{scene:?}");
    }
}

#[test]
fn a_mosaic_returns_what_the_chips_held() {
    let Some(data) = data() else { return };
    let profile = Profile::find("sentinel2-l2a").unwrap();
    let path = data.join("sentinel2/ssl4eos12_val_0173706_2.tif");
    let mut raster = Raster::open(&path, Some(&profile)).unwrap();
    let all = raster.next().unwrap().unwrap();
    let chips = raster.chips(64, Route::Winding);
    let (scene, bands) = (chips.source().scene.clone().unwrap(), chips.source().bands.clone());
    let frames: Vec<Frame> = chips.map(Result::unwrap).collect();
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("mosaic.tif");
    let write = |frames: &[Frame]| {
        let mut mosaic = Mosaic::create(&target, &scene, &bands, frames.len()).unwrap();
        for frame in frames {
            let place = [frame.position.0 as u32, frame.position.1 as u32];
            mosaic.place(place, frame.data.view()).unwrap();
        }
        mosaic.finish().unwrap();
    };
    write(&frames);
    let mosaic = Raster::open(&target, None).unwrap().next().unwrap().unwrap();
    assert_eq!(mosaic.data, all.data);
    assert_eq!(mosaic.georeference, all.georeference);
    for (written, band) in mosaic.bands.iter().zip(bands.iter()) {
        assert_eq!((&written.name, written.unit), (&band.name, band.unit));
        assert_eq!((written.wavelength_um, written.fwhm_um), (band.wavelength_um, band.fwhm_um));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    // Half of the chips: the rest is missing, not zero.
    write(&frames[..12]);
    let mosaic = Raster::open(&target, None).unwrap().next().unwrap().unwrap();
    let first = mosaic.data.index_axis(Axis(0), 0);
    assert_eq!(first.iter().filter(|v| !v.is_nan()).count(), 264 * 128 + 2 * 64 * 64);
}

#[test]
fn a_chip_beside_the_disc_of_the_earth_has_no_footprint() {
    let disc = "+proj=geos +h=35785831 +lon_0=-75 +sweep=x +datum=WGS84";
    let crs_wkt = SpatialRef::from_proj4(disc).unwrap().to_wkt().unwrap();
    let step_m = 11e6 / 256.0;
    let transform = [-5.5e6, step_m, 0.0, 5.5e6, 0.0, -step_m];
    let scene = Scene {
        georeference: Some(GeoReference { transform, crs_wkt }),
        ..Scene::new([256, 256], 64, Route::Winding)
    };
    let found = footprints(&scene, &[[0, 0], [64, 64], [128, 192]]).unwrap();
    assert!(found[0].is_none() && found[2].is_none());
    let [west, south, east, north] = found[1].as_ref().unwrap().bounds();
    assert!(west < -100.0 && (east + 75.0).abs() < 1e-6, "{west} to {east}");
    assert!(south.abs() < 1e-6 && north > 20.0, "{south} to {north}");
}

#[test]
fn a_few_chips_of_a_large_scene_make_a_small_mosaic() {
    let scene = Scene::new([100_000, 100_000], 64, Route::Winding);
    let bands = [wysiwyh::Band::new("LWIR", wysiwyh::Unit::Celsius)];
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("mosaic.tif");
    // Zeros are readings.
    let chip = ndarray::Array3::<f32>::zeros((1, 64, 64));
    let mut mosaic = Mosaic::create(&target, &scene, &bands, 2).unwrap();
    mosaic.place([0, 64], chip.view()).unwrap();
    mosaic.place([99_968, 99_968], chip.view()).unwrap();
    mosaic.finish().unwrap();
    // Its directory has 16 bytes for each of 1563 x 1563 tiles.
    assert!(std::fs::metadata(&target).unwrap().len() < 40_000_000);
    let dataset = gdal::Dataset::open(&target).unwrap();
    let band = dataset.rasterband(1).unwrap();
    let read = |x, y| band.read_as::<f32>((x, y), (64, 32), (64, 32), None).unwrap();
    for (x, y, due) in [(0, 0, 0), (64, 0, 2048), (64, 64, 0), (99_936, 99_968, 1024)] {
        let found = read(x, y).data().iter().filter(|value| !value.is_nan()).count();
        assert_eq!(found, due, "{x}, {y}");
    }
}

#[test]
fn an_unfinished_or_impossible_mosaic_leaves_nothing_behind() {
    let scene = Scene::new([100, 90], 64, Route::Winding);
    let bands = [wysiwyh::Band::new("LWIR", wysiwyh::Unit::Celsius)];
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("mosaic.tif");
    let chip = ndarray::Array3::from_elem((1, 64, 64), 20.0f32);
    let mut mosaic = Mosaic::create(&target, &scene, &bands, 4).unwrap();
    mosaic.place([64, 64], chip.view()).unwrap();
    assert!(mosaic.place([100, 0], chip.view()).is_err());
    assert!(mosaic.place([0, 0], ndarray::Array3::zeros((2, 64, 64)).view()).is_err());
    drop(mosaic);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(Mosaic::create(&folder.path().join("none/mosaic.tif"), &scene, &bands, 4).is_err());
    assert!(Mosaic::create(&target, &Scene { rows: 0, ..scene.clone() }, &bands, 4).is_err());
    assert!(Mosaic::create(&target, &scene, &[], 4).is_err());
    // More tiles than so few chips can come from, whatever their size.
    for chip in [0, 64, usize::MAX] {
        let scene = Scene::new([1 << 30, 1 << 30], chip, Route::Winding);
        let error = Mosaic::create(&target, &scene, &bands, 14).unwrap_err().to_string();
        assert!(error.contains("1073741824 x 1073741824 pixels and 1 bands has"), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
