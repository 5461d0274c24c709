//! What a raster says of its bands.
//!
//! Files state wavelengths in many places. They are believed in this order:
//! the `IMAGERY` domain of a band (GDAL 3.10 and later), the band's own items
//! (`wavelength`, `fwhm`, `WAVELENGTH`, `BANDWIDTH`, and the lists that HDF5
//! files repeat at each band), the data set's `ENVI` domain, the band's
//! description (`band 1 (418.24 Nanometers)`), its place on an axis of
//! wavelengths, the profile, and nothing.
//! Where no unit is given, a value below 100 is in micrometres and any other
//! in nanometres.

mod spectrum;

use gdal::raster::{ColorInterpretation, GdalDataType, RasterBand};
use gdal::{Dataset, Metadata};

use super::layer::{self, Law, Layer};
use super::library;
use super::product::{Piece, Product, apart, sentinel2};
use crate::error::{Fault, Result, caught};
use crate::frame::{Band, Unit};
use crate::profile::{Bands, Profile};
use crate::sensor::markup::{elements, plain};
use crate::sensor::naming::same_name;
use crate::sensor::{colours, heat, reconcile};
pub(super) use spectrum::axes;
pub(super) use spectrum::micrometres;
use spectrum::{Lists, along_axis, ending, spectrum};

/// The bands of a file.
#[derive(Debug)]
pub(super) struct Layers {
    /// Those that the frame shows, in the order of the file.
    pub shown: Vec<Layer>,
    /// The mask that holds for all of them.
    pub shared_mask: Option<Shared>,
    /// How many bands are left out.
    pub left_out: usize,
    /// Whether the profile's scale was left out, because the numbers are
    /// reflectance already.
    pub divided: bool,
    /// The highest stored number of the first of them, where no profile is given.
    pub highest: Option<f64>,
}

/// So many bands are looked at for their highest number.
const LOOKED_AT: usize = 16;

/// More different numbers in the middle of a band are readings, and no opacity.
const FEW_OPACITIES: usize = 16;

/// A mask that holds for all bands of a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shared {
    /// The alpha band of this number.
    Alpha(usize),
    /// The mask of the band of this number.
    MaskOf(usize),
    /// The numbers in the only band of this file that have bits of this mask.
    Bits(usize, u32),
}

/// What the file itself says of one band.
struct Claim {
    part: usize,
    index: usize,
    band: Band,
    unit: Option<Unit>,
    missing: Vec<f64>,
    law: Law,
    mask: Mask,
    bad: bool,
}

/// How the file marks pixels without a reading, apart from nodata and alpha.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mask {
    None,
    /// One mask for all bands.
    Shared,
    /// A mask for this band.
    Own,
}

/// Reads the bands of `dataset`, opened from `path`, or `only` that of this number,
/// as `profile` has them.
///
/// An alpha band is a mask and no band. Bands that the file marks bad (`bbl`
/// of 0, as for the absorption of water vapour) are left out, unless all are.
/// Where band names of the file occur in the profile, those bands are taken
/// and the others (quality masks, say) left out; else the profile's bands are
/// the file's by position.
///
/// # Errors
///
/// If a band cannot be opened, or the profile lists another number of bands.
pub(super) fn layers(
    dataset: &Dataset,
    path: &str,
    only: Option<usize>,
    profile: Option<&Profile>,
) -> Result<Layers> {
    let (mut claims, alpha) = library::call(Fault::Input, path, || {
        let claims = claims(dataset);
        library::forgive();
        claims
    })?;
    claims.retain(|claim| only.is_none_or(|only| claim.index == only));
    let wanted = claims.len();
    tell_apart(&mut claims);
    name_colours(&mut claims);
    let silent: Vec<usize> =
        claims.iter().filter(|claim| claim.is_bare()).map(|c| c.index).collect();
    let (mut shown, masks) = settle(claims, path, profile)?;
    let scaled = shown.iter().find(|layer| layer.is_divided() && silent.contains(&layer.index));
    let divided = match scaled {
        Some(layer) => library::call(Fault::Input, path, || layer.holds_reflectances(dataset))?,
        None => false,
    };
    for layer in shown.iter_mut().filter(|layer| silent.contains(&layer.index)) {
        if divided {
            (layer.band.scale, layer.band.offset) = (1.0, 0.0);
        } else if layer.band.unit.is_temperature() {
            take_heat(layer, dataset, path, profile)?;
        }
    }
    let shared_mask = match (alpha, masks.first()) {
        (Some(alpha), _) => Some(Shared::Alpha(alpha)),
        (None, Some(Mask::Shared)) => shown.first().map(|layer| Shared::MaskOf(layer.index)),
        _ => None,
    };
    let left_out = wanted - shown.len();
    // Whoever has a profile need not recognise one. A block that is damaged tells
    // when it is read.
    let highest = match profile {
        Some(_) => None,
        None => library::call(Fault::Input, path, || highest(&shown, dataset)).unwrap_or_default(),
    };
    Ok(Layers { shown, shared_mask, left_out, divided, highest })
}

