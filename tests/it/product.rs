//! Products of several files, against the numbers written into them, direct
//! sums, and the crate `tiff` on the files of real ones.

use std::fs;
use std::path::{Path, PathBuf};

use gdal::DriverManager;
use gdal::raster::Buffer;
use gdal::spatial_ref::SpatialRef;
use ndarray::Axis;
use tiff::decoder::{Decoder, DecodingResult};
use wysiwyh::sensor::raster::Raster;
use wysiwyh::sensor::{Options, Sensor, open};
use wysiwyh::{Frame, Profile, Unit, voice};

use crate::data;
use crate::sentinel2::safe;

pub fn whole(path: impl AsRef<Path>) -> Frame {
    Raster::open(path, None).unwrap().next().unwrap().unwrap()
}

/// Writes bands of `side` by `side` pixels of `pixel_m`, in UTM zone 34.
pub fn geotiff(
    path: &Path,
    side: usize,
    pixel_m: f64,
    bands: usize,
    stored: impl Fn(usize, usize, usize) -> u16,
) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let driver = DriverManager::get_driver_by_name("GTiff").unwrap();
    let mut file = driver.create_with_band_type::<u16, _>(path, side, side, bands).unwrap();
    file.set_geo_transform(&[300_000.0, pixel_m, 0.0, 6_100_020.0, 0.0, -pixel_m]).unwrap();
    file.set_spatial_ref(&SpatialRef::from_epsg(32634).unwrap()).unwrap();
    for band in 0..bands {
        let numbers = (0..side * side).map(|at| stored(band, at / side, at % side)).collect();
        let mut buffer = Buffer::new((side, side), numbers);
        file.rasterband(band + 1).unwrap().write((0, 0), (side, side), &mut buffer).unwrap();
    }
}

/// The 16-bit numbers of a grey TIFF file, by the crate `tiff`.
fn stored(path: &Path) -> Vec<u16> {
    match Decoder::new(fs::File::open(path).unwrap()).unwrap().read_image().unwrap() {
        DecodingResult::U16(numbers) => numbers,
        _ => panic!("not 16 bits"),
    }
}

const LANDSAT: &str = "LC08_L2SP_008059_20191201_20200825_02_T1";

#[test]
fn a_landsat_product_is_reflectance_and_kelvin() {
    let Some(data) = data() else { return };
    let folder = data.join("formats/landsat");
    let table: serde_json::Value =
        serde_json::from_slice(&fs::read(data.join("formats/EXPECTED.json")).unwrap()).unwrap();
    let quality = stored(&folder.join(format!("{LANDSAT}_QA_PIXEL.TIF")));
    for name in ["", "MTL.json", "MTL.xml"] {
        let path = match name {
            "" => folder.clone(),
            name => folder.join(format!("{LANDSAT}_{name}")),
        };
        let raster = Raster::open(&path, None).unwrap();
        assert_eq!(raster.source().model.as_deref(), Some("LANDSAT_8 OLI_TIRS L2SP"));
        let frame = raster.read(0, 0, 512, 512).unwrap();
        let names: Vec<&str> = frame.bands.iter().map(|band| band.name.as_str()).collect();
        let expected = ["1", "2", "3", "4", "5", "6", "7"].map(|n| format!("SR_B{n}"));
        assert_eq!(
            (&names[..7], names[7]),
            (&expected.each_ref().map(String::as_str)[..], "ST_B10")
        );
        for (band, plane) in frame.bands.iter().zip(frame.data.outer_iter()) {
            let numbers = stored(&folder.join(format!("{LANDSAT}_{}.TIF", band.name)));
            let (scale, offset, unit) = match band.name.as_str() {
                "ST_B10" => (0.00341802, 149.0, Unit::Kelvin),
                _ => (2.75e-5, -0.2, Unit::Reflectance),
            };
            assert_eq!(band.unit, unit);
            for ((&value, &number), &quality) in plane.iter().zip(&numbers).zip(&quality) {
                let expected = match number {
                    0 => f64::NAN,
                    _ if quality & 1 == 1 => f64::NAN,
                    number => f64::from(number) * scale + offset,
                };
                let same = (f64::from(value) - expected).abs() < 1e-4;
                assert!(same || (value.is_nan() && expected.is_nan()), "{value} {expected}");
            }
            let highest = plane.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let figure = table["landsat_L2SP_008059"][band.name.as_str()]["phys_max"].as_f64();
            assert!((f64::from(highest) - figure.unwrap()).abs() < 2e-5 * figure.unwrap().abs());
        }
    }
    let alone = whole(folder.join(format!("{LANDSAT}_SR_B4.TIF")));
    assert_eq!((alone.bands.len(), alone.bands[0].unit), (1, Unit::Counts));
    let sensor = open(&folder.to_string_lossy(), None, &Options::default()).unwrap();
    assert_eq!(sensor.source().bands.len(), 8);
}

