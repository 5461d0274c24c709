//! Many scenes to sound and map.
