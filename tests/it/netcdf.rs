//! A writer of NetCDF's classic format, CDF-1, for files that no other program
//! would write (Unidata, NetCDF File Format Specifications).

use std::fs;
use std::path::Path;

/// A variable and its numbers.
pub struct Variable {
    name: String,
    /// Which axes of the file it lies on.
    axes: Vec<usize>,
    /// 2: text, 3: 16 bits.
    kind: usize,
    bytes: Vec<u8>,
    attribute: Vec<u8>,
}

impl Variable {
    /// One of numbers of 16 bits, row by row.
    pub fn of_shorts(name: &str, axes: &[usize], numbers: impl IntoIterator<Item = i16>) -> Self {
        let bytes = numbers.into_iter().flat_map(i16::to_be_bytes).collect();
        Self { name: name.into(), axes: axes.into(), kind: 3, bytes, attribute: absent() }
    }

    /// One of letters.
    pub fn of_text(name: &str, axes: &[usize], text: &str) -> Self {
        let bytes = text.as_bytes().to_vec();
        Self { name: name.into(), axes: axes.into(), kind: 2, bytes, attribute: absent() }
    }

    /// The same with the attribute called `name`.
    pub fn with(self, name: &str, value: f64) -> Self {
        let stated = [word(6), word(1), value.to_be_bytes().to_vec()].concat();
        Self { attribute: [word(12), word(1), text(name), stated].concat(), ..self }
    }
}

fn word(number: usize) -> Vec<u8> {
    u32::try_from(number).unwrap().to_be_bytes().to_vec()
}

fn text(name: &str) -> Vec<u8> {
    [word(name.len()), filled(name.as_bytes())].concat()
}

/// `bytes`, filled up to whole words.
fn filled(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A list of nothing.
fn absent() -> Vec<u8> {
    [word(0), word(0)].concat()
}

/// Writes a file of `variables` on `axes`, each with its length.
pub fn write(path: &Path, axes: &[(&str, usize)], variables: &[Variable]) {
    let head = |first: usize| {
        let axis = |&(name, length): &(&str, usize)| [text(name), word(length)].concat();
        let mut begin = first;
        let variable = |variable: &Variable| {
            let size = variable.bytes.len().next_multiple_of(4);
            let place = [word(variable.kind), word(size), word(begin)].concat();
            begin += size;
            let lies: Vec<u8> = variable.axes.iter().flat_map(|&axis| word(axis)).collect();
            let head = [text(&variable.name), word(variable.axes.len()), lies];
            [head.concat(), variable.attribute.clone(), place].concat()
        };
        let axes: Vec<u8> = [word(10), word(axes.len())]
            .into_iter()
            .chain(axes.iter().map(axis))
            .flatten()
            .collect();
        let listed: Vec<u8> = variables.iter().flat_map(variable).collect();
        let count = [word(11), word(variables.len())].concat();
        [b"CDF\x01".to_vec(), word(0), axes, absent(), count, listed].concat()
    };
    let mut bytes = head(head(0).len());
    for variable in variables {
        bytes.extend(filled(&variable.bytes));
    }
    fs::write(path, bytes).unwrap();
}
