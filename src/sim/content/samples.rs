//! Small uploaded files of common kinds, for fixtures: they open in their programs.

use bytes::Bytes;

use super::{docx, ooxml, pdf, pptx, xlsx};

/// A file called `name`, of the kind that its extension says; text for any other.
pub fn sample(name: &str) -> Bytes {
    let extension = name.rsplit_once('.').map_or("", |(_, e)| e).to_lowercase();
    let line = format!("{name}: 演示文件 demo file");
    let bytes = match extension.as_str() {
        "pdf" => pdf::document(name, &[line], 0),
        "docx" => docx::document(name, &[line], 0),
        "pptx" => pptx::presentation(name, &[line], 0),
        "xlsx" => xlsx::workbook(&[("Sheet1".to_owned(), vec![vec![line, "1".to_owned()]])], 0),
        "zip" => ooxml::package(&[("readme.txt", line.clone()), ("data/数据.csv", line)]),
        "png" => png(32, 32, [0x33, 0x70, 0xFF]),
        "json" => format!("{{\"code\": 1061004, \"name\": {line:?}}}\n").into_bytes(),
        "html" => format!("<!DOCTYPE html><title>{line}</title><p>{line}</p>\n").into_bytes(),
        _ => format!("{line}\n").into_bytes(),
    };
    Bytes::from(bytes)
}

/// A picture whose colour is made from a seed.
pub fn picture(seed: u64) -> Bytes {
    let [r, g, b, ..] = super::super::ids::scramble(seed).to_le_bytes();
    Bytes::from(png(48, 32, [r, g, b]))
}

/// A picture of one colour (W3C "Portable Network Graphics"), not compressed.
fn png(width: u32, height: u32, rgb: [u8; 3]) -> Vec<u8> {
    let mut raw = Vec::new();
    for _ in 0..height {
        // Each line begins with its filter: none.
        raw.push(0);
        raw.extend(std::iter::repeat_n(rgb, width as usize).flatten());
    }
    let mut header = Vec::new();
    header.extend_from_slice(&width.to_be_bytes());
    header.extend_from_slice(&height.to_be_bytes());
    header.extend_from_slice(&[8, 2, 0, 0, 0]);

    // A zlib stream of one stored block.
    let len = u16::try_from(raw.len()).expect("a small picture");
    let mut data = vec![0x78, 0x01, 0x01];
    data.extend_from_slice(&len.to_le_bytes());
    data.extend_from_slice(&(!len).to_le_bytes());
    data.extend_from_slice(&raw);
    data.extend_from_slice(&adler32(&raw).to_be_bytes());

    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, body) in [(b"IHDR", header), (b"IDAT", data), (b"IEND", Vec::new())] {
        file.extend_from_slice(&u32::try_from(body.len()).expect("small").to_be_bytes());
        let start = file.len();
        file.extend_from_slice(kind);
        file.extend_from_slice(&body);
        let sum = crc32(&file[start..]);
        file.extend_from_slice(&sum.to_be_bytes());
    }
    file
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1u32, 0u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    (b << 16) | a
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_the_usual_ones() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11E6_0398);
    }
}
