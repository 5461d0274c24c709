//! Tables that are read, ours or others'.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Float64Array, RecordBatch, StringArray, StructArray,
};
use arrow::compute::{cast, is_null, nullif};
use arrow::datatypes::{DataType, Field, Fields, Float64Type};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use serde_json::Value;

use super::GROUP_ROWS;
use crate::error::{Error, Fault, Result, caught};

/// A table in a file, of which the rows have not been read yet.
#[derive(Debug)]
pub struct Table {
    file: File,
    metadata: ArrowReaderMetadata,
    path: PathBuf,
}

impl Table {
    /// Opens the table at `path`, ours or another's.
    ///
    /// # Errors
    ///
    /// If it cannot be read or is no Parquet file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::input(path, e))?;
        // What Arrow says of types goes beyond what Parquet promises.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::load(&file, options).map_err(|e| refusal(path, e))?;
        Ok(Self { file, metadata, path: path.to_owned() })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.metadata.metadata().file_metadata().num_rows().try_into().unwrap_or(0)
    }

    /// Number of groups of rows, each compressed by itself.
    #[cfg(test)]
    pub(super) fn groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// The columns, with their types.
    pub fn columns(&self) -> &Fields {
        self.metadata.schema().fields()
    }

    /// What the file says of itself under the name `key`.
    pub fn about(&self, key: &str) -> Option<&str> {
        let entries = self.metadata.metadata().file_metadata().key_value_metadata()?;
        entries.iter().find(|entry| entry.key == key)?.value.as_deref()
    }

    /// The rows, some thousands at a time, with these `columns` of them; a
    /// field of a column is named `column.field`.
    ///
    /// # Errors
    ///
    /// If there is no such column, or the file cannot be read.
    pub fn read(&self, columns: &[&str]) -> Result<Rows> {
        for column in columns {
            find(self.columns(), column).ok_or_else(|| self.lacks(column))?;
        }
        let refused = |e| refusal(&self.path, e);
        let file = self.file.try_clone().map_err(|e| Error::input(&self.path, e))?;
        let mask = ProjectionMask::columns(self.metadata.parquet_schema(), columns.iter().copied());
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_projection(mask)
                .with_batch_size(GROUP_ROWS)
                .build()
                .map_err(refused)?;
        Ok(Rows { reader: Some(reader), path: self.path.clone() })
    }

    fn lacks(&self, column: &str) -> Error {
        let names: Vec<&str> = self.columns().iter().map(|field| field.name().as_str()).collect();
        Error::input(&self.path, format!("has no column {column}"))
            .hint(format!("its columns are {}", names.join(", ")))
    }
}

/// The field at a path of names with dots between.
fn find<'a>(fields: &'a Fields, path: &str) -> Option<&'a Field> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let (_, field) = fields.find(name)?;
    match (rest, field.data_type()) {
        (None, _) => Some(field),
        (Some(rest), DataType::Struct(fields)) => find(fields, rest),
        _ => None,
    }
}

/// The rows of a table, some thousands at a time.
pub struct Rows {
    /// `None` after an error.
    reader: Option<ParquetRecordBatchReader>,
    path: PathBuf,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Iterator for Rows {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.reader.as_mut()?;
        // The library panics on some pages that are damaged.
        let batch = match caught(|| reader.next()) {
            Some(batch) => batch?.map_err(ParquetError::from),
            None => Err(ParquetError::General("a damaged page".to_owned())),
        };
        if batch.is_err() {
            // Nothing sure follows.
            self.reader = None;
        }
        Some(match batch {
            Ok(rows) => Ok(Batch { rows, path: self.path.clone() }),
            Err(error) => Err(refusal(&self.path, error)),
        })
    }
}

/// Some rows of a table.
#[derive(Clone, Debug)]
pub struct Batch {
    rows: RecordBatch,
    path: PathBuf,
}

