//! Sentinel-2 products in the SAFE format, against the numbers written into them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use gdal::{Dataset, DatasetOptions, GdalOpenFlags, Metadata};
use wysiwyh::sensor::raster::Raster;
use wysiwyh::sensor::{Options, Route, Sensor, open};
use wysiwyh::table::Table;
use wysiwyh::{Frame, Profile, Result, Unit};

use crate::data;
use crate::product::{geotiff, whole};
use crate::trip::{array, listen};

/// The number stored for a band of Sentinel-2 here.
fn number(band: &str, row: usize, column: usize) -> u16 {
    match (row, column) {
        (0, 0) => 0,
        (0, 1) => 65535,
        _ => 1000 + band.bytes().map(u16::from).sum::<u16>() + (10 * row + column) as u16,
    }
}

/// A product with the metadata of a real one, and 60 x 60 pixels of 10 m.
pub fn safe(formats: &Path, folder: &Path, level: &str) -> PathBuf {
    let skeleton = formats.join(format!(
        "gdal-autotest/gdrivers/data/sentinel2/fake_l{level}_processing_baseline_5_09"
    ));
    let skeleton = fs::read_dir(skeleton).unwrap().next().unwrap().unwrap().path();
    let product = folder.join(skeleton.file_name().unwrap());
    fs::create_dir_all(&product).unwrap();
    let metadata = format!("MTD_MSIL{}.xml", level.to_uppercase());
    let xml = fs::read_to_string(skeleton.join(&metadata)).unwrap();
    fs::write(product.join(metadata), &xml).unwrap();
    for image in xml.split("<IMAGE_FILE>").skip(1).map(|rest| rest.split('<').next().unwrap()) {
        let name = image.rsplit('/').next().unwrap();
        let words: Vec<&str> = name.split('_').collect();
        let band = words[2];
        let metres = match words.get(3) {
            Some(metres) => metres.trim_end_matches('m').parse().unwrap(),
            None => match band {
                "B02" | "B03" | "B04" | "B08" | "TCI" => 10,
                "B01" | "B09" | "B10" => 60,
                _ => 20,
            },
        };
        let path = product.join(format!("{image}.jp2"));
        geotiff(&path, 600 / metres, metres as f64, 1, |_, row, column| number(band, row, column));
    }
    product
}

/// Whether every reading is what its band's file says at this place.
fn assert_sentinel(frame: &Frame) {
    assert_eq!((frame.rows(), frame.columns()), (60, 60));
    for (band, plane) in frame.bands.iter().zip(frame.data.outer_iter()) {
        let step = match band.name.as_str() {
            "B02" | "B03" | "B04" | "B08" => 1,
            // Level 2A has the coastal band at 20 m, too.
            "B01" if frame.bands.len() == 12 => 2,
            "B01" | "B09" | "B10" => 6,
            _ => 2,
        };
        for ((row, column), &value) in plane.indexed_iter() {
            let expected = match number(&band.name, row / step, column / step) {
                0 | 65535 => f32::NAN,
                stored => ((f64::from(stored) - 1000.0) / 10_000.0) as f32,
            };
            let same = (value - expected).abs() < 1e-6 || (value.is_nan() && expected.is_nan());
            assert!(same, "{} at {row}, {column}: {value}, not {expected}", band.name);
        }
    }
}

const BANDS: [&str; 13] =
    ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"];

