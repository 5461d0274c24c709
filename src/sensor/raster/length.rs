//! Files that are cut short, whose missing numbers GDAL takes for zeros.

use std::fs::File;
use std::io::{BufReader, Read};

use gdal::{Dataset, Metadata};

use super::library;
use crate::error::{Error, Fault, Result};

/// Refuses `dataset`, opened from `path`, if its file holds less than its
/// header says.
///
/// # Errors
///
/// If it does.
pub(super) fn check(dataset: &Dataset, path: &str) -> Result<()> {
    match dataset.driver().short_name().as_str() {
        "ENVI" => check_envi(dataset, path),
        "netCDF" => check_netcdf(path),
        _ => Ok(()),
    }
}

/// `file`, which holds `found` bytes instead of the `needed` ones of what its
/// header says that it holds.
fn short(file: &str, found: u64, needed: u64, says: &str) -> Error {
    let what = format!("holds {found} bytes, but its header says {says}, which take {needed}");
    Error::input(file, what).hint("it is cut short: fetch it again")
}

fn check_envi(dataset: &Dataset, path: &str) -> Result<()> {
    let header = |key| dataset.metadata_item(key, "ENVI");
    if header("file_compression").is_some_and(|method| method.trim() != "0") {
        return Ok(());
    }
    let Ok(found) = std::fs::metadata(path) else { return Ok(()) };
    let ((columns, rows), bands) = (dataset.raster_size(), dataset.raster_count());
    let stored = library::call(Fault::Input, path, || {
        Ok(u64::from(dataset.rasterband(1)?.band_type().bytes()))
    })?;
    let before = header("header_offset").and_then(|text| text.trim().parse().ok());
    let pixels = (rows as u64).saturating_mul(columns as u64);
    let needed = pixels.saturating_mul((bands as u64).saturating_mul(stored));
    let needed = needed.saturating_add(before.unwrap_or(0));
    if found.len() >= needed {
        return Ok(());
    }
    let says = format!("{columns} x {rows} pixels of {bands} bands");
    Err(short(path, found.len(), needed, &says))
}

/// Refuses the NetCDF file at `path`, or that of the variable which GDAL calls
/// so, if it is of a classic format and holds less than its header says.
///
/// # Errors
///
/// If it does.
pub(super) fn check_netcdf(path: &str) -> Result<()> {
    let file = container(path);
    let Ok(opened) = File::open(file) else { return Ok(()) };
    let Ok(found) = opened.metadata() else { return Ok(()) };
    // What no header is, or a damaged one, is for the library to refuse.
    let Some((variable, needed)) = Header::end(BufReader::new(opened)) else { return Ok(()) };
    if found.len() >= needed {
        return Ok(());
    }
    Err(short(file, found.len(), needed, &format!("all of its variable {variable}")))
}

/// The file in GDAL's name of a variable in it, `NETCDF:"FILE":VARIABLE`.
fn container(name: &str) -> &str {
    let prefix = name.get(..7).filter(|prefix| prefix.eq_ignore_ascii_case("netcdf:"));
    let Some(inside) = prefix.and_then(|_| name.get(7..)) else { return name };
    match inside.strip_prefix('"').and_then(|quoted| quoted.split_once('"')) {
        Some((file, _)) => file,
        None => inside.rsplit_once(':').map_or(inside, |(file, _)| file),
    }
}

/// Longest name and most attributes, dimensions or variables that are
/// believed; the library's own limits are 256 and 8192.
const LONGEST_NAME: u64 = 1 << 16;
const MOST: u64 = 1 << 20;

/// The header of a file in NetCDF's classic formats, read from its beginning
/// (Unidata, NetCDF File Format Specifications: CDF-1, CDF-2 and CDF-5).
struct Header<R> {
    file: R,
    version: u8,
}

/// A variable whose numbers lie in the file.
struct Variable {
    name: String,
    /// Where they begin, in bytes.
    begin: u64,
    /// Bytes of all of them, or of those in one record.
    length: u64,
    /// Bytes of one of them.
    size: u64,
    /// Whether it grows by records.
    recorded: bool,
}

