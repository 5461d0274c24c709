//! One binary for all integration tests, one module per subject.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panic")]

use std::path::PathBuf;
use std::process::Command;

use skipped::skipped;

#[cfg(feature = "rerun")]
#[path = "it/again.rs"]
mod again;
#[path = "it/archive.rs"]
mod archive;
#[path = "it/cli.rs"]
mod cli;
#[cfg(feature = "gdal")]
#[path = "it/coarser.rs"]
mod coarser;
#[path = "it/completions.rs"]
mod completions;
#[path = "it/cptv.rs"]
mod cptv;
#[path = "it/crafted.rs"]
mod crafted;
#[path = "it/damage.rs"]
mod damage;
#[path = "it/datasets.rs"]
mod datasets;
#[path = "it/faults.rs"]
mod faults;
#[path = "it/flir.rs"]
mod flir;
#[cfg(feature = "gdal")]
#[path = "it/formats.rs"]
mod formats;
#[cfg(feature = "gige")]
#[path = "it/gige.rs"]
mod gige;
#[path = "it/golden.rs"]
mod golden;
#[path = "it/hearing.rs"]
mod hearing;
#[path = "it/inspect.rs"]
mod inspect;
#[path = "it/keys.rs"]
mod keys;
#[path = "it/late.rs"]
mod late;
#[path = "it/licence.rs"]
mod licence;
#[cfg(feature = "gdal")]
#[path = "it/map.rs"]
mod map;
#[path = "it/mutation.rs"]
mod mutation;
#[cfg(feature = "gdal")]
#[path = "it/netcdf.rs"]
mod netcdf;
#[cfg(any(feature = "gige", all(target_os = "linux", feature = "uvc")))]
#[path = "fake/network.rs"]
mod network;
#[path = "it/original.rs"]
mod original;
#[cfg(all(unix, feature = "rerun"))]
#[path = "it/package.rs"]
mod package;
#[cfg(all(unix, feature = "rerun"))]
#[path = "it/plain.rs"]
mod plain;
#[path = "it/practice.rs"]
mod practice;
#[cfg(feature = "gdal")]
#[path = "it/product.rs"]
mod product;
#[path = "fake/pulse.rs"]
mod pulse;
#[cfg(feature = "gdal")]
#[path = "it/raster.rs"]
mod raster;
#[path = "it/raw.rs"]
mod raw;
#[cfg(all(unix, feature = "gdal", feature = "rerun"))]
#[path = "it/readme.rs"]
mod readme;
#[cfg(feature = "rerun")]
#[path = "it/recorder.rs"]
mod recorder;
#[cfg(feature = "gdal")]
#[path = "it/remote.rs"]
mod remote;
#[path = "it/report.rs"]
mod report;
#[path = "it/rig.rs"]
mod rig;
#[cfg(feature = "gdal")]
#[path = "it/sampled.rs"]
mod sampled;
#[cfg(feature = "gdal")]
#[path = "it/scene.rs"]
mod scene;
#[path = "it/sensor.rs"]
mod sensor;
#[cfg(feature = "gdal")]
#[path = "it/sentinel2.rs"]
mod sentinel2;
#[cfg(feature = "rerun")]
#[path = "it/session.rs"]
mod session;
#[path = "fake/skipped.rs"]
mod skipped;
#[path = "it/sound.rs"]
mod sound;
#[path = "it/speaker.rs"]
mod speaker;
#[path = "it/speed.rs"]
mod speed;
#[cfg(feature = "gdal")]
#[path = "it/stac.rs"]
mod stac;
#[cfg(feature = "gdal")]
#[path = "it/stranger.rs"]
mod stranger;
#[path = "it/table.rs"]
mod table;
#[path = "it/train.rs"]
mod train;
#[path = "it/trip.rs"]
mod trip;
#[cfg(all(target_os = "linux", feature = "uvc"))]
#[path = "it/uvc.rs"]
mod uvc;
#[path = "it/watch.rs"]
mod watch;

/// So that a test can forbid allocation where sound is made.
#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;

/// The folder of real data that `WYSIWYH_DATA` names. Where it is unset, a
/// line says that the calling test was skipped, and the test returns.
fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("WYSIWYH_DATA").map(PathBuf::from);
    if folder.is_none() {
        skipped("WYSIWYH_DATA is unset");
    }
    folder
}

/// The Python of the environment that `WYSIWYH_ORACLES` names, with all of
/// `modules`, such as `"rasterio, shapely"`; likewise.
fn python(modules: &str) -> Option<PathBuf> {
    let Some(environment) = std::env::var_os("WYSIWYH_ORACLES") else {
        skipped("WYSIWYH_ORACLES is unset");
        return None;
    };
    let python = PathBuf::from(environment).join("bin/python");
    let import = Command::new(&python).args(["-c", &format!("import {modules}")]).output();
    if import.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    skipped(format_args!("WYSIWYH_ORACLES lacks one of {modules}"));
    None
}

/// Runs a test that misses its data in a process of its own, and reads what the
/// harness shows of it.
#[test]
fn a_test_that_is_skipped_says_so_although_it_passes() {
    let skips = "cptv::counts_and_times_are_those_of_an_independent_decoder";
    for threads in ["1", "2"] {
        let mut tests = Command::new(std::env::current_exe().unwrap());
        tests.args(["--exact", skips, "--test-threads", threads]).env_remove("WYSIWYH_DATA");
        let output = tests.output().unwrap();
        assert!(output.status.success());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, format!("skipped {skips}: WYSIWYH_DATA is unset\n"));
    }
}