#[test]
fn sentinel_2_products_are_reflectance_on_one_grid() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    for level in ["1c", "2a"] {
        let product = safe(&data.join("formats"), folder.path(), level);
        let metadata = product.join(format!("MTD_MSIL{}.xml", level.to_uppercase()));
        for path in [&product, &metadata, &product.join("")] {
            let raster = Raster::open(path, None).unwrap();
            let source = raster.source();
            assert_eq!(
                source.model.as_deref().unwrap(),
                format!("Sentinel-2B MSIL{}", level.to_uppercase())
            );
            let said = &source.description;
            assert!(said.contains("offset -1000 and divisor 10000 of its metadata"), "{said}");
            assert!(said.contains("coarser bands repeat their pixels"), "{said}");
            let names: Vec<&str> = source.bands.iter().map(|b| b.name.as_str()).collect();
            let expected: Vec<&str> =
                BANDS.into_iter().filter(|name| level == "1c" || *name != "B10").collect();
            assert_eq!(names, expected);
            assert!(source.bands.iter().all(|b| b.unit == Unit::Reflectance));
            let wavelengths: Vec<f32> =
                source.bands.iter().map(|b| b.wavelength_um.unwrap()).collect();
            assert!(wavelengths.is_sorted() && wavelengths[0] == 0.4423, "{wavelengths:?}");
            // The widths of Sentinel-2B that ESA publishes, in nanometres.
            for (band, width) in [("B02", 66.0), ("B03", 36.0), ("B04", 31.0), ("B8A", 21.0)] {
                let band = source.bands.iter().find(|b| b.name == band).unwrap();
                assert!((band.fwhm_um.unwrap() * 1000.0 - width).abs() < 1.2, "{band:?}");
            }
            assert_sentinel(&raster.read(0, 0, 60, 60).unwrap());
        }
        // Parts of it, at places that no coarse pixel begins at.
        let raster = Raster::open(&product, None).unwrap();
        let all = raster.read(0, 0, 60, 60).unwrap();
        for (row, column, rows, columns) in [(7, 11, 13, 5), (59, 0, 1, 60), (5, 5, 1, 1)] {
            let part = raster.read(row, column, rows, columns).unwrap();
            let crop = all.data.slice(ndarray::s![.., row..row + rows, column..column + columns]);
            assert!(part.data.iter().zip(crop).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
        let chips: Vec<Frame> = raster.chips(32, Route::Winding).map(Result::unwrap).collect();
        assert_eq!(chips.len(), 4);
        assert_eq!(chips[2].data[(0, 3, 4)], all.data[(0, 35, 36)]);
    }
}

#[test]
fn a_zip_file_of_a_product_is_the_product() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let product = safe(&data.join("formats"), folder.path(), "2a");
    let archive = folder.path().join("product.zip");
    zip(&archive, folder.path(), &product);
    assert_sentinel(&whole(&archive));
    assert_sentinel(&whole(format!("/vsizip/{}", archive.display())));
    let inside = format!("/vsizip/{}/{}", archive.display(), name_of(&product));
    assert_sentinel(&whole(&inside));
    let sensor = open(&archive.to_string_lossy(), None, &Options::default()).unwrap();
    assert_eq!(sensor.source().model.as_deref(), Some("Sentinel-2B MSIL2A"));
    fs::write(&archive, b"PK\x03\x04 and nothing").unwrap();
    assert!(open(&archive.to_string_lossy(), None, &Options::default()).is_err());
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Stores the files below `folder` in a zip file without compression, under
/// names relative to `root`.
fn zip(archive: &Path, root: &Path, folder: &Path) {
    let (mut body, mut index, mut count) = (Vec::new(), Vec::new(), 0u16);
    let mut pending = vec![folder.to_path_buf()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        let mut crc = flate2::Crc::new();
        crc.update(&bytes);
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        common.extend(crc.sum().to_le_bytes());
        common.extend((bytes.len() as u32).to_le_bytes());
        common.extend((bytes.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        index.extend(b"PK\x01\x02\x14\x00");
        index.extend(&common);
        index.extend([0; 10]);
        index.extend((body.len() as u32).to_le_bytes());
        index.extend(name.as_bytes());
        body.extend(b"PK\x03\x04");
        body.extend(&common);
        body.extend(name.as_bytes());
        body.extend(&bytes);
        count += 1;
    }
    let start = body.len() as u32;
    let mut file = fs::File::create(archive).unwrap();
    file.write_all(&body).unwrap();
    file.write_all(&index).unwrap();
    let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
    end.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    end.extend((index.len() as u32).to_le_bytes());
    end.extend(start.to_le_bytes());
    end.extend([0, 0]);
    file.write_all(&end).unwrap();
}

#[test]
fn a_product_is_a_scene_that_is_heard_and_mapped() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let product = safe(&data.join("formats"), folder.path(), "2a");
    let sounds = folder.path().join("sounds");
    let mut convert = crate::cli::program();
    convert.arg("convert").arg(&product).arg("-o").arg(&sounds).assert().success();
    let files: Vec<PathBuf> =
        fs::read_dir(&sounds).unwrap().map(|entry| entry.unwrap().path()).collect();
    let ends = |ending: &str| files.iter().find(|file| file.extension().unwrap() == ending);
    assert!(ends("wav").is_some(), "{files:?}");
    // The tile begins at 17.87 degrees east, 55.007 degrees north.
    let table = Table::open(ends("parquet").unwrap()).unwrap();
    let chips = table.read(&["bbox"]).unwrap().next().unwrap().unwrap();
    let (west, north) = (chips.numbers("bbox.xmin").unwrap(), chips.numbers("bbox.ymax").unwrap());
    let corner = (west.value(0), north.value(0));
    assert!((corner.0 - 17.87).abs() < 0.01 && (corner.1 - 55.007).abs() < 0.01, "{corner:?}");
}

#[test]
fn a_coarser_product_is_read_from_overviews() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let product = safe(&data.join("formats"), folder.path(), "2a");
    let profile = Profile::find("sentinel2-l2a").unwrap();
    let coarser = |factor: usize| {
        let raster = Raster::open(&product, Some(&profile)).unwrap().coarser(factor);
        let scene = raster.scene(64, Route::Winding);
        assert_eq!((scene.factor, scene.rows), (factor, 60 / factor));
        raster.read(0, 0, scene.rows, scene.columns).unwrap()
    };
    let exact = [2, 3, 6].map(|factor| (factor, coarser(factor)));
    let images = product.join("GRANULE/L2A_T34UCF_A033753_20230823T095553/IMG_DATA/R10m");
    for file in fs::read_dir(images).unwrap().map(|file| file.unwrap().path()) {
        let options = DatasetOptions {
            open_flags: GdalOpenFlags::GDAL_OF_UPDATE,
            ..DatasetOptions::default()
        };
        let mut file = Dataset::open_ex(file, options).unwrap();
        file.build_overviews("AVERAGE", &[2], &[]).unwrap();
        // What is not read from the overviews is other than before.
        let mut band = file.rasterband(1).unwrap();
        let mut numbers = band.read_as::<u16>((0, 0), (60, 60), (60, 60), None).unwrap();
        numbers.data_mut().iter_mut().for_each(|number| *number = number.saturating_add(5000));
        band.write((0, 0), (60, 60), &mut numbers).unwrap();
    }
    for (factor, exact) in exact {
        let coarse = coarser(factor);
        assert_eq!(coarse.georeference, exact.georeference);
        for ((place, &value), exact) in coarse.data.indexed_iter().zip(&exact.data) {
            let band = &*coarse.bands[place.0].name;
            let fine = ["B02", "B03", "B04", "B08"].contains(&band);
            // There lie numbers that mean something else.
            if fine && (place.1, place.2) == (0, 0) {
                continue;
            }
            let due = exact + if fine && factor == 3 { 0.5 } else { 0.0 };
            let same = (value - due).abs() < 6e-5 || (value.is_nan() && due.is_nan());
            assert!(same, "{factor}: {band} at {place:?}: {value}, {due}");
        }
    }
}

#[test]
fn the_offset_is_the_one_that_the_product_states() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let product = safe(&data.join("formats"), folder.path(), "2a");
    let metadata = product.join("MTD_MSIL2A.xml");
    let xml = fs::read_to_string(&metadata).unwrap();
    let linear = |xml: String| {
        fs::write(&metadata, xml).unwrap();
        let raster = Raster::open(&product, None).unwrap();
        let source = raster.source();
        let of = |name| source.bands.iter().find(|b| b.name == name).unwrap();
        let band = |name| (of(name).scale, of(name).offset);
        (band("B03"), band("B8A"), source.description.clone())
    };
    let tag = "<BOA_ADD_OFFSET band_id=\"8\">";
    let (green, nir, said) = linear(xml.replace(&format!("{tag}-1000"), &format!("{tag}-500")));
    assert_eq!((green, nir), ((1e-4, -0.1), (1e-4, -0.05)));
    assert!(said.contains("offsets -1000 to -500"), "{said}");
    let (green, nir, said) = linear(xml.replace("BOA_ADD_OFFSET", "OTHER"));
    assert_eq!((green, nir), ((1e-4, 0.0), (1e-4, 0.0)));
    assert!(said.contains("states no offset"), "{said}");
    // Without the file of a band, the others remain, and it is named.
    fs::write(&metadata, &xml).unwrap();
    let images = product.join("GRANULE/L2A_T34UCF_A033753_20230823T095553/IMG_DATA/");
    for resolution in ["R20m/T34UCF_20230823T095559_B01_20m", "R60m/T34UCF_20230823T095559_B01_60m"]
    {
        fs::remove_file(images.join(format!("{resolution}.jp2"))).unwrap();
    }
    let profile = Profile::find("sentinel2-l2a").unwrap();
    let raster = Raster::open(&product, Some(&profile)).unwrap();
    assert_eq!(raster.source().bands.len(), 11);
    assert!(raster.source().description.contains("no file of B01"));
    fs::remove_dir_all(images).unwrap();
    let error = Raster::open(&product, None).unwrap_err().to_string();
    assert!(error.contains("none of its"), "{error}");
    fs::write(&metadata, xml.replace("BOA_QUANTIFICATION_VALUE", "OTHER")).unwrap();
    let error = Raster::open(&product, None).unwrap_err().to_string();
    assert!(error.contains("states no quantification"), "{error}");
}