/// An MTL file of Level 1 in the object description language.
fn level_1(name: &str, spacecraft: &str, sensor: &str, thermal: &str) -> String {
    format!(
        "GROUP = LANDSAT_METADATA_FILE\n  GROUP = PRODUCT_CONTENTS\n\
         PROCESSING_LEVEL = \"L1TP\"\nFILE_NAME_BAND_4 = \"{name}_B4.TIF\"\n\
         FILE_NAME_BAND_8 = \"{name}_B8.TIF\"\nFILE_NAME_BAND_{thermal} = \"{name}_B.TIF\"\n\
         END_GROUP = PRODUCT_CONTENTS\n  GROUP = IMAGE_ATTRIBUTES\n\
         SPACECRAFT_ID = \"{spacecraft}\"\nSENSOR_ID = \"{sensor}\"\nSUN_ELEVATION = 30.0\n\
         END_GROUP = IMAGE_ATTRIBUTES\n  GROUP = LEVEL1_RADIOMETRIC_RESCALING\n\
         RADIANCE_MULT_BAND_{thermal} = 3.3420E-04\nRADIANCE_ADD_BAND_{thermal} = 0.10000\n\
         REFLECTANCE_MULT_BAND_4 = 2.0000E-05\nREFLECTANCE_ADD_BAND_4 = -0.100000\n\
         END_GROUP = LEVEL1_RADIOMETRIC_RESCALING\n  GROUP = LEVEL1_THERMAL_CONSTANTS\n\
         K1_CONSTANT_BAND_{thermal} = 774.8853\nK2_CONSTANT_BAND_{thermal} = 1321.0789\n\
         END_GROUP = LEVEL1_THERMAL_CONSTANTS\nEND_GROUP = LANDSAT_METADATA_FILE\nEND\n"
    )
}

