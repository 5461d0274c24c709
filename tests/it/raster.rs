//! Rasters of every layout against independent readers: sums made by another
//! program, the crate `tiff`, raw bytes, and GDAL's own command line tools.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{Array3, Axis, s};
use tiff::decoder::{Decoder, DecodingResult, Limits};
use wysiwyh::sensor::raster::Raster;
use wysiwyh::sensor::{Route, Sensor};
use wysiwyh::{Frame, Profile, Unit};

use crate::data;

/// Rasters of many layouts: plain, by line, in tiles, with a mask, with holes.
pub const LAYOUTS: [&str; 5] = [
    "sentinel2/ssl4eos12_val_0080717_0.tif",
    "formats/plantcv/corn-kernel-hyperspectral.raw",
    "formats/generated-tiff-matrix/u16_13b_band_tiled_deflate.tif",
    "formats/generated-tiff-matrix/u16_13b_internal_mask.tif",
    "formats/generated-tiff-matrix/u16_13b_sparse_tiles.tif",
];

fn formats() -> Option<PathBuf> {
    Some(data()?.join("formats"))
}

fn expected(formats: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(formats.join("EXPECTED.json")).unwrap()).unwrap()
}

pub fn whole(path: impl AsRef<Path>, profile: Option<&Profile>) -> Frame {
    Raster::open(&path, profile).unwrap().next().unwrap().unwrap()
}

/// Sum of all readings, missing ones left out.
fn sum(frame: &Frame) -> f64 {
    frame.data.iter().filter(|v| !v.is_nan()).map(|&v| f64::from(v)).sum()
}

fn assert_close(a: f64, b: f64, relative: f64) {
    assert!((a - b).abs() <= relative * b.abs().max(1e-12), "{a} against {b}");
}

/// Stored numbers of a TIFF page as `[band, row, column]`, by the crate
/// `tiff`; only for files whose samples are interleaved.
fn stored(path: &Path, page: usize) -> Array3<f64> {
    let mut decoder = Decoder::new(fs::File::open(path).unwrap()).unwrap();
    decoder = decoder.with_limits(Limits::unlimited());
    decoder.seek_to_image(page).unwrap();
    let (columns, rows) = decoder.dimensions().unwrap();
    let bands = usize::from(decoder.colortype().unwrap().num_samples());
    let samples: Vec<f64> = match decoder.read_image().unwrap() {
        DecodingResult::U8(v) => v.into_iter().map(f64::from).collect(),
        DecodingResult::U16(v) => v.into_iter().map(f64::from).collect(),
        DecodingResult::I16(v) => v.into_iter().map(f64::from).collect(),
        DecodingResult::F32(v) => v.into_iter().map(f64::from).collect(),
        _ => panic!("unexpected sample type in {}", path.display()),
    };
    let interleaved = Array3::from_shape_vec((rows as usize, columns as usize, bands), samples);
    interleaved.unwrap().permuted_axes([2, 0, 1]).as_standard_layout().into_owned()
}

fn assert_readings(frame: &Frame, readings: &Array3<f64>) {
    assert_eq!(frame.data.dim(), readings.dim());
    for (at, &reading) in readings.indexed_iter() {
        let read = f64::from(frame.data[at]);
        let same = (read.is_nan() && reading.is_nan())
            || (read - reading).abs() <= 1e-6 * reading.abs().max(1e-3);
        assert!(same, "{read} instead of {reading} at {at:?}");
    }
}

#[test]
fn every_layout_and_compression_reads_the_same_numbers() {
    let Some(formats) = formats() else { return };
    let table = expected(&formats);
    let matrix = table["generated_tiff_matrix"].as_object().unwrap();
    assert_eq!(matrix.len(), 21);
    for (name, entry) in matrix {
        let path = formats.join(name);
        let frame = whole(&path, None);
        let number = |key: &str| entry[key].as_u64().unwrap() as usize;
        let shape = (number("samples"), number("height"), number("width"));
        assert_eq!(frame.data.dim(), shape, "{name}");
        let mut total = sum(&frame);
        if name.contains("scale_offset_nodata") {
            let valid = frame.data.iter().filter(|v| !v.is_nan()).count() as f64;
            total = (total + 0.1 * valid) / 1e-4;
            assert_eq!((frame.bands[0].scale, frame.bands[0].offset), (1e-4, -0.1));
        }
        let expected = entry["sum_all_samples"].as_f64().unwrap();
        assert_close(total, expected, 1e-7);
    }
}