/// Takes the numbers of `layer`, of which `dataset` says nothing, for the temperatures that
/// `profile` lists: floats are those, and whole numbers stand for them.
///
/// # Errors
///
/// If they cannot be.
fn take_heat(
    layer: &mut Layer,
    dataset: &Dataset,
    path: &str,
    profile: Option<&Profile>,
) -> Result<()> {
    let full_scale = library::call(Fault::Input, path, || match layer.is_float(dataset)? {
        true => Ok(None),
        false => layer.highest(dataset),
    })?;
    let Some(full_scale) = full_scale else {
        (layer.band.scale, layer.band.offset) = (1.0, 0.0);
        return Ok(());
    };
    let (columns, rows) = dataset.raster_size();
    // A piece that is damaged tells when it is read.
    let highest = || {
        let middle = layer.middle(dataset).unwrap_or_default();
        middle.into_iter().fold(f32::NEG_INFINITY, f32::max)
    };
    heat::check(path, [rows, columns], full_scale, highest, profile)
}

/// The highest stored number of the first of `layers`.
fn highest(layers: &[Layer], dataset: &Dataset) -> gdal::errors::Result<Option<f64>> {
    let each = layers.iter().take(LOOKED_AT).map(|layer| layer.highest(dataset));
    Ok(each.collect::<gdal::errors::Result<Vec<_>>>()?.into_iter().flatten().reduce(f64::max))
}

/// The number of the band of `dataset` that is called `name`.
pub(super) fn named(dataset: &Dataset, name: &str) -> Option<usize> {
    let called = |index: &usize| {
        let band = dataset.rasterband(*index).ok()?;
        Some(same_name(&band.description().ok()?, name))
    };
    let found = (1..=dataset.raster_count()).find(|index| called(index) == Some(true));
    library::forgive();
    found
}

/// The bands of `product` as `profile` has them, each with the number of its
/// piece for that of its file; how many are left out, too.
///
/// # Errors
///
/// If the profile lists another number of bands.
pub(super) fn of_product(
    product: &Product,
    profile: Option<&Profile>,
) -> Result<(Vec<Layer>, usize)> {
    let claim = |(part, piece): (usize, &Piece)| Claim {
        part,
        index: piece.index,
        band: piece.band.clone(),
        unit: Some(piece.band.unit).filter(|unit| *unit != Unit::Counts),
        missing: piece.missing.clone(),
        law: piece.law,
        mask: Mask::None,
        bad: false,
    };
    let mut claims: Vec<Claim> = product.pieces.iter().enumerate().map(claim).collect();
    name_colours(&mut claims);
    if let Some(listed) = profile.and_then(Profile::listed_bands) {
        name_as_listed(&mut claims, listed);
    }
    let all = claims.len();
    let (shown, _) = settle(claims, &product.path, profile)?;
    let left_out = all - shown.len();
    Ok((shown, left_out))
}