#[test]
fn landsat_level_1_is_reflectance_above_the_atmosphere_and_brightness_temperature() {
    for (spacecraft, sensor, thermal, number, wavelength_um) in [
        ("LANDSAT_9", "OLI_TIRS", "10", "B10", 10.895),
        ("LANDSAT_7", "ETM", "6_VCID_1", "B6", 11.335),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let name = "L1TP_T1";
        let mtl = folder.path().join(format!("{name}_MTL.txt"));
        fs::write(&mtl, level_1(name, spacecraft, sensor, thermal)).unwrap();
        let numbers = |_: usize, row: usize, column: usize| (1000 * row + 500 * column) as u16;
        geotiff(&folder.path().join("L1TP_T1_B4.TIF"), 8, 30.0, 1, numbers);
        geotiff(&folder.path().join("L1TP_T1_B8.TIF"), 16, 15.0, 1, numbers);
        // Level 1 delivers heat at the size of the other bands.
        geotiff(&folder.path().join("L1TP_T1_B.TIF"), 8, 30.0, 1, |_, r, c| {
            if (r, c) == (1, 1) { 0 } else { 25_000 }
        });
        let frame = whole(folder.path());
        assert_eq!(frame.data.dim(), (2, 8, 8));
        assert_eq!([&frame.bands[0].name, &frame.bands[1].name], ["B4", number]);
        assert!((frame.bands[1].wavelength_um.unwrap() - wavelength_um).abs() < 1e-4);
        assert_eq!((frame.bands[1].unit, frame.bands[1].scale), (Unit::Kelvin, 1.0));
        // The sine of 30 degrees is one half.
        let expected = (5500.0 * 2e-5 - 0.1) / 0.5;
        assert!((f64::from(frame.data[(0, 5, 1)]) - expected).abs() < 1e-6);
        let radiance: f64 = 25_000.0 * 3.342e-4 + 0.1;
        let kelvin = 1321.0789 / (774.8853 / radiance + 1.0).ln();
        assert!((f64::from(frame.data[(1, 0, 1)]) - kelvin).abs() < 1e-3 && kelvin > 290.0);
        assert!(frame.data[(1, 1, 1)].is_nan() && frame.data[(0, 0, 0)].is_nan());
        fs::write(&mtl, level_1(name, spacecraft, "MSS", thermal)).unwrap();
        let error = Raster::open(folder.path(), None).unwrap_err().to_string();
        assert!(error.contains("instrument MSS"), "{error}");
        let night = level_1(name, spacecraft, sensor, thermal).replace("= 30.0", "= -12.5");
        fs::write(&mtl, night).unwrap();
        let error = Raster::open(folder.path(), None).unwrap_err().to_string();
        assert!(error.contains("-12.5 degrees"), "{error}");
        let other = folder.path().join("L1TP_T2_MTL.txt");
        fs::write(other, level_1(name, spacecraft, sensor, thermal)).unwrap();
        let error = Raster::open(folder.path(), None).unwrap_err();
        assert!(error.to_string().contains("2 products"), "{error}");
        assert!(error.advice().unwrap().contains("L1TP_T2_MTL.txt"));
    }
}

#[test]
fn an_enmap_product_gets_its_bands_from_its_xml_file() {
    let folder = tempfile::tempdir().unwrap();
    let stem = folder.path().join("ENMAP01-____L2A-DT0000001053_20220611T072305Z_002_V010502");
    let bands: String = [(1, 985.0), (2, 424.0), (3, 1401.0), (4, 665.0)]
        .map(|(number, nm)| {
            format!(
                "<bandID number=\"{number}\"><wavelengthCenterOfBand>{nm}</wavelengthCenterOfBand>\
                 <FWHMOfBand>7.5</FWHMOfBand><GainOfBand>0.0001</GainOfBand><OffsetOfBand>0\
                 </OffsetOfBand></bandID>"
            )
        })
        .concat();
    let xml = format!(
        "<level_X><base><level>L2A</level></base><specific><backgroundValue>9</backgroundValue>\
         <bandCharacterisation>{bands}</bandCharacterisation><vnirProductQuality>\
         <expectedChannelsList>1,2</expectedChannelsList></vnirProductQuality>\
         <swirProductQuality><expectedChannelsList>4</expectedChannelsList></swirProductQuality>\
         </specific></level_X>"
    );
    fs::write(format!("{}-METADATA.XML", stem.display()), xml).unwrap();
    let picture = PathBuf::from(format!("{}-SPECTRAL_IMAGE.TIF", stem.display()));
    geotiff(&picture, 4, 30.0, 4, |band, row, _| (100 * band + 9 + row) as u16);
    let raster = Raster::open(folder.path(), None).unwrap();
    assert_eq!(raster.source().model.as_deref(), Some("EnMAP HSI L2A"));
    assert!(raster.source().description.contains("1 bands without readings left out"));
    let frame = raster.read(0, 0, 4, 4).unwrap();
    let spectrum: Vec<_> = frame.bands.iter().map(|b| b.wavelength_um.unwrap()).collect();
    assert_eq!(spectrum, [0.424, 0.665, 0.985]);
    assert_eq!((frame.bands[1].fwhm_um, frame.bands[1].unit), (Some(0.0075), Unit::Reflectance));
    assert_eq!(frame.bands[1].common_name.as_deref(), Some("red"));
    assert!((frame.data[(1, 2, 0)] - 0.0311).abs() < 1e-7 && frame.data[(2, 0, 0)].is_nan());
    fs::remove_file(picture).unwrap();
    assert!(Raster::open(folder.path(), None).unwrap_err().to_string().contains("SPECTRAL_IMAGE"));
}

