//! Scenes of one file for each band, in a folder without metadata, as cloud archives
//! serve them: `B02.tif`, `T51SXX_20200101_B8A_20m.jp2`.

use gdal::Dataset;

use super::{Law, Piece, Product, file_name, library, listing};
use crate::error::{Error, Fault, Result};
use crate::frame::{Band, Unit};
use crate::sensor::naming::split_number;

/// The fewest files that make a scene: two may be anything.
const FEWEST: usize = 3;

/// The highest number of a band: Sentinel-2's is 12.
const HIGHEST: u32 = 12;

/// The scene in the folder at `path`, if all its TIFF or JPEG 2000 files are called alike
/// but for the number of their band, and lie on a map with one band each; those that say
/// themselves that they are none are left out.
///
/// # Errors
///
/// If one of them cannot be read, or they are a Landsat product's, whose metadata are
/// missing.
pub(super) fn product(path: &str) -> Result<Option<Product>> {
    let mut files = listing(path, false);
    files.retain(|name| is_raster(name));
    if is_landsat(&files) {
        let what = "holds bands of a Landsat product, but not its MTL file, which scales them";
        return Err(Error::input(path, what)
            .hint("unpack the whole product; single bands can be opened on their own"));
    }
    let (others, files): (Vec<String>, Vec<String>) =
        files.into_iter().partition(|name| is_beside(name));
    let Some(mut files) = files.into_iter().map(Named::new).collect::<Option<Vec<Named>>>() else {
        return Ok(None);
    };
    files.sort_by(|a, b| (a.number, &a.band).cmp(&(b.number, &b.band)));
    let alike = files.windows(2).all(|pair| {
        let (a, b) = (&pair[0], &pair[1]);
        a.rest == b.rest && !a.band.eq_ignore_ascii_case(&b.band)
    });
    if files.len() < FEWEST || !alike {
        return Ok(None);
    }
    let mut pieces = Vec::with_capacity(files.len());
    for Named { file, band, .. } in files {
        match piece(format!("{path}/{file}"), band)? {
            Some(piece) => pieces.push(piece),
            None => return Ok(None),
        }
    }
    let said = match &others[..] {
        [] => vec![],
        others => vec![format!("without {}", others.join(", "))],
    };
    Ok(Some(Product::new(path, None, pieces, said)))
}

/// What lies beside bands and is none: pictures for the eye, and the maps of classes,
/// clouds, aerosol and water vapour of Sentinel-2 and Landsat.
const BESIDE: [&str; 16] = [
    "tci",
    "pvi",
    "preview",
    "thumbnail",
    "browse",
    "scl",
    "aot",
    "wvp",
    "cld",
    "snw",
    "msk",
    "qa",
    "qa60",
    "bqa",
    "pixel",
    "radsat",
];

/// Whether the name of a file says that it is no band: one of its words is of [`BESIDE`],
/// and none of a band.
fn is_beside(name: &str) -> bool {
    let words = || name.split(|c: char| !c.is_alphanumeric());
    let is_other = |word: &str| BESIDE.contains(&word.to_ascii_lowercase().as_str());
    words().any(is_other) && words().all(|word| number_of(word).is_none())
}

/// Whether `files` are bands and masks of one Landsat product, by its identifier of seven
/// words (USGS, Landsat Collection 2 Level-2 Science Product Guide).
fn is_landsat(files: &[String]) -> bool {
    let product = |name: &String| {
        let (end, _) = name.match_indices('_').nth(6)?;
        Some(name[..end].to_ascii_uppercase()).filter(|name| name.starts_with('L'))
    };
    let Some(first) = files.first().and_then(product) else { return false };
    let masks = files.iter().any(|name| name.to_ascii_uppercase().contains("_QA_PIXEL."));
    masks && files.len() >= FEWEST && files.iter().all(|name| product(name) == Some(first.clone()))
}

fn is_raster(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".tif", ".tiff", ".jp2"].iter().any(|ending| name.ends_with(ending))
}