#[test]
fn real_stacks_agree_with_a_second_reader() {
    let Some(formats) = formats() else { return };
    for (name, shape) in expected(&formats)["stacks"].as_object().unwrap() {
        let frame = whole(formats.join(name), None);
        let mut sizes: Vec<u64> =
            shape["shape"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect();
        let (bands, rows, columns) = frame.data.dim();
        // The EnMAP tile marks six of its bands as bad.
        let left_out = if name.starts_with("enmap") { 6 } else { 0 };
        let mut found = vec![(bands + left_out) as u64, rows as u64, columns as u64];
        sizes.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, sizes, "{name}");
        if left_out == 0 {
            assert_readings(&frame, &stored(&formats.join(name), 0));
        }
    }
}

/// What rasterio, with a GDAL of its own, makes of `files`: one table each.
/// Where it is not installed, a line says that the test was skipped.
fn rasterio(files: &[PathBuf]) -> Option<Vec<serde_json::Value>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/second_reader.py");
    let mut python = std::process::Command::new(crate::python("rasterio")?);
    let output = python.arg(script).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn every_band_agrees_with_rasterio() {
    let Some(formats) = formats() else { return };
    let table = expected(&formats);
    let named = ["stacks", "generated_tiff_matrix"];
    let mut files: Vec<PathBuf> = named
        .iter()
        .flat_map(|group| table[group].as_object().unwrap().keys())
        .map(|name| formats.join(name))
        .collect();
    files.extend(
        [
            "plantcv/corn-kernel-hyperspectral.raw",
            "rio-tiler/cog_scale.tif",
            "gdal-autotest/gdrivers/data/hdf5/scale_offset.h5",
            "georust-gdal/offset_scaled_tinymarble.tif",
            "landsat/LC08_L2SP_008059_20191201_20200825_02_T1_ST_B10.TIF",
            "gdal-autotest/gdrivers/data/envi/uint16_envi_bigendian.dat",
            "gdal-autotest/gdrivers/data/envi/envi_rgbsmall_bil.img",
            "gdal-autotest/gdrivers/data/envi/envi_rgbsmall_bip.img",
        ]
        .map(|name| formats.join(name)),
    );
    let Some(others) = rasterio(&files) else { return };
    assert_eq!(others.len(), files.len());
    for (file, other) in files.iter().zip(&others) {
        let name = file.display();
        let frame = whole(file, None);
        let size = (frame.rows() as u64, frame.columns() as u64);
        assert_eq!(
            (other["height"].as_u64(), other["width"].as_u64()),
            (Some(size.0), Some(size.1))
        );
        let bands = other["bands"].as_array().unwrap().iter();
        let bands: Vec<_> =
            bands.filter(|band| band["bad"] != true && band["alpha"] != true).collect();
        assert_eq!(frame.bands.len(), bands.len(), "{name}");
        for ((band, plane), other) in frame.bands.iter().zip(frame.data.outer_iter()).zip(bands) {
            let figure = |key: &str| other[key].as_f64().unwrap();
            let valid = || plane.iter().filter(|v| !v.is_nan()).map(|&v| f64::from(v));
            assert_eq!(valid().count() as f64, figure("count"), "{name} {}", band.name);
            assert_eq!((band.scale, band.offset), (figure("scale"), figure("offset")), "{name}");
            let sum = figure("sum") * band.scale + figure("count") * band.offset;
            let close = (valid().sum::<f64>() - sum).abs() <= 1e-6 * sum.abs().max(1e-3);
            assert!(close, "{name} {}: {} not {sum}", band.name, valid().sum::<f64>());
            let nanometres =
                |key: &str| Some(other[key].as_str()?.parse::<f32>().unwrap() / 1000.0);
            for (own, other) in
                [(band.wavelength_um, nanometres("wavelength")), (band.fwhm_um, nanometres("fwhm"))]
            {
                let Some(other) = other else { continue };
                assert!((own.unwrap() - other).abs() < 1e-6, "{name} {}", band.name);
            }
        }
    }
}

