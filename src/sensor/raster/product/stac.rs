//! Items of a SpatioTemporal Asset Catalog, one JSON file each or many in a
//! collection: <https://github.com/radiantearth/stac-spec>, versions 1.0 and
//! 1.1, with the extensions `eo` and `raster`; collections may be tables, too:
//! <https://github.com/stac-utils/stac-geoparquet>.
//!
//! The assets that hold bands become one raster, whichever file a band lies
//! in. Bands are known by name, common name or wavelength, in the words of
//! 1.0 (`eo:bands`, `raster:bands`) or of 1.1 (`bands`).

use std::path::Path;

use arrow::array::Array;
use serde_json::{Map, Value, json};

use super::super::layer::Law;
use super::{Piece, Product, folder, text};
use crate::error::{Error, Result};
use crate::frame::{Band, Unit};
use crate::table::Table;

/// How the names of such files end.
const ENDINGS: [&str; 4] = [".json", ".geojson", ".parquet", ".geoparquet"];

/// The properties of an item that are read.
const PROPERTIES: [&str; 3] = ["platform", "constellation", "datetime"];

/// Roles of assets that are made of bands for the eye.
const PICTURES: [&str; 3] = ["thumbnail", "overview", "visual"];

/// Roles of assets that hold bands.
const DATA: [&str; 2] = ["data", "reflectance"];

/// The file and the identifier in the name of an item: `FILE` or `FILE#ID`.
fn split(path: &str) -> Option<(&str, Option<&str>)> {
    let ends =
        |name: &str| ENDINGS.iter().any(|ending| name.to_ascii_lowercase().ends_with(ending));
    match path.split_once('#').filter(|(file, _)| ends(file)) {
        Some((file, id)) => Some((file, Some(id))),
        None => ends(path).then_some((path, None)),
    }
}

/// Whether `path` is the name of an item in a collection, `FILE#ID`.
pub(in crate::sensor) fn is_item(path: &str) -> bool {
    split(path).is_some_and(|(_, id)| id.is_some())
}

/// Whether the file at `path` is an item or a collection.
pub(in crate::sensor) fn is_one(path: &str) -> bool {
    let Some((file, None)) = split(path) else { return false };
    matches!(table(file), Ok(Some(_))) || matches!(read(file), Ok(Some(_)))
}

/// The names of the items in the collection at `path`, if it is one.
pub(in crate::sensor) fn items(path: &str) -> Result<Option<Vec<String>>> {
    let Some((file, None)) = split(path) else { return Ok(None) };
    let mut ids = vec![];
    if let Some(table) = table(file)? {
        for batch in table.read(&["id"])? {
            ids.extend(batch?.texts("id")?.iter().map(|id| id.map(str::to_owned)));
        }
    } else {
        let Some(json) = read(file)? else { return Ok(None) };
        let Some(items) = json["features"].as_array() else { return Ok(None) };
        ids.extend(items.iter().map(|item| item["id"].as_str().map(str::to_owned)));
    }
    let name = |id: Option<String>| match id {
        Some(id) => Ok(format!("{file}#{id}")),
        None => Err(Error::input(file, "has an item without id")),
    };
    ids.into_iter().map(name).collect::<Result<_>>().map(Some)
}

/// The item called `id` in `file`, or its only one; `None` where it holds none.
fn item(file: &str, id: Option<&str>) -> Result<Option<Value>> {
    let found = match table(file)? {
        Some(table) => Some(rows(&table, id)?),
        None => read(file)?.map(|mut json| match json["features"].take() {
            Value::Array(items) => items,
            _ => vec![json],
        }),
    };
    let Some(mut items) = found else { return Ok(None) };
    items.retain(|item| id.is_none_or(|id| item["id"] == id));
    match (items.len(), id) {
        (0, None) => Err(Error::input(file, "holds no items")
            .hint("it may be the answer to a search that found nothing")),
        (0, Some(id)) => Err(Error::input(file, format!("there is no item of the id {id}"))),
        (1, _) | (_, Some(_)) => Ok(Some(items.swap_remove(0))),
        (count, None) => Err(Error::input(file, format!("holds {count} items"))
            .hint(format!("name one of them: {file}#ID"))),
    }
}

