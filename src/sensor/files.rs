//! Which files a source consists of.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Rig, folder, markup};
use crate::error::{Error, Result};
use crate::staging::folder_of;

/// The endings of files that describe the one beside them with the same stem, or
/// with the same name.
const SIDECARS: [&str; 3] = ["hdr", "tfw", "prj"];

/// The endings of the files that ENVI's headers describe, which may also have
/// none (those that Spectral Python knows, and the three orders of bands).
const DESCRIBED: [&str; 9] = ["", "img", "dat", "raw", "bsq", "bil", "bip", "bin", "hyspex"];

/// How much of a virtual raster is looked at for the files it refers to.
const LONGEST: u64 = 64 << 20;

/// The files on this machine that `source` consists of, sorted, as far as they
/// can be told without opening pictures: the file and those that describe it,
/// the pictures in a folder, the bands of a product or of a virtual raster, the
/// lenses of a capture. None of what is far away, simulated, or a camera.
pub fn files(source: &str) -> Vec<PathBuf> {
    let mut files = of_product(source);
    match Path::new(source) {
        folder if !folder.is_dir() => files.extend(of_file(folder)),
        folder if files.is_empty() => {
            // What cannot be read fails when it is opened.
            files.extend(folder::pictures_in(folder).map(|(files, _)| files).unwrap_or_default());
        }
        _ => {}
    }
    files.retain(|file| file.is_file());
    files.sort();
    files.dedup();
    files
}

/// The bands of the product that `source` names, if it names one.
#[cfg(feature = "gdal")]
fn of_product(source: &str) -> Vec<PathBuf> {
    super::raster::Raster::files(source).into_iter().map(PathBuf::from).collect()
}

#[cfg(not(feature = "gdal"))]
fn of_product(_: &str) -> Vec<PathBuf> {
    vec![]
}

/// The file that the ENVI header at `path` describes, which lies beside it: of
/// `a.hdr` it is `a`, or `a.img` and the like, and of `a.img.hdr` it is `a.img`;
/// `None` where `path` is no such header.
///
/// # Errors
///
/// If there is none beside it.
pub fn described_by(path: &Path) -> Result<Option<PathBuf>> {
    let mut head = Vec::new();
    if !folder::ends_in(path, &["hdr"]) {
        return Ok(None);
    }
    fs::File::open(path)
        .and_then(|file| file.take(4).read_to_end(&mut head))
        .map_err(|e| Error::input(path, e))?;
    if head != b"ENVI" {
        return Ok(None);
    }
    let endings = DESCRIBED.iter().flat_map(|ending| [ending.to_string(), ending.to_uppercase()]);
    let mut beside = endings.map(|ending| path.with_extension(ending));
    match beside.find(|file| file.is_file()) {
        Some(data) => Ok(Some(data)),
        None => {
            Err(Error::input(path, "is the header of an ENVI file that does not lie beside it")
                .hint(format!(
                    "put the data there, as {} or with one of the endings {}",
                    path.with_extension("").display(),
                    DESCRIBED[1..].join(", ")
                )))
        }
    }
}

fn of_file(path: &Path) -> Vec<PathBuf> {
    let mut files = vec![path.to_owned()];
    for ending in SIDECARS {
        files.push(path.with_extension(ending));
        files.push(PathBuf::from(format!("{}.{ending}", path.display())));
    }
    files.extend(named_in(path));
    files.extend(described_by(path).ok().flatten());
    if Rig::is_one(path) {
        files.extend(Rig::files(path));
    }
    files
}

/// The local files that the virtual raster at `path` refers to, in mosaics and stacks
/// by `SourceFilename`, in what gdalwarp made by `SourceDataset`; empty for other
/// files.
pub(super) fn named_in(path: &Path) -> Vec<PathBuf> {
    let mut text = String::new();
    if folder::ends_in(path, &["vrt"]) {
        // What cannot be read refers to nothing, and fails when it is opened.
        let _ = fs::File::open(path).map(|file| file.take(LONGEST).read_to_string(&mut text));
    }
    let named = ["SourceFilename", "SourceDataset"]
        .into_iter()
        .flat_map(|name| markup::elements(&text, name).collect::<Vec<_>>());
    named
        .filter_map(|element| {
            let name = PathBuf::from(markup::plain(element.content));
            // As GDAL has it, which takes names of others than files, too.
            match element.attribute("relativeToVRT") {
                Some("1") => Some(folder_of(path).join(name)),
                _ => (!super::named_by_gdal(&name)).then_some(name),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("deep")).unwrap();
        for name in ["a.img", "a.hdr", "b.tif", "a.wav", "deep/c.tif", ".hidden.tif"] {
            fs::write(at(name), "ENVI").unwrap();
        }
        let names = |source: &Path| -> Vec<String> {
            let short = |file: PathBuf| file.strip_prefix(&folder).unwrap().display().to_string();
            files(&source.to_string_lossy()).into_iter().map(short).collect()
        };
        assert_eq!(names(&at("a.img")), ["a.hdr", "a.img"]);
        assert_eq!(names(&at("a.hdr")), ["a.hdr", "a.img"]);
        assert_eq!(names(folder.path()), ["b.tif"]);
        let vrt = "<A><SourceFilename relativeToVRT=\"1\">deep/c.tif</SourceFilename></A>";
        fs::write(at("v.vrt"), vrt).unwrap();
        assert_eq!(names(&at("v.vrt")), ["deep/c.tif", "v.vrt"]);
        let warped = "<A><SourceDataset relativeToVRT=\"1\">b.tif</SourceDataset></A>";
        fs::write(at("w.vrt"), warped).unwrap();
        assert_eq!(names(&at("w.vrt")), ["b.tif", "w.vrt"]);
        fs::write(at("a.img.hdr"), "ENVI").unwrap();
        assert_eq!(names(&at("a.img")), ["a.hdr", "a.img", "a.img.hdr"]);
        assert!(files("simulated:3").is_empty());
    }
}
