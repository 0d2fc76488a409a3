//! The first bytes by which an export is known to be what was asked for.
//!
//! Magic numbers: ZIP local file header (PKWARE APPNOTE 4.3.7) for the Office Open XML
//! formats, `%PDF-` (ISO 32000-1, 7.5.2).

use crate::model::Format;

/// The bytes that a product of this format begins with; empty where anything goes.
pub(super) fn signature(format: Format) -> &'static [u8] {
    match format {
        Format::Docx | Format::Xlsx | Format::Pptx => b"PK\x03\x04",
        Format::Pdf => b"%PDF-",
        _ => b"",
    }
}

/// How many first bytes are enough to tell.
pub(super) const LONGEST: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signature_fits_in_what_is_kept_of_the_beginning() {
        for format in [Format::Docx, Format::Xlsx, Format::Pptx, Format::Pdf, Format::Csv] {
            assert!(signature(format).len() <= LONGEST, "{format}");
        }
    }
}
