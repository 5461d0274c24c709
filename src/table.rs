//! Tables in files: Parquet with places on the Earth, as GeoParquet 1.1 has
//! them (<https://geoparquet.org/releases/v1.1.0/>), and plain ones without
//! ([`save`]).
//!
//! Every table with places has the columns of whoever writes it, and after them two about
//! the place of each row: `geometry`, a footprint as well-known binary in
//! longitude and latitude, and `bbox`, its bounds, by which readers skip what
//! they do not look for. Both are null where the place is unknown, so that the
//! tables of many scenes can be read as one.

use std::collections::BTreeSet;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Float64Array, ListArray, RecordBatch, StringArray,
    StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, is_null, nullif};
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Schema, SchemaRef, UInt8Type};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

use crate::error::{Error, Fault, Result};
use crate::map::Footprint;
use crate::staging::StagedFile;

/// The column of footprints.
pub const GEOMETRY: &str = "geometry";

/// The column of their bounds.
const BBOX: &str = "bbox";

/// Its fields, in the order of [`Footprint::bounds`].
const BOUNDS: [&str; 4] = ["xmin", "ymin", "xmax", "ymax"];

/// So many rows are held in memory before they are written, and so many are
/// read at once.
const GROUP_ROWS: usize = 4096;

/// And no more than so many bytes of them.
const GROUP_BYTES: usize = 32 << 20;

/// A table in the making: rows are written group by group, and the file
/// appears under its name when it is finished. Dropped before that, it leaves
/// nothing behind.
#[derive(Debug)]
pub struct TableWriter {
    writer: ArrowWriter<File>,
    schema: SchemaRef,
    staged: StagedFile,
    path: PathBuf,
    kinds: BTreeSet<&'static str>,
    /// Bounds of all footprints so far.
    bounds: Option<[f64; 4]>,
}

impl TableWriter {
    /// Begins the table at `path` with these `columns`, and [`GEOMETRY`].
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn create(path: &Path, columns: Vec<Field>) -> Result<Self> {
        let mut staged = StagedFile::create(path)?;
        let bbox = DataType::Struct(bounds_fields());
        let place = [Field::new(GEOMETRY, DataType::Binary, true), Field::new(BBOX, bbox, true)];
        let schema = Arc::new(Schema::new([columns, place.into()].concat()));
        let writer = parquet(&mut staged, path, schema.clone())?;
        let path = path.to_owned();
        Ok(Self { writer, schema, staged, path, kinds: BTreeSet::new(), bounds: None })
    }

    /// Appends rows: `columns` in the order they were declared in, and one
    /// footprint for each row whose place is known.
    ///
    /// # Errors
    ///
    /// If the columns are not the declared ones, are not equally long, or the
    /// file cannot be written.
    pub fn append(
        &mut self,
        mut columns: Vec<ArrayRef>,
        footprints: &[Option<Footprint>],
    ) -> Result<()> {
        for footprint in footprints.iter().flatten() {
            let [west, south, east, north] = footprint.bounds();
            let [w, s, e, n] = self.bounds.unwrap_or([west, south, east, north]);
            self.bounds = Some([w.min(west), s.min(south), e.max(east), n.max(north)]);
            self.kinds.insert(footprint.kind());
        }
        let wkb = footprints.iter().map(|place| place.as_ref().map(Footprint::wkb));
        columns.push(Arc::new(wkb.collect::<BinaryArray>()));
        columns.push(Arc::new(bounds_column(footprints)));
        let rows = RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|e| Error::usage(self.path.display(), e))?;
        self.writer.write(&rows).map_err(|e| Error::output(&self.path, e))
    }

    /// Completes the file and gives it its name. `about` is what it says of
    /// itself, as names and texts.
    ///
    /// # Errors
    ///
    /// If what is still in memory cannot be written, or the name not be given.
    pub fn finish(mut self, about: &[(&str, String)]) -> Result<()> {
        let geo = [("geo", self.geo())];
        for (key, value) in geo.iter().chain(about) {
            let entry = KeyValue::new((*key).to_owned(), value.clone());
            self.writer.append_key_value_metadata(entry);
        }
        self.writer.close().map_err(|e| Error::output(&self.path, e))?;
        self.staged.finish()
    }

    /// What GeoParquet asks a file to say of its geometries.
    fn geo(&self) -> String {
        let corner = |name: &str| json!([BBOX, name]);
        let mut column = json!({
            "encoding": "WKB",
            "geometry_types": self.kinds,
            "orientation": "counterclockwise",
            "covering": { "bbox": BOUNDS.map(|name| (name, corner(name)))
                .into_iter().collect::<std::collections::BTreeMap<_, _>>() },
        });
        if let Some(bounds) = self.bounds {
            column["bbox"] = json!(bounds);
        }
        let columns = json!({ GEOMETRY: column });
        json!({ "version": "1.1.0", "primary_column": GEOMETRY, "columns": columns }).to_string()
    }
}

