//! PDF documents: pages of text lines.
//!
//! The font is one of the CJK fonts that every reader stands in for (ISO 32000-1,
//! 9.7.5.2: predefined `CMaps`), so Chinese text needs no embedded font.

use std::fmt::Write as _;

/// Lines on one page.
const LINES: usize = 40;
/// Characters on one line.
const WIDTH: usize = 42;

/// A document with `title` above its lines.
pub fn document(title: &str, paragraphs: &[String], salt: u64) -> Vec<u8> {
    let mut lines = wrap(title);
    lines.push(String::new());
    lines.extend(paragraphs.iter().flat_map(|text| wrap(text)));
    let pages: Vec<&[String]> = lines.chunks(LINES).collect();

    // Objects 1 to 5 are fixed; then a page and its content in turn.
    let mut objects: Vec<String> = Vec::new();
    objects.push("<< /Type /Catalog /Pages 2 0 R >>".to_owned());
    let kids: Vec<String> = (0..pages.len()).map(|n| format!("{} 0 R", 7 + 2 * n)).collect();
    let kids = kids.join(" ");
    objects.push(format!("<< /Type /Pages /Kids [ {kids} ] /Count {} >>", pages.len()));
    objects.push(
        "<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H \
         /DescendantFonts [ 4 0 R ] >>"
            .to_owned(),
    );
    objects.push(
        "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light \
         /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 2 >> \
         /FontDescriptor 5 0 R /DW 1000 /W [ 1 [ 300 ] 2 95 500 ] >>"
            .to_owned(),
    );
    objects.push(
        "<< /Type /FontDescriptor /FontName /STSong-Light /Flags 6 \
         /FontBBox [ -25 -254 1000 880 ] /ItalicAngle 0 /Ascent 880 /Descent -120 \
         /CapHeight 880 /StemV 93 >>"
            .to_owned(),
    );
    objects.push(format!("<< /Title <FEFF{}> /Keywords ({salt}) >>", utf16_hex(title)));
    for (n, page) in pages.iter().enumerate() {
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [ 0 0 595 842 ] \
             /Resources << /Font << /F1 3 0 R >> >> /Contents {} 0 R >>",
            8 + 2 * n
        ));
        let mut content = String::from("BT /F1 12 Tf 16 TL 50 780 Td\n");
        for line in *page {
            let _ = writeln!(content, "<{}> Tj T*", ucs2_hex(line));
        }
        content.push_str("ET\n");
        let length = content.len();
        objects.push(format!("<< /Length {length} >>\nstream\n{content}endstream"));
    }
    assemble(&objects)
}

/// Numbers the objects and writes the table of where each begins.
fn assemble(objects: &[String]) -> Vec<u8> {
    let mut file = b"%PDF-1.4\n%\xE2\xE3\xCF\xD3\n".to_vec();
    let mut offsets = Vec::new();
    for (n, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        file.extend_from_slice(format!("{} 0 obj\n{object}\nendobj\n", n + 1).as_bytes());
    }
    let table = file.len();
    let count = objects.len() + 1;
    let mut tail = format!("xref\n0 {count}\n0000000000 65535 f \n");
    for offset in offsets {
        let _ = writeln!(tail, "{offset:010} 00000 n ");
    }
    let _ = write!(
        tail,
        "trailer\n<< /Size {count} /Root 1 0 R /Info 6 0 R >>\nstartxref\n{table}\n%%EOF\n"
    );
    file.extend_from_slice(tail.as_bytes());
    file
}

fn wrap(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().filter(|c| !c.is_control()).collect();
    if chars.is_empty() {
        return vec![String::new()];
    }
    chars.chunks(WIDTH).map(|line| line.iter().collect()).collect()
}

/// Big-endian UTF-16 in hexadecimal.
fn utf16_hex(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("{unit:04X}")).collect::<Vec<_>>().concat()
}

/// As [`utf16_hex`], for an encoding without surrogates: what lies outside the basic
/// plane becomes a white square.
fn ucs2_hex(text: &str) -> String {
    let basic = |c: char| u16::try_from(u32::from(c)).unwrap_or(0x25A1);
    text.chars().map(|c| format!("{:04X}", basic(c))).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_points_at_objects() {
        let long: Vec<String> = (0..100).map(|n| format!("第 {n} 行")).collect();
        let file = document("标题", &long, 0);
        let text = String::from_utf8_lossy(&file);
        let at = |offset: usize| String::from_utf8_lossy(&file[offset..offset + 12]).into_owned();
        let table = text.rsplit("startxref\n").next().unwrap().lines().next().unwrap();
        assert!(at(table.parse().unwrap()).starts_with("xref"));
        let rows = text.split("65535 f \n").nth(1).unwrap().lines();
        let offsets = rows.take_while(|l| l.ends_with("n ")).map(|l| l[..10].parse().unwrap());
        for (n, offset) in offsets.enumerate() {
            assert!(at(offset).starts_with(&format!("{} 0 obj", n + 1)));
        }
    }
}
