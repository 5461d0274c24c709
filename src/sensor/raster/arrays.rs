//! Files of arrays, such as HDF5 and NetCDF: what lies in them, and where.

use gdal::cpl::CslStringList;
use gdal::raster::Group;
use gdal::{Dataset, DatasetOptions, GdalOpenFlags};

use super::{length, library};
use crate::error::{Fault, Result};
use crate::sensor::LIMIT;

/// An array in a file of arrays: its groups and its name, joined by slashes,
/// and the order of its axes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ArrayName {
    pub path: String,
    pub order: Order,
}

/// The order of the axes of an array.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Order {
    /// `[row, column, band]`
    BandsLast,
    /// `[row, band, column]`
    BandsBetween,
}

/// The sizes of an array of rows, columns and bands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axes {
    pub rows: usize,
    pub columns: usize,
    pub bands: usize,
    /// The stored number that means that there is no reading.
    pub nodata: Option<f64>,
}

/// Opens the file at `path` as one of arrays.
///
/// # Errors
///
/// If it is none, or cut short.
pub(super) fn open(path: &str) -> Result<Dataset> {
    length::check_netcdf(path)?;
    library::call(Fault::Input, path, || {
        let open_flags =
            GdalOpenFlags::GDAL_OF_MULTIDIM_RASTER | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR;
        let options = DatasetOptions { open_flags, ..DatasetOptions::default() };
        let dataset = Dataset::open_ex(path, options)?;
        library::forgive();
        Ok(dataset)
    })
}

/// The group that the array at `path` is in, and its name there; `None` where
/// there is no such array.
pub(super) fn group<'a>(
    dataset: &'a Dataset,
    path: &'a str,
) -> gdal::errors::Result<Option<(Group<'a>, &'a str)>> {
    let options = CslStringList::new;
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut group = dataset.root_group()?;
    for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
        if !group.group_names(options()).iter().any(|known| known == folder) {
            return Ok(None);
        }
        group = group.open_group(folder, options())?;
    }
    let known = group.array_names(options()).iter().any(|known| known == name);
    Ok(known.then_some((group, name)))
}

/// More texts than these are no description of anything.
const LONGEST_LIST: u64 = 1000;

/// How deep groups are looked into for arrays; real files have 5 levels.
const DEEPEST: usize = 12;

/// The arrays in a file, by the groups that they are in and their own name,
/// joined by slashes.
#[derive(Debug, Default)]
pub(super) struct Arrays {
    /// Those of numbers, with their sizes.
    pub numbers: Vec<(String, Vec<usize>)>,
    /// Those of text.
    pub texts: Vec<String>,
}

/// Every array in the file at `path`.
///
/// # Errors
///
/// If the file is damaged.
pub(super) fn all(path: &str) -> Result<Arrays> {
    let dataset = open(path)?;
    library::call(Fault::Input, path, || {
        let mut found = Arrays::default();
        collect(&dataset.root_group()?, "", DEEPEST, &mut found)?;
        Ok(found)
    })
}

fn collect(
    group: &Group,
    prefix: &str,
    depth: usize,
    found: &mut Arrays,
) -> gdal::errors::Result<()> {
    for name in group.array_names(CslStringList::new()) {
        let array = group.open_md_array(&name, CslStringList::new())?;
        let (name, kind) = (format!("{prefix}{name}"), array.datatype().class());
        if kind.is_numeric() {
            let sizes = array.dimensions()?.iter().map(|axis| axis.size()).collect();
            found.numbers.push((name, sizes));
        } else if kind.is_string() {
            found.texts.push(name);
        }
    }
    for name in group.group_names(CslStringList::new()) {
        if depth > 0 {
            let inner = group.open_group(&name, CslStringList::new())?;
            collect(&inner, &format!("{prefix}{name}/"), depth - 1, found)?;
        }
    }
    Ok(())
}

/// The first text in the array called `name` in the file at `path`.
///
/// # Errors
///
/// If the file is damaged.
pub(super) fn text(path: &str, name: &str) -> Result<Option<String>> {
    let dataset = open(path)?;
    library::call(Fault::Input, path, || {
        let Some((group, array)) = group(&dataset, name)? else { return Ok(None) };
        let array = group.open_md_array(array, CslStringList::new())?;
        if array.num_elements() > LONGEST_LIST {
            return Ok(None);
        }
        Ok(array.read_as_string_array()?.into_iter().next())
    })
}

/// The text of the first attribute of these `names` that the array called
/// `array` in the file at `path` has.
///
/// # Errors
///
/// If the file is damaged.
pub(super) fn property(path: &str, array: &str, names: &[&str]) -> Result<Option<String>> {
    let dataset = open(path)?;
    library::call(Fault::Input, path, || {
        let Some((group, array)) = group(&dataset, array)? else { return Ok(None) };
        let array = group.open_md_array(array, CslStringList::new())?;
        let found = names.iter().find_map(|name| array.attribute(name).ok());
        library::forgive();
        Ok(found.map(|attribute| attribute.read_as_string()))
    })
}

/// The axes of the array called `name` in the file at `path`; `None` where
/// there is no such array, or not of three axes.
pub(super) fn axes(path: &str, name: &ArrayName) -> Result<Option<Axes>> {
    let dataset = open(path)?;
    library::call(Fault::Input, path, || {
        let Some((group, array)) = group(&dataset, &name.path)? else { return Ok(None) };
        let array = group.open_md_array(array, CslStringList::new())?;
        let sizes: Vec<usize> = array.dimensions()?.iter().map(|axis| axis.size()).collect();
        let (rows, columns, bands) = match (&sizes[..], name.order) {
            (&[rows, columns, bands], Order::BandsLast) => (rows, columns, bands),
            (&[rows, bands, columns], Order::BandsBetween) => (rows, columns, bands),
            _ => return Ok(None),
        };
        Ok(Some(Axes { rows, columns, bands, nodata: array.no_data_value_as_double() }))
    })
}

/// The numbers of the array of one axis called `name` in the file at `path`,
/// if it has that.
pub(super) fn list(path: &str, name: &str) -> Result<Option<Vec<f64>>> {
    let dataset = open(path)?;
    library::call(Fault::Input, path, || {
        let Some((group, array)) = group(&dataset, name)? else { return Ok(None) };
        let array = group.open_md_array(array, CslStringList::new())?;
        let sizes: Vec<usize> = array.dimensions()?.iter().map(|axis| axis.size()).collect();
        let &[length] = &sizes[..] else { return Ok(None) };
        if length > LIMIT / size_of::<f64>() {
            return Ok(None);
        }
        let mut numbers = vec![0.0; length];
        array.read_into_slice(&mut numbers, vec![0], vec![length])?;
        Ok(Some(numbers))
    })
}

/// The numbers in the attribute called `name` of the file at `path`; none
/// where it has no such attribute.
pub(super) fn attribute(path: &str, name: &str) -> Result<Vec<f64>> {
    let dataset = open(path)?;
    library::call(Fault::Input, path, || {
        let found = dataset.root_group()?.attribute(name);
        library::forgive();
        Ok(found.map(|attribute| attribute.read_as_f64_array()).unwrap_or_default())
    })
}
