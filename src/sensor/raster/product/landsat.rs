//! Landsat Collection 2, Level-1 and Level-2, with its MTL file.
//!
//! Level-2 numbers become surface reflectance and kelvin, Level-1 numbers
//! reflectance at the top of the atmosphere, which the height of the sun
//! enters, and brightness temperature (USGS, Landsat 8-9 Collection 2 Level 2
//! Science Product Guide; Landsat 8-9 Data Users Handbook, section 5). All
//! constants are those of the MTL file. A band that is opened by its own file
//! stays what that file says: counts.

use std::collections::HashMap;

use super::super::layer::Law;
use super::{Piece, Product, folder, lacks, listing, text};
use crate::error::{Error, Fault, Result};
use crate::frame::{Band, Unit};

/// A band of an instrument: its number, whether it sees heat, its STAC common
/// name, and its lower and upper limit in micrometres.
type Entry = (&'static str, bool, &'static str, f32, f32);

/// OLI and TIRS of Landsat 8 and 9 in order of wavelength, from centres and
/// widths by Barsi et al., Remote Sensing 6, 10232 (2014), and for TIRS by the
/// USGS. The panchromatic band 8 is left out: it would halve all pixels.
const OLI_TIRS: [Entry; 10] = [
    ("1", false, "coastal", 0.43497, 0.45095),
    ("2", false, "blue", 0.45202, 0.51206),
    ("3", false, "green", 0.53274, 0.59008),
    ("4", false, "red", 0.63586, 0.67333),
    ("5", false, "nir08", 0.85054, 0.87879),
    ("9", false, "cirrus", 1.36324, 1.38363),
    ("6", false, "swir16", 1.56650, 1.65122),
    ("7", false, "swir22", 2.10740, 2.29406),
    ("10", true, "lwir11", 10.60, 11.19),
    ("11", true, "lwir12", 11.50, 12.51),
];

/// ETM+ of Landsat 7 in order of wavelength (USGS, Landsat 7 Data Users
/// Handbook, table 2-1). Band 6 of Level-1 is taken at its low gain, which
/// does not saturate.
const ETM: [Entry; 7] = [
    ("1", false, "blue", 0.441, 0.514),
    ("2", false, "green", 0.519, 0.601),
    ("3", false, "red", 0.631, 0.692),
    ("4", false, "nir", 0.772, 0.898),
    ("5", false, "swir16", 1.547, 1.749),
    ("7", false, "swir22", 2.064, 2.345),
    ("6", true, "lwir", 10.31, 12.36),
];

/// TM of Landsat 4 and 5 in order of wavelength (USGS, Landsat 4-5 Thematic
/// Mapper band designations).
const TM: [Entry; 7] = [
    ("1", false, "blue", 0.45, 0.52),
    ("2", false, "green", 0.52, 0.60),
    ("3", false, "red", 0.63, 0.69),
    ("4", false, "nir", 0.76, 0.90),
    ("5", false, "swir16", 1.55, 1.75),
    ("7", false, "swir22", 2.08, 2.35),
    ("6", true, "lwir", 10.40, 12.50),
];

/// The bit of QA_PIXEL that marks fill.
const FILL: u32 = 1;

/// Whether the file called `name` describes a product.
pub(super) fn is_metadata(name: &str) -> bool {
    ["_MTL.json", "_MTL.txt", "_MTL.xml"].iter().any(|ending| name.ends_with(ending))
}