impl<R: Read> Header<R> {
    /// The variable that ends last, and where it does; `None` for other files
    /// and those whose end only their length tells.
    fn end(mut file: R) -> Option<(String, u64)> {
        let mut magic = [0; 4];
        file.read_exact(&mut magic).ok()?;
        let version = match &magic {
            [b'C', b'D', b'F', version @ (1 | 2 | 5)] => *version,
            _ => return None,
        };
        let mut header = Self { file, version };
        let records = header.count()?;
        let streaming = if version == 5 { u64::MAX } else { u64::from(u32::MAX) };
        let dimensions = header.list(10, |header| {
            header.name()?;
            header.count()
        })?;
        header.list(12, Self::attribute)?;
        let variables = header.list(11, |header| header.variable(&dimensions))?;
        let record = record_length(&variables);
        let end = |variable: &Variable| {
            let before = match (variable.recorded, records) {
                (false, _) => Some(0),
                (true, 0) => None,
                (true, records) if records == streaming => None,
                (true, records) => Some((records - 1).saturating_mul(record)),
            }?;
            Some(variable.begin.saturating_add(before).saturating_add(variable.length))
        };
        let ends = variables.iter().filter_map(|variable| Some((end(variable)?, variable)));
        ends.max_by_key(|(end, _)| *end).map(|(end, variable)| (variable.name.clone(), end))
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    fn word(&mut self) -> Option<u64> {
        self.bytes().map(|bytes| u64::from(u32::from_be_bytes(bytes)))
    }

    fn long(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_be_bytes)
    }

    /// A number of things, which has 64 bits in CDF-5.
    fn count(&mut self) -> Option<u64> {
        if self.version == 5 { self.long() } else { self.word() }
    }

    /// Skips `length` bytes and what fills up the last word.
    fn skip(&mut self, length: u64) -> Option<()> {
        let length = length.checked_next_multiple_of(4)?;
        let skipped = std::io::copy(&mut self.file.by_ref().take(length), &mut std::io::sink());
        (skipped.ok()? == length).then_some(())
    }

    fn name(&mut self) -> Option<String> {
        let length = self.count().filter(|length| *length <= LONGEST_NAME)?;
        let mut name = vec![0; length.next_multiple_of(4) as usize];
        self.file.read_exact(&mut name).ok()?;
        name.truncate(length as usize);
        Some(String::from_utf8_lossy(&name).into_owned())
    }

    /// A list that begins with `tag`, or an absent one.
    fn list<T>(&mut self, tag: u64, each: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        match (self.word()?, self.count()?) {
            (0, 0) => Some(Vec::new()),
            (found, count) if found == tag && count <= MOST => {
                (0..count).map(|_| each(self)).collect()
            }
            _ => None,
        }
    }

    fn attribute(&mut self) -> Option<()> {
        self.name()?;
        let size = size(self.word()?)?;
        let count = self.count()?;
        self.skip(count.checked_mul(size)?)
    }

    fn variable(&mut self, dimensions: &[u64]) -> Option<Variable> {
        let name = self.name()?;
        let axes = self.count().filter(|axes| *axes <= MOST)?;
        let mut lengths = Vec::new();
        for _ in 0..axes {
            lengths.push(*dimensions.get(usize::try_from(self.count()?).ok()?)?);
        }
        self.list(12, Self::attribute)?;
        let size = size(self.word()?)?;
        // The stated length is of 32 bits, and says nothing of large variables.
        self.count()?;
        let begin = if self.version == 1 { self.word() } else { self.long() }?;
        // A length of 0 stands for the number of records.
        let recorded = lengths.first() == Some(&0);
        let inner = &lengths[usize::from(recorded)..];
        let length = inner.iter().try_fold(size, |all, axis| all.checked_mul(*axis))?;
        Some(Variable { name, begin, length, size, recorded })
    }
}

/// Bytes from one record to the next: every part is filled up to whole words,
/// unless there is only one of numbers below a word.
fn record_length(variables: &[Variable]) -> u64 {
    let parts: Vec<&Variable> = variables.iter().filter(|variable| variable.recorded).collect();
    match parts[..] {
        [only] if only.size < 4 => only.length,
        _ => parts
            .iter()
            .map(|part| part.length.saturating_add(3) / 4 * 4)
            .fold(0, u64::saturating_add),
    }
}