#[test]
fn an_emit_cube_has_its_spectral_axis_as_bands() {
    let Some(data) = data() else { return };
    let folder = data.join("formats/gdal-autotest/gdrivers/data/netcdf");
    let frame = whole(folder.join("fake_EMIT_L2A.nc"));
    let stored = [[[10.0, 20.0], [30.0, 40.0]], [[-10.0, -20.0], [-30.0, -40.0]]];
    assert_eq!(frame.data, ndarray::arr3(&stored));
    assert!(frame.bands.iter().all(|band| band.unit == Unit::Reflectance));
    let raster = Raster::open(folder.join("fake_EMIT_L2A_with_good_wavelengths.nc"), None).unwrap();
    assert_eq!(
        (raster.source().model.as_deref(), raster.source().bands.len()),
        (Some("EMIT L2A"), 1)
    );
    let said = &raster.source().description;
    assert!(said.contains("1 band left out, which its good_wavelengths call bad"), "{said}");
    assert_eq!(raster.read(1, 1, 1, 1).unwrap().data[(0, 0, 0)], 40.0);
}

#[test]
fn an_emit_radiance_states_wavelengths_and_is_read_in_windows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("EMIT_L1B_RAD.nc");
    let list = |name: &str, values: &str| {
        format!(
            "<Array name=\"{name}\"><DataType>Float64</DataType><DimensionRef ref=\"/b\"/>\
             <InlineValues>{values}</InlineValues></Array>"
        )
    };
    let cube: Vec<String> = (0..4 * 5 * 3).map(|n| n.to_string()).collect();
    let text = format!(
        "<VRTDataset><Group name=\"/\"><Dimension name=\"y\" size=\"4\"/><Dimension name=\"x\" \
         size=\"5\"/><Dimension name=\"b\" size=\"3\"/><Array name=\"radiance\"><DataType>Float32\
         </DataType><DimensionRef ref=\"/y\"/><DimensionRef ref=\"/x\"/><DimensionRef ref=\"/b\"/>\
         <NoDataValue>0</NoDataValue><InlineValues>{}</InlineValues></Array>\
         <Group name=\"sensor_band_parameters\">{}{}</Group></Group></VRTDataset>",
        cube.join(" "),
        list("wavelengths", "381.0 665.0 2493.0"),
        list("fwhm", "8.4 8.5 8.6")
    );
    fs::write(&path, text).unwrap();
    let raster = Raster::open(&path, None).unwrap();
    let bands = raster.source().bands.clone();
    let spectrum: Vec<_> = bands.iter().map(|b| (b.wavelength_um, b.fwhm_um)).collect();
    let expected = [(0.381, 0.0084), (0.665, 0.0085), (2.493, 0.0086)];
    assert_eq!(spectrum, expected.map(|(centre, width)| (Some(centre), Some(width))));
    assert_eq!((bands[1].common_name.as_deref(), bands[1].unit), (Some("red"), Unit::Radiance));
    for (row, column, rows, columns) in [(0, 0, 4, 5), (1, 2, 2, 3)] {
        let frame = raster.read(row, column, rows, columns).unwrap();
        for ((band, r, c), &value) in frame.data.indexed_iter() {
            // 100 uW cm^-2 are 1 W m^-2.
            let stored = ((row + r) * 5 + column + c) * 3 + band;
            let expected = if stored == 0 { f32::NAN } else { stored as f32 * 0.01 };
            assert!((value - expected).abs() < 1e-6 || (value.is_nan() && expected.is_nan()));
        }
    }
}

