//! Files that nobody announced: of no known instrument, or not in the form
//! that their library expects.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use gdal::raster::{Buffer, GdalType, RasterCreationOptions};
use gdal::{DriverManager, Metadata};
use tiff::encoder::colortype::{ColorType, Gray8, Gray16, Gray32Float};
use tiff::encoder::{TiffEncoder, TiffValue, colortype};
use tiff::tags::Tag;
use wysiwyh::sensor::{Options, Sensor, open};
use wysiwyh::voice::recognise;
use wysiwyh::{Frame, Profile, Unit};

use crate::netcdf::{self, Variable};
use crate::product::geotiff;
use crate::speaker::program;
use crate::trip::{array, convert, listen};

/// The file at `path`, opened for whatever it is.
pub fn opened(path: &Path) -> Box<dyn Sensor> {
    open(&path.to_string_lossy(), None, &Options::default()).unwrap()
}

/// The only frame of the file at `path`.
pub fn only(path: &Path) -> Frame {
    let mut sensor = opened(path);
    let frame = sensor.next().unwrap().unwrap();
    assert!(sensor.next().is_none());
    frame
}

fn profile(path: &Path) -> String {
    recognise(&path.to_string_lossy(), &Options::default()).unwrap().name
}

fn run(arguments: &[&Path]) -> String {
    let output = Command::new(program()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn what_no_profile_knows_is_heard_as_its_file_describes_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    geotiff(&at("five.tif"), 96, 10.0, 5, |band, row, column| {
        (300 * band + 7 * row + (row * column) % 251) as u16
    });
    geotiff(&at("one.tif"), 80, 30.0, 1, |_, row, column| (row * column) as u16);
    let grey = |x: u32, y: u32| image::Luma([(2 * x + y) as u8]);
    image::GrayImage::from_fn(60, 40, grey).save(at("grey.png")).unwrap();
    for (name, kind) in [("five.tif", "scene"), ("one.tif", "scene"), ("grey.png", "picture")] {
        let file = at(name);
        assert_eq!(profile(&file), format!("generic-{kind}"), "{name}");
        let sounds = at(&format!("{kind}-{name}"));
        let said = run(&[Path::new("convert"), &file, Path::new("-o"), &sounds]);
        assert!(said.contains(&format!("No model was trained for generic-{kind}")), "{said}");
        let sound = sounds.join(name).with_extension("wav");
        run(&[Path::new("listen"), &sound, Path::new("-o"), &at(&format!("{name}-pictures"))]);
    }
}

#[test]
fn the_header_of_an_envi_file_stands_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let header = "ENVI\nsamples = 3\nlines = 2\nbands = 2\ndata type = 2\ninterleave = bil\n\
                  byte order = 0\nwavelength = {500, 600}\nwavelength units = Nanometers\n";
    let stored: Vec<u8> = (0i16..12).flat_map(i16::to_le_bytes).collect();
    for (header_name, data_name) in
        [("a.hdr", "a.dat"), ("b.img.hdr", "b.img"), ("c.HDR", "c"), ("d.hdr", "d.BIL")]
    {
        fs::write(at(header_name), header).unwrap();
        fs::write(at(data_name), &stored).unwrap();
        let frame = only(&at(header_name));
        assert_eq!(frame.data.dim(), (2, 2, 3));
        assert_eq!((frame.data[(1, 1, 2)], frame.bands[1].wavelength_um), (11.0, Some(0.6)));
    }
    fs::remove_file(at("a.dat")).unwrap();
    let error = open(&at("a.hdr").to_string_lossy(), None, &Options::default()).unwrap_err();
    assert!(error.to_string().contains("header of an ENVI file"), "{error}");
    assert!(error.advice().unwrap().contains("dat"), "{error}");
}