#[test]
fn an_enmap_tile_says_its_wavelengths_and_leaves_bad_bands_out() {
    let Some(formats) = formats() else { return };
    let path = formats.join("enmap-potsdam/enmap_potsdam_tile_96_96.tif");
    let mut raster = Raster::open(&path, None).unwrap();
    assert!(raster.source().description.contains("218 bands and 6 left out"));
    let frame = raster.next().unwrap().unwrap();
    let band = &frame.bands[0];
    assert_eq!((band.wavelength_um, band.fwhm_um), (Some(0.41824), Some(0.00699561)));
    assert_eq!((band.scale, band.offset, band.unit), (1e-4, 0.0, Unit::Counts));
    let wavelengths: Vec<f32> = frame.bands.iter().map(|b| b.wavelength_um.unwrap()).collect();
    assert!(wavelengths.iter().all(|w| (0.41..2.45).contains(w)));
    let red = frame.bands.iter().position(|b| b.common_name.as_deref() == Some("red")).unwrap();
    assert!((wavelengths[red] - 0.665).abs() < 0.005);
    // Planar 32-bit floats without compression: the first band begins the data.
    let values = stored_floats(&path, 32 * 32);
    let expected: Vec<f32> = values
        .iter()
        .map(|&v| if v == -32768.0 { f32::NAN } else { (f64::from(v) * 1e-4) as f32 })
        .collect();
    let read: Vec<f32> = frame.data.index_axis(Axis(0), 0).iter().copied().collect();
    assert!(read.iter().zip(&expected).all(|(a, b)| a == b || (a.is_nan() && b.is_nan())));
}

/// The first plane of a planar TIFF of 32-bit floats, by the crate `tiff`.
fn stored_floats(path: &Path, count: usize) -> Vec<f32> {
    let mut decoder = Decoder::new(fs::File::open(path).unwrap()).unwrap();
    match decoder.read_chunk(0).unwrap() {
        DecodingResult::F32(values) => values[..count].to_vec(),
        _ => panic!("not 32-bit floats"),
    }
}

#[test]
fn an_envi_cube_of_580_bands_equals_its_raw_bytes() {
    let Some(formats) = formats() else { return };
    let path = formats.join("plantcv/corn-kernel-hyperspectral.raw");
    let frame = whole(&path, None);
    assert_eq!(frame.data.dim(), (580, 31, 43));
    assert_eq!(frame.bands[0].wavelength_um, Some(0.366551));
    assert_eq!(frame.bands[579].wavelength_um, Some(1.048421));
    // Lines of all bands: [row, band, column], little-endian.
    let bytes = fs::read(&path).unwrap();
    let lines: Vec<f64> =
        bytes.chunks_exact(2).map(|b| f64::from(u16::from_le_bytes([b[0], b[1]]))).collect();
    let lines = Array3::from_shape_vec((31, 580, 43), lines).unwrap();
    assert_readings(&frame, &lines.permuted_axes([1, 0, 2]));
}

#[test]
fn scale_offset_and_nodata_of_the_file_are_applied() {
    let Some(formats) = formats() else { return };
    let path = formats.join("rio-tiler/cog_scale.tif");
    let mut readings = stored(&path, 0);
    for (band, (scale, offset)) in [(1e-4, 1000.0), (1e-3, 2000.0)].into_iter().enumerate() {
        let apply = |v: f64| if v == 0.0 { f64::NAN } else { v * scale + offset };
        readings.index_axis_mut(Axis(0), band).mapv_inplace(apply);
    }
    assert_readings(&whole(&path, None), &readings);
    let path = formats.join("georust-gdal/offset_scaled_tinymarble.tif");
    let frame = whole(&path, None);
    assert_readings(&frame, &stored(&path, 0).mapv(|v| v * 1.2 + 12.0));
    let colours: Vec<_> = frame.bands.iter().map(|b| b.common_name.clone().unwrap()).collect();
    assert_eq!(colours, ["red", "green", "blue"]);
}