#[test]
fn modis_reflectance_is_divided_by_its_scale_factor() {
    let Some(data) = data() else { return };
    let path = data.join("formats/rioxarray/MOD09GA.A2008296.h14v17.006.2015181011753.hdf");
    let raster = Raster::open(&path, None).unwrap();
    assert_eq!(raster.source().model.as_deref(), Some("MODIS Terra MOD09GA"));
    let names: Vec<&str> = raster.source().bands.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(names, ["b03", "b04", "b01", "b02", "b05", "b06", "b07"]);
    let frame = raster.read(0, 0, 2400, 2400).unwrap();
    for (band, plane) in frame.bands.iter().zip(frame.data.outer_iter()) {
        let name = format!(
            "HDF4_EOS:EOS_GRID:\"{}\":MODIS_Grid_500m_2D:sur_refl_{}_1",
            path.display(),
            band.name
        );
        let dataset = gdal::Dataset::open(&name).unwrap();
        let stored = dataset.rasterband(1).unwrap();
        let stored = stored.read_as::<i16>((0, 0), (2400, 2400), (2400, 2400), None).unwrap();
        let valid = stored.data().iter().filter(|&&number| number != -28672).count();
        assert!(valid > 1000 && plane.iter().filter(|v| v.is_finite()).count() == valid);
        for (&value, &number) in plane.iter().zip(stored.data()) {
            let expected = (f64::from(number) / 10_000.0) as f32;
            assert!(value == expected || (number == -28672 && value.is_nan()));
        }
        // The same by its own name, though GDAL calls 10000 its scale.
        let alone = Raster::open(&name, None).unwrap();
        assert_eq!(
            (alone.source().bands[0].scale, alone.source().bands[0].unit),
            (1e-4, Unit::Reflectance)
        );
    }
}

#[test]
fn inspect_names_the_instrument() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let product = safe(&data.join("formats"), folder.path(), "1c");
    let formats = data.join("formats");
    for (source, profile, unit, bands) in [
        (product, "sentinel2-l1c", "reflectance", 13),
        (formats.join("terramind/S2L1C/38D_378R_2_3.tif"), "sentinel2-l1c", "reflectance", 13),
        (formats.join("terramind/S2L2A/38D_378R_2_3.tif"), "sentinel2-l2a", "reflectance", 12),
        (formats.join("landsat"), "landsat8-9-l2", "reflectance", 8),
        (formats.join("stars/L7_ETMs.tif"), "landsat7", "counts", 6),
        (formats.join("micasense"), "micasense-rededge", "radiance", 5),
        (formats.join("micasense/IMG_0001_3.tif"), "micasense-rededge", "radiance", 5),
        (formats.join("enmap-potsdam/enmap_potsdam_tile_96_96.tif"), "enmap", "reflectance", 218),
        (
            formats.join("gdal-autotest/gdrivers/data/netcdf/fake_EMIT_L2A.nc"),
            "emit",
            "reflectance",
            2,
        ),
    ] {
        let run = |json: &[&str]| {
            let mut program = crate::cli::program();
            let output = program.arg("inspect").arg(&source).args(json).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        let text = run(&[]);
        assert!(text.contains(&format!("sensor: {profile}, ")), "{text}");
        let document: serde_json::Value = serde_json::from_str(&run(&["--json"])).unwrap();
        assert_eq!(document["profile"], profile);
        let found = document["bands"].as_array().unwrap();
        assert_eq!((found.len(), found[0]["unit"].as_str()), (bands, Some(unit)));
        assert!(found.iter().all(|band| band["min"].as_f64() < band["max"].as_f64()), "{text}");
    }
}