#[test]
fn an_envi_file_that_is_cut_short_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cube.img");
    let header = "ENVI\nsamples = 30\nlines = 20\nbands = 4\ndata type = 12\nheader offset = 7\n\
                  interleave = bsq\nbyte order = 0\n";
    fs::write(path.with_extension("hdr"), header).unwrap();
    fs::write(&path, vec![1; 4807]).unwrap();
    assert_eq!(only(&path).data.dim(), (4, 20, 30));
    fs::write(&path, vec![1; 4806]).unwrap();
    let error = open(&path.to_string_lossy(), None, &Options::default()).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("holds 4806 bytes") && said.contains("take 4807"), "{said}");
}

#[test]
fn as_many_bands_as_sentinel_2_has_are_not_always_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, kind: u8, wavelengths: &str, stored: &[u8]| {
        let path = folder.path().join(name);
        let header = format!(
            "ENVI\nsamples = 3\nlines = 2\nbands = 12\ndata type = {kind}\ninterleave = bsq\n\
             byte order = 0\n{wavelengths}"
        );
        fs::write(path.with_extension("hdr"), header).unwrap();
        fs::write(&path, stored).unwrap();
        path
    };
    let floats: Vec<u8> = (0..72).flat_map(|n| (n as f32 / 100.0).to_le_bytes()).collect();
    let counts: Vec<u8> = (0u16..72).flat_map(|n| (100 * n).to_le_bytes()).collect();
    let steps: Vec<String> = (0..12).map(|n| (400 + 45 * n).to_string()).collect();
    let steps = format!("wavelength = {{{}}}\n", steps.join(", "));
    assert_eq!(profile(&write("other.img", 4, &steps, &floats)), "generic-scene");
    let known = Profile::find("sentinel2-l2a").unwrap();
    for (name, kind, stored) in [("floats.img", 4, floats), ("counts.img", 12, counts)] {
        let path = write(name, kind, "", &stored);
        assert_eq!(profile(&path), "sentinel2-l2a");
        let name = path.to_string_lossy();
        let mut sensor = open(&name, Some(&known), &Options::default()).unwrap();
        let frame = sensor.next().unwrap().unwrap();
        assert_eq!(frame.bands[11].unit, Unit::Reflectance);
        assert!((frame.data[(11, 1, 2)] - 0.71).abs() < 1e-6, "{name}");
    }
}

/// A TIFF file of 12 bands of `kind`, with these descriptions if there are any,
/// whose numbers `value` gives by band and pixel.
fn twelve<T: GdalType + Copy>(path: &Path, names: &[&str], value: impl Fn(usize, usize) -> T) {
    let driver = DriverManager::get_driver_by_name("GTiff").unwrap();
    let file = driver.create_with_band_type::<T, _>(path, 20, 10, 12).unwrap();
    for at in 0..12 {
        let mut band = file.rasterband(at + 1).unwrap();
        let mut buffer = Buffer::new((20, 10), (0..200).map(|pixel| value(at, pixel)).collect());
        band.write((0, 0), (20, 10), &mut buffer).unwrap();
        if let Some(name) = names.get(at) {
            band.set_description(name).unwrap();
        }
    }
}

#[test]
fn a_year_of_months_is_not_sentinel_2() {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let counts = |band: usize, pixel: usize| (300 * band + 10 * pixel) as u16;
    twelve(&path, &[], |band, pixel| (10 * band + pixel / 2) as u8);
    assert_eq!(profile(&path), "generic-scene", "bytes");
    twelve(&path, &[], |band, pixel| band as f32 - 3.0 + pixel as f32 / 20.0);
    assert_eq!(profile(&path), "generic-scene", "degrees Celsius");
    twelve(&path, &MONTHS, counts);
    assert_eq!(profile(&path), "generic-scene", "months");
    let dates: Vec<String> = (1..=12).map(|month| format!("NDVI_2020-{month:02}")).collect();
    twelve(&path, &dates.iter().map(String::as_str).collect::<Vec<_>>(), counts);
    assert_eq!(profile(&path), "generic-scene", "indices");
    twelve(&path, &[], counts);
    assert_eq!(profile(&path), "sentinel2-l2a", "counts without names");
    let own = ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B11", "B12"];
    for names in [own.map(|name| format!("S2_{name}_20m")), own.map(|name| name.to_lowercase())] {
        twelve(&path, &names.each_ref().map(String::as_str), counts);
        assert_eq!(profile(&path), "sentinel2-l2a", "{names:?}");
    }
    let numbered: Vec<String> = (1..=12).map(|band| format!("Band {band}")).collect();
    twelve(&path, &numbered.iter().map(String::as_str).collect::<Vec<_>>(), counts);
    assert_eq!(profile(&path), "sentinel2-l2a", "numbers for names");
}