/// Bytes of a number of the type called `kind`.
fn size(kind: u64) -> Option<u64> {
    match kind {
        // byte, char, unsigned byte
        1 | 2 | 7 => Some(1),
        // short, unsigned short
        3 | 8 => Some(2),
        // int, float, unsigned int
        4 | 5 | 9 => Some(4),
        // double, 64-bit integers
        6 | 10 | 11 => Some(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with a variable on a fixed axis of 5, `fixed` bytes into the file,
    /// and variables of `kinds` on an axis of `records` records and one of 3, 1000
    /// bytes into it and on.
    fn header(version: u8, records: u32, fixed: u32, kinds: &[u32]) -> Vec<u8> {
        let wide = version == 5;
        let word = |number: u32| number.to_be_bytes().to_vec();
        let long = |number: u32| u64::from(number).to_be_bytes().to_vec();
        let count = |number: u32| if wide { long(number) } else { word(number) };
        let place = |number: u32| if version == 1 { word(number) } else { long(number) };
        let name = |text: &str| [count(text.len() as u32), text.as_bytes().to_vec()].concat();
        let axis = |text: &str, length: u32| [name(text), count(length)].concat();
        let axes = [axis("time", 0), axis("five", 5), axis("size", 3)].concat();
        let variable = |axes: &[u32], kind: u32, begin: u32| {
            let axes_listed: Vec<u8> = axes.iter().flat_map(|&axis| count(axis)).collect();
            let attribute =
                [word(12), count(1), name("unit"), word(2), count(3), b"km\0\0".to_vec()];
            let head = [name("vari"), count(axes.len() as u32), axes_listed, attribute.concat()];
            [head.concat(), word(kind), count(0), place(begin)].concat()
        };
        let recorded = kinds.iter().enumerate();
        let recorded: Vec<u8> = recorded
            .flat_map(|(at, &kind)| variable(&[0, 2], kind, 1000 + 8 * at as u32))
            .collect();
        let all = 1 + kinds.len() as u32;
        [
            vec![b'C', b'D', b'F', version],
            count(records),
            [word(10), count(3), axes].concat(),
            [word(0), count(0), word(11), count(all), variable(&[1], 6, fixed), recorded].concat(),
        ]
        .concat()
    }

    #[test]
    fn the_end_of_a_classic_file_follows_from_its_header() {
        for version in [1, 2, 5] {
            let end = |records, fixed, kinds: &[u32]| {
                Header::end(&header(version, records, fixed, kinds)[..]).map(|(_, end)| end)
            };
            // 5 doubles.
            assert_eq!(end(0, 900, &[3]), Some(940));
            assert_eq!(end(4, 5000, &[3]), Some(5040));
            // The only variable of records is not filled up: 3 shorts each.
            assert_eq!(end(4, 900, &[3]), Some(1000 + 3 * 6 + 6));
            // Records of 3 shorts, filled up, and of 3 bytes, filled up.
            assert_eq!(end(4, 900, &[3, 1]), Some(1008 + 3 * 12 + 3));
            // Records of 3 doubles need no filling.
            assert_eq!(end(2, 900, &[6]), Some(1000 + 24 + 24));
        }
        let streaming = header(1, u32::MAX, 900, &[3]);
        assert_eq!(Header::end(&streaming[..]).map(|(_, end)| end), Some(940));
        let whole = header(2, 4, 900, &[3, 1]);
        assert!((0..whole.len()).all(|cut| Header::end(&whole[..cut]).is_none()));
        assert!(Header::end(&b"CDF\x03"[..]).is_none() && Header::end(&b"\x89HDF"[..]).is_none());
    }

    #[test]
    fn the_file_of_a_variable_is_found_in_its_name() {
        for (name, file) in [
            ("NETCDF:\"a b.nc\":t", "a b.nc"),
            ("netcdf:\"/x:y/a.nc\":group/t", "/x:y/a.nc"),
            ("NETCDF:a.nc:t", "a.nc"),
            ("a.nc", "a.nc"),
            ("NETCD\u{fc}", "NETCD\u{fc}"),
        ] {
            assert_eq!(container(name), file);
        }
    }
}