#[test]
fn a_prisma_product_joins_its_two_spectrometers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("PRS_L2D_STD_20201214060713_20201214060717_0001.he5");
    let attribute = |name: &str, values: &[f64]| {
        let values: String = values.iter().map(|v| format!("<Value>{v}</Value>")).collect();
        format!("<Attribute name=\"{name}\"><DataType>Float64</DataType>{values}</Attribute>")
    };
    let cube = |name: &str, bands: &str, count: usize| {
        let numbers: Vec<String> = (0..2 * count * 3).map(|n| (100 * n).to_string()).collect();
        format!(
            "<Array name=\"{name}\"><DataType>UInt16</DataType><DimensionRef ref=\"/y\"/>\
             <DimensionRef ref=\"/{bands}\"/><DimensionRef ref=\"/x\"/><InlineValues>{}\
             </InlineValues></Array>",
            numbers.join(" ")
        )
    };
    let text = [
        "<VRTDataset><Group name=\"/\"><Dimension name=\"y\" size=\"2\"/><Dimension name=\"v\" \
         size=\"2\"/><Dimension name=\"s\" size=\"3\"/><Dimension name=\"x\" size=\"3\"/>"
            .to_owned(),
        attribute("List_Cw_Vnir", &[980.0, 560.0]),
        attribute("List_Fwhm_Vnir", &[11.0, 10.0]),
        attribute("List_Cw_Swir", &[2400.0, 0.0, 970.0]),
        attribute("List_Fwhm_Swir", &[9.0, 0.0, 12.0]),
        attribute("L2ScaleVnirMin", &[0.0]),
        attribute("L2ScaleVnirMax", &[0.65535]),
        attribute("L2ScaleSwirMin", &[0.1]),
        attribute("L2ScaleSwirMax", &[1.4107]),
        attribute("Epsg_Code", &[32633.0]),
        attribute("Product_ULcorner_easting", &[300_015.0]),
        attribute("Product_ULcorner_northing", &[5_000_985.0]),
        "<Group name=\"HDFEOS\"><Group name=\"SWATHS\"><Group name=\"PRS_L2D_HCO\">\
         <Group name=\"Data Fields\">"
            .to_owned(),
        cube("VNIR_Cube", "v", 2),
        cube("SWIR_Cube", "s", 3),
        "</Group></Group></Group></Group></Group></VRTDataset>".to_owned(),
    ]
    .concat();
    fs::write(&path, &text).unwrap();
    let raster = Raster::open(&path, None).unwrap();
    assert_eq!(raster.source().model.as_deref(), Some("PRISMA L2D"));
    let bands = raster.source().bands.clone();
    let spectrum: Vec<f32> = bands.iter().map(|b| b.wavelength_um.unwrap()).collect();
    assert_eq!(spectrum, [0.56, 0.97, 0.98, 2.4]);
    assert_eq!((bands[1].name.as_str(), bands[1].unit), ("Swir 3", Unit::Reflectance));
    let place = raster.georeference().unwrap();
    assert_eq!(place.transform, [300_000.0, 30.0, 0.0, 5_001_000.0, 0.0, -30.0]);
    for (row, column, rows, columns) in [(0, 0, 2, 3), (1, 1, 1, 2)] {
        let frame = raster.read(row, column, rows, columns).unwrap();
        for ((band, r, c), &value) in frame.data.indexed_iter() {
            // Which of how many bands of its cube, and the scale of that.
            let (at, count, scale, offset) =
                [(1, 2, 1e-5, 0.0), (2, 3, 2e-5, 0.1), (0, 2, 1e-5, 0.0), (0, 3, 2e-5, 0.1)][band];
            let stored = 100 * (((row + r) * count + at) * 3 + column + c);
            let expected = if stored == 0 { f64::NAN } else { stored as f64 * scale + offset };
            let same = (f64::from(value) - expected).abs() < 1e-6;
            assert!(same || (value.is_nan() && expected.is_nan()), "{band} {r} {c}: {value}");
        }
    }
    let first = path.with_file_name("PRS_L1_STD_OFFL_20201214060713.he5");
    fs::rename(&path, &first).unwrap();
    let error = Raster::open(&first, None).unwrap_err();
    assert!(error.to_string().contains("whose calibration is unknown"), "{error}");
}

