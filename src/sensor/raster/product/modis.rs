//! MODIS daily surface reflectance, MOD09GA and MYD09GA: HDF-EOS files whose
//! bands are rasters of their own (Vermote et al., MODIS Surface Reflectance
//! User's Guide, collection 6).

use gdal::{Dataset, Metadata};

use super::super::layer::Law;
use super::super::library;
use super::{Piece, Product, file_name, lacks};
use crate::error::{Fault, Result};
use crate::frame::{Band, Unit};

/// Bands in order of wavelength: number, STAC common name, lower and upper
/// limit in micrometres (NASA, MODIS specifications).
const BANDS: [(u32, &str, f32, f32); 7] = [
    (3, "blue", 0.459, 0.479),
    (4, "green", 0.545, 0.565),
    (1, "red", 0.620, 0.670),
    (2, "nir", 0.841, 0.876),
    (5, "nir09", 1.230, 1.250),
    (6, "swir16", 1.628, 1.652),
    (7, "swir22", 2.105, 2.155),
];

/// Whether the file called `name` may be one.
pub(super) fn is_metadata(name: &str) -> bool {
    (name.starts_with("MOD09GA.") || name.starts_with("MYD09GA.")) && name.ends_with(".hdf")
}

/// The product in the file at `metadata`.
pub(super) fn product(path: &str, metadata: &str) -> Result<Option<Product>> {
    let inside = library::call(Fault::Input, metadata, || {
        let dataset = Dataset::open(metadata)?;
        library::forgive();
        Ok(dataset.metadata_domain("SUBDATASETS").unwrap_or_default())
    })?;
    let names: Vec<&str> =
        inside.iter().filter_map(|part| Some(part.split_once("_NAME=")?.1)).collect();
    let mut pieces = Vec::new();
    for (number, common_name, low, high) in BANDS {
        let ending = format!(":sur_refl_b{number:02}_1");
        let Some(name) = names.iter().find(|name| name.ends_with(&ending)) else { continue };
        let item = |key: &str| {
            let read = || Ok(Dataset::open(name)?.metadata_item(key, ""));
            library::call(Fault::Input, metadata, read).map(|text| text?.trim().parse::<f64>().ok())
        };
        let divisor = item("scale_factor")?.filter(|divisor| *divisor > 0.0);
        let divisor = divisor.ok_or_else(|| lacks(metadata, "scale_factor"))?;
        let band = Band {
            common_name: Some(common_name.to_owned()),
            wavelength_um: Some((low + high) / 2.0),
            fwhm_um: Some(high - low),
            scale: 1.0 / divisor,
            ..Band::new(format!("b{number:02}"), Unit::Reflectance)
        };
        pieces.push(Piece {
            path: (*name).to_owned(),
            array: None,
            index: 1,
            band,
            missing: item("_FillValue")?.into_iter().collect(),
            law: Law::Linear,
        });
    }
    if pieces.is_empty() {
        return Err(lacks(metadata, "surface reflectance"));
    }
    let satellite = if file_name(metadata).starts_with("MYD") { "Aqua" } else { "Terra" };
    let model = format!("MODIS {satellite} {}", &file_name(metadata)[..7]);
    let said = vec!["scale_factor of its metadata applied as the divisor that it is".to_owned()];
    Ok(Some(Product::new(path, model, pieces, said)))
}