#[test]
fn signed_bytes_are_signed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signed.tif");
    let mut encoder = TiffEncoder::new(File::create(&path).unwrap()).unwrap();
    encoder.write_image::<colortype::GrayI8>(2, 2, &[-128, -1, 0, 127]).unwrap();
    assert_eq!(only(&path).data.iter().copied().collect::<Vec<_>>(), [-128.0, -1.0, 0.0, 127.0]);
}

#[test]
fn what_is_no_picture_at_all_is_told_from_one() {
    let folder = tempfile::tempdir().unwrap();
    for (text, said) in [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "pointer of Git LFS"),
        ("<!DOCTYPE html><html><body>404</body></html>", "web page"),
        ("GRIB, or rather not", "not recognized"),
        ("PK\u{3}\u{4} and so on", "not recognized"),
    ] {
        let path = folder.path().join("a.tif");
        fs::write(&path, text).unwrap();
        let error = open(&path.to_string_lossy(), None, &Options::default()).unwrap_err();
        assert!(error.to_string().contains(said) && error.advice().is_some(), "{error}");
        assert_eq!(error.advice().unwrap().contains("/vsizip/"), text.starts_with("PK"));
    }
}

/// A TIFF file in `folder` of so many `pages` of 160 x 120 pixels, all of them `value`.
fn pages<C: ColorType<Inner: Copy>>(folder: &Path, pages: usize, value: C::Inner) -> PathBuf
where
    [C::Inner]: TiffValue,
{
    let path = folder.join(format!("{pages}.tif"));
    let mut encoder = TiffEncoder::new(fs::File::create(&path).unwrap()).unwrap();
    for _ in 0..pages {
        encoder.write_image::<C>(160, 120, &[value; 160 * 120]).unwrap();
    }
    path
}

#[test]
fn pages_of_a_thermal_camera_are_its_temperatures_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lepton = Profile::find("lepton3").unwrap();
    let first = |path: &Path| {
        let mut sensor = open(&path.to_string_lossy(), Some(&lepton), &Options::default())?;
        sensor.next().unwrap().map(|frame| frame.data[[0, 60, 80]])
    };
    for count in [1, 3] {
        let whole = pages::<Gray16>(folder.path(), count, 29_315);
        assert_eq!(first(&whole).unwrap(), 20.0, "{count}");
        let float = pages::<Gray32Float>(folder.path(), count, 21.5);
        assert_eq!(first(&float).unwrap(), 21.5, "{count}");
        let error = |path: PathBuf| first(&path).unwrap_err().to_string();
        let bare = error(pages::<Gray16>(folder.path(), count, 8_000));
        assert!(bare.contains("no number above 8000"), "{bare}");
        let screen = error(pages::<Gray8>(folder.path(), count, 200));
        assert!(screen.contains("up to 255, which are brightness"), "{screen}");
    }
}

#[test]
fn a_long_and_narrow_picture_is_heard_by_fewer_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let [png, heard] = ["a.png", "heard"].map(|name| folder.path().join(name));
    image::GrayImage::from_fn(2272, 100, |x, _| image::Luma([(x / 9) as u8])).save(&png).unwrap();
    let out = folder.path().join("out");
    convert(&png, &out, &["--span", "0..255"]);
    listen(&out.join("a.wav"), &heard);
    let frames = array(&heard.join("frames.npy"));
    let middle = |column| frames[(0, 0, frames.dim().2 / 2, column)];
    assert!(middle(60) - middle(3) > 180.0, "{} to {}", middle(3), middle(60));
}

