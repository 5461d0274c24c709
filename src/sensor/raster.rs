//! Rasters of any number of bands, in any format that GDAL reads.
//!
//! GDAL counts bands from 1 and sizes as (columns, rows); neither leaves this
//! module. Scale and offset, missing readings (nodata, masks, alpha) and the
//! wavelengths are resolved here: a [`Frame`] holds physical values and NaN.

mod arrays;
mod bands;
mod layer;
mod length;
pub(crate) mod library;
mod pages;
mod part;
mod product;
mod samples;
mod series;
mod strips;
mod window;

use std::path::Path;

use gdal::raster::GdalDataType;
use gdal::spatial_ref::SpatialRef;
use gdal::{Dataset, Metadata};
use ndarray::{Array3, s};

use crate::error::{Error, Fault, Result};
use crate::frame::{Frame, GeoReference};
use crate::profile::{Mask, Profile};
use crate::sensor::naming::same_name;
use crate::sensor::route::Route;
use crate::sensor::tiles::Tiles;
use crate::sensor::{Scene, Sensor, Source, check_size, count};
use bands::{Layers, Shared};
use layer::{Law, Layer};
pub(super) use pages::Pages;
use part::Part;
use product::{Piece, Product};
pub use samples::Samples;
pub use series::Series;
pub use strips::{Chips, Strips};

/// A degree of latitude in metres, on a sphere of 6371.0088 km (IUGG mean
/// radius).
const DEGREE_M: f64 = 6_371_008.8 * std::f64::consts::PI / 180.0;

/// A raster, opened and checked: one file, or a product of several.
///
/// As a [`Sensor`] it is one picture, the whole raster; [`Raster::chips`]
/// tiles it instead, and [`Raster::read`] reads any window.
#[derive(Debug)]
pub struct Raster {
    /// Its files; the first one's pixels are the raster's grid.
    parts: Vec<Part>,
    path: String,
    source: Source,
    layers: Vec<Layer>,
    shared_mask: Option<Shared>,
    quality: Option<Quality>,
    /// Bytes of a pixel as stored, over all bands of the frame.
    stored_bytes: usize,
    /// How many pixels of the finest file make one of the grid, each way, as the
    /// files are read in a coarser resolution.
    reduced: usize,
    /// How many pixels of the grid make one pixel of the raster, each way.
    factor: usize,
    /// Whether GDAL averages them, else it is done here.
    averaged_by_gdal: bool,
    georeference: Option<GeoReference>,
    /// Whether the sensor has delivered its picture.
    delivered: bool,
}

impl Raster {
    /// Opens the raster at `path`: a file, a product of several, or anything
    /// else that GDAL opens by name (`/vsizip/scenes.zip/a.tif`,
    /// `NETCDF:"a.nc":reflectance`).
    ///
    /// Products are known by the folder or the metadata file that holds them
    /// together: Sentinel-2 SAFE, also as a zip file, Landsat Collection 2 with
    /// its MTL file, EnMAP with its XML file, and items of a STAC, `FILE` or
    /// `FILE#ID` in a collection, with the bands of all their assets. MODIS, EMIT and PRISMA keep
    /// theirs in one file. Bands stand in order of wavelength on the grid of the
    /// finest one; coarser bands repeat their pixels there.
    ///
    /// Bands are named and measured by the file, and by `profile` where the
    /// file is silent; `stored * scale + offset` is applied, by the file's
    /// numbers or else by the profile's. Bands that the file marks bad are
    /// left out, and so are those that a profile which names the others does
    /// not list; the source's description counts them. An alpha band is a
    /// mask, not a band.
    ///
    /// # Errors
    ///
    /// If the file is missing, damaged, without bands (a container of other
    /// rasters, whose names the hint gives), of complex numbers, stored in
    /// blocks above 1 GiB, or has another number of bands than `profile`.
    pub fn open(path: impl AsRef<Path>, profile: Option<&Profile>) -> Result<Self> {
        let path = path.as_ref().to_string_lossy().into_owned();
        if let Some(product) = Product::find(&path)? {
            return Self::of_product(&product, profile);
        }
        Self::of_file(path, None, profile)
    }