/// The product named as `path`, whose MTL file is at `metadata`.
pub(super) fn product(path: &str, metadata: &str) -> Result<Option<Product>> {
    let mtl = Mtl::parse(&text(metadata, "")?);
    let place = folder(metadata);
    let told = |group, key| mtl.get(group, key).ok_or_else(|| lacks(metadata, key));
    let contents = "PRODUCT_CONTENTS";
    let level = told(contents, "PROCESSING_LEVEL")?;
    let spacecraft = told("IMAGE_ATTRIBUTES", "SPACECRAFT_ID")?;
    let sensor = told("IMAGE_ATTRIBUTES", "SENSOR_ID")?;
    let entries: &[Entry] = match sensor {
        "OLI_TIRS" | "OLI" | "TIRS" => &OLI_TIRS,
        "ETM" => &ETM,
        "TM" => &TM,
        _ => {
            let what = format!("is of the instrument {sensor}, whose bands are unknown here");
            return Err(Error::new(Fault::Unsupported, path, what)
                .hint("OLI, TIRS, ETM and TM are known; single bands can be opened on their own"));
        }
    };
    let scale = Scale { mtl: &mtl, metadata, level };
    let files = listing(place, false);
    let (mut pieces, mut absent) = (Vec::new(), Vec::new());
    for entry in entries {
        let Some((key, file)) = scale.file(entry) else { continue };
        // Only what lies in the folder counts, whatever the MTL file names.
        if files.iter().any(|name| name == file) {
            pieces.push(scale.piece(entry, &key, format!("{place}/{file}"))?);
        } else {
            absent.push(file);
        }
    }
    if pieces.is_empty() {
        let what = format!("none of the files that it names is in {place}");
        return Err(Error::input(path, what).hint("unpack the whole product"));
    }
    let mask = mtl.get(contents, "FILE_NAME_QUALITY_L1_PIXEL");
    let is_there = mask.is_none_or(|file| files.iter().any(|name| name == file));
    absent.extend(mask.filter(|_| !is_there));
    let mask = mask.filter(|_| is_there).map(|file| (format!("{place}/{file}"), FILL));
    let quality = mask.iter().map(|(path, _)| ("QA_PIXEL".to_owned(), path.clone())).collect();
    let mut said = scale.said()?;
    if mask.is_some() {
        said.push("fill of QA_PIXEL left out".to_owned());
    }
    if !absent.is_empty() {
        said.push(format!("no file {}", absent.join(", ")));
    }
    let model = format!("{spacecraft} {sensor} {level}");
    Ok(Some(Product { mask, quality, ..Product::new(path, model, pieces, said) }))
}

/// How the numbers of one product are scaled.
struct Scale<'a> {
    mtl: &'a Mtl,
    metadata: &'a str,
    level: &'a str,
}

impl Scale<'_> {
    fn is_surface(&self) -> bool {
        self.level.starts_with("L2")
    }

    /// What the MTL file calls the band, and its file, if it lists it.
    fn file(&self, &(number, heat, ..): &Entry) -> Option<(String, &str)> {
        let keys = match (self.is_surface(), heat) {
            (true, true) => vec![format!("BAND_ST_B{number}")],
            (false, true) => vec![format!("BAND_{number}_VCID_1"), format!("BAND_{number}")],
            _ => vec![format!("BAND_{number}")],
        };
        keys.into_iter().find_map(|key| {
            let file = self.mtl.get("PRODUCT_CONTENTS", &format!("FILE_NAME_{key}"))?;
            Some((key, file))
        })
    }

    /// The band that the MTL file calls `key`, in the file at `path`.
    fn piece(&self, entry: &Entry, key: &str, path: String) -> Result<Piece> {
        let &(number, heat, common_name, low, high) = entry;
        let (name, unit) = match (self.is_surface(), heat) {
            (true, true) => (format!("ST_B{number}"), Unit::Kelvin),
            (true, false) => (format!("SR_B{number}"), Unit::Reflectance),
            (false, true) => (format!("B{number}"), Unit::Kelvin),
            (false, false) => (format!("B{number}"), Unit::Reflectance),
        };
        let mut band = Band {
            common_name: Some(common_name.to_owned()),
            wavelength_um: Some((low + high) / 2.0),
            fwhm_um: Some(high - low),
            ..Band::new(name, unit)
        };
        let rescaling = "LEVEL1_RADIOMETRIC_RESCALING";
        let mut law = Law::Linear;
        (band.scale, band.offset) = match (self.is_surface(), heat) {
            (true, true) => {
                self.linear("LEVEL2_SURFACE_TEMPERATURE_PARAMETERS", "TEMPERATURE", key)?
            }
            (true, false) => {
                self.linear("LEVEL2_SURFACE_REFLECTANCE_PARAMETERS", "REFLECTANCE", key)?
            }
            (false, true) => {
                let (gain, bias) = self.linear(rescaling, "RADIANCE", key)?;
                let constant =
                    |k| self.number("LEVEL1_THERMAL_CONSTANTS", &format!("{k}_CONSTANT_{key}"));
                law = Law::Brightness { gain, bias, k1: constant("K1")?, k2: constant("K2")? };
                (1.0, 0.0)
            }
            (false, false) => {
                let (scale, offset) = self.linear(rescaling, "REFLECTANCE", key)?;
                let height = self.sun_elevation()?.to_radians().sin();
                (scale / height, offset / height)
            }
        };
        // Fill is 0 in all bands of Collection 2.
        Ok(Piece { path, array: None, index: 1, band, missing: vec![0.0], law })
    }

    /// Factor and summand of the quantity in the band called `key`.
    fn linear(&self, group: &str, quantity: &str, key: &str) -> Result<(f64, f64)> {
        let number = |what| self.number(group, &format!("{quantity}_{what}_{key}"));
        Ok((number("MULT")?, number("ADD")?))
    }

    /// Height of the sun in degrees, above the horizon.
    fn sun_elevation(&self) -> Result<f64> {
        let degrees = self.number("IMAGE_ATTRIBUTES", "SUN_ELEVATION")?;
        if degrees > 0.0 {
            return Ok(degrees);
        }
        let what = format!("the sun stands at {degrees} degrees, so there is no reflectance");
        Err(Error::input(self.metadata, what).hint("open a thermal band on its own"))
    }

    fn number(&self, group: &str, key: &str) -> Result<f64> {
        let number = self.mtl.get(group, key).and_then(|value| value.parse().ok());
        number.filter(|n: &f64| n.is_finite()).ok_or_else(|| lacks(self.metadata, key))
    }

    /// What was done, for people.
    fn said(&self) -> Result<Vec<String>> {
        Ok(vec![match self.is_surface() {
            true => "surface reflectance and temperature by its MTL file".to_owned(),
            false => format!(
                "top-of-atmosphere reflectance with the sun at {:.1} degrees and brightness \
                 temperature by its MTL file",
                self.number("IMAGE_ATTRIBUTES", "SUN_ELEVATION")?
            ),
        }])
    }
}

