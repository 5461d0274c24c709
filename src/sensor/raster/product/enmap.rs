//! EnMAP products, whose GeoTIFF leaves what its bands are to an XML file
//! (DLR, EnMAP HSI Level 1/Level 2 Product Specification, EN-PCV-ICD-2009).

use super::super::layer::Law;
use super::{Piece, Product, file_name, folder, lacks, listing, text};
use crate::error::{Error, Result};
use crate::frame::{Band, Unit};
use crate::sensor::markup::{content, elements};

/// How the names of the metadata file and of the picture end.
const ENDINGS: [&str; 2] = ["-METADATA.XML", "-SPECTRAL_IMAGE.TIF"];

/// Whether the file called `name` describes a product.
pub(super) fn is_metadata(name: &str) -> bool {
    name.starts_with("ENMAP") && name.ends_with(ENDINGS[0])
}

/// The product named as `path`, whose metadata file is at `metadata`.
pub(super) fn product(path: &str, metadata: &str) -> Result<Option<Product>> {
    let xml = text(metadata, "")?;
    let level = content(&xml, "level").ok_or_else(|| lacks(metadata, "level"))?;
    let unit = if level.starts_with("L2") { Unit::Reflectance } else { Unit::Radiance };
    let folder = folder(metadata);
    let picture = file_name(metadata).replace(ENDINGS[0], ENDINGS[1]);
    if !listing(folder, false).contains(&picture) {
        return Err(Error::input(path, format!("{picture} is not in {folder}"))
            .hint("the picture has to lie beside its metadata"));
    }
    let missing: Vec<f64> =
        content(&xml, "backgroundValue").and_then(|value| value.parse().ok()).into_iter().collect();
    let expected: Vec<usize> = elements(&xml, "expectedChannelsList")
        .flat_map(|list| list.content.split(','))
        .filter_map(|channel| channel.trim().parse().ok())
        .collect();
    let (mut pieces, mut empty) = (Vec::new(), 0);
    for entry in elements(&xml, "bandID") {
        let number = |name| content(entry.content, name)?.parse::<f64>().ok();
        let Some(centre) = number("wavelengthCenterOfBand") else { continue };
        let index = entry.attribute("number").and_then(|number| number.parse().ok());
        let index: usize = index.ok_or_else(|| lacks(metadata, "number of a band"))?;
        if !expected.is_empty() && !expected.contains(&index) {
            empty += 1;
            continue;
        }
        let band = Band {
            wavelength_um: Some((centre / 1000.0) as f32),
            fwhm_um: number("FWHMOfBand").map(|width| (width / 1000.0) as f32),
            scale: number("GainOfBand").ok_or_else(|| lacks(metadata, "GainOfBand"))?,
            offset: number("OffsetOfBand").unwrap_or(0.0),
            ..Band::new(format!("{index}"), unit)
        };
        let path = format!("{folder}/{picture}");
        pieces.push(Piece {
            path,
            array: None,
            index,
            band,
            missing: missing.clone(),
            law: Law::Linear,
        });
    }
    if pieces.is_empty() {
        return Err(lacks(metadata, "bands"));
    }
    let wavelength = |piece: &Piece| piece.band.wavelength_um.unwrap_or_default();
    pieces.sort_by(|a, b| wavelength(a).total_cmp(&wavelength(b)));
    let mut said = vec!["gain and offset of its metadata applied".to_owned()];
    if empty > 0 {
        said.push(format!("{empty} bands without readings left out"));
    }
    let model = format!("EnMAP HSI {level}");
    Ok(Some(Product::new(path, model, pieces, said)))
}