#[test]
fn metadata_that_is_cut_or_garbled_is_an_error_or_a_picture() {
    let Some(data) = data() else { return };
    let formats = data.join("formats");
    let folder = tempfile::tempdir().unwrap();
    let product = safe(&formats, folder.path(), "1c");
    let landsat = folder.path().join("landsat");
    fs::create_dir(&landsat).unwrap();
    for entry in fs::read_dir(formats.join("landsat")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "TIF") {
            fs::copy(&path, landsat.join(path.file_name().unwrap())).unwrap();
        }
    }
    let (mut opened, mut refused) = (0, 0);
    for (metadata, source) in [
        (product.join("MTD_MSIL1C.xml"), product.join("MTD_MSIL1C.xml")),
        (
            landsat.join(format!("{LANDSAT}_MTL.json")),
            formats.join(format!("landsat/{LANDSAT}_MTL.json")),
        ),
        (
            landsat.join(format!("{LANDSAT}_MTL.xml")),
            formats.join(format!("landsat/{LANDSAT}_MTL.xml")),
        ),
    ] {
        let whole = fs::read(source).unwrap();
        for step in 0..60 {
            let at = whole.len() * step / 60;
            let mut garbled = whole.clone();
            garbled[at..(at + 40).min(whole.len())].reverse();
            for bytes in [&whole[..at], &garbled] {
                fs::write(&metadata, bytes).unwrap();
                let read = Raster::open(&metadata, None).and_then(|r| r.read(0, 0, 8, 8));
                match read {
                    Ok(frame) => {
                        assert!(frame.data.iter().all(|value| !value.is_infinite()));
                        opened += 1;
                    }
                    Err(error) => {
                        assert!(error.to_string().contains(": "), "{error}");
                        refused += 1;
                    }
                }
            }
        }
        fs::remove_file(metadata).unwrap();
    }
    assert!(opened > 50 && refused > 50, "{opened} opened, {refused} refused");
}

#[test]
fn the_temperature_of_landsat_is_known_by_its_file_alone() {
    let Some(data) = data() else { return };
    let folder = data.join("formats/landsat");
    let file = folder.join(format!("{LANDSAT}_ST_B10.TIF"));
    let name = file.to_str().unwrap();
    let profile = voice::recognise(name, &Options::default()).unwrap();
    assert_eq!(profile.name, "landsat8-9-st");
    let alone = open(name, Some(&profile), &Options::default()).unwrap().next().unwrap().unwrap();
    assert_eq!((alone.bands[0].unit, alone.bands.len()), (Unit::Kelvin, 1));
    let product = Raster::open(&folder, None).unwrap().with_clouds().read(0, 0, 512, 512).unwrap();
    let mut seen = 0;
    for (own, other) in alone.data.iter().zip(product.data.index_axis(Axis(0), 7)) {
        seen += usize::from(own.is_finite());
        assert!((own - other).abs() < 1e-3 || own.is_nan() || other.is_nan(), "{own} {other}");
    }
    assert!(seen > 100_000, "{seen}");
}

#[test]
fn clouds_of_landsat_are_bits() {
    let Some(data) = data() else { return };
    let folder = data.join("formats/landsat");
    let quality = stored(&folder.join(format!("{LANDSAT}_QA_PIXEL.TIF")));
    let profile = Profile::find("landsat8-9-l2").unwrap();
    let open = || Raster::open(&folder, Some(&profile)).unwrap();
    let all = open().with_clouds().read(0, 0, 512, 512).unwrap();
    let clear = open().read(0, 0, 512, 512).unwrap();
    let (mut clouds, mut seen) = (0, 0);
    for ((at, &number), (a, b)) in quality.iter().enumerate().zip(clear.data.iter().zip(&all.data))
    {
        let cloud = number & 0b11110 != 0;
        let due = if cloud { f32::NAN } else { *b };
        assert!(*a == due || (a.is_nan() && due.is_nan()), "{at}: {a} {b}");
        clouds += usize::from(cloud && number & 1 == 0);
        seen += usize::from(number & 1 == 0);
    }
    let share = clouds as f32 / seen as f32;
    assert!(share > 0.01 && (clear.cloud_fraction.unwrap() - share).abs() < 1e-4, "{share}");
    assert_eq!(all.cloud_fraction, clear.cloud_fraction);
}