/// The layers that `claims` and `profile` make together, and their masks.
fn settle(
    claims: Vec<Claim>,
    path: &str,
    profile: Option<&Profile>,
) -> Result<(Vec<Layer>, Vec<Mask>)> {
    let (claims, listed) = choose(claims, profile);
    let found = claims.iter().map(|claim| claim.band.clone()).collect();
    let bands = reconcile(path, found, listed.as_ref())?;
    let all_bad = claims.iter().all(|claim| claim.bad);
    Ok(claims
        .into_iter()
        .zip(bands.iter())
        .filter(|(claim, _)| all_bad || !claim.bad)
        .map(|(claim, band)| claim.settle(band, profile.and_then(|profile| profile.unit)))
        .unzip())
}

/// What the file says of each of its bands, and the number of its alpha band.
fn claims(dataset: &Dataset) -> gdal::errors::Result<(Vec<Claim>, Option<usize>)> {
    let count = dataset.raster_count();
    let lists = Lists::of(dataset);
    let mut alpha = None;
    let mut claims = Vec::with_capacity(count);
    for position in 0..count {
        let band = dataset.rasterband(position + 1)?;
        let colour = colour(&band);
        let marked = colour == Some(ColorInterpretation::AlphaBand) && count > 1;
        if marked && is_opacity(&band) {
            alpha = Some(position + 1);
        } else {
            claims.push(Claim::read(dataset, &band, position, colour, &lists));
        }
    }
    colour_pictures(&mut claims);
    Ok((claims, alpha))
}

/// Whether `band` is the opacity that its file says it is, by the numbers in its middle:
/// most of them make a pixel visible or hide it, or they are few. Programs that take any
/// four bands for a picture mark the fourth one so, too.
fn is_opacity(band: &RasterBand) -> bool {
    let read = layer::middle(band);
    library::forgive();
    // What is damaged tells when it is read.
    let Ok(mut numbers) = read else { return true };
    let ends = numbers.iter().filter(|number| [0.0, 1.0, 255.0, 65535.0].contains(number));
    let most = 2 * ends.count() >= numbers.len();
    numbers.sort_by(f32::total_cmp);
    numbers.dedup();
    most || numbers.len() <= FEW_OPACITIES
}

/// Gives a picture in red, green and blue, whose file says no more of them, the names and
/// wavelengths of an ordinary camera's, as pictures in other formats have them.
fn colour_pictures(claims: &mut [Claim]) {
    let own = colours();
    let is_plain = |(claim, own): (&Claim, &Band)| {
        let Band { name, common_name, wavelength_um, .. } = &claim.band;
        name.is_empty() && *common_name == own.common_name && wavelength_um.is_none()
    };
    if claims.len() == own.len() && claims.iter().zip(&own).all(is_plain) {
        for (claim, own) in claims.iter_mut().zip(own) {
            (claim.band.name, claim.band.wavelength_um) = (own.name, own.wavelength_um);
        }
    }
}

impl Claim {
    /// The layer of this band, which the profile has completed as `band`, and
    /// its mask. Where the file states wavelength, width or unit, its word
    /// stands; `unit` is the profile's for bands that state none.
    fn settle(self, band: &Band, unit: Option<Unit>) -> (Layer, Mask) {
        let mut band = band.clone();
        if self.band.wavelength_um.is_some() {
            band.wavelength_um = self.band.wavelength_um;
            band.fwhm_um = self.band.fwhm_um.or(band.fwhm_um);
        }
        band.unit = self.unit.or(unit).unwrap_or(band.unit);
        if self.law != Law::Linear {
            (band.scale, band.offset) = (1.0, 0.0);
        }
        let Self { part, index, missing, law, mask, .. } = self;
        (Layer { part, index, band, missing, law, own_mask: mask == Mask::Own }, mask)
    }