#[test]
fn a_profile_turns_sentinel_2_numbers_into_reflectance() {
    let Some(data) = data() else { return };
    let profile = Profile::find("sentinel2-l2a").unwrap();
    for entry in fs::read_dir(data.join("sentinel2")).unwrap() {
        let path = entry.unwrap().path();
        let frame = whole(&path, Some(&profile));
        assert_readings(&frame, &stored(&path, 0).mapv(|v| v / 10_000.0));
        assert_eq!((frame.bands[8].name.as_str(), frame.bands[8].unit), ("B8A", Unit::Reflectance));
        assert_eq!(frame.bands[8].wavelength_um, Some(0.8647));
        let place = frame.georeference.unwrap();
        assert_eq!(place.transform, [-0.5, 1.0, 0.0, -0.5, 0.0, 1.0]);
        assert!(place.crs_wkt.contains("UTM zone"));
    }
    let thirteen = data.join("formats/terramind/S2L1C/38D_378R_2_3.tif");
    let error = Raster::open(thirteen, Some(&profile)).unwrap_err();
    assert!(error.to_string().contains("13") && error.to_string().contains("12"), "{error}");
}

#[test]
fn landsat_bands_stacked_by_a_vrt_are_reflectance() {
    let Some(formats) = formats() else { return };
    let folder = tempfile::tempdir().unwrap();
    let vrt = folder.path().join("stack.vrt");
    let bands: String = (1..=7)
        .map(|band| {
            let file = format!("landsat/LC08_L2SP_008059_20191201_20200825_02_T1_SR_B{band}.TIF");
            format!(
                "<VRTRasterBand dataType=\"UInt16\" band=\"{band}\"><NoDataValue>0</NoDataValue>\
                 <Description>SR_B{band}</Description><SimpleSource><SourceFilename>{}\
                 </SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>",
                formats.join(file).display()
            )
        })
        .collect();
    let text = format!("<VRTDataset rasterXSize=\"512\" rasterYSize=\"512\">{bands}</VRTDataset>");
    fs::write(&vrt, text).unwrap();
    let listed: String = (1..=7)
        .map(|b| {
            format!(
                "[[bands]]\nname=\"SR_B{b}\"\nunit=\"reflectance\"\nscale=2.75e-5\noffset=-0.2\n"
            )
        })
        .collect();
    let text = format!("name=\"l\"\ntitle=\"l\"\nsource=\"scene\"\ntested=\"file\"\n{listed}");
    let profile = Profile::parse(&text, Path::new("l.toml")).unwrap();
    let frame = whole(&vrt, Some(&profile));
    let table = expected(&formats);
    for (band, plane) in frame.bands.iter().zip(frame.data.outer_iter()) {
        let figures = &table["landsat_L2SP_008059"][band.name.as_str()];
        let valid: Vec<f64> = plane.iter().filter(|v| !v.is_nan()).map(|&v| v.into()).collect();
        let mean = valid.iter().sum::<f64>() / valid.len() as f64;
        let figure = |key: &str| figures[key].as_f64().unwrap();
        assert!((mean - figure("phys_mean")).abs() < 1e-5, "{mean} in {}", band.name);
        assert!((valid.len() as f64 / 512.0 / 512.0 - figure("valid_frac")).abs() < 1e-6);
        let least = valid.iter().copied().fold(f64::INFINITY, f64::min);
        assert!((least - figure("phys_min")).abs() < 1e-5, "{least} in {}", band.name);
    }
}