    /// The raster in the file at `path`, or `only` the band of this number.
    fn of_file(path: String, only: Option<usize>, profile: Option<&Profile>) -> Result<Self> {
        let lost = |error| library::lost_by(Path::new(&path)).unwrap_or(error);
        let part = Part::open(&path).map_err(lost)?;
        check(&part.dataset, &path)?;
        let Layers { shown, shared_mask, left_out, divided, highest } =
            bands::layers(&part.dataset, &path, only, profile)?;
        let driver = part.dataset.driver().short_name();
        let mut what = format!("{path}: {driver}, {}", count(shown.len(), "band"));
        if left_out > 0 {
            what.push_str(&format!(" and {left_out} left out"));
        }
        let mut description = format!("{what}, {} x {} pixels", part.columns, part.rows);
        if divided {
            description.push_str("; its numbers are reflectance already");
        }
        let mut raster = Self::of_parts(path, vec![part], shown, description)?;
        (raster.source.driver, raster.source.highest) = (Some(driver), highest);
        raster.shared_mask = shared_mask;
        if let Some(mask) = profile.and_then(|profile| profile.mask.clone())
            && let Some(index) = bands::named(&raster.parts[0].dataset, &mask.band)
        {
            raster.source.description.push_str(&format!("; clouds by its band {}", mask.band));
            raster.quality = Some(Quality { part: 0, index, mask, kept: false });
        }
        Ok(raster)
    }

    /// Whether [`Raster::open`] takes the folder at `path` for one raster: a product,
    /// or a Zarr store.
    pub(crate) fn is_product(path: &Path) -> bool {
        product::variables::is_store(path)
            || !matches!(Product::find(&path.to_string_lossy()), Ok(None))
    }

    /// Whether `path` is the name of an item in a STAC collection, `FILE#ID`.
    pub(crate) fn is_item(path: &str) -> bool {
        product::stac::is_item(path)
    }

    /// Whether the file at `path` is a STAC item or a collection of them.
    pub(crate) fn is_catalogue(path: &str) -> bool {
        product::stac::is_one(path)
    }

    /// The names of the items in the STAC collection at `path`, if it is one.
    ///
    /// # Errors
    ///
    /// If an item has no id.
    pub(crate) fn items(path: &str) -> Result<Option<Vec<String>>> {
        product::stac::items(path)
    }

    /// The files of the product at `path`, if it is one of several.
    pub(crate) fn files(path: &str) -> Vec<String> {
        let Ok(Some(product)) = Product::of_several(path) else { return vec![] };
        let pieces = product.pieces.into_iter().map(|piece| piece.path);
        pieces.chain(product.mask.map(|(path, _)| path)).collect()
    }