/// A Parquet file of rows of `schema` into `staged`, which will be `path`.
fn parquet(staged: &mut StagedFile, path: &Path, schema: SchemaRef) -> Result<ArrowWriter<File>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_max_row_group_bytes(Some(GROUP_BYTES))
        .set_created_by(concat!("wysiwyh ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let file = staged.file().try_clone().map_err(|e| Error::output(path, e))?;
    // With a schema of Arrow's in the file, its libraries look there for
    // what the file says of itself, and not where GeoParquet has it.
    let options =
        ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(file, schema, options).map_err(|e| Error::output(path, e))
}

/// Writes a whole table without places: Parquet where the name of `path` ends
/// in `.parquet`, which then says `about` of itself, and CSV (RFC 4180) where
/// it ends in `.csv`: a heading, a line for each row, nothing where a cell is
/// null, and lists as in JSON.
///
/// # Errors
///
/// If the name ends otherwise, the columns are not equally long, or the file
/// cannot be written.
pub fn save(path: &Path, columns: Vec<(Field, ArrayRef)>, about: &[(&str, String)]) -> Result<()> {
    let is_csv = is_csv(path)?;
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let schema = Arc::new(Schema::new(fields));
    let rows = RecordBatch::try_new(schema.clone(), columns)
        .map_err(|e| Error::usage(path.display(), e))?;
    let mut staged = StagedFile::create(path)?;
    if is_csv {
        write_csv(&rows, path, staged.file())?;
        return staged.finish();
    }
    let mut writer = parquet(&mut staged, path, schema)?;
    writer.write(&rows).map_err(|e| Error::output(path, e))?;
    for (key, value) in about {
        writer.append_key_value_metadata(KeyValue::new((*key).to_owned(), value.clone()));
    }
    writer.close().map_err(|e| Error::output(path, e))?;
    staged.finish()
}

/// A column `code` for [`save`]: one byte for each value of 0..1,
/// `round(255 * value)`; null where there is none.
pub fn codes<'a>(codes: impl Iterator<Item = Option<&'a [f32]>>) -> (Field, ArrayRef) {
    let byte = |value: &f32| Some((255.0 * value).round() as u8);
    let lists = codes.map(|code| code.map(|code| code.iter().map(byte)));
    let column = ListArray::from_iter_primitive::<UInt8Type, _, _>(lists);
    (Field::new("code", column.data_type().clone(), true), Arc::new(column))
}

/// Whether [`save`] writes CSV to `path`, by its name, or Parquet.
///
/// # Errors
///
/// If it writes neither.
pub fn is_csv(path: &Path) -> Result<bool> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => Ok(true),
        Some("parquet") => Ok(false),
        _ => Err(Error::usage(path.display(), "is no name of a table")
            .hint("end it in .csv or .parquet")),
    }
}