#[test]
fn a_sentinel_2_product_states_its_offset() {
    let Some(formats) = formats() else { return };
    let product = formats.join(
        "gdal-autotest/gdrivers/data/sentinel2/fake_l2a_processing_baseline_5_09/\
         S2B_MSIL2A_20230823T095559_N0509_R122_T34UCF_20230823T124759.SAFE/MTD_MSIL2A.xml",
    );
    let name = format!("SENTINEL2_L2A:{}:20m:EPSG_32634", product.display());
    let profile = Profile::find("sentinel2-l2a").unwrap();
    let raster = Raster::open(name, Some(&profile)).unwrap();
    let names: Vec<_> = raster.source().bands.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(names, ["B05", "B06", "B07", "B8A", "B11", "B12"]);
    for band in raster.source().bands.iter() {
        assert_eq!((band.scale, band.offset, band.unit), (1e-4, -0.1, Unit::Reflectance));
    }
    assert_eq!(raster.source().bands[0].wavelength_um, Some(0.705));
    // Its pixels are 0, which the product declares to be no reading.
    assert_eq!(raster.read(0, 0, 8, 8).unwrap().valid_fraction(), 0.0);
}

#[test]
fn what_is_no_picture_is_refused_by_name() {
    let Some(formats) = formats() else { return };
    let autotest = formats.join("gdal-autotest");
    let container = autotest.join("gdrivers/data/netcdf/fake_EMIT_L2B_MIN.nc");
    let error = Raster::open(&container, None).unwrap_err();
    assert!(error.to_string().ends_with("has no bands of its own"), "{error}");
    assert!(error.advice().unwrap().contains(":some_var"));
    let refused = |path: PathBuf| Raster::open(path, None).unwrap_err().to_string();
    assert!(refused(autotest.join("gcore/data/cfloat32.tif")).contains("complex numbers"));
    let emit = autotest.join("gdrivers/data/netcdf/fake_EMIT_L2A.nc");
    let inside = format!("NETCDF:\"{}\":reflectance", emit.display());
    assert!(refused(inside.into()).contains("scan lines"));
    assert!(refused(formats.join("missing.tif")).contains("No such file"));
    assert!(refused(formats.join("EXPECTED.json")).contains("not recognized"));
}

#[test]
fn hdf5_lists_give_each_band_its_wavelength() {
    let Some(formats) = formats() else { return };
    let path = formats.join("gdal-autotest/gdrivers/data/hdf5/fwhm.h5");
    let raster = Raster::open(path, None).unwrap();
    let spectrum: Vec<_> =
        raster.source().bands.iter().map(|b| (b.wavelength_um, b.fwhm_um)).collect();
    assert_eq!(spectrum, [(Some(0.3), Some(0.01)), (Some(0.4), Some(0.02))]);
}

#[test]
fn transparent_pixels_are_no_readings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alpha.png");
    let picture = image::RgbaImage::from_fn(5, 3, |x, y| {
        image::Rgba([x as u8, y as u8, 7, if x == 2 { 0 } else { 128 }])
    });
    picture.save(&path).unwrap();
    let frame = whole(&path, None);
    let reading = |(band, row, column): (usize, usize, usize)| match (band, column) {
        (_, 2) => f64::NAN,
        (0, _) => column as f64,
        (1, _) => row as f64,
        _ => 7.0,
    };
    assert_readings(&frame, &Array3::from_shape_fn((3, 3, 5), reading));
}

