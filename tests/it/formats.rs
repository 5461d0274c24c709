//! Formats that only GDAL reads, written by it, and TIFF files with pages that
//! are no pictures.

use std::fs::File;
use std::path::PathBuf;

use gdal::raster::{Buffer, RasterCreationOptions};
use gdal::spatial_ref::SpatialRef;
use gdal::{Dataset, DriverManager, Metadata};
use tiff::encoder::{TiffEncoder, colortype};
use tiff::tags::Tag;
use wysiwyh::sensor::{Options, open};
use wysiwyh::{Frame, Profile};

use crate::skipped::skipped;
use crate::stranger::{only, opened};

/// Columns and rows of the rasters here.
const SIZE: (usize, usize) = (40, 30);

/// The number of a pixel.
fn number(band: usize, row: usize, column: usize) -> f64 {
    (280 + 5 * band + row) as f64 + 0.25 * (column % 8) as f64
}

/// A raster of `bands` bands on a map, in memory.
fn picture(bands: usize) -> Dataset {
    let (columns, rows) = SIZE;
    let driver = DriverManager::get_driver_by_name("MEM").unwrap();
    let mut made = driver.create_with_band_type::<f64, _>("", columns, rows, bands).unwrap();
    made.set_geo_transform(&[10.0, 0.5, 0.0, 50.0, 0.0, -0.5]).unwrap();
    made.set_spatial_ref(&SpatialRef::from_epsg(4326).unwrap()).unwrap();
    for band in 0..bands {
        let numbers = (0..rows * columns).map(|at| number(band, at / columns, at % columns));
        let mut buffer = Buffer::new(SIZE, numbers.collect());
        made.rasterband(band + 1).unwrap().write((0, 0), SIZE, &mut buffer).unwrap();
    }
    made
}

/// A copy of `picture` in the format of the driver called `driver`; `None`, with
/// a line that says so, where this GDAL has none.
fn copy(picture: &Dataset, driver: &str, path: PathBuf, options: &[&str]) -> Option<PathBuf> {
    let Ok(driver) = DriverManager::get_driver_by_name(driver) else {
        skipped(format_args!("this GDAL has no driver {driver}"));
        return None;
    };
    let options = RasterCreationOptions::from_iter(options.iter().copied());
    picture.create_copy(&driver, &path, &options).unwrap().close().unwrap();
    Some(path)
}

/// Whether `frame` shows what [`picture`] does, to `tolerance`.
fn assert_shown(frame: &Frame, bands: usize, tolerance: f64) {
    assert_eq!(frame.data.dim(), (bands, SIZE.1, SIZE.0));
    for ((band, row, column), &value) in frame.data.indexed_iter() {
        let expected = number(band, row, column);
        assert!((f64::from(value) - expected).abs() <= tolerance, "{value} for {expected}");
    }
    let transform = frame.georeference.as_ref().unwrap().transform;
    let expected = [10.0, 0.5, 0.0, 50.0, 0.0, -0.5];
    assert!(transform.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{transform:?}");
}

#[test]
fn grib_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["DATA_ENCODING=IEEE_FLOATING_POINT", "PDS_TEMPLATE_NUMBER=0"];
    let path = folder.path().join("fields.grb2");
    let Some(path) = copy(&picture(3), "GRIB", path, &options) else { return };
    assert_shown(&only(&path), 3, 1e-4);
}

#[test]
fn zarr_stores_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scene.zarr");
    let Some(path) = copy(&picture(2), "Zarr", path, &["COMPRESS=ZLIB"]) else { return };
    assert_shown(&only(&path), 2, 0.0);
    let path = folder.path().join("one.zarr");
    let Some(path) = copy(&picture(1), "Zarr", path, &[]) else { return };
    assert_shown(&only(&path), 1, 0.0);
}

#[test]
fn a_variable_at_several_times_is_frames() {
    let folder = tempfile::tempdir().unwrap();
    let mut series = picture(3);
    for (key, value) in [
        ("NETCDF_DIM_EXTRA", "{time}"),
        ("NETCDF_DIM_time_DEF", "{3,6}"),
        ("NETCDF_DIM_time_VALUES", "{0,1,2}"),
        ("time#units", "days since 2020-01-01"),
        ("lst#units", "K"),
    ] {
        series.set_metadata_item(key, value, "").unwrap();
    }
    for band in 1..=3 {
        series.rasterband(band).unwrap().set_metadata_item("NETCDF_VARNAME", "lst", "").unwrap();
    }
    let path = folder.path().join("series.nc");
    let Some(path) = copy(&series, "netCDF", path, &[]) else { return };
    let known = Profile::find("hituav-lwir").unwrap();
    for profile in [None, Some(&known)] {
        let name = path.to_string_lossy();
        let sensor = open(&name, profile, &Options::default()).unwrap();
        assert_eq!((sensor.source().frames, sensor.source().bands.len()), (Some(3), 1));
        let frames: Vec<Frame> = sensor.collect::<wysiwyh::Result<_>>().unwrap();
        for (at, frame) in frames.iter().enumerate() {
            assert_eq!(frame.data.dim(), (1, SIZE.1, SIZE.0));
            let expected = number(at, 7, 3) as f32;
            assert!(frame.data.iter().any(|&value| value == expected), "{expected}");
            assert!((frame.time_s - 0.1 * at as f64).abs() < 1e-9);
            let lowest = frame.data.iter().copied().fold(f32::INFINITY, f32::min);
            assert_eq!(lowest, number(at, 0, 0) as f32);
        }
        assert_eq!(frames.len(), 3);
    }
}

/// Writes a grey page of `columns` by `rows` pixels that begins at `first`; a
/// reduced copy is marked as such.
fn page(
    encoder: &mut TiffEncoder<File>,
    (columns, rows): (u32, u32),
    first: u16,
    is_preview: bool,
) {
    let mut image = encoder.new_image::<colortype::Gray16>(columns, rows).unwrap();
    image.encoder().write_tag(Tag::NewSubfileType, u32::from(is_preview)).unwrap();
    let numbers: Vec<u16> = (0..columns * rows).map(|at| first + at as u16).collect();
    image.write_data(&numbers).unwrap();
}

#[test]
fn previews_are_no_pictures_wherever_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, small) = ((24, 16), (6, 4));
    for (name, pages) in [
        ("behind.tif", vec![(whole, false), (small, true)]),
        ("before.tif", vec![(small, true), (whole, false)]),
        ("each.tif", vec![(whole, false), (small, true), (whole, false), (small, true)]),
        ("first.tif", vec![(small, true), (whole, false), (whole, false)]),
    ] {
        let path = folder.path().join(name);
        let mut encoder = TiffEncoder::new(File::create(&path).unwrap()).unwrap();
        let mut expected = Vec::new();
        for (at, &(size, is_preview)) in pages.iter().enumerate() {
            page(&mut encoder, size, 1000 * at as u16, is_preview);
            expected.extend((!is_preview).then_some((1000 * at) as f32));
        }
        drop(encoder);
        let sensor = opened(&path);
        assert_eq!(sensor.source().frames, Some(expected.len()), "{name}");
        let frames: Vec<Frame> = sensor.collect::<wysiwyh::Result<_>>().unwrap();
        let found: Vec<f32> = frames.iter().map(|frame| frame.data[(0, 0, 0)]).collect();
        assert_eq!(found, expected, "{name}");
        assert!(frames.iter().all(|frame| frame.data.dim() == (1, 16, 24)), "{name}");
    }
}