    /// Opens the files of `product` and lays them under one grid.
    fn of_product(product: &Product, profile: Option<&Profile>) -> Result<Self> {
        let (mut layers, left_out) = bands::of_product(product, profile)?;
        let mut parts = gather(product, &mut layers)?;
        // Where the metadata is silent, the files may know.
        for layer in layers.iter_mut().filter(|layer| layer.missing.is_empty()) {
            let part = &parts[layer.part];
            let nodata = || Ok(part.dataset.rasterband(layer.index)?.no_data_value());
            if part.cube_bytes() == 0 {
                layer.missing.extend(library::call(Fault::Input, &part.path, nodata)?);
            }
        }
        let mask = match &product.mask {
            None => None,
            Some((path, bits)) => {
                parts.push(Part::open(path)?);
                Some(Shared::Bits(parts.len() - 1, *bits))
            }
        };
        let mut quality = None;
        if let Some(mask) = profile.and_then(|profile| profile.mask.clone())
            && let Some((_, path)) =
                product.quality.iter().find(|(name, _)| same_name(name, &mask.band))
        {
            parts.push(Part::open(path)?);
            quality = Some(Quality { part: parts.len() - 1, index: 1, mask, kept: false });
        }
        let (grid, others) = parts.split_at_mut(1);
        grid[0].georeference = grid[0].georeference.take().or(product.georeference.clone());
        let mut repeated = false;
        for part in others {
            repeated |= part.lay_under(&grid[0])?;
        }
        let bands = count(layers.len(), "band");
        let model = product.model.as_deref().unwrap_or("one file for each band");
        let mut said = vec![format!("{}: {model}, {bands}", product.path)];
        if left_out > 0 {
            said[0].push_str(&format!(" and {left_out} left out"));
        }
        said[0].push_str(&format!(", {} x {} pixels", grid[0].columns, grid[0].rows));
        said.extend(product.said.iter().cloned());
        if repeated {
            said.push("coarser bands repeat their pixels".to_owned());
        }
        if let Some(quality) = &quality {
            said.push(format!("clouds by {}", quality.mask.band));
        }
        let mut raster = Self::of_parts(product.path.clone(), parts, layers, said.join("; "))?;
        raster.source.model = product.model.clone();
        (raster.shared_mask, raster.quality) = (mask, quality);
        Ok(raster)
    }

    /// The same raster with the readings that clouds and their shadows hide,
    /// which are missing otherwise; frames tell their share all the same.
    #[must_use]
    pub fn with_clouds(mut self) -> Self {
        if let Some(quality) = &mut self.quality {
            quality.kept = true;
        }
        self
    }

    /// The raster of `layers`, which lie in `parts`.
    fn of_parts(
        path: String,
        parts: Vec<Part>,
        layers: Vec<Layer>,
        description: String,
    ) -> Result<Self> {
        let Some(grid) = parts.first() else {
            return Err(Error::input(path, "has no bands of its own"));
        };
        let source = Source {
            bands: layers.iter().map(|layer| layer.band.clone()).collect(),
            rows: grid.rows,
            columns: grid.columns,
            frames: Some(1),
            ..Source::of(description)
        };
        let stored_bytes = library::call(Fault::Input, &path, || {
            let stored = layers.iter().map(|layer| parts[layer.part].stored_bytes(layer.index));
            stored.sum::<gdal::errors::Result<usize>>()
        })?;
        let stored_bytes = stored_bytes + parts.iter().map(Part::cube_bytes).sum::<usize>();
        Ok(Self {
            georeference: parts[0].georeference.clone(),
            parts,
            path,
            source,
            layers,
            shared_mask: None,
            quality: None,
            stored_bytes,
            reduced: 1,
            factor: 1,
            averaged_by_gdal: false,
            delivered: false,
        })
    }

    /// The same raster with pixels `factor` times as wide and as high, each
    /// the mean of the readings in it; missing ones do not count, and a pixel
    /// without any is missing. Pixels at the right and lower edge are the mean
    /// of what there is of them. The geo-reference follows, exactly.
    ///
    /// Where GDAL knows all that is missing, it averages itself, from the
    /// overviews of the file where it has any that are means, and rounds to the type of
    /// the stored numbers where their steps are fine; else all pixels are read, and
    /// averaged here. Of a product of several files, those with overviews, as JPEG 2000 has
    /// them, are read from the coarsest that fits, where no mask is finer: their pixels
    /// there are almost, and not quite, means.
    #[must_use]
    pub fn coarser(mut self, factor: usize) -> Self {
        let twos = if self.parts.len() > 1 { factor.max(1).trailing_zeros() } else { 0 };
        let step = (1..=twos).rev().map(|twos| 1 << twos).find(|&step| self.coarsen(step));
        self.reduced *= step.unwrap_or(1);
        self.factor *= factor.max(1) / step.unwrap_or(1);
        let grid = &self.parts[0];
        self.source.rows = grid.rows.div_ceil(self.factor);
        self.source.columns = grid.columns.div_ceil(self.factor);
        let scale = self.factor as f64;
        self.georeference = grid.georeference.as_ref().map(|own| own.scaled(scale, scale));
        let fine = |layer: &Layer| layer.is_finely_stepped(&grid.dataset).unwrap_or(false);
        let known = |layer: &Layer| {
            layer.law == Law::Linear
                && !layer.own_mask
                && fine(layer)
                && grid.knows(layer.index, &layer.missing)
        };
        self.averaged_by_gdal = self.factor > 1
            && self.parts.len() == 1
            && self.shared_mask.is_none()
            && self.quality.is_none()
            && self.layers.iter().all(known);
        self
    }