/// The values of an MTL file, by group and key.
struct Mtl(HashMap<(String, String), String>);

impl Mtl {
    fn get(&self, group: &str, key: &str) -> Option<&str> {
        self.0.get(&(group.to_owned(), key.to_owned())).map(String::as_str)
    }

    /// Reads JSON, XML or the object description language; nothing is found in
    /// anything else.
    fn parse(text: &str) -> Self {
        match text.trim_start().chars().next() {
            Some('{') => Self::of_json(text),
            Some('<') => Self::of_xml(text),
            _ => Self::of_odl(text),
        }
    }

    fn of_json(text: &str) -> Self {
        let root: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let groups = root.get("LANDSAT_METADATA_FILE").and_then(|groups| groups.as_object());
        let mut values = HashMap::new();
        for (group, entries) in groups.into_iter().flatten() {
            for (key, value) in entries.as_object().into_iter().flatten() {
                let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                values.insert((group.clone(), key.clone()), plain);
            }
        }
        Self(values)
    }

    fn of_xml(text: &str) -> Self {
        let mut values = HashMap::new();
        let mut open: Vec<&str> = Vec::new();
        for piece in text.split('<') {
            let Some((tag, value)) = piece.split_once('>') else { continue };
            if tag.starts_with('/') {
                open.pop();
            } else if !tag.starts_with(['?', '!']) && !tag.ends_with('/') {
                let name = tag.split_whitespace().next().unwrap_or_default();
                if let Some(group) = open.last()
                    && !value.trim().is_empty()
                {
                    let value = value.trim().to_owned();
                    values.insert(((*group).to_owned(), name.to_owned()), value);
                }
                open.push(name);
            }
        }
        Self(values)
    }

    fn of_odl(text: &str) -> Self {
        let mut values = HashMap::new();
        let mut open: Vec<&str> = Vec::new();
        for line in text.lines() {
            let Some((key, value)) = line.split_once('=') else { continue };
            let (key, value) = (key.trim(), value.trim().trim_matches('"'));
            match key {
                "GROUP" => open.push(value),
                "END_GROUP" => drop(open.pop()),
                _ => {
                    let group = open.last().copied().unwrap_or_default().to_owned();
                    values.insert((group, key.to_owned()), value.to_owned());
                }
            }
        }
        Self(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_of_an_mtl_file_say_the_same() {
        let json = r#"{"LANDSAT_METADATA_FILE": {"A": {"X": "1", "Y": 2.5}, "B": {"X": "3"}}}"#;
        let xml = "<?xml version=\"1.0\"?>\n<LANDSAT_METADATA_FILE>\n<A>\n<X>1</X>\n<Y>2.5</Y>\n\
                   </A>\n<B>\n<X>3</X>\n</B>\n</LANDSAT_METADATA_FILE>\n";
        let odl = "GROUP = LANDSAT_METADATA_FILE\n  GROUP = A\n    X = \"1\"\n    Y = 2.5\n  \
                   END_GROUP = A\n  GROUP = B\n    X = 3\n  END_GROUP = B\nEND_GROUP = L\nEND\n";
        for text in [json, xml, odl] {
            let mtl = Mtl::parse(text);
            let got = [("A", "X"), ("A", "Y"), ("B", "X")].map(|(g, k)| mtl.get(g, k));
            assert_eq!(got, [Some("1"), Some("2.5"), Some("3")]);
            assert_eq!(mtl.get("B", "Y"), None);
        }
        for text in ["", "{", "<a", "X", "</a></a><b>"] {
            assert_eq!(Mtl::parse(text).get("A", "X"), None);
        }
    }
}
