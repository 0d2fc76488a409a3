//! `PowerPoint` presentations: a title slide, then one slide for every few lines.

use super::ooxml::{self, REL, XML, escape};

const A: &str = "http://schemas.openxmlformats.org/drawingml/2006/main";
const P: &str = "http://schemas.openxmlformats.org/presentationml/2006/main";
/// Lines on one slide.
const LINES: usize = 4;
/// An empty group that every tree of shapes begins with.
const GROUP: &str = r#"<p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="0" cy="0"/><a:chOff x="0" y="0"/><a:chExt cx="0" cy="0"/></a:xfrm></p:grpSpPr>"#;

/// A presentation called `title`.
pub fn presentation(title: &str, lines: &[String], salt: u64) -> Vec<u8> {
    let mut slides = vec![slide(title, &[])];
    slides.extend(lines.chunks(LINES).map(|lines| slide(title, lines)));
    let files: Vec<String> = (1..=slides.len()).map(|n| format!("slides/slide{n}.xml")).collect();
    let paths: Vec<String> = files.iter().map(|f| format!("ppt/{f}")).collect();
    let rels: Vec<String> =
        (1..=slides.len()).map(|n| format!("ppt/slides/_rels/slide{n}.xml.rels")).collect();

    // rId1 is the master, rId2 the theme, then the slides.
    let mut relations =
        vec![("slideMaster", "slideMasters/slideMaster1.xml"), ("theme", "theme/theme1.xml")];
    let mut types = vec![
        ("ppt/presentation.xml", "officedocument.presentationml.presentation.main"),
        ("ppt/slideMasters/slideMaster1.xml", "officedocument.presentationml.slideMaster"),
        ("ppt/slideLayouts/slideLayout1.xml", "officedocument.presentationml.slideLayout"),
        ("ppt/theme/theme1.xml", "officedocument.theme"),
        ("docProps/core.xml", "package.core-properties"),
    ];
    for (file, path) in files.iter().zip(&paths) {
        relations.push(("slide", file));
        types.push((path, "officedocument.presentationml.slide"));
    }
    let ids = (0..slides.len())
        .map(|n| format!(r#"<p:sldId id="{}" r:id="rId{}"/>"#, 256 + n, 3 + n))
        .collect::<Vec<_>>()
        .concat();
    let main = format!(
        r#"{XML}<p:presentation xmlns:a="{A}" xmlns:r="{REL}" xmlns:p="{P}"><p:sldMasterIdLst><p:sldMasterId id="2147483648" r:id="rId1"/></p:sldMasterIdLst><p:sldIdLst>{ids}</p:sldIdLst><p:sldSz cx="12192000" cy="6858000"/><p:notesSz cx="6858000" cy="9144000"/></p:presentation>"#
    );
    let mut parts = vec![
        ("[Content_Types].xml", ooxml::content_types(&types)),
        (
            "_rels/.rels",
            ooxml::relations(&[
                ("officeDocument", "ppt/presentation.xml"),
                ("core-properties", "docProps/core.xml"),
            ]),
        ),
        ("ppt/presentation.xml", main),
        ("ppt/_rels/presentation.xml.rels", ooxml::relations(&relations)),
        ("ppt/slideMasters/slideMaster1.xml", master()),
        (
            "ppt/slideMasters/_rels/slideMaster1.xml.rels",
            ooxml::relations(&[
                ("slideLayout", "../slideLayouts/slideLayout1.xml"),
                ("theme", "../theme/theme1.xml"),
            ]),
        ),
        ("ppt/slideLayouts/slideLayout1.xml", layout()),
        (
            "ppt/slideLayouts/_rels/slideLayout1.xml.rels",
            ooxml::relations(&[("slideMaster", "../slideMasters/slideMaster1.xml")]),
        ),
        ("ppt/theme/theme1.xml", theme()),
        ("docProps/core.xml", ooxml::core_properties(title, salt)),
    ];
    for ((path, rel), slide) in paths.iter().zip(&rels).zip(slides) {
        parts.push((path, slide));
        let layout = ooxml::relations(&[("slideLayout", "../slideLayouts/slideLayout1.xml")]);
        parts.push((rel, layout));
    }
    ooxml::package(&parts)
}

fn slide(title: &str, lines: &[String]) -> String {
    let heading = text_box(2, "Title", 500_000, 1_200_000, 3600, &[title.to_owned()]);
    let body = if lines.is_empty() {
        String::new()
    } else {
        text_box(3, "Body", 2_000_000, 4_200_000, 2000, lines)
    };
    format!(
        r#"{XML}<p:sld xmlns:a="{A}" xmlns:r="{REL}" xmlns:p="{P}"><p:cSld><p:spTree>{GROUP}{heading}{body}</p:spTree></p:cSld><p:clrMapOvr><a:masterClrMapping/></p:clrMapOvr></p:sld>"#
    )
}

/// A box over the slide's width; `top` and `height` in EMU, `size` in 1/100 point.
fn text_box(id: u32, name: &str, top: u32, height: u32, size: u32, lines: &[String]) -> String {
    let paragraphs = lines
        .iter()
        .map(|line| {
            let line = escape(line);
            format!(r#"<a:p><a:r><a:rPr lang="zh-CN" sz="{size}"/><a:t>{line}</a:t></a:r></a:p>"#)
        })
        .collect::<Vec<_>>()
        .concat();
    format!(
        r#"<p:sp><p:nvSpPr><p:cNvPr id="{id}" name="{name}"/><p:cNvSpPr txBox="1"/><p:nvPr/></p:nvSpPr><p:spPr><a:xfrm><a:off x="600000" y="{top}"/><a:ext cx="10992000" cy="{height}"/></a:xfrm><a:prstGeom prst="rect"><a:avLst/></a:prstGeom></p:spPr><p:txBody><a:bodyPr wrap="square"/><a:lstStyle/>{paragraphs}</p:txBody></p:sp>"#
    )
}

fn master() -> String {
    format!(
        r#"{XML}<p:sldMaster xmlns:a="{A}" xmlns:r="{REL}" xmlns:p="{P}"><p:cSld><p:bg><p:bgRef idx="1001"><a:schemeClr val="bg1"/></p:bgRef></p:bg><p:spTree>{GROUP}</p:spTree></p:cSld><p:clrMap bg1="lt1" tx1="dk1" bg2="lt2" tx2="dk2" accent1="accent1" accent2="accent2" accent3="accent3" accent4="accent4" accent5="accent5" accent6="accent6" hlink="hlink" folHlink="folHlink"/><p:sldLayoutIdLst><p:sldLayoutId id="2147483649" r:id="rId1"/></p:sldLayoutIdLst></p:sldMaster>"#
    )
}

fn layout() -> String {
    format!(
        r#"{XML}<p:sldLayout xmlns:a="{A}" xmlns:r="{REL}" xmlns:p="{P}" type="blank"><p:cSld name="Blank"><p:spTree>{GROUP}</p:spTree></p:cSld><p:clrMapOvr><a:masterClrMapping/></p:clrMapOvr></p:sldLayout>"#
    )
}

/// The least theme that `PowerPoint` accepts: 12 colours, 2 fonts, 3 of each style.
fn theme() -> String {
    let colours = [
        ("dk1", "000000"),
        ("lt1", "FFFFFF"),
        ("dk2", "1F2329"),
        ("lt2", "F5F6F7"),
        ("accent1", "3370FF"),
        ("accent2", "00B96B"),
        ("accent3", "FF8800"),
        ("accent4", "F54A45"),
        ("accent5", "7F3BF5"),
        ("accent6", "04B49C"),
        ("hlink", "3370FF"),
        ("folHlink", "7F3BF5"),
    ]
    .iter()
    .map(|(name, rgb)| format!(r#"<a:{name}><a:srgbClr val="{rgb}"/></a:{name}>"#))
    .collect::<Vec<_>>()
    .concat();
    let font = r#"<a:latin typeface="Calibri"/><a:ea typeface="SimSun"/><a:cs typeface=""/>"#;
    let fill = r#"<a:solidFill><a:schemeClr val="phClr"/></a:solidFill>"#;
    let line = format!(r#"<a:ln w="9525">{fill}<a:prstDash val="solid"/></a:ln>"#);
    let effect = "<a:effectStyle><a:effectLst/></a:effectStyle>";
    format!(
        r#"{XML}<a:theme xmlns:a="{A}" name="Demo"><a:themeElements><a:clrScheme name="Demo">{colours}</a:clrScheme><a:fontScheme name="Demo"><a:majorFont>{font}</a:majorFont><a:minorFont>{font}</a:minorFont></a:fontScheme><a:fmtScheme name="Demo"><a:fillStyleLst>{fill}{fill}{fill}</a:fillStyleLst><a:lnStyleLst>{line}{line}{line}</a:lnStyleLst><a:effectStyleLst>{effect}{effect}{effect}</a:effectStyleLst><a:bgFillStyleLst>{fill}{fill}{fill}</a:bgFillStyleLst></a:fmtScheme></a:themeElements></a:theme>"#
    )
}
