//! Rasters that are too large to be looked at in full.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use gdal::DriverManager;
use gdal::raster::{Buffer, RasterCreationOptions};
use serde_json::Value;
use wysiwyh::inspect::run;
use wysiwyh::sensor::{Options, open};

use crate::product::geotiff;
use crate::speaker::program;

static NEVER: AtomicBool = AtomicBool::new(false);

/// A raster of 100 000 x 100 000 pixels that keeps no block, but for one in its
/// middle, where there is one.
fn sparse(path: &Path) {
    let driver = DriverManager::get_driver_by_name("GTiff").unwrap();
    let options = ["TILED=YES", "SPARSE_OK=TRUE", "BIGTIFF=YES"];
    let options = RasterCreationOptions::from_iter(options);
    let side = 100_000;
    let file =
        driver.create_with_band_type_with_options::<u8, _>(path, side, side, 1, &options).unwrap();
    file.rasterband(1).unwrap().set_no_data_value(Some(0.0)).unwrap();
    let mut buffer = Buffer::new((1, 1), vec![7]);
    file.rasterband(1).unwrap().write((50_000, 50_000), (1, 1), &mut buffer).unwrap();
}

#[test]
fn a_raster_beyond_all_patience_is_looked_at_in_part() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse.tif");
    sparse(&path);
    let output = Command::new(program()).args(["inspect", "--json"]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((told["rows"].as_u64(), told["frames"].as_u64()), (Some(100_000), Some(1)));
    let share = told["sampled"].as_f64().unwrap();
    assert!(share > 0.001 && share < 0.1, "{share}");
    let looked_at = told["bands"][0]["missing"].as_f64().unwrap();
    assert!((looked_at / 1e10 / share - 1.0).abs() < 0.01, "{looked_at} {share}");
    assert!(told["source"].as_str().unwrap().contains("% of its pixels"), "{told}");
}

#[test]
fn what_is_looked_at_in_part_is_looked_at_all_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ramp.tif");
    geotiff(&path, 1000, 10.0, 2, |band, row, column| (1000 * band + row / 4 + column / 2) as u16);
    let sample = Some(400_000);
    let sensor =
        open(&path.to_string_lossy(), None, &Options { sample, ..Options::default() }).unwrap();
    let share = sensor.source().sampled.unwrap();
    let found = run(sensor, None, &NEVER, &mut |_| {}).unwrap();
    let whole = open(&path.to_string_lossy(), None, &Options::default()).unwrap();
    let whole = run(whole, None, &NEVER, &mut |_| {}).unwrap();
    assert_eq!((whole.source.sampled, whole.pixels), (None, 1_000_000));
    assert_eq!((found.frames, found.georeference), (1, whole.georeference));
    assert!(found.pixels <= 50_000 && found.pixels as f64 / 1e6 == share, "{}", found.pixels);
    for (part, all) in found.statistics.iter().zip(&whole.statistics) {
        assert_eq!(part.count, found.pixels);
        assert!((part.mean - all.mean).abs() < 5.0, "{part:?} {all:?}");
        assert!(part.min >= all.min && part.min - all.min < 100.0, "{part:?} {all:?}");
        assert!(part.max <= all.max && all.max - part.max < 100.0, "{part:?} {all:?}");
    }
}
