//! The file of a model: its bytes, and back.

use std::collections::HashMap;

use burn::tensor::Device;
use half::f16;
use ndarray::{Array1, Array2};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Model, Record};
use crate::autoencoder::linear::Linear;
use crate::autoencoder::{Autoencoder, Network, Part};
use crate::error::{Error, Fault, Result};
use crate::frame::Band;
use crate::profile::Profile;

/// Version of the file's layout.
const FORMAT: u32 = 3;

/// The oldest that is read, of values with a single digit.
const OLDEST_FORMAT: u32 = 2;

/// What the metadata says, as JSON under the key `wysiwyh`.
#[derive(Serialize, Deserialize)]
struct About {
    format: u32,
    profile: Profile,
    bands: Vec<Band>,
    range: Vec<[f64; 2]>,
    grid: [usize; 2],
    spread: f32,
    record: Record,
}

impl Model {
    /// Reads a model file's `bytes`; `origin` names it in errors.
    ///
    /// # Errors
    ///
    /// As for [`Model::load`].
    pub fn from_bytes(bytes: &[u8], origin: &str) -> Result<Self> {
        let damaged = |what: String| Error::input(origin, what).hint("train or fetch it again");
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|e| damaged(format!("no model file (safetensors): {e}")))?;
        let (_, metadata) = SafeTensors::read_metadata(bytes)
            .map_err(|e| damaged(format!("no model file (safetensors): {e}")))?;
        let about = metadata
            .metadata()
            .as_ref()
            .and_then(|m| m.get("wysiwyh"))
            .ok_or_else(|| damaged("a safetensors file, but no wysiwyh model".into()))?;
        let about: About = serde_json::from_str(about).map_err(|e| damaged(e.to_string()))?;
        if !(OLDEST_FORMAT..=FORMAT).contains(&about.format) {
            let what =
                format!("format {}, this version reads {OLDEST_FORMAT} to {FORMAT}", about.format);
            let hint = match about.format > FORMAT {
                true => "update wysiwyh",
                false => "train it again with this version",
            };
            return Err(Error::new(Fault::Unsupported, origin, what).hint(hint));
        }
        let parameter = |name: &str| array(&tensors, name, origin);
        let linear = linear_from(&about, &parameter, &tensors, origin)?;
        let device = Device::flex();
        let mut autoencoder = Autoencoder::new(linear, about.spread, &device);
        let has = |end: &str| tensors.names().iter().any(|name| name.starts_with(end));
        if has("decoder.") {
            let part = if has("encoder.") { Part::Both } else { Part::Decoder };
            let network = Network::from_parameters(part, &parameter, &device)?;
            let linear = autoencoder.linear();
            if !network.fits(linear.selected.len(), linear.components()) {
                return Err(damaged("the network does not fit the linear path".into()));
            }
            autoencoder.network = Some(network);
        }
        let hash = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            name: about.profile.name.clone(),
            autoencoder,
            profile: about.profile,
            bands: about.bands,
            range: about.range,
            view: None,
            record: about.record,
            file: bytes.to_vec(),
            hash,
        })
    }

    /// The model file as bytes.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let linear = self.autoencoder.linear();
        let about = About {
            format: if linear.components() > linear.values { FORMAT } else { OLDEST_FORMAT },
            profile: self.profile.clone(),
            bands: self.bands.clone(),
            range: self.range.clone(),
            grid: linear.grid,
            spread: self.autoencoder.spread,
            record: self.record.clone(),
        };
        let about = serde_json::to_string(&about)
            .map_err(|e| Error::new(Fault::Unsupported, "model", e))?;
        let row = |values: &Array1<f32>| values.clone().insert_axis(ndarray::Axis(0));
        let mut parameters = vec![
            ("linear.band_mean".to_owned(), row(&linear.band_mean)),
            ("linear.spectral".to_owned(), linear.spectral.clone()),
            ("linear.centre".to_owned(), row(&linear.centre)),
            ("linear.variance".to_owned(), row(&linear.variance)),
            ("linear.energy".to_owned(), row(&linear.energy)),
            ("linear.synthesis".to_owned(), linear.synthesis.clone()),
            ("linear.deviation".to_owned(), row(&linear.deviation)),
        ];
        if let Some(network) = &self.autoencoder.network {
            parameters.extend(network.parameters()?);
        }
        let mut stored: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = parameters
            .into_iter()
            .map(|(name, array)| {
                let small = array.len() < 4096;
                let bytes = if small {
                    array.iter().flat_map(|v| v.to_le_bytes()).collect()
                } else {
                    array.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect()
                };
                let dtype = if small { Dtype::F32 } else { Dtype::F16 };
                (name, dtype, vec![array.nrows(), array.ncols()], bytes)
            })
            .collect();
        let selected = linear.selected.iter().flat_map(|v| v.to_le_bytes()).collect();
        stored.push(("linear.selected".into(), Dtype::U32, vec![linear.selected.len()], selected));
        let views = stored
            .iter()
            .map(|(name, dtype, shape, bytes)| {
                TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
            })
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|e| Error::new(Fault::Unsupported, "model", e))?;
        let metadata = HashMap::from([("wysiwyh".to_owned(), about)]);
        safetensors::serialize(views, Some(metadata))
            .map_err(|e| Error::new(Fault::Unsupported, "model", e))
    }
}