#[test]
fn masks_hold_for_all_bands_or_for_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let save = |name: &str, value: fn(u32, u32) -> u8| {
        let picture = image::GrayImage::from_fn(4, 3, |x, y| image::Luma([value(x, y)]));
        picture.save(folder.path().join(name)).unwrap();
    };
    save("picture.png", |x, y| (10 * y + x) as u8);
    save("left.png", |x, _| if x == 0 { 0 } else { 255 });
    save("top.png", |_, y| if y == 0 { 0 } else { 255 });
    let source = |name: &str| {
        format!(
            "<SimpleSource><SourceFilename relativeToVRT=\"1\">{name}</SourceFilename>\
             <SourceBand>1</SourceBand></SimpleSource>"
        )
    };
    let mask = |name: &str| {
        let band = format!("<VRTRasterBand dataType=\"Byte\">{}</VRTRasterBand>", source(name));
        format!("<MaskBand>{band}</MaskBand>")
    };
    let band = |number: u8, mask: &str| {
        let source = source("picture.png");
        format!("<VRTRasterBand dataType=\"Byte\" band=\"{number}\">{source}{mask}</VRTRasterBand>")
    };
    let masks = [mask("left.png"), mask("top.png")];
    for (name, bands, shared, missing) in [
        ("shared", [band(1, ""), band(2, "")], &masks[0][..], [true, true]),
        ("own", [band(1, &masks[0]), band(2, &masks[1])], "", [true, false]),
    ] {
        let path = folder.path().join(format!("{name}.vrt"));
        let [first, second] = bands;
        let text = format!(
            "<VRTDataset rasterXSize=\"4\" rasterYSize=\"3\">{first}{second}{shared}</VRTDataset>"
        );
        fs::write(&path, text).unwrap();
        let reading = |(band, row, column): (usize, usize, usize)| {
            let masked = if missing[band] { column == 0 } else { row == 0 };
            if masked { f64::NAN } else { (10 * row + column) as f64 }
        };
        assert_readings(&whole(&path, None), &Array3::from_shape_fn((2, 3, 4), reading));
    }
}

#[test]
fn windows_are_crops_of_the_whole() {
    let Some(data) = data() else { return };
    for name in LAYOUTS {
        let raster = Raster::open(data.join(name), None).unwrap();
        let (rows, columns) = (raster.rows(), raster.columns());
        let all = raster.read(0, 0, rows, columns).unwrap();
        for (row, column, height, width) in
            [(0, 0, 1, 1), (5, 3, 17, 30), (rows - 9, columns - 11, 9, 11), (3, 0, 20, columns)]
        {
            let window = raster.read(row, column, height, width).unwrap();
            let crop = all.data.slice(s![.., row..row + height, column..column + width]);
            let same = |(a, b): (&f32, &f32)| a == b || (a.is_nan() && b.is_nan());
            assert!(window.data.iter().zip(crop.iter()).all(same), "{name}");
            assert_eq!(window.position, (row, column));
            let corner = all.georeference.as_ref().map(|g| g.locate(row as f64, column as f64));
            let placed = window.georeference.as_ref().map(|g| g.locate(0.0, 0.0));
            assert_eq!(placed, corner);
        }
        for (row, column, height, width) in [(0, 0, 0, 1), (rows, 0, 1, 1), (1, 0, rows, 1)] {
            assert!(raster.read(row, column, height, width).is_err());
        }
        assert!(raster.read(usize::MAX, 0, 2, 1).is_err());
    }
}

#[test]
fn chips_cover_every_pixel_once_and_touch_their_neighbours() {
    let Some(data) = data() else { return };
    let path = data.join("sentinel2/ssl4eos12_val_0121563_1.tif");
    let all = whole(&path, None);
    for chip in [64, 100, 300] {
        let chips = Raster::open(&path, None).unwrap().chips(chip, Route::Winding);
        let source = chips.source().clone();
        let scene = source.scene.unwrap();
        assert_eq!((scene.rows, scene.columns, scene.chip), (264, 264, chip));
        let chips: Vec<Frame> = chips.map(Result::unwrap).collect();
        assert_eq!(Some(chips.len()), source.frames);
        assert_eq!(chips.len(), 264usize.div_ceil(chip).pow(2));
        let mut covered = HashMap::new();
        for frame in &chips {
            assert_eq!(frame.data.dim(), (12, chip, chip));
            let (row, column) = frame.position;
            let corner = scene.georeference.as_ref().unwrap().locate(row as f64, column as f64);
            assert_eq!(frame.georeference.as_ref().unwrap().locate(0.0, 0.0), corner);
            for ((band, r, c), &value) in frame.data.indexed_iter() {
                match all.data.get((band, row + r, column + c)) {
                    Some(&reading) => {
                        assert_eq!(value, reading);
                        *covered.entry((row + r, column + c)).or_insert(0) += 1;
                    }
                    None => assert!(value.is_nan()),
                }
            }
        }
        assert_eq!(covered.len(), 264 * 264);
        assert!(covered.values().all(|&count| count == 12));
        for pair in chips.windows(2) {
            let (a, b) = (pair[0].position, pair[1].position);
            assert_eq!(a.0.abs_diff(b.0) + a.1.abs_diff(b.1), chip, "{a:?} then {b:?}");
        }
    }
}

