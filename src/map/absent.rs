//! A build without GDAL neither transforms coordinates nor writes GeoTIFF
//! and GeoPackage.

use std::path::Path;

use ndarray::ArrayView3;

use super::Ring;
use crate::error::{Error, Fault, Result};
use crate::frame::Band;
use crate::sensor::Scene;
use crate::table::Table;

/// A GeoTIFF in the making; this build cannot make one.
#[derive(Debug)]
pub enum Mosaic {}

impl Mosaic {
    /// Begins a mosaic at `path`.
    ///
    /// # Errors
    ///
    /// Always: this build has no GDAL.
    pub fn create(path: &Path, _: &Scene, _: &[Band], _chips: usize) -> Result<Self> {
        Err(unsupported(&path.display().to_string()))
    }

    /// Places a chip.
    ///
    /// # Errors
    ///
    /// Never: there is no mosaic to call it on.
    pub fn place(&mut self, _position: [u32; 2], _chip: ArrayView3<f32>) -> Result<()> {
        match *self {}
    }

    /// Completes the file.
    ///
    /// # Errors
    ///
    /// Never: there is no mosaic to call it on.
    pub fn finish(self) -> Result<()> {
        match self {}
    }
}

/// A GeoPackage in the making; this build cannot make one.
#[derive(Debug)]
pub enum Geopackage {}

impl Geopackage {
    /// Begins a GeoPackage at `path`.
    ///
    /// # Errors
    ///
    /// Always: this build has no GDAL.
    pub fn create(path: &Path, _layer: &str) -> Result<Self> {
        Err(unsupported(&path.display().to_string()))
    }

    /// Copies a table.
    ///
    /// # Errors
    ///
    /// Never: there is no GeoPackage to call it on.
    pub fn fill(self, _table: &Table) -> Result<()> {
        match self {}
    }
}

/// The way from a map to longitude and latitude; this build finds none.
#[derive(Debug)]
pub(super) enum Way {}

impl Way {
    pub fn from(_crs_wkt: &str) -> Result<Option<Self>> {
        Err(unsupported("footprints"))
    }

    pub fn longitudes_latitudes(&self, _points: Ring) -> Result<Ring> {
        match *self {}
    }
}

fn unsupported(subject: &str) -> Error {
    Error::new(Fault::Unsupported, subject, "this build cannot place pictures on the map")
        .hint("build it with the feature `gdal`")
}
