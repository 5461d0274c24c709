//! Which files a source consists of.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Rig, markup};

/// The endings of files that describe the one beside them with the same stem.
const SIDECARS: [&str; 3] = ["hdr", "tfw", "prj"];

/// How much of a virtual raster is looked at for the files it refers to.
const LONGEST: u64 = 64 << 20;

/// The files on this machine that `source` consists of, sorted, as far as they
/// can be told without opening pictures: the file and those that describe it,
/// all below a folder, the bands of a product or of a virtual raster, the
/// lenses of a capture. None of what is far away, simulated, or a camera.
pub fn files(source: &str) -> Vec<PathBuf> {
    let path = Path::new(source);
    let mut files = if path.is_dir() { below(path) } else { of_file(source) };
    files.sort();
    files.dedup();
    files
}

/// All files below `folder` but hidden ones.
fn below(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (vec![], vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            // A link to a folder may lead back up.
            match entry.file_type() {
                _ if hidden => {}
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => files.push(entry.path()),
            }
        }
    }
    files
}

fn of_file(source: &str) -> Vec<PathBuf> {
    let path = Path::new(source);
    let sidecars = SIDECARS.map(|ending| path.with_extension(ending));
    let mut files: Vec<PathBuf> = sidecars.into_iter().chain([path.to_owned()]).collect();
    files.extend(named_in(path));
    if Rig::is_one(path) {
        files.extend(Rig::files(path));
    }
    #[cfg(feature = "gdal")]
    files.extend(super::raster::Raster::files(source).into_iter().map(PathBuf::from));
    files.retain(|file| file.is_file());
    files
}

/// The files that the virtual raster at `path` refers to.
fn named_in(path: &Path) -> Vec<PathBuf> {
    let mut text = String::new();
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("vrt")) {
        // What cannot be read refers to nothing, and fails when it is opened.
        let _ = fs::File::open(path).map(|file| file.take(LONGEST).read_to_string(&mut text));
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    markup::elements(&text, "SourceFilename").map(|name| folder.join(name.content)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("deep")).unwrap();
        for name in ["a.img", "a.hdr", "b.tif", "deep/c.tif", ".hidden"] {
            fs::write(at(name), "").unwrap();
        }
        let names = |source: &Path| -> Vec<String> {
            let short = |file: PathBuf| file.strip_prefix(&folder).unwrap().display().to_string();
            files(&source.to_string_lossy()).into_iter().map(short).collect()
        };
        assert_eq!(names(&at("a.img")), ["a.hdr", "a.img"]);
        assert_eq!(names(folder.path()), ["a.hdr", "a.img", "b.tif", "deep/c.tif"]);
        let vrt = "<A><SourceFilename relativeToVRT=\"1\">deep/c.tif</SourceFilename></A>";
        fs::write(at("v.vrt"), vrt).unwrap();
        assert_eq!(names(&at("v.vrt")), ["deep/c.tif", "v.vrt"]);
        assert!(files("simulated:3").is_empty());
    }
}
