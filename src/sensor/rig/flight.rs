//! Which captures of a flight have all their files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::lens::Lens;
use super::{Capture, captures};

/// So many captures that are left out are named.
const NAMED: usize = 3;

/// The captures of a folder that have a file of each lens that they usually have.
#[derive(Debug, Default)]
pub(super) struct Flight {
    folder: PathBuf,
    pub complete: Vec<Capture>,
    left_out: Vec<Capture>,
    /// The ends of the names of the files that a capture usually has.
    usual: BTreeSet<String>,
}

impl Flight {
    /// The captures in the folder at `path`. Those are complete that have a file of
    /// each lens of which most captures have one; where as many have more, of each
    /// of those.
    pub fn of(path: &Path) -> Self {
        let all = captures(path, None);
        let mut counts: BTreeMap<BTreeSet<String>, usize> = BTreeMap::new();
        for capture in &all {
            *counts.entry(ends(capture)).or_default() += 1;
        }
        let usual = counts.into_iter().max_by_key(|(ends, count)| (*count, ends.len()));
        let usual = usual.map(|(ends, _)| ends).unwrap_or_default();
        let (complete, left_out) = all.into_iter().partition(|own| usual.is_subset(&ends(own)));
        Self { folder: path.to_owned(), complete, left_out, usual }
    }

    /// A sentence on the captures that were left out, if any were: how many, and
    /// which lenses' files the first of them lack.
    pub fn remark(&self) -> Option<String> {
        let (out, all) = (self.left_out.len(), self.left_out.len() + self.complete.len());
        let named: Vec<String> =
            self.left_out.iter().take(NAMED).map(|capture| self.lacking(capture)).collect();
        let verb = match out {
            0 => return None,
            1 => "is",
            _ => "are",
        };
        let others = match out.saturating_sub(NAMED) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let (folder, named) = (self.folder.display(), named.join("; "));
        Some(format!(
            "{folder}: {out} of {all} captures {verb} left out, without all files: {named}{others}."
        ))
    }

    /// What a capture lacks: `IMG_0010 has no Red (IMG_0010_3.tif)`.
    fn lacking(&self, capture: &Capture) -> String {
        let own = ends(capture);
        let missing = self.usual.difference(&own).map(|end| {
            let file = format!("{}{end}", capture.0);
            match self.lens(end) {
                Some(lens) => format!("{lens} ({file})"),
                None => file,
            }
        });
        format!("{} has no {}", capture.0, missing.collect::<Vec<_>>().join(" and no "))
    }

    /// What the lens is called whose files end in `end`, as one of them states it.
    fn lens(&self, end: &str) -> Option<String> {
        let sibling = self.complete.first()?.1.iter().find(|file| name(file).ends_with(end))?;
        Some(Lens::open(sibling).ok()?.band.name)
    }
}

/// The ends of the names of a capture's files, which tell their lenses: `_4.tif`.
fn ends((stem, files): &Capture) -> BTreeSet<String> {
    files.iter().map(|file| name(file)).map(|name| name[stem.len()..].to_owned()).collect()
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