#[test]
fn bands_without_wavelengths_go_together_as_their_pictures_show() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cube.tif");
    // Forty bands of one pattern, each somewhat brighter than the last.
    let options = RasterCreationOptions::from_iter(["PHOTOMETRIC=MINISBLACK"]);
    let driver = DriverManager::get_driver_by_name("GTiff").unwrap();
    let file = driver.create_with_band_type_with_options::<f32, _>(&path, 64, 64, 40, &options);
    let file = file.unwrap();
    let value = |band: usize, row: usize, column: usize| {
        let pattern = (row as f32 / 7.0).sin() * (column as f32 / 5.0).cos();
        (100 + band) as f32 + (20.0 + band as f32) * pattern
    };
    for band in 0..40 {
        let pixels = (0..64 * 64).map(|at| value(band, at / 64, at % 64)).collect();
        let mut buffer = Buffer::new((64, 64), pixels);
        file.rasterband(band + 1).unwrap().write((0, 0), (64, 64), &mut buffer).unwrap();
    }
    file.close().unwrap();
    let out = folder.path().join("out");
    convert(&path, &out, &["--preset", "data"]);
    listen(&out.join("cube.wav"), &folder.path().join("heard"));
    let frames = array(&folder.path().join("heard/frames.npy"));
    for ((_, band, row, column), found) in frames.indexed_iter() {
        let expected = value(band, row, column);
        // Taken each by itself, bands would be off by up to 60.
        assert!((found - expected).abs() < 6.0, "{band} {row} {column}: {found}, {expected}");
    }
}

#[test]
fn a_cube_whose_bands_come_last_is_known_by_its_wavelengths() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.h5");
    let numbers: Vec<String> = (0..4 * 5 * 3).map(|n| (100 * n).to_string()).collect();
    let attribute = |name: &str, value: &str| {
        format!(
            "<Attribute name=\"{name}\"><DataType>Float64</DataType><Value>{value}</Value></Attribute>"
        )
    };
    // As NEON lays its reflectance out.
    let text = format!(
        "<VRTDataset><Group name=\"/\"><Dimension name=\"y\" size=\"4\"/><Dimension name=\"x\" \
         size=\"5\"/><Dimension name=\"b\" size=\"3\"/><Group name=\"SITE\">\
         <Group name=\"Reflectance\"><Array name=\"Reflectance_Data\"><DataType>Int16</DataType>\
         <DimensionRef ref=\"/y\"/><DimensionRef ref=\"/x\"/><DimensionRef ref=\"/b\"/>{}{}\
         <InlineValues>{}</InlineValues></Array><Group name=\"Metadata\">\
         <Group name=\"Spectral_Data\"><Array name=\"Wavelength\"><DataType>Float64</DataType>\
         <DimensionRef ref=\"/b\"/><InlineValues>381.0 665.0 2493.0</InlineValues></Array>\
         <Array name=\"FWHM\"><DataType>Float64</DataType><DimensionRef ref=\"/b\"/>\
         <InlineValues>5.0 6.0 7.0</InlineValues></Array></Group>\
         </Group></Group></Group></Group></VRTDataset>",
        attribute("Scale_Factor", "10000"),
        attribute("Data_Ignore_Value", "300"),
        numbers.join(" "),
    );
    fs::write(&path, text).unwrap();
    let frame = only(&path);
    let spectrum: Vec<_> = frame.bands.iter().map(|b| (b.wavelength_um, b.unit)).collect();
    let expected = [0.381, 0.665, 2.493].map(|um| (Some(um), Unit::Reflectance));
    assert_eq!(spectrum, expected);
    assert_eq!(frame.data.dim(), (3, 4, 5));
    let widths: Vec<_> = frame.bands.iter().map(|band| band.fwhm_um).collect();
    assert_eq!(widths, [0.005, 0.006, 0.007].map(Some));
    for ((band, row, column), &value) in frame.data.indexed_iter() {
        let stored = 100 * ((row * 5 + column) * 3 + band);
        let expected = if stored == 300 { f32::NAN } else { stored as f32 / 10_000.0 };
        assert!((value - expected).abs() < 1e-6 || (value.is_nan() && expected.is_nan()));
    }
}