    /// Whether the file states neither scale nor offset.
    fn is_bare(&self) -> bool {
        (self.band.scale, self.band.offset) == (1.0, 0.0)
    }

    /// Everything that `dataset` says of its `band` at `position`, from 0.
    fn read(
        dataset: &Dataset,
        band: &RasterBand,
        position: usize,
        colour: Option<ColorInterpretation>,
        lists: &Lists,
    ) -> Self {
        let item = |key: &str| band.metadata_item(key, "").filter(|text| !text.trim().is_empty());
        let description = band.description().unwrap_or_default();
        let attribute = |name: &str| if lists.are_attributes { ending(band, name) } else { None };
        let stated = [Some(band.unit()), item("unit"), item("GRIB_UNIT"), attribute("_units")];
        let mut unit = stated.into_iter().flatten().find_map(|text| known_unit(&text));
        let variable = || item("NETCDF_VARNAME").filter(|_| dataset.raster_count() == 1);
        let own = variable().unwrap_or_else(|| name(band, &description));
        let mut found = Band::new(own, Unit::Counts);
        let along = || along_axis(dataset, band);
        if let Some((wavelength, fwhm)) =
            spectrum(band, &description, position, lists).or_else(along)
        {
            (found.wavelength_um, found.fwhm_um) = (Some(wavelength), fwhm);
        }
        found.common_name = match colour {
            Some(ColorInterpretation::RedBand) => Some("red".to_string()),
            Some(ColorInterpretation::GreenBand) => Some("green".to_string()),
            Some(ColorInterpretation::BlueBand) => Some("blue".to_string()),
            _ => None,
        };
        let mut nodata = band.no_data_value();
        if band.band_type() == GdalDataType::Float32 {
            // The header states it in decimal, the pixels hold it in 32 bits.
            nodata = nodata.map(|value| f64::from(value as f32));
        }
        let number = |name: &str| attribute(name)?.trim().parse().ok();
        let linear = (
            band.scale().or_else(|| number("_scale_factor")).unwrap_or(1.0),
            band.offset().or_else(|| number("_add_offset")).unwrap_or(0.0),
        );
        if linear.0.is_finite() && linear.0 != 0.0 && linear.1.is_finite() {
            (found.scale, found.offset) = linear;
        }
        // MODIS land products state a divisor where others state a factor; no
        // reflectance comes near a factor above 1.
        if unit == Some(Unit::Reflectance) && found.scale > 1.0 {
            found.scale = 1.0 / found.scale;
        }
        if (found.scale, found.offset) == (1.0, 0.0)
            && let Some(reflectance) = Reflectance::of(dataset, &found)
        {
            (found.scale, found.offset) = (reflectance.scale, reflectance.offset);
            nodata = nodata.or(reflectance.nodata);
            unit = unit.or(Some(Unit::Reflectance));
        }
        let bad = lists.bad(band, position);
        let mask = Mask::of(band, nodata.is_some());
        let missing = nodata.into_iter().collect();
        let law = Law::Linear;
        Self { part: 0, index: position + 1, band: found, unit, missing, law, mask, bad }
    }
}

impl Mask {
    /// How `band` is masked; a number for missing readings is no mask here.
    fn of(band: &RasterBand, has_nodata: bool) -> Self {
        let Ok(flags) = band.mask_flags() else { return Self::None };
        if flags.is_all_valid() || flags.is_alpha() || (flags.is_nodata() && has_nodata) {
            Self::None
        } else if flags.is_per_dataset() {
            Self::Shared
        } else {
            Self::Own
        }
    }
}

/// The crate panics on the interpretations that GDAL 3.10 added.
fn colour(band: &RasterBand) -> Option<ColorInterpretation> {
    caught(|| band.color_interpretation())
}