/// The table in `file`, if it is one of items.
fn table(file: &str) -> Result<Option<Table>> {
    if !file.to_ascii_lowercase().ends_with("parquet") || !Path::new(file).is_file() {
        return Ok(None);
    }
    let table = Table::open(Path::new(file))?;
    let is_one = ["id", "assets"].iter().all(|name| table.columns().find(name).is_some());
    Ok(is_one.then_some(table))
}

/// The items called `id` in `table`, or all; as in JSON, as far as they are
/// read.
fn rows(table: &Table, id: Option<&str>) -> Result<Vec<Value>> {
    let has = |name: &&str| table.columns().find(name).is_some();
    let known: Vec<&str> = PROPERTIES.into_iter().filter(has).collect();
    let mut items = vec![];
    for batch in table.read(&[&["id", "assets"], &known[..]].concat())? {
        let batch = batch?;
        let ids = batch.texts("id")?;
        let wanted = |row: &usize| id.is_none_or(|id| ids.is_valid(*row) && ids.value(*row) == id);
        for row in (0..batch.rows()).filter(wanted) {
            let mut properties = Map::new();
            for name in &known {
                properties.insert((*name).to_owned(), batch.json(name, row)?);
            }
            let (id, assets) = (batch.json("id", row)?, batch.json("assets", row)?);
            items.push(json!({ "id": id, "assets": assets, "properties": properties }));
        }
    }
    Ok(items)
}

/// The item named as `path`, if it is one.
pub(super) fn product(path: &str) -> Result<Option<Product>> {
    let Some((file, id)) = split(path) else { return Ok(None) };
    let Some(item) = item(file, id)? else { return Ok(None) };
    let mut pieces: Vec<Piece> = vec![];
    for (key, asset) in item["assets"].as_object().into_iter().flatten() {
        for piece in bands_of(file, key, asset) {
            // The same band in another format or as a part of a picture.
            if !pieces.iter().any(|known| known.band.name == piece.band.name) {
                pieces.push(piece);
            }
        }
    }
    if pieces.is_empty() {
        return Err(Error::input(path, "none of its assets says which bands it holds")
            .hint("assets are known by eo:bands (STAC 1.0) or bands (1.1)"));
    }
    // The asset that marks clouds is known by its name alone.
    let quality = |(key, asset): (&String, &Value)| {
        let path = place(file, asset["href"].as_str()?);
        let there = path.starts_with("/vsi") || Path::new(&path).is_file();
        there.then(|| (key.clone(), path))
    };
    let quality = item["assets"].as_object().into_iter().flatten().filter_map(quality).collect();
    let wavelength = |piece: &Piece| piece.band.wavelength_um.unwrap_or(f32::MAX);
    pieces.sort_by(|a, b| wavelength(a).total_cmp(&wavelength(b)));
    let properties = &item["properties"];
    let word = |key: &str| properties[key].as_str();
    let model = word("platform").or(word("constellation")).unwrap_or("STAC item").to_owned();
    let said = word("datetime").map(|time| format!("taken {time}"));
    let said = said.into_iter().collect();
    let path = path.to_owned();
    Ok(Some(Product { quality, ..Product::new(&path, model, pieces, said) }))
}

/// The JSON in `file`, if it is an item or a collection of items.
fn read(file: &str) -> Result<Option<Value>> {
    if file.starts_with("/vsi") || !Path::new(file).is_file() {
        return Ok(None);
    }
    let Ok(json) = serde_json::from_str::<Value>(&text(file, "")?) else { return Ok(None) };
    let is_item = |json: &Value| json["type"] == "Feature" && json["assets"].is_object();
    let collection = json["features"].as_array().is_some_and(|items| items.iter().all(is_item));
    Ok((is_item(&json) || collection).then_some(json))
}