/// A classic NetCDF file of variables of 3 rows and 4 columns of 16 bits, each
/// with its scale; numbers count on from 100 times their place.
fn netcdf(path: &Path, variables: &[(&str, f64)]) {
    let variable = |(at, &(name, scale)): (usize, &(&str, f64))| {
        let numbers = (0..12).map(|n| 100 * at as i16 + n);
        Variable::of_shorts(name, &[0, 1], numbers).with("scale_factor", scale)
    };
    let variables: Vec<Variable> = variables.iter().enumerate().map(variable).collect();
    netcdf::write(path, &[("y", 3), ("x", 4)], &variables);
}

#[test]
fn a_cube_lies_where_its_file_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cube.nc");
    let info = "UTM, 1, 1, 358000, 4704060, 2, 2, 18, North, WGS-84, units=Meters";
    let axes = [("y", 4), ("x", 5), ("b", 3), ("one", 1), ("length", info.len())];
    let mut variables = vec![
        Variable::of_shorts("Reflectance_Data", &[0, 1, 2], 0..60).with("scale_factor", 1e-4),
        Variable::of_shorts("Wavelength", &[2], [450, 550, 650]),
        Variable::of_text("Map_Info", &[3, 4], info),
    ];
    netcdf::write(&path, &axes, &variables);
    let frame = only(&path);
    assert_eq!(frame.data[(1, 3, 4)], 58.0 * 1e-4);
    let place = frame.georeference.unwrap();
    assert_eq!(place.transform, [358_000.0, 2.0, 0.0, 4_704_060.0, 0.0, -2.0]);
    assert!(place.crs_wkt.contains("UTM zone 18N"), "{}", place.crs_wkt);
    variables.pop();
    netcdf::write(&path, &axes, &variables);
    assert_eq!(only(&path).georeference, None);
}

#[test]
fn variables_alike_are_bands_and_others_have_to_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scene.nc");
    netcdf(&path, &[("red", 0.5), ("nir", 0.5), ("swir", 0.5)]);
    let frame = only(&path);
    let names: Vec<&str> = frame.bands.iter().map(|band| band.name.as_str()).collect();
    assert_eq!(names, ["red", "nir", "swir"]);
    let mut values: Vec<f32> = frame.data.slice(ndarray::s![2, .., ..]).iter().copied().collect();
    values.sort_by(f32::total_cmp);
    assert_eq!(values, (0..12).map(|n| (200 + n) as f32 * 0.5).collect::<Vec<_>>());
    netcdf(&path, &[("temperature", 0.02), ("quality", 1.0)]);
    let error = open(&path.to_string_lossy(), None, &Options::default()).unwrap_err();
    assert!(error.advice().unwrap().contains(":temperature"), "{error}");
}

#[test]
fn a_classic_netcdf_file_that_is_cut_short_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scene.nc");
    for variables in [&[("red", 0.5), ("nir", 0.5)][..], &[("lst", 0.02)]] {
        netcdf(&path, variables);
        let whole = fs::read(&path).unwrap();
        assert_eq!(only(&path).bands.len(), variables.len());
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let named = format!("NETCDF:\"{}\":{}", path.display(), variables[0].0);
        for name in [path.to_string_lossy().into_owned(), named] {
            let error = open(&name, None, &Options::default()).unwrap_err();
            let said = error.to_string();
            let (found, needed) = (whole.len() - 1, whole.len());
            assert!(said.contains(&format!("holds {found} bytes")), "{name}: {said}");
            assert!(said.contains(&format!("take {needed}")), "{name}: {said}");
            assert!(error.advice().unwrap().contains("cut short"), "{error}");
        }
    }
}