#[test]
fn clouds_of_sentinel_2_are_left_out_or_kept() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let product = safe(&data.join("formats"), folder.path(), "2a");
    let class = |row: usize, column: usize| ((row + 5 * column) % 12) as u16;
    let name = "GRANULE/L2A_T34UCF_A033753_20230823T095553/IMG_DATA/R20m/\
                T34UCF_20230823T095559_SCL_20m.jp2";
    geotiff(&product.join(name), 30, 20.0, 1, |_, row, column| class(row, column));
    let profile = Profile::find("sentinel2-l2a").unwrap();
    let open = |keep: bool| {
        let raster = Raster::open(&product, Some(&profile)).unwrap();
        assert!(raster.source().description.contains("; clouds by SCL"));
        if keep { raster.with_clouds() } else { raster }
    };
    let plain = Raster::open(&product, None).unwrap().read(0, 0, 60, 60).unwrap();
    assert_eq!(plain.cloud_fraction, None);
    for keep in [false, true] {
        let frame = open(keep).read(0, 0, 60, 60).unwrap();
        for ((band, row, column), &value) in frame.data.indexed_iter() {
            let hidden = match class(row / 2, column / 2) {
                0 | 1 => true,
                3 | 8 | 9 | 10 => !keep,
                _ => false,
            };
            let due = if hidden { f32::NAN } else { plain.data[(band, row, column)] };
            assert!(value == due || (value.is_nan() && due.is_nan()), "{row} {column}: {value}");
        }
        // Of ten classes that show something, four are clouds.
        assert!((frame.cloud_fraction.unwrap() - 0.4).abs() < 1e-3, "{:?}", frame.cloud_fraction);
        // Coarser pixels are the means of what is left.
        let coarse = open(keep).coarser(4).read(0, 0, 15, 15).unwrap();
        let means = frame.coarser(4);
        for (a, b) in coarse.data.iter().zip(&means.data) {
            assert!((a - b).abs() < 1e-6 || (a.is_nan() && b.is_nan()), "{a} {b}");
        }
    }
    let chips: Vec<Frame> = open(false).chips(20, Route::Hilbert).map(Result::unwrap).collect();
    assert_eq!(chips.len(), 9);
    for chip in &chips {
        let (row, column) = chip.position;
        let alone = open(false).read(row, column, 20, 20).unwrap();
        assert_eq!(chip.cloud_fraction, alone.cloud_fraction);
    }
}