    /// Takes the files that are finer than `step` pixels of the grid in coarser
    /// resolutions of their own, so that the grid's pixels become `step` times as
    /// large; false if they do not have them, or a mask is finer.
    fn coarsen(&mut self, step: usize) -> bool {
        let pixel = self.parts[0].pixel() * step as f64;
        let steps = self.parts.iter().map(|part| (pixel / part.pixel()).round() as usize);
        let fine: Vec<(usize, usize)> = steps.enumerate().filter(|&(_, step)| step > 1).collect();
        let shown = |part: usize| self.layers.iter().any(|layer| layer.part == part);
        let open =
            |&(part, step): &(usize, usize)| self.parts[part].reduced(step).filter(|_| shown(part));
        let Some(reduced) = fine.iter().map(open).collect::<Option<Vec<Part>>>() else {
            return false;
        };
        for ((part, _), reduced) in fine.into_iter().zip(reduced) {
            self.parts[part] = reduced;
        }
        let (grid, others) = self.parts.split_at_mut(1);
        // They are of one projection, as they were.
        others.iter_mut().all(|part| part.lay_under(&grid[0]).is_ok())
    }

    /// Rows of the whole raster.
    pub fn rows(&self) -> usize {
        self.source.rows
    }

    /// Columns of the whole raster.
    pub fn columns(&self) -> usize {
        self.source.columns
    }

    /// Where the whole raster lies, if it has both a transform and a
    /// coordinate reference system.
    pub fn georeference(&self) -> Option<&GeoReference> {
        self.georeference.as_ref()
    }

    /// The window of `rows` by `columns` whose upper left pixel is at (`row`,
    /// `column`), with its position and geo-reference.
    ///
    /// # Errors
    ///
    /// If the window is empty or reaches beyond the raster, takes more than
    /// 1 GiB, or cannot be decoded: a failure that GDAL reports while it reads
    /// is an error even where it delivers pixels.
    pub fn read(&self, row: usize, column: usize, rows: usize, columns: usize) -> Result<Frame> {
        let inside = |start: usize, length: usize, size: usize| {
            length > 0 && start.checked_add(length).is_some_and(|end| end <= size)
        };
        if !(inside(row, rows, self.rows()) && inside(column, columns, self.columns())) {
            let what = format!(
                "the window of {rows} x {columns} pixels at row {row}, column {column} \
                 is not inside {} x {}",
                self.rows(),
                self.columns()
            );
            return Err(Error::usage(&self.path, what));
        }
        let bands = count(self.layers.len(), "band");
        let what = format_args!("{bands} of {rows} x {columns} pixels take");
        check_size(&self.path, self.bytes(rows, columns), what).map_err(|error| {
            error.hint("read it as a scene, chip by chip: choose a profile whose source is `scene`")
        })?;
        let mut data = Array3::from_elem((self.planes(), rows, columns), f32::NAN);
        self.read_into(row, column, data.view_mut())?;
        Ok(self.frame(data, row, column))
    }

    /// How many planes are read: the bands, and one of clouds if there is a
    /// mask of them, which holds 1 for a cloud and 0 for ground.
    fn planes(&self) -> usize {
        self.layers.len() + usize::from(self.quality.is_some())
    }