#[test]
fn smaller_pages_behind_a_picture_are_no_sequence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pyramid.tif");
    let mut encoder = TiffEncoder::new(File::create(&path).unwrap()).unwrap();
    for columns in [64, 32, 16] {
        let numbers: Vec<u16> = (0..columns * columns).map(|at| at as u16).collect();
        encoder.write_image::<colortype::Gray16>(columns, columns, &numbers).unwrap();
    }
    assert_eq!(only(&path).data.dim(), (1, 64, 64));
}

#[test]
fn pages_that_only_gdal_decodes_are_frames() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zstd.tif");
    let driver = DriverManager::get_driver_by_name("GTiff").unwrap();
    for page in 0u16..3 {
        let append = if page == 0 { "APPEND_SUBDATASET=NO" } else { "APPEND_SUBDATASET=YES" };
        let options = RasterCreationOptions::from_iter([append, "COMPRESS=ZSTD"]);
        let file = driver
            .create_with_band_type_with_options::<u16, _>(&path, 20, 10, 1, &options)
            .unwrap();
        let numbers = (0u16..200).map(|at| 1000 * page + at).collect();
        let mut buffer = Buffer::new((20, 10), numbers);
        file.rasterband(1).unwrap().write((0, 0), (20, 10), &mut buffer).unwrap();
    }
    let sensor = opened(&path);
    assert_eq!((sensor.source().frames, sensor.source().rows), (Some(3), 10));
    let frames: Vec<Frame> = sensor.collect::<wysiwyh::Result<_>>().unwrap();
    for (page, frame) in frames.iter().enumerate() {
        assert_eq!(frame.data[(0, 9, 19)], (1000 * page + 199) as f32);
        assert!((frame.time_s - 0.1 * page as f64).abs() < 1e-9);
    }
    assert_eq!((frames.len(), profile(&path).as_str()), (3, "generic-picture"));
}

/// A file of 32 x 24 counts as the lens for `band` of a multispectral camera of
/// DJI's writes it.
fn lens(path: &Path, band: &str, nm: u32) {
    let mut encoder = TiffEncoder::new(File::create(path).unwrap()).unwrap();
    let mut image = encoder.new_image::<colortype::Gray16>(32, 24).unwrap();
    let xmp = format!(
        "<x:xmpmeta><rdf:RDF><rdf:Description Camera:BandName=\"{band}\" \
         Camera:CentralWavelength=\"{nm}\" Camera:WavelengthFWHM=\"32\"/></rdf:RDF></x:xmpmeta>"
    );
    image.encoder().write_tag(Tag::Make, "DJI").unwrap();
    image.encoder().write_tag(Tag::Model, "M3M").unwrap();
    image.encoder().write_tag(Tag::Unknown(700), xmp.as_bytes()).unwrap();
    let numbers: Vec<u16> = (0..32 * 24).map(|at| (at * at % 997) as u16).collect();
    image.write_data(&numbers).unwrap();
}

#[test]
fn captures_of_dji_s_multispectral_cameras_are_frames() {
    let folder = tempfile::tempdir().unwrap();
    let lenses =
        [("G", "Green", 560), ("R", "Red", 650), ("RE", "RedEdge", 730), ("NIR", "NIR", 860)];
    for capture in 1..=2 {
        for (letters, band, nm) in lenses {
            let name = format!("DJI_20240329124328_000{capture}_MS_{letters}.TIF");
            lens(&folder.path().join(name), band, nm);
        }
        let colours = image::RgbImage::new(40, 30);
        let name = format!("DJI_20240329124328_000{capture}_D.JPG");
        colours.save(folder.path().join(name)).unwrap();
    }
    let sensor = opened(folder.path());
    assert_eq!(sensor.source().model.as_deref(), Some("DJI M3M"));
    let frames: Vec<Frame> = sensor.collect::<wysiwyh::Result<_>>().unwrap();
    assert_eq!(frames.len(), 2);
    let names: Vec<&str> = frames[0].bands.iter().map(|band| band.name.as_str()).collect();
    assert_eq!(names, ["Green", "Red", "RedEdge", "NIR"]);
    assert_eq!(
        (frames[1].bands[3].wavelength_um, frames[1].bands[3].fwhm_um),
        (Some(0.86), Some(0.032))
    );
}
