//! Rasters that are heard coarser than they are, against means of their pixels
//! and gdalwarp.

use std::path::Path;
use std::process::Command;

use ndarray::{Array3, s};
use wysiwyh::Frame;
use wysiwyh::sensor::raster::Raster;

use crate::data;
use crate::raster::{LAYOUTS, whole};
use crate::skipped::skipped;

/// The mean over `factor` by `factor` pixels of what has a reading.
fn means(fine: &Frame, factor: usize) -> Array3<f64> {
    let (bands, rows, columns) = fine.data.dim();
    let size = (bands, rows.div_ceil(factor), columns.div_ceil(factor));
    Array3::from_shape_fn(size, |(band, row, column)| {
        let (bottom, right) = ((row + 1) * factor, (column + 1) * factor);
        let cell = s![band, row * factor..bottom.min(rows), column * factor..right.min(columns)];
        let readings = fine.data.slice(cell);
        let readings: Vec<f64> =
            readings.iter().filter(|v| !v.is_nan()).map(|&v| f64::from(v)).collect();
        readings.iter().sum::<f64>() / readings.len() as f64
    })
}

#[test]
fn coarser_pixels_are_means_of_what_has_a_reading() {
    let Some(data) = data() else { return };
    for name in LAYOUTS.into_iter().chain(["formats/terramind/S2L2A/38D_378R_2_3.tif"]) {
        let path = data.join(name);
        let fine = whole(&path, None);
        for factor in [2, 3, 7] {
            let raster = Raster::open(&path, None).unwrap().coarser(factor);
            let (rows, columns) = (raster.rows(), raster.columns());
            let coarse = raster.read(0, 0, rows, columns).unwrap();
            let expected = means(&fine, factor);
            assert_eq!(coarse.data.dim(), expected.dim(), "{name}");
            for ((place, &got), &mean) in coarse.data.indexed_iter().zip(&expected) {
                // Where GDAL averages, it rounds to whole numbers; these have many.
                let half = 0.5 * fine.bands[place.0].scale.abs() + 1e-3 * mean.abs();
                let near = (f64::from(got) - mean).abs() <= half;
                let missing = got.is_nan() && mean.is_nan();
                assert!(near || missing, "{name} / {factor}: {got} at {place:?}, not {mean}");
            }
            // Windows are crops here, too.
            let window = raster.read(1, 2, rows - 1, columns - 2).unwrap();
            let crop = coarse.data.slice(s![.., 1.., 2..]);
            let same = |(a, b): (&f32, &f32)| a == b || (a.is_nan() && b.is_nan());
            assert!(window.data.iter().zip(crop.iter()).all(same), "{name}");
            // Corners stay where they were.
            let corner = |frame: &Frame, row: usize, column: usize| {
                frame.georeference.as_ref().map(|g| g.locate(row as f64, column as f64))
            };
            assert_eq!(corner(&coarse, 3, 2), corner(&fine, 3 * factor, 2 * factor), "{name}");
            assert_eq!(corner(&window, 0, 0), corner(&coarse, 1, 2), "{name}");
        }
    }
}

/// Whole numbers with a hole of nodata, and floats that are no numbers, in
/// tiles, by pixel, as JPEG 2000 and in an ENVI file, against gdalwarp.
#[test]
fn coarser_pixels_are_those_of_gdalwarp() {
    let run = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).output().is_ok_and(|done| done.status.success())
    };
    if !run("gdalwarp", &["--version"]) {
        skipped("gdalwarp is not installed");
        return;
    }
    let Some(data) = data() else { return };
    let source = data.join("sentinel2/ssl4eos12_val_0121563_2.tif");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (holed, source) = (path("holed.tif"), source.to_str().unwrap().to_owned());
    // 261 is no multiple of the factors, and what is dark becomes a hole.
    let window = ["-srcwin", "0", "0", "261", "259", "-b", "3", "-b", "9", "-a_nodata", "700"];
    let place = ["-a_srs", "EPSG:32634", "-a_ullr", "300000", "6102590", "302610", "6100000"];
    let made = run("gdal_translate", &[&["-q"], &window[..], &place, &[&source, &holed]].concat());
    assert!(made);
    let formats: [(&str, &[&str]); 5] = [
        ("u16.tif", &["-co", "TILED=YES", "-co", "BLOCKXSIZE=64", "-co", "BLOCKYSIZE=64"]),
        ("f32.tif", &["-ot", "Float32", "-a_nodata", "nan"]),
        ("a.jp2", &["-of", "JP2OpenJPEG", "-co", "REVERSIBLE=YES", "-co", "QUALITY=100"]),
        ("a.img", &["-of", "ENVI"]),
        ("pixel.tif", &["-co", "INTERLEAVE=PIXEL", "-co", "COMPRESS=DEFLATE"]),
    ];
    let mut compared = 0;
    for (name, options) in formats {
        let here = path(name);
        if !run("gdal_translate", &[&["-q"], options, &[&holed, &here]].concat()) {
            skipped(format_args!("gdal_translate does not write {name}"));
            continue;
        }
        for factor in [2usize, 5] {
            let raster = Raster::open(&here, None).unwrap().coarser(factor);
            let metres = (10 * factor).to_string();
            let warped = path(&format!("{name}-{factor}.tif"));
            let warp = ["-q", "-r", "average", "-tr", &metres, &metres, "-ovr", "NONE"];
            assert!(run("gdalwarp", &[&warp[..], &[&here, &warped]].concat()), "{name}");
            let oracle = whole(&warped, None);
            let (rows, columns) = (259 / factor, 261 / factor);
            let coarse = raster.read(0, 0, rows, columns).unwrap();
            assert_eq!(coarse.bands.len(), 2);
            for ((place, &got), &expected) in
                coarse.data.indexed_iter().zip(oracle.data.slice(s![.., ..rows, ..columns]))
            {
                // It rounds, and moves a mean that is nodata to a number beside.
                let same = (got - expected).abs() <= 2.0 || (got.is_nan() && expected.is_nan());
                assert!(same, "{name} / {factor}: {got} at {place:?}, not {expected}");
            }
            compared += 1;
        }
    }
    assert!(compared >= 4, "{compared}");
}

