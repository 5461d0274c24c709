//! Tables as GeoPackages, for map programs that read no Parquet.

use std::path::Path;

use arrow::array::{Array, Float64Array, StringArray};
use arrow::datatypes::DataType;
use gdal::config::{clear_thread_local_config_option, set_thread_local_config_option};
use gdal::spatial_ref::SpatialRef;
use gdal::vector::{Feature, FieldDefn, Geometry, LayerAccess, LayerOptions, OGRFieldType};
use gdal::{Dataset, DriverManager};

use crate::error::{Fault, Result};
use crate::sensor::raster::library;
use crate::table::{Batch, GEOMETRY, Table};

/// The option by which GDAL takes another time than now for that of a file's
/// last change.
const CLOCK: &str = "OGR_CURRENT_DATE";

/// What it says here, so that the same table makes the same file at any time.
const EPOCH: &str = "1970-01-01T00:00:00.000Z";

/// A GeoPackage in the making, with one layer.
#[derive(Debug)]
pub struct Geopackage {
    dataset: Dataset,
    layer: String,
    /// Where errors say it happened.
    subject: String,
}

/// A column of a table that a layer can have.
struct Attribute {
    name: String,
    kind: OGRFieldType::Type,
}

impl Geopackage {
    /// Begins the file at `path`, for a layer called `layer`.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn create(path: &Path, layer: &str) -> Result<Self> {
        let subject = path.display().to_string();
        let dataset = library::call(Fault::Output, &subject, || {
            DriverManager::get_driver_by_name("GPKG")?.create_vector_only(path)
        })?;
        Ok(Self { dataset, layer: layer.to_owned(), subject })
    }

    /// Copies the rows of `table`, with those of its columns that hold single
    /// numbers or texts, and completes the file.
    ///
    /// # Errors
    ///
    /// If the table cannot be read or the file not be written.
    pub fn fill(self, table: &Table) -> Result<()> {
        // Only a zero byte in the name or value could make this fail.
        let _ = set_thread_local_config_option(CLOCK, EPOCH);
        let filled = self.fill_in(table);
        let _ = clear_thread_local_config_option(CLOCK);
        filled
    }

    fn fill_in(mut self, table: &Table) -> Result<()> {
        let attributes: Vec<Attribute> = table
            .columns()
            .iter()
            .filter_map(|field| {
                Some(Attribute { name: field.name().clone(), kind: kind(field.data_type())? })
            })
            .collect();
        library::call(Fault::Output, &self.subject, || {
            let wgs84 = SpatialRef::from_epsg(4326)?;
            let options =
                LayerOptions { name: &self.layer, srs: Some(&wgs84), ..LayerOptions::default() };
            let layer = self.dataset.create_layer(options)?;
            for Attribute { name, kind } in &attributes {
                FieldDefn::new(name, *kind)?.add_to_layer(&layer)?;
            }
            Ok(())
        })?;
        let names: Vec<&str> = attributes.iter().map(|attribute| attribute.name.as_str()).collect();
        for batch in table.read(&[&names[..], &[GEOMETRY]].concat())? {
            self.append(&batch?, &attributes)?;
        }
        library::call(Fault::Output, &self.subject, || self.dataset.close())
    }

    fn append(&mut self, batch: &Batch, attributes: &[Attribute]) -> Result<()> {
        let mut columns = vec![];
        for Attribute { name, kind } in attributes {
            columns.push(match *kind {
                OGRFieldType::OFTString => Column::Texts(batch.texts(name)?),
                OGRFieldType::OFTInteger64 => Column::Counts(batch.numbers(name)?),
                _ => Column::Numbers(batch.numbers(name)?),
            });
        }
        let geometries = batch.bytes(GEOMETRY)?;
        library::call(Fault::Output, &self.subject, || {
            let transaction = self.dataset.start_transaction()?;
            let layer = transaction.layer(0)?;
            for row in 0..batch.rows() {
                let mut feature = Feature::new(layer.defn())?;
                for (field, column) in columns.iter().enumerate() {
                    column.copy(row, &mut feature, field)?;
                }
                if geometries.is_valid(row) {
                    feature.set_geometry(Geometry::from_wkb(geometries.value(row))?)?;
                }
                feature.create(&layer)?;
            }
            transaction.commit()
        })
    }
}

/// A column of some rows.
enum Column {
    Texts(StringArray),
    Counts(Float64Array),
    Numbers(Float64Array),
}

impl Column {
    /// Copies its value in `row`, if it has one, to a field of `feature`.
    fn copy(&self, row: usize, feature: &mut Feature, field: usize) -> gdal::errors::Result<()> {
        match self {
            Self::Texts(texts) if texts.is_valid(row) => {
                feature.set_field_string(field, texts.value(row))
            }
            Self::Counts(counts) if counts.is_valid(row) => {
                feature.set_field_integer64(field, counts.value(row) as i64)
            }
            Self::Numbers(numbers) if numbers.is_valid(row) => {
                feature.set_field_double(field, numbers.value(row))
            }
            _ => Ok(()),
        }
    }
}

/// The type of field for a column's values, where there is one.
fn kind(of: &DataType) -> Option<OGRFieldType::Type> {
    match of {
        DataType::Utf8 => Some(OGRFieldType::OFTString),
        of if of.is_integer() => Some(OGRFieldType::OFTInteger64),
        of if of.is_floating() => Some(OGRFieldType::OFTReal),
        _ => None,
    }
}