/// The bands of the asset called `key` of an item in `file`.
fn bands_of(file: &str, key: &str, asset: &Value) -> Vec<Piece> {
    let roles: Vec<&str> =
        asset["roles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let has = |wanted: &[&str]| roles.iter().any(|role| wanted.contains(role));
    let Some(href) = asset["href"].as_str() else { return vec![] };
    if has(&PICTURES) || !(roles.is_empty() || has(&DATA)) {
        return vec![];
    }
    let list = |name: &str| asset[name].as_array().cloned().unwrap_or_default();
    let mut bands = list("eo:bands");
    if bands.is_empty() {
        bands = list("bands");
    }
    let rasters = list("raster:bands");
    let piece = |(position, band): (usize, &Value)| {
        let places = [rasters.get(position), Some(band), Some(asset)];
        Piece {
            path: place(file, href),
            array: None,
            index: position + 1,
            band: self::band(key, band, &places),
            missing: nodata(&places).into_iter().collect(),
            law: Law::Linear,
        }
    };
    bands.iter().enumerate().map(piece).collect()
}

/// A band of the asset called `key`; what is said of its numbers stands in one
/// of `places`.
fn band(key: &str, said: &Value, places: &[Option<&Value>]) -> Band {
    let either =
        |a: &str, b: &str| if said[a].is_null() { said[b].clone() } else { said[a].clone() };
    let number = |value: Value| value.as_f64().map(|number| number as f32);
    let of_raster = |name: &str| {
        let (long, short) = (format!("raster:{name}"), name);
        let found = |place: &&Value| place[&long].as_f64().or(place[short].as_f64());
        places.iter().flatten().find_map(found)
    };
    let unit = places.iter().flatten().find_map(|place| place["unit"].as_str());
    let unit = match unit.unwrap_or_default() {
        "kelvin" | "Kelvin" | "K" => Unit::Kelvin,
        "celsius" | "degC" => Unit::Celsius,
        // Nothing is said, and the profile may know.
        _ => Unit::Counts,
    };
    Band {
        common_name: either("common_name", "eo:common_name").as_str().map(str::to_owned),
        wavelength_um: number(either("center_wavelength", "eo:center_wavelength")),
        fwhm_um: number(either("full_width_half_max", "eo:full_width_half_max")),
        scale: of_raster("scale").filter(|scale| *scale != 0.0).unwrap_or(1.0),
        offset: of_raster("offset").unwrap_or(0.0),
        ..Band::new(said["name"].as_str().unwrap_or(key), unit)
    }
}

/// The stored number that means that there is no reading.
fn nodata(places: &[Option<&Value>]) -> Option<f64> {
    let number = |place: &&Value| match &place["nodata"] {
        Value::String(text) => text.parse().ok(),
        value => value.as_f64(),
    };
    places.iter().flatten().find_map(number)
}

/// Where `href` in `file` leads, as GDAL names it.
fn place(file: &str, href: &str) -> String {
    for (scheme, prefix) in [("s3://", "/vsis3/"), ("gs://", "/vsigs/"), ("file://", "")] {
        if let Some(rest) = href.strip_prefix(scheme) {
            return format!("{prefix}{rest}");
        }
    }
    match href {
        _ if href.starts_with("http://") || href.starts_with("https://") => {
            format!("/vsicurl/{href}")
        }
        _ if href.starts_with('/') => href.to_owned(),
        _ => format!("{}/{}", folder(file), href.trim_start_matches("./")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hrefs_lead_to_files_beside_the_item_or_far_away() {
        for (href, expected) in [
            ("./b/B04.tif", "a/b/B04.tif"),
            ("/data/B04.tif", "/data/B04.tif"),
            ("https://host/B04.tif?sig=1", "/vsicurl/https://host/B04.tif?sig=1"),
            ("s3://bucket/B04.tif", "/vsis3/bucket/B04.tif"),
        ] {
            assert_eq!(place("a/item.json", href), expected);
        }
        assert_eq!(split("a.json#S2A/1"), Some(("a.json", Some("S2A/1"))));
        assert_eq!(split("a.tif#1"), None);
        assert!(!is_item("a.json") && is_item("a.GeoJSON#x") && is_item("a.parquet#x"));
    }
}
