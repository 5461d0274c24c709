//! Frames as pictures for eyes: previews and contact sheets.
