//! Where to train, chosen at run time.

use burn::tensor::Device;

use crate::error::{Error, Fault, Result};

/// The best graphics adapter that WebGPU finds.
///
/// # Errors
///
/// If there is none that works, or this build has no support for it.
#[cfg(feature = "gpu")]
pub fn wgpu() -> Result<Device> {
    Device::wgpu_options().init().map_err(|e| {
        Error::new(Fault::Device, "--device wgpu", e)
            .hint("train with --device cpu, or install a Vulkan or Metal driver")
    })
}

/// There is none in this build.
///
/// # Errors
///
/// Always.
#[cfg(not(feature = "gpu"))]
pub fn wgpu() -> Result<Device> {
    Err(Error::new(Fault::Usage, "--device wgpu", "this build has no graphics adapter support")
        .hint("train with --device cpu, or build with the feature `gpu`"))
}
