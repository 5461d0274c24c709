//! Sound back to pictures.