#[test]
fn some_of_its_bands_are_heard_with_the_model_of_all() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [scene, out, back] = ["four.tif", "out", "back"].map(|name| folder.path().join(name));
    let mut copy = Command::new("gdal_translate");
    copy.args(["-q", "-b", "2", "-b", "3", "-b", "4", "-b", "8"]);
    copy.arg(data.join("sentinel2/ssl4eos12_val_0080717_0.tif")).arg(&scene);
    assert!(copy.status().unwrap().success());
    let update = DatasetOptions { open_flags: GdalOpenFlags::GDAL_OF_UPDATE, ..Default::default() };
    let dataset = Dataset::open_ex(&scene, update).unwrap();
    for (index, name) in ["B02", "B03", "B04", "B08"].into_iter().enumerate() {
        dataset.rasterband(index + 1).unwrap().set_description(name).unwrap();
    }
    dataset.close().unwrap();
    let mut convert = Command::new(env!("CARGO_BIN_EXE_wysiwyh"));
    convert.arg("convert").arg(&scene).arg("-o").arg(&out);
    let said = convert.args(["--sensor", "sentinel2-l2a", "--npy"]).output().unwrap();
    let said = String::from_utf8_lossy(&[said.stderr, said.stdout].concat()).into_owned();
    assert!(said.contains("no more than 4 bands of sentinel2-l2a"), "{said}");
    // Without a model by which to find it: the file says whose it is.
    listen(&out.join("four.wav"), &back);
    let [sent, heard] = [out.join("four.npy"), back.join("frames.npy")].map(|path| array(&path));
    assert_eq!(sent.dim(), heard.dim());
    assert_eq!(sent.dim().1, 4);
    // Beyond the edge of the scene there is no reading.
    let errors = sent.iter().zip(&heard).map(|(a, b)| f64::from(a - b).powi(2));
    let errors: Vec<f64> = errors.filter(|error| error.is_finite()).collect();
    assert!(errors.len() > sent.len() / 2);
    let psnr_db = -10.0 * (errors.iter().sum::<f64>() / errors.len() as f64).log10();
    eprintln!("four bands: {psnr_db:.2} dB");
    assert!(psnr_db > 34.0, "{psnr_db}");
}