/// Replaces names that say nothing: bands without a name, or with the name of
/// another band, get their number.
fn tell_apart(claims: &mut [Claim]) {
    let mut seen = std::collections::HashMap::new();
    for claim in claims.iter() {
        *seen.entry(claim.band.name.clone()).or_insert(0) += 1;
    }
    for claim in claims {
        let name = &mut claim.band.name;
        if name.is_empty() {
            *name = claim.index.to_string();
        } else if seen[name] > 1 {
            *name = format!("{name} {}", claim.index);
        }
    }
}

/// Where wavelengths are known but colours are not, calls the bands nearest
/// to the usual red, green and blue by these names, if they are within 20 nm,
/// so that a cube of hundreds of bands has a true-colour view.
fn name_colours(claims: &mut [Claim]) {
    if claims.iter().any(|claim| claim.band.common_name.is_some()) {
        return;
    }
    for (name, centre) in [("red", 0.665), ("green", 0.56), ("blue", 0.49)] {
        let nearest = claims
            .iter_mut()
            .filter_map(|c| Some(((c.band.wavelength_um? - centre).abs(), &mut c.band)))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((_, band)) = nearest.filter(|&(distance, _)| distance <= 0.02) {
            band.common_name = Some(name.to_string());
        }
    }
}

/// How far from the centre that a profile lists a band that is named otherwise may lie,
/// in micrometres: less than from one red edge of an instrument to the next.
const LISTED_UM: f32 = 0.015;

/// Gives `claims` the names by which a profile lists them, where they have
/// others: those of the one band with the same common name, or, where several
/// have it, of the nearest; and the profile's order.
fn name_as_listed(claims: &mut [Claim], listed: &[Band]) {
    let apart = |band: &Band, own: &Band| match (band.wavelength_um, own.wavelength_um) {
        (Some(a), Some(b)) => (a - b).abs(),
        _ => f32::INFINITY,
    };
    for index in 0..claims.len() {
        let own = &claims[index].band;
        if listed.iter().any(|band| same_name(&band.name, &own.name)) {
            continue;
        }
        let same = |band: &&Band| own.common_name.is_some() && band.common_name == own.common_name;
        let alone = claims.iter().filter(|claim| claim.band.common_name == own.common_name);
        let named = listed.iter().find(same).filter(|_| alone.count() == 1);
        let near = || {
            let nearest = listed.iter().min_by(|a, b| apart(a, own).total_cmp(&apart(b, own)));
            nearest.filter(|band| apart(band, own) <= LISTED_UM)
        };
        if let Some(band) = named.or_else(near) {
            claims[index].band.name = band.name.clone();
        }
    }
    let place = |claim: &Claim| {
        listed.iter().position(|band| same_name(&band.name, &claim.band.name)).unwrap_or(usize::MAX)
    };
    claims.sort_by_key(place);
}

/// Takes the bands whose names the profile lists, with the profile narrowed
/// to them; where it lists none of the names, all bands and the profile.
fn choose(claims: Vec<Claim>, profile: Option<&Profile>) -> (Vec<Claim>, Option<Profile>) {
    let entry = |claim: &Claim| {
        let listed = profile?.listed_bands()?;
        listed.iter().find(|band| same_name(&band.name, &claim.band.name)).cloned()
    };
    let listed: Vec<Band> = claims.iter().filter_map(entry).collect();
    if listed.is_empty() {
        return (claims, profile.cloned());
    }
    let taken = claims.into_iter().filter(|claim| entry(claim).is_some()).collect();
    let narrowed = profile.map(|p| Profile { bands: Bands::Listed(listed), ..p.clone() });
    (taken, narrowed)
}

/// What the file calls `band`: by a name of its own, by the element and the level
/// of a field of GRIB, or by where it lies on axes besides rows and columns; empty
/// where it says nothing.
fn name(band: &RasterBand, description: &str) -> String {
    let item = |key: &str| band.metadata_item(key, "").filter(|text| !text.trim().is_empty());
    if let Some(name) = item("BANDNAME") {
        return name;
    }
    if let (Some(element), Some(level)) = (item("GRIB_ELEMENT"), item("GRIB_SHORT_NAME")) {
        return format!("{element} {level}");
    }
    if !description.is_empty() {
        return description.to_owned();
    }
    if let Some(name) = source(band).as_deref().and_then(apart::band_of) {
        return name;
    }
    let place = |(axis, value): (String, String)| format!("{axis} {value}");
    let places: Vec<String> = axes(band).into_iter().map(place).collect();
    match &places[..] {
        [] => item("NETCDF_VARNAME").unwrap_or_default(),
        _ => places.join(", "),
    }
}

