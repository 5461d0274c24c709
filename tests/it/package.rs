//! What the Debian package holds beside the program.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use flate2::read::GzDecoder;

use crate::cli::{names_in, text, verbs};
use crate::skipped::skipped;

/// Where cargo-deb looks for what was built.
const BUILT: &str = "target/release/";

/// The files that Cargo.toml has cargo-deb pack, by where they come from.
fn packed() -> Vec<String> {
    let manifest: toml::Value = toml::from_str(include_str!("../../Cargo.toml")).unwrap();
    let assets = manifest["package"]["metadata"]["deb"]["assets"].as_array().unwrap();
    assets.iter().map(|asset| asset[0].as_str().unwrap().to_owned()).collect()
}

/// What is in a compressed file.
fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_package_has_a_page_for_every_verb_and_the_licence_of_every_library() {
    if Command::new("help2man").arg("--version").output().is_err() {
        return skipped("help2man is not installed");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let mut script = Command::new("bash");
    script.arg(root.join("packaging/deb.sh")).arg(env!("CARGO_BIN_EXE_wysiwyh"));
    let output = script.arg(folder.path()).env("CARGO_NET_OFFLINE", "true").output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));

    for source in packed() {
        let path = match source.strip_prefix(BUILT) {
            Some(name) => folder.path().join(name),
            None => root.join(&source),
        };
        let mut files = glob::glob(&path.to_string_lossy()).unwrap();
        assert!(files.next().is_some(), "{source} is not there");
    }
    assert_eq!(names_in(folder.path()), ["completions", "man", "notices.gz", "wysiwyh"]);

    let mut expected = vec!["wysiwyh.1.gz".to_owned()];
    for verb in verbs().iter().filter(|verb| *verb != "help") {
        let name = format!("wysiwyh-{verb}.1.gz");
        let page = unpacked(&folder.path().join("man").join(&name));
        assert!(page.contains(&format!("\n.TH WYSIWYH-{} \"1\"", verb.to_uppercase())), "{page}");
        for part in ["\n.SH SYNOPSIS\n.B wysiwyh", "\n.SH OPTIONS\n", "\nReads:", "\nExample:"] {
            assert!(page.contains(part), "{part} is not in {name}: {page}");
        }
        expected.push(name);
    }
    expected.sort();
    assert_eq!(names_in(&folder.path().join("man")), expected);

    let notices = unpacked(&folder.path().join("notices.gz"));
    for (library, told) in [("burn ", "MIT OR Apache-2.0, texts "), ("rerun ", "MIT OR Apache-2.0")]
    {
        let line = notices.lines().find(|line| line.starts_with(library)).unwrap();
        assert!(line.contains(told), "{line}");
    }
    let texts = notices.matches("\n----- text ").count();
    assert!(texts > 50 && notices.contains(&format!("\n----- text {texts} -----\n")), "{texts}");
}