impl Batch {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows.num_rows()
    }

    /// A column as texts; times as in RFC 3339.
    ///
    /// # Errors
    ///
    /// If it was not read or cannot be a text; so for the others.
    pub fn texts(&self, column: &str) -> Result<StringArray> {
        let texts = texts(self.column(column)?.as_ref()).map_err(|e| self.unfit(column, e))?;
        self.downcast(column, &texts, &DataType::Utf8)
    }

    /// A column as numbers; times in the file's own unit.
    ///
    /// # Errors
    ///
    /// As for [`Self::texts`].
    pub fn numbers(&self, column: &str) -> Result<Float64Array> {
        self.cast(column, &DataType::Float64)
    }

    /// A column as bytes.
    ///
    /// # Errors
    ///
    /// As for [`Self::texts`].
    pub fn bytes(&self, column: &str) -> Result<BinaryArray> {
        self.cast(column, &DataType::Binary)
    }

    /// A column as the file has it.
    ///
    /// # Errors
    ///
    /// If it was not read.
    pub fn column(&self, column: &str) -> Result<ArrayRef> {
        let absent =
            || Error::usage(self.path.display(), format!("its column {column} was not read"));
        let mut names = column.split('.');
        let whole = names.next().and_then(|name| self.rows.column_by_name(name));
        names.try_fold(whole.ok_or_else(absent)?.clone(), |array, name| {
            let group = array.as_any().downcast_ref::<StructArray>().ok_or_else(absent)?;
            let field = group.column_by_name(name).ok_or_else(absent)?;
            // What lies in a group that is null is not said to be null itself.
            is_null(group)
                .and_then(|missing| nullif(field, &missing))
                .map_err(|e| self.unfit(column, e))
        })
    }

    /// What a column holds in row `row`: groups, without what is null in them,
    /// lists, texts, numbers and truths; times as in RFC 3339; null for all else.
    ///
    /// # Errors
    ///
    /// If it was not read.
    pub fn json(&self, column: &str, row: usize) -> Result<Value> {
        Ok(value(self.column(column)?.as_ref(), row))
    }

    fn cast<A: Array + Clone + 'static>(&self, column: &str, kind: &DataType) -> Result<A> {
        let array = self.column(column)?;
        let array = cast(&array, kind).map_err(|e| self.unfit(column, e))?;
        self.downcast(column, &array, kind)
    }

    fn downcast<A: Array + Clone + 'static>(
        &self,
        column: &str,
        array: &ArrayRef,
        kind: &DataType,
    ) -> Result<A> {
        array.as_any().downcast_ref::<A>().cloned().ok_or_else(|| {
            Error::input(&self.path, format!("column {column} does not become {kind}"))
        })
    }

    fn unfit(&self, column: &str, why: ArrowError) -> Error {
        Error::input(&self.path, format!("column {column}: {why}"))
    }
}

/// `array` as texts; times as in RFC 3339.
fn texts(array: &dyn Array) -> std::result::Result<ArrayRef, ArrowError> {
    match array.data_type() {
        // Zones are known by their offsets here, and not by their names.
        DataType::Timestamp(unit, Some(zone)) if zone.as_ref() == "UTC" => {
            let utc = DataType::Timestamp(*unit, Some("+00:00".into()));
            cast(&cast(array, &utc)?, &DataType::Utf8)
        }
        _ => cast(array, &DataType::Utf8),
    }
}

/// See [`Batch::json`].
fn value(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let found = match array.data_type() {
        DataType::Struct(fields) => array.as_struct_opt().map(|group| {
            let columns = fields.iter().zip(group.columns());
            let entries = columns.map(|(field, column)| (field.name().clone(), value(column, row)));
            Value::Object(entries.filter(|(_, value)| !value.is_null()).collect())
        }),
        DataType::List(_) => array.as_list_opt::<i32>().map(|lists| {
            let list = lists.value(row);
            Value::Array((0..list.len()).map(|index| value(&list, index)).collect())
        }),
        DataType::Boolean => array.as_boolean_opt().map(|truths| truths.value(row).into()),
        kind if kind.is_numeric() => cast(&array.slice(row, 1), &DataType::Float64)
            .ok()
            .and_then(|number| Some(number.as_primitive_opt::<Float64Type>()?.value(0).into())),
        _ => texts(array.slice(row, 1).as_ref())
            .ok()
            .and_then(|text| Some(text.as_string_opt::<i32>()?.value(0).into())),
    };
    found.unwrap_or_default()
}

/// Why the file at `path` cannot be read.
fn refusal(path: &Path, error: ParquetError) -> Error {
    let what = error.to_string();
    match what.split_once("Disabled feature at compile time: ") {
        Some((_, codec)) => {
            let what = format!("is compressed with {codec}, this build reads snappy or plain");
            Error::new(Fault::Unsupported, path.display(), what)
                .hint("write it with compression snappy")
        }
        None => Error::input(path, format!("cannot be read as a table: {what}")),
    }
}