/// The only file that `band` of a virtual raster is taken from: those who stack files of
/// one band each seldom name the bands.
fn source(band: &RasterBand) -> Option<String> {
    let sources = band.metadata_domain("vrt_sources")?.join("\n");
    let mut files = elements(&sources, "SourceFilename").map(|file| plain(file.content.trim()));
    files.next().filter(|_| files.next().is_none())
}

/// Stored numbers that mean reflectance by the rule of their product.
struct Reflectance {
    scale: f64,
    offset: f64,
    nodata: Option<f64>,
}

impl Reflectance {
    /// The rule for `band` of `dataset`, if its format has one.
    ///
    /// Sentinel-2 products: `(DN + ADD_OFFSET) / QUANTIFICATION_VALUE`, both
    /// from the product's own metadata, for the spectral bands; the date or
    /// baseline says nothing certain about the offset. ENVI: `reflectance
    /// scale factor` is a divisor.
    fn of(dataset: &Dataset, band: &Band) -> Option<Self> {
        let number = |key: &str, domain: &str| -> Option<f64> {
            dataset.metadata_item(key, domain)?.trim().parse().ok()
        };
        let positive = |value: &f64| value.is_finite() && *value > 0.0;
        if let Some(factor) = number("reflectance_scale_factor", "ENVI").filter(positive) {
            return Some(Self { scale: 1.0 / factor, offset: 0.0, nodata: None });
        }
        band.wavelength_um?;
        let xml = dataset.metadata_domain("xml:SENTINEL2")?.join("\n");
        let quantification = number("BOA_QUANTIFICATION_VALUE", "")
            .or_else(|| number("QUANTIFICATION_VALUE", ""))
            .filter(positive)?;
        Some(Self {
            scale: 1.0 / quantification,
            offset: sentinel2::add_offset(&xml, &band.name).unwrap_or(0.0) / quantification,
            nodata: number("SPECIAL_VALUE_NODATA", ""),
        })
    }
}

/// The unit that files call `text`, if it is one of ours: as UDUNITS spells it, too.
pub(super) fn known_unit(text: &str) -> Option<Unit> {
    let plain = |c: &char| !c.is_whitespace() && !"_[]".contains(*c);
    let text: String = text.to_lowercase().chars().filter(plain).collect();
    let degrees = ["degrees", "degree", "deg", "\u{b0}"];
    match degrees.iter().find_map(|word| text.strip_prefix(word)).unwrap_or(&text) {
        "k" | "kelvin" | "kelvins" => Some(Unit::Kelvin),
        "c" | "celsius" => Some(Unit::Celsius),
        "reflectance" => Some(Unit::Reflectance),
        "wm-2sr-1nm-1" | "w/m2/sr/nm" | "w/m^2/sr/nm" | "w/(m^2*sr*nm)" => Some(Unit::Radiance),
        "counts" | "dn" => Some(Unit::Counts),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temperatures_are_known_however_they_are_spelt() {
        for text in ["degC", "degree_C", "degrees_C", "Degree Celsius", "[\u{b0}C]", "celsius"] {
            assert_eq!(known_unit(text), Some(Unit::Celsius), "{text}");
        }
        for text in ["K", "kelvins", "Degrees Kelvin", "[K]"] {
            assert_eq!(known_unit(text), Some(Unit::Kelvin), "{text}");
        }
        assert_eq!((known_unit("degree"), known_unit("degrees_north")), (None, None));
    }
}
