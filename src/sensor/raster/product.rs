//! Products: pictures whose bands lie in several files, held together by a
//! metadata file.

pub(super) mod apart;
mod cube;
mod emit;
mod enmap;
mod landsat;
mod modis;
mod prisma;
pub(super) mod sentinel2;
pub(in crate::sensor) mod stac;
pub(super) mod variables;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use gdal::{Dataset, Metadata};

use super::arrays::ArrayName;
use super::layer::Law;
use super::library;
use crate::error::{Error, Fault, Result};
use crate::frame::{Band, GeoReference};
use crate::sensor::count;

/// The longest metadata file that is read, in bytes; real ones have less
/// than a hundredth of it.
const LONGEST: u64 = 64 << 20;

/// What a product's metadata says.
#[derive(Debug)]
pub(super) struct Product {
    /// What was named: a folder, an archive, or the metadata file.
    pub path: String,
    /// The mission and the level; none where nothing says so.
    pub model: Option<String>,
    /// Its bands, in order of wavelength.
    pub pieces: Vec<Piece>,
    /// A file whose pixels have no reading where any of these bits is set.
    pub mask: Option<(String, u32)>,
    /// Files that tell what pixels show, with the names of what they hold.
    pub quality: Vec<(String, String)>,
    /// Where it lies, if its files do not say so themselves.
    pub georeference: Option<GeoReference>,
    /// What people are told of it: what was applied, what is missing.
    pub said: Vec<String>,
}

impl Product {
    /// A product of `pieces`, of which its metadata say no more than `said`.
    fn new(
        path: &str,
        model: impl Into<Option<String>>,
        pieces: Vec<Piece>,
        said: Vec<String>,
    ) -> Self {
        let model = model.into();
        let (mask, quality, georeference) = (None, vec![], None);
        Self { path: path.to_owned(), model, pieces, mask, quality, georeference, said }
    }
}

/// One band of a product.
#[derive(Debug)]
pub(super) struct Piece {
    /// The file that it lies in.
    pub path: String,
    /// The array of that file which holds it, where the file is one of arrays
    /// instead of rasters.
    pub array: Option<ArrayName>,
    /// Its number there, from 1.
    pub index: usize,
    /// What the metadata says of it.
    pub band: Band,
    /// The stored numbers that mean that there is no reading.
    pub missing: Vec<f64>,
    /// How stored numbers become readings.
    pub law: Law,
}

impl Product {
    /// The product at `path`, if it is one: its folder, its metadata file, a
    /// zip file of its folder, or an item of a STAC.
    ///
    /// # Errors
    ///
    /// If the metadata cannot be read or lacks what the numbers need, or if
    /// there are several products.
    pub fn find(path: &str) -> Result<Option<Self>> {
        match Self::of_several(path)? {
            Some(product) => Ok(Some(product)),
            None => Self::of_kinds(path, &OF_ONE),
        }
    }

    /// The same, if it is one of several files. No file that a library could
    /// crash on is opened for that.
    ///
    /// # Errors
    ///
    /// As for [`Product::find`].
    pub fn of_several(path: &str) -> Result<Option<Self>> {
        if let Some(item) = stac::product(path)? {
            return Ok(Some(item));
        }
        match Self::of_kinds(path, &OF_SEVERAL)? {
            None if Path::new(path).is_dir() => apart::product(path),
            found => Ok(found),
        }
    }

    fn of_kinds(path: &str, kinds: &[Kind]) -> Result<Option<Self>> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let places = places(path);
        for (is_metadata, read) in kinds {
            if let Some(metadata) = only(path, &places, *is_metadata)?
                && let Some(product) = read(path, &metadata)?
            {
                return Ok(Some(product));
            }
        }
        Ok(None)
    }
}

/// How products of one kind are known by the name of their metadata, and read.
type Kind = (fn(&str) -> bool, fn(&str, &str) -> Result<Option<Product>>);

/// Those whose bands lie in several files.
const OF_SEVERAL: [Kind; 3] = [
    (sentinel2::is_metadata, sentinel2::product),
    (landsat::is_metadata, landsat::product),
    (enmap::is_metadata, enmap::product),
];

/// Those that are one file; the more particular ones first.
const OF_ONE: [Kind; 5] = [
    (emit::is_metadata, emit::product),
    (modis::is_metadata, modis::product),
    (prisma::is_metadata, prisma::product),
    (cube::is_metadata, cube::product),
    (variables::is_metadata, variables::product),
];

/// The files among which the metadata of a product at `path` would be.
fn places(path: &str) -> Vec<String> {
    let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let remote = path.starts_with("/vsi");
    if name.ends_with(".zip") && (remote || Path::new(path).is_file()) {
        let root =
            if path.starts_with("/vsizip/") { path.into() } else { format!("/vsizip/{path}") };
        let folders = listing(&root, false).into_iter().filter(|entry| !entry.contains('.'));
        let inside = |entry: &str| {
            let folder = format!("{root}/{}", entry.trim_end_matches('/'));
            listing(&folder, false).into_iter().map(move |file| format!("{folder}/{file}"))
        };
        let safe = listing(&root, false).into_iter().filter(|entry| entry.contains(".SAFE"));
        return folders.chain(safe).flat_map(|entry| inside(&entry)).collect();
    }
    if Path::new(path).is_dir() || (remote && name.ends_with(".safe")) {
        return listing(path, false).into_iter().map(|file| format!("{path}/{file}")).collect();
    }
    vec![path.to_owned()]
}

/// The only file of `places` that is one; of several forms of the same
/// metadata, the first.
fn only(path: &str, places: &[String], is_metadata: fn(&str) -> bool) -> Result<Option<String>> {
    let mut found: Vec<&String> =
        places.iter().filter(|place| is_metadata(file_name(place))).collect();
    found.dedup_by_key(|place| place.rsplit_once('.').map_or(place.as_str(), |(stem, _)| stem));
    match found[..] {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        _ => {
            let names: Vec<&str> = found.iter().map(|place| place.as_str()).collect();
            Err(Error::input(path, format!("holds {}", count(found.len(), "product")))
                .hint(format!("name one of them: {}", names.join(", "))))
        }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// The folder that the file at `path` lies in.
fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(folder, _)| folder)
}

/// The names in the folder at `path`, or with `deep` the paths of all that
/// lies below it, sorted; empty where it cannot be read.
fn listing(path: &str, deep: bool) -> Vec<String> {
    let read = || gdal::vsi::read_dir(path, deep);
    let entries = library::call(Fault::Input, path, read).unwrap_or_default();
    let mut names: Vec<String> =
        entries.iter().map(|entry| entry.to_string_lossy().into_owned()).collect();
    names.retain(|name| !matches!(name.as_str(), "." | ".."));
    names.sort();
    names
}

/// The text of the metadata file at `path`; of one inside an archive or far
/// away, through GDAL, which keeps it in `domain`.
fn text(path: &str, domain: &str) -> Result<String> {
    if path.starts_with("/vsi") {
        return library::call(Fault::Input, path, || {
            let dataset = Dataset::open(path)?;
            library::forgive();
            Ok(dataset.metadata_domain(domain).unwrap_or_default().join("\n"))
        });
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST).read_to_end(&mut bytes))
        .map_err(|e| Error::input(path, e))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What metadata at `path` fails to say.
fn lacks(path: &str, what: &str) -> Error {
    Error::input(path, format!("states no {what}"))
        .hint("the metadata file is damaged or of an unknown version: fetch the product again")
}