/// A file whose name says which band it holds.
struct Named {
    file: String,
    /// As it stands there, such as `B8A`.
    band: String,
    number: u32,
    /// The other words of the name; not those that say how large the pixels are.
    rest: Vec<String>,
}

impl Named {
    fn new(file: String) -> Option<Self> {
        let stem = file.rsplit_once('.').map_or(file.as_str(), |(stem, _)| stem);
        let (mut bands, mut rest) = (vec![], vec![]);
        for word in stem.split(|c: char| !c.is_alphanumeric()) {
            match number_of(word) {
                Some(number) => bands.push((word.to_owned(), number)),
                None if ["10m", "20m", "60m"].contains(&word) => {}
                None => rest.push(word.to_owned()),
            }
        }
        let (band, number) = bands.pop().filter(|_| bands.is_empty())?;
        Some(Self { band, number, rest, file })
    }
}

/// The band that the file at `path` holds by its name.
pub(in crate::sensor::raster) fn band_of(path: &str) -> Option<String> {
    Named::new(file_name(path).to_owned()).map(|named| named.band)
}

/// The number of the band that `word` is, as in `B04` or `B8A`.
fn number_of(word: &str) -> Option<u32> {
    let (letters, number) = split_number(word);
    let number = number.strip_suffix('a').unwrap_or(&number).parse().ok()?;
    (letters == "b" && (1..=HIGHEST).contains(&number)).then_some(number)
}

/// The band called `name` in the file at `path`; `None` where that lies nowhere, or has
/// other bands besides. Only TIFF files are opened for that, on which the library does
/// not crash; those in JPEG 2000 state neither scale nor offset.
fn piece(path: String, name: String) -> Result<Option<Piece>> {
    let stated = match path.to_ascii_lowercase().ends_with(".jp2") {
        true => Some((1.0, 0.0)),
        false => library::call(Fault::Input, &path, || {
            let dataset = Dataset::open(&path)?;
            let band = dataset.rasterband(1)?;
            let scene = dataset.raster_count() == 1 && dataset.geo_transform().is_ok();
            let stated = (band.scale().unwrap_or(1.0), band.offset().unwrap_or(0.0));
            library::forgive();
            Ok(scene.then_some(stated))
        })?,
    };
    Ok(stated.map(|(scale, offset)| Piece {
        path,
        array: None,
        index: 1,
        band: Band { scale, offset, ..Band::new(name, Unit::Counts) },
        missing: vec![],
        law: Law::Linear,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_landsat_product_is_known_by_its_names() {
        let named = |ends: &[&str]| {
            let scene = "LC08_L2SP_008059_20191201_20200825_02_T1";
            is_landsat(&ends.iter().map(|end| format!("{scene}_{end}.TIF")).collect::<Vec<_>>())
        };
        assert!(named(&["QA_PIXEL", "SR_B1", "ST_B10"]));
        assert!(!named(&["SR_B1", "SR_B2", "SR_B3"]) && !named(&[]));
        assert!(!is_landsat(&["B01.tif", "B02.tif", "QA_PIXEL.tif"].map(str::to_owned)));
    }

    #[test]
    fn names_say_which_band_a_file_holds() {
        let named = |file: &str| {
            Named::new(file.to_owned())
                .map(|named| (named.band, named.number, named.rest.join(" ")))
        };
        let found =
            |band: &str, number, rest: &str| Some((band.to_owned(), number, rest.to_owned()));
        assert_eq!(named("B02.tif"), found("B02", 2, ""));
        assert_eq!(named("T51SXX_20200101_B8A_20m.jp2"), found("B8A", 8, "T51SXX 20200101"));
        assert_eq!(named("HLS.S30.v2.0.b11.tif"), found("b11", 11, "HLS S30 v2 0"));
        for other in ["frame1.tif", "B13.tif", "B01_B02.tif", "QA_PIXEL.tif", "b.tif"] {
            assert_eq!(named(other), None, "{other}");
        }
    }
}