#[test]
fn a_huge_raster_is_read_in_chips_and_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.vrt");
    let band = "<VRTRasterBand dataType=\"UInt16\"/>";
    let size = "rasterXSize=\"2000000\" rasterYSize=\"2000000\"";
    fs::write(&path, format!("<VRTDataset {size}>{band}{band}</VRTDataset>")).unwrap();
    let error = Raster::open(&path, None).unwrap().next().unwrap().unwrap_err();
    assert!(error.to_string().contains("more than the 1024 MiB"), "{error}");
    let mut chips = Raster::open(&path, None).unwrap().chips(64, Route::Winding);
    assert_eq!(chips.source().frames, Some(31250 * 31250));
    assert_eq!(chips.next().unwrap().unwrap().data.sum(), 0.0);
}

#[test]
fn a_file_that_fails_midway_is_an_error() {
    let Some(formats) = formats() else { return };
    let bytes = fs::read(formats.join("generated-tiff-matrix/u16_13b_strip.tif")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("half.tif");
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let raster = Raster::open(&path, None).unwrap();
    assert!(raster.read(0, 0, 1, 40).is_ok());
    assert!(raster.read(0, 0, 37, 40).is_err());
    let mut chips = raster.chips(20, Route::Winding);
    let outcomes: Vec<bool> = chips.by_ref().map(|chip| chip.is_ok()).collect();
    assert_eq!(outcomes.iter().filter(|ok| !**ok).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.last(), Some(&false));
    assert!(chips.next().is_none());
}

/// A VRT is a small text file that may order GDAL to fetch from anywhere.
#[test]
fn a_local_file_does_not_reach_the_network() {
    // As in a program that used GDAL for something else before.
    gdal::DriverManager::register_all();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    for (name, scheme) in [("curl", "/vsicurl/http"), ("http", "http")] {
        let path = folder.path().join(format!("{name}.vrt"));
        let text = format!(
            "<VRTDataset rasterXSize=\"4\" rasterYSize=\"4\"><VRTRasterBand dataType=\"Byte\" \
             band=\"1\"><SimpleSource><SourceFilename>{scheme}://127.0.0.1:{port}/a.tif\
             </SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>\
             </VRTDataset>"
        );
        fs::write(&path, text).unwrap();
        let frame = Raster::open(&path, None).and_then(|raster| raster.read(0, 0, 4, 4));
        assert!(frame.is_err(), "{name}");
        let called = listener.accept();
        assert!(called.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock), "{name}");
    }
}

#[test]
fn hostile_files_read_or_are_refused() {
    let Some(formats) = formats() else { return };
    let mut pending = vec![formats.join("gdal-autotest"), formats.join("image-tiff")];
    let (mut read, mut refused) = (0, 0);
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let outcome = Raster::open(&path, None).and_then(|raster| {
            let (rows, columns) = (raster.rows(), raster.columns());
            // Large ones (real Sentinel-2 sizes) are judged by two corners.
            if rows * columns * raster.source().bands.len() <= 4 << 20 {
                return raster.read(0, 0, rows, columns);
            }
            raster.read(0, 0, rows.min(64), columns.min(64))?;
            raster.read(rows - 1, columns - 1, 1, 1)
        });
        match outcome {
            Ok(frame) => {
                assert!(frame.data.iter().all(|v| !v.is_infinite()), "{}", path.display());
                read += 1;
            }
            Err(error) => {
                assert!(error.to_string().len() > path.as_os_str().len() + 2, "{error}");
                refused += 1;
            }
        }
    }
    assert!(read > 300 && refused > 100, "{read} read, {refused} refused");
}