    /// The frame of the window at (`row`, `column`), all of whose planes are
    /// `data`.
    fn frame(&self, data: Array3<f32>, row: usize, column: usize) -> Frame {
        let clouds = data.slice(s![self.layers.len().., .., ..]);
        let known = || clouds.iter().filter(|share| !share.is_nan());
        let cloud_fraction = known().next().map(|_| known().sum::<f32>() / known().count() as f32);
        let data = data.slice_move(s![..self.layers.len(), .., ..]);
        let georeference = self.georeference_at(row, column);
        let frame = Frame::new(data, self.source.bands.clone(), 0.0);
        Frame { position: (row, column), georeference, cloud_fraction, ..frame }
    }

    /// The raster as a scene of square chips of `chip` pixels, heard along
    /// `route`.
    pub fn chips(self, chip: usize, route: Route) -> Chips {
        let scene = self.scene(chip.max(1), route);
        Tiles::new(Strips::new(self, scene.chip, route), scene)
    }

    /// Windows spread evenly over the raster that hold about `values` readings
    /// together.
    pub fn samples(self, values: usize) -> Samples {
        Samples::new(self, values)
    }

    /// How [`Raster::chips`] tiles it.
    pub fn scene(&self, chip: usize, route: Route) -> Scene {
        let georeference = self.georeference.clone();
        let (rows, columns) = (self.rows(), self.columns());
        let factor = self.reduced * self.factor;
        Scene { rows, columns, chip, route, factor, georeference }
    }

    /// The side of a square as large as one of its pixels, in metres; `None`
    /// where it does not lie on a map. On a map of longitude and latitude it
    /// is that of the pixel in the middle.
    pub fn pixel_m(&self) -> Option<f64> {
        let georeference = self.georeference.as_ref()?;
        let t = &georeference.transform;
        // Some files call the numbers of their pixels coordinates of a map.
        let [x, width, _, y, _, height] = self.parts.first()?.georeference.as_ref()?.transform;
        if (width, height) == (1.0, 1.0) && x.abs() <= 0.5 && y.abs() <= 0.5 {
            return None;
        }
        let area = (t[1] * t[5] - t[2] * t[4]).abs();
        let (rows, columns) = (self.rows() as f64 / 2.0, self.columns() as f64 / 2.0);
        let (_, latitude) = georeference.locate(rows, columns);
        let area_m2 = library::call(Fault::Input, &self.path, || {
            let map = SpatialRef::from_wkt(&georeference.crs_wkt)?;
            Ok(match map.is_geographic() {
                true => area * latitude.to_radians().cos().abs() * DEGREE_M.powi(2),
                false => area * map.linear_units().powi(2),
            })
        });
        area_m2.ok().map(f64::sqrt).filter(|metres| metres.is_finite() && *metres > 0.0)
    }

    /// The same raster, whose source remarks on itself so.
    pub(super) fn say(mut self, remark: Option<String>) -> Self {
        self.source.remark = remark;
        self
    }

    /// How many readings all bands have together.
    pub(super) fn values(&self) -> usize {
        self.rows().saturating_mul(self.columns()).saturating_mul(self.layers.len())
    }

    /// Bytes of a frame of `rows` by `columns`.
    fn bytes(&self, rows: usize, columns: usize) -> usize {
        let pixels = rows.saturating_mul(columns);
        pixels.saturating_mul(self.planes()).saturating_mul(size_of::<f32>())
    }

    /// The geo-reference of a window at (`row`, `column`).
    fn georeference_at(&self, row: usize, column: usize) -> Option<GeoReference> {
        Some(self.georeference()?.window(row as f64, column as f64))
    }

    /// Rows and columns of the blocks that the grid's own file is stored in.
    fn block(&self) -> (usize, usize) {
        self.parts.first().map_or((1, 1), |grid| grid.block)
    }

