//! Stories of the manifest.