#[test]
fn overviews_are_used_where_there_are_any() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let driver = gdal::DriverManager::get_driver_by_name("GTiff").unwrap();
    let mut file = driver.create_with_band_type::<u16, _>(&path, 64, 64, 1).unwrap();
    let mut buffer = gdal::raster::Buffer::new((64, 64), (0..64 * 64).collect());
    file.rasterband(1).unwrap().write((0, 0), (64, 64), &mut buffer).unwrap();
    file.build_overviews("AVERAGE", &[4], &[]).unwrap();
    file.close().unwrap();
    let fine = whole(&path, None);
    let coarse = Raster::open(&path, None).unwrap().coarser(4).read(0, 0, 16, 16).unwrap();
    let expected = means(&fine, 4);
    for (got, mean) in coarse.data.iter().zip(&expected) {
        assert!((f64::from(*got) - mean).abs() <= 0.5, "{got}, not {mean}");
    }
}

/// Writes pixels of 0 to 10 to the file at `path`, as numbers of the type `T`, with
/// means of them in an overview.
fn few_numbers<T: gdal::raster::GdalType + Copy + From<u8>>(path: &Path) {
    let driver = gdal::DriverManager::get_driver_by_name("GTiff").unwrap();
    let mut file = driver.create_with_band_type::<T, _>(path, 64, 64, 1).unwrap();
    let pixels = (0..64 * 64).map(|at| T::from(((at * 7919) % 10_007 % 11) as u8)).collect();
    let mut buffer = gdal::raster::Buffer::new((64, 64), pixels);
    file.rasterband(1).unwrap().write((0, 0), (64, 64), &mut buffer).unwrap();
    file.build_overviews("AVERAGE", &[4], &[]).unwrap();
    file.close().unwrap();
}

#[test]
fn means_of_few_whole_numbers_are_exact() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    for write in [few_numbers::<u16>, few_numbers::<i16>, few_numbers::<i32>, few_numbers::<u8>] {
        write(&path);
        let fine = whole(&path, None);
        for factor in [2, 4] {
            let coarse = Raster::open(&path, None).unwrap().coarser(factor);
            let coarse = coarse.read(0, 0, 64 / factor, 64 / factor).unwrap();
            for (got, mean) in coarse.data.iter().zip(&means(&fine, factor)) {
                assert!((f64::from(*got) - mean).abs() <= 1e-5, "{factor}: {got}, not {mean}");
            }
        }
    }
}

#[test]
fn overviews_of_nearest_pixels_and_bytes_are_no_means() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let driver = gdal::DriverManager::get_driver_by_name("GTiff").unwrap();
    let number = |at: usize| (at * 7919) % 10_007;
    let mut file = driver.create_with_band_type::<u16, _>(&path, 64, 64, 1).unwrap();
    let pixels = (0..64 * 64).map(|at| number(at) as u16).collect();
    let mut buffer = gdal::raster::Buffer::new((64, 64), pixels);
    file.rasterband(1).unwrap().write((0, 0), (64, 64), &mut buffer).unwrap();
    file.build_overviews("NEAREST", &[2, 4], &[]).unwrap();
    file.close().unwrap();
    let bytes = folder.path().join("b.tif");
    let file = driver.create_with_band_type::<u8, _>(&bytes, 64, 64, 1).unwrap();
    let pixels = (0..64 * 64).map(|at| (number(at) % 2) as u8).collect();
    let mut buffer = gdal::raster::Buffer::new((64, 64), pixels);
    file.rasterband(1).unwrap().write((0, 0), (64, 64), &mut buffer).unwrap();
    file.close().unwrap();
    for path in [path, bytes] {
        let fine = whole(&path, None);
        let coarse = Raster::open(&path, None).unwrap().coarser(4).read(0, 0, 16, 16).unwrap();
        for (got, mean) in coarse.data.iter().zip(&means(&fine, 4)) {
            assert!((f64::from(*got) - mean).abs() <= 1e-3, "{got}, not {mean}");
        }
    }
}