fn write_csv(rows: &RecordBatch, path: &Path, file: &mut File) -> Result<()> {
    let failed = |e: csv::Error| Error::output(path, e);
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record(rows.schema().fields().iter().map(|field| field.name())).map_err(failed)?;
    for row in 0..rows.num_rows() {
        let cells = rows.columns().iter().map(|column| array_value_to_string(column, row));
        let cells: std::result::Result<Vec<String>, ArrowError> = cells.collect();
        let cells = cells.map_err(|e| Error::usage(path.display(), e))?;
        writer.write_record(cells).map_err(failed)?;
    }
    writer.flush().map_err(|e| Error::output(path, e))
}

fn bounds_fields() -> Fields {
    BOUNDS.iter().map(|name| Field::new(*name, DataType::Float64, false)).collect()
}

fn bounds_column(footprints: &[Option<Footprint>]) -> StructArray {
    let bounds: Vec<_> =
        footprints.iter().map(|place| place.as_ref().map(Footprint::bounds)).collect();
    let values = |axis: usize| -> ArrayRef {
        let values = bounds.iter().map(|bounds| bounds.map_or(0.0, |bounds| bounds[axis]));
        Arc::new(Float64Array::from_iter_values(values))
    };
    let known: NullBuffer = bounds.iter().map(Option::is_some).collect::<Vec<_>>().into();
    StructArray::new(bounds_fields(), (0..BOUNDS.len()).map(values).collect(), Some(known))
}

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
        let batch = match catch_unwind(AssertUnwindSafe(|| reader.next())) {
            Ok(batch) => batch?.map_err(ParquetError::from),
            Err(_) => Err(ParquetError::General("a damaged page".to_owned())),
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
        self.cast(column, &DataType::Utf8)
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
        array.as_any().downcast_ref::<A>().cloned().ok_or_else(|| {
            Error::input(&self.path, format!("column {column} does not become {kind}"))
        })
    }

    fn unfit(&self, column: &str, why: ArrowError) -> Error {
        Error::input(&self.path, format!("column {column}: {why}"))
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
        _ => cast(&array.slice(row, 1), &DataType::Utf8)
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

#[cfg(test)]
mod tests {
    use arrow::array::UInt32Array;
    use arrow::datatypes::UInt32Type;
    use serde_json::Value;

    use super::*;

    fn columns() -> Vec<Field> {
        vec![Field::new("name", DataType::Utf8, false), Field::new("count", DataType::UInt32, true)]
    }

    /// A row `number`; every third has no place.
    fn row(number: u32) -> (Vec<ArrayRef>, Option<Footprint>) {
        let west = f64::from(number % 100);
        let corners = [(west, 2.0), (west, 1.0), (west + 1.0, 1.0), (west + 1.0, 2.0)];
        let place = (!number.is_multiple_of(3)).then(|| Footprint::new(&corners));
        let name = StringArray::from(vec![format!("row {number}")]);
        (vec![Arc::new(name), Arc::new(UInt32Array::from(vec![Some(number)]))], place)
    }

    fn write(path: &Path, rows: u32) {
        let mut writer = TableWriter::create(path, columns()).unwrap();
        for number in 0..rows {
            let (columns, place) = row(number);
            writer.append(columns, &[place]).unwrap();
        }
        writer.finish(&[("seed", "7".to_owned())]).unwrap();
    }

    #[test]
    fn a_table_is_read_as_it_was_written_and_in_groups() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        write(&path, 10_000);
        let table = Table::open(&path).unwrap();
        assert_eq!((table.rows(), table.about("seed")), (10_000, Some("7")));
        assert_eq!(table.metadata.metadata().num_row_groups(), 3);
        let geo: Value = serde_json::from_str(table.about("geo").unwrap()).unwrap();
        assert_eq!(geo["columns"]["geometry"]["bbox"], json!([0.0, 1.0, 100.0, 2.0]));
        let mut number = 0;
        for batch in table.read(&["count", "name", "geometry", "bbox.xmin"]).unwrap() {
            let batch = batch.unwrap();
            let (names, counts) = (batch.texts("name").unwrap(), batch.numbers("count").unwrap());
            let (places, wests) =
                (batch.bytes("geometry").unwrap(), batch.numbers("bbox.xmin").unwrap());
            for index in 0..batch.rows() {
                let (_, place) = row(number);
                assert_eq!(names.value(index), format!("row {number}"));
                assert_eq!(counts.value(index), f64::from(number));
                let found = places.is_valid(index).then(|| places.value(index).to_vec());
                assert_eq!(found, place.as_ref().map(Footprint::wkb));
                let west = wests.is_valid(index).then(|| wests.value(index));
                assert_eq!(west, place.map(|place| place.bounds()[0]));
                number += 1;
            }
            assert!(batch.texts("bbox.ymin").is_err());
            let place = batch.json("bbox", 1).unwrap();
            assert_eq!(place.is_null(), batch.numbers("bbox.xmin").unwrap().is_null(1));
            assert!(batch.json("name", 0).unwrap().as_str().unwrap().starts_with("row "));
        }
        assert_eq!(number, 10_000);
    }

    #[test]
    fn a_table_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let mut writer = TableWriter::create(&path, columns()).unwrap();
        writer.append(row(1).0, &[row(1).1]).unwrap();
        assert!(writer.append(row(1).0, &[]).is_err());
        drop(writer);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_plain_table_is_the_same_in_both_formats() {
        let folder = tempfile::tempdir().unwrap();
        let item = Arc::new(Field::new_list_field(DataType::UInt32, true));
        let lists = [Some(vec![Some(1), Some(22)]), Some(vec![])];
        let columns = || -> Vec<(Field, ArrayRef)> {
            let lists = ListArray::from_iter_primitive::<UInt32Type, _, _>(lists.clone());
            vec![
                (
                    Field::new("a name", DataType::Utf8, true),
                    Arc::new(StringArray::from(vec![Some("one, \"two\""), None])),
                ),
                (
                    Field::new("x", DataType::Float64, true),
                    Arc::new(Float64Array::from(vec![Some(-0.1), None])),
                ),
                (Field::new("code", DataType::List(item.clone()), true), Arc::new(lists)),
            ]
        };
        let path = |name: &str| folder.path().join(name);
        save(&path("a.csv"), columns(), &[]).unwrap();
        let written = std::fs::read_to_string(path("a.csv")).unwrap();
        assert_eq!(written, "a name,x,code\n\"one, \"\"two\"\"\",-0.1,\"[1, 22]\"\n,,[]\n");
        save(&path("a.parquet"), columns(), &[("seed", "7".to_owned())]).unwrap();
        let table = Table::open(&path("a.parquet")).unwrap();
        assert_eq!((table.rows(), table.about("seed")), (2, Some("7")));
        assert_eq!(table.columns().len(), 3);
        let rows = table.read(&["x"]).unwrap().next().unwrap().unwrap();
        assert_eq!(rows.numbers("x").unwrap(), Float64Array::from(vec![Some(-0.1), None]));
        for name in ["a.xlsx", "a"] {
            let error = save(&path(name), columns(), &[]).unwrap_err();
            assert_eq!(error.fault, Fault::Usage);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        write(&path, 1);
        let table = Table::open(&path).unwrap();
        let error = table.read(&["name", "bbox.up"]).unwrap_err();
        assert!(error.to_string().ends_with("has no column bbox.up"), "{error}");
        assert_eq!(error.advice(), Some("its columns are name, count, geometry, bbox"));
        let batch = table.read(&["bbox"]).unwrap().next().unwrap().unwrap();
        assert!(batch.numbers("bbox").unwrap_err().to_string().contains("column bbox"));
        std::fs::write(&path, "no table").unwrap();
        let error = Table::open(&path).unwrap_err();
        assert!(error.to_string().contains("cannot be read as a table"), "{error}");
    }
}
