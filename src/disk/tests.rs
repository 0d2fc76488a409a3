//! Stories of the disk.