/// The tensor `name` as an array; one-dimensional tensors become one row.
pub(crate) fn array(tensors: &SafeTensors<'_>, name: &str, origin: &str) -> Result<Array2<f32>> {
    let damaged = |what: String| Error::input(origin, format!("tensor {name}: {what}"));
    let tensor = tensors.tensor(name).map_err(|e| damaged(e.to_string()))?;
    let &[rows, columns] = tensor.shape() else {
        return Err(damaged(format!("{} dimensions instead of 2", tensor.shape().len())));
    };
    let bytes = tensor.data();
    let flat: Vec<f32> = match tensor.dtype() {
        Dtype::F32 => {
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        }
        Dtype::F16 => {
            bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
        }
        other => return Err(damaged(format!("of type {other:?} instead of F16 or F32"))),
    };
    if flat.iter().any(|v| !v.is_finite()) {
        return Err(damaged("has values that are not finite".into()));
    }
    Array2::from_shape_vec((rows, columns), flat).map_err(|e| damaged(e.to_string()))
}

/// The linear path of a model file, its shapes checked against each other.
fn linear_from(
    about: &About,
    parameter: &dyn Fn(&str) -> Result<Array2<f32>>,
    tensors: &SafeTensors<'_>,
    origin: &str,
) -> Result<Linear> {
    let row = |name: &str| parameter(name).map(|array| Array1::from_iter(array.iter().copied()));
    let selected = tensors
        .tensor("linear.selected")
        .map_err(|e| Error::input(origin, format!("tensor linear.selected: {e}")))?;
    let deviation = row("linear.deviation")?;
    let digits = if about.format == OLDEST_FORMAT { 1 } else { 2 };
    let linear = Linear {
        grid: about.grid,
        values: deviation.len() / digits,
        band_mean: row("linear.band_mean")?,
        spectral: parameter("linear.spectral")?,
        selected: selected
            .data()
            .chunks_exact(4)
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect(),
        centre: row("linear.centre")?,
        variance: row("linear.variance")?,
        energy: row("linear.energy")?,
        synthesis: parameter("linear.synthesis")?,
        deviation,
    };
    let [rows, columns] = about.grid;
    let bands = about.bands.len();
    let coefficients = linear.selected.len();
    let total = linear.spectral.ncols() * rows * columns;
    let fits = bands > 0
        && about.range.len() == bands
        && rows.max(columns) <= 4096
        && linear.band_mean.len() == bands
        && linear.spectral.nrows() == bands
        && linear.centre.len() == coefficients
        && linear.variance.len() == coefficients
        && linear.energy.len() == coefficients
        && linear.synthesis.dim() == (coefficients, linear.deviation.len())
        && linear.deviation.len() == linear.values * digits
        && linear.values.is_power_of_two()
        && linear.deviation.iter().all(|&d| d > 0.0)
        && about.spread > 0.0
        && linear.selected.iter().all(|&index| (index as usize) < total);
    if !fits {
        return Err(Error::input(origin, "the shapes of its tensors contradict each other"));
    }
    Ok(linear)
}