    /// Bytes of the blocks that a row of the grid touches in all files.
    fn block_row_bytes(&self) -> usize {
        let rows = |part: &Part| part.block.0.saturating_mul(part.columns);
        let bytes = |layer: &Layer| {
            let part = &self.parts[layer.part];
            rows(part).saturating_mul(part.stored_bytes(layer.index).unwrap_or(size_of::<f64>()))
        };
        self.layers.iter().map(bytes).fold(0, usize::saturating_add)
    }
}

/// The band in which a file tells what its pixels show.
#[derive(Debug)]
struct Quality {
    part: usize,
    index: usize,
    mask: Mask,
    /// Whether readings that clouds hide are kept.
    kept: bool,
}

impl Iterator for Raster {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        if std::mem::replace(&mut self.delivered, true) {
            return None;
        }
        Some(self.read(0, 0, self.rows(), self.columns()))
    }
}

impl Sensor for Raster {
    fn source(&self) -> &Source {
        &self.source
    }
}

/// Opens the files of `product` that `layers` lie in, the one of the finest
/// pixels first, and gives each layer the number of its file in place of that
/// of its piece.
fn gather(product: &Product, layers: &mut [Layer]) -> Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    for layer in layers.iter_mut() {
        let Piece { path, array, .. } = &product.pieces[layer.part];
        let known = parts.iter().position(|part| part.is(path, array.as_ref()));
        layer.part = known.unwrap_or(parts.len());
        if known.is_none() {
            parts.push(match array {
                Some(array) => Part::open_array(path, array)?,
                None => Part::open(path)?,
            });
        }
    }
    if parts.is_empty() {
        return Err(Error::input(&product.path, "has no bands of its own"));
    }
    let finest = (0..parts.len())
        .min_by(|&a, &b| parts[a].pixel().total_cmp(&parts[b].pixel()))
        .unwrap_or(0);
    parts.swap(0, finest);
    for layer in layers.iter_mut() {
        layer.part = match layer.part {
            0 => finest,
            part if part == finest => 0,
            part => part,
        };
    }
    Ok(parts)
}

/// Refuses what opens, but is no picture.
fn check(dataset: &Dataset, path: &str) -> Result<()> {
    let bands = dataset.raster_count();
    if bands == 0 {
        let parts = dataset.metadata_domain("SUBDATASETS").unwrap_or_default();
        let names: Vec<&str> = parts
            .iter()
            .filter_map(|part| part.split_once("_NAME=").map(|(_, name)| name))
            .collect();
        let error = Error::input(path, "has no bands of its own");
        return Err(match names[..] {
            [] => error.hint("it is no picture: choose another file"),
            _ => error.hint(format!("name one of the rasters inside it: {}", names.join(", "))),
        });
    }
    // Files of the EMIT instrument are stored by scan line; GDAL learned in
    // 3.8 to show their spectral axis as bands.
    let extra = dataset.metadata_item("NETCDF_DIM_EXTRA", "").unwrap_or_default();
    if extra.contains("downtrack") {
        let what = "its bands would be scan lines with this version of GDAL";
        return Err(Error::new(Fault::Unsupported, path, what)
            .hint("name the file itself, or use GDAL 3.8 or later"));
    }
    let complex = library::call(Fault::Input, path, || {
        let mut types = (1..=bands).map(|index| Ok(dataset.rasterband(index)?.band_type()));
        let known =
            |kind: &gdal::errors::Result<GdalDataType>| !matches!(kind, Ok(GdalDataType::Unknown));
        Ok(types.position(|kind| !known(&kind)))
    })?;
    match complex {
        None => Ok(()),
        Some(position) => {
            let what = format!("band {} holds complex numbers", position + 1);
            Err(Error::new(Fault::Unsupported, path, what)
                .hint("convert it to its magnitude first: `gdal_calc.py --calc=\"abs(A)\"`"))
        }
    }
}
