//! Tables in files: Parquet with places on the Earth, as GeoParquet 1.1 has
//! them (<https://geoparquet.org/releases/v1.1.0/>), and plain ones without
//! ([`save`]).
//!
//! Every table with places has the columns of whoever writes it, and after
//! them two about the place of each row: `geometry`, a footprint as well-known
//! binary in longitude and latitude, and `bbox`, its bounds, by which readers
//! skip what they do not look for. Both are null where the place is unknown, so
//! that the tables of many scenes can be read as one.

mod reader;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, Float64Array, ListArray, RecordBatch, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, UInt8Type};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde_json::json;

use crate::error::{Error, Result};
use crate::map::Footprint;
use crate::staging::{self, StagedFile};

pub use self::reader::{Batch, Rows, Table};

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

/// The byte by which tables have a value of a code.
pub(crate) fn code_byte(value: f32) -> u8 {
    (255.0 * value).round() as u8
}

/// A column `code` for [`save`]: one byte for each value of 0..1, `round(255 * value)`;
/// null where there is none.
pub fn codes<'a>(codes: impl Iterator<Item = Option<&'a [f32]>>) -> (Field, ArrayRef) {
    let byte = |&value: &f32| Some(code_byte(value));
    let lists = codes.map(|code| code.map(|code| code.iter().map(byte)));
    let column = ListArray::from_iter_primitive::<UInt8Type, _, _>(lists);
    (Field::new("code", column.data_type().clone(), true), Arc::new(column))
}

/// Whether [`save`] can write to `path`, by its name and its place; leaves nothing
/// there.
///
/// # Errors
///
/// If not.
pub fn check_place(path: &Path) -> Result<()> {
    is_csv(path)?;
    staging::check_place(path)
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

#[cfg(test)]
mod tests {
    use arrow::array::{StringArray, UInt32Array};
    use arrow::datatypes::UInt32Type;
    use serde_json::Value;

    use super::*;
    use crate::error::Fault;

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
        assert_eq!(table.groups(), 3);
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
