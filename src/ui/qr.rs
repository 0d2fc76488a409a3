//! A link as a QR code for terminals: two modules a character, one above the other.

use qrcode::{Color, EcLevel, QrCode};

/// Modules of blank space around the code, as scanners want it (ISO/IEC 18004).
const QUIET: usize = 4;

/// No terminal is expected to be wider.
const MAX_COLUMNS: usize = 80;

/// The code, a line for each two rows of modules; `None` where it would be wider than a
/// terminal.
///
/// Light modules are drawn and dark ones left out, which is right on a dark background.
/// With `color` both colours are set, which is right on every one.
pub fn code(text: &str, color: bool) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let side = code.width();
    let whole = side + 2 * QUIET;
    if whole > MAX_COLUMNS {
        return None;
    }
    let colors = code.to_colors();
    let is_light = |row: usize, column: usize| {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|at| *at < side);
        match (inside(row), inside(column)) {
            (Some(row), Some(column)) => colors[row * side + column] == Color::Light,
            // The odd last row ends on half a line: blank as well.
            _ => true,
        }
    };
    let mut out = String::new();
    for row in (0..whole).step_by(2) {
        if color {
            out.push_str("\x1b[38;5;231;48;5;16m");
        }
        for column in 0..whole {
            out.push(match (is_light(row, column), is_light(row + 1, column)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        if color {
            out.push_str("\x1b[0m");
        }
        out.push('\n');
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "https://accounts.feishu.cn/oauth/v1/device/verify?user_code=ABCD-EFGH";

    /// Half blocks back to modules; true is light.
    fn modules(drawn: &str) -> Vec<Vec<bool>> {
        drawn
            .lines()
            .flat_map(|line| {
                let upper = line.chars().map(|c| matches!(c, '█' | '▀')).collect();
                let lower = line.chars().map(|c| matches!(c, '█' | '▄')).collect();
                [upper, lower]
            })
            .collect()
    }

    #[test]
    fn every_module_is_drawn_with_a_quiet_zone_around() {
        let rows = modules(&code(LINK, false).unwrap());
        let wanted = QrCode::with_error_correction_level(LINK, EcLevel::L).unwrap();
        let side = wanted.width();
        assert!(rows.iter().all(|row| row.len() == side + 2 * QUIET && row.len() <= MAX_COLUMNS));
        for (y, row) in rows.iter().enumerate() {
            for (x, light) in row.iter().enumerate() {
                let inside =
                    (QUIET..QUIET + side).contains(&x) && (QUIET..QUIET + side).contains(&y);
                let want = !inside
                    || wanted[(x.wrapping_sub(QUIET), y.wrapping_sub(QUIET))] == Color::Light;
                assert_eq!(*light, want, "module {x}, {y}");
            }
        }
        assert!(rows.len() >= side + 2 * QUIET);
    }

    #[test]
    fn colours_only_frame_the_lines() {
        let plain = code(LINK, false).unwrap();
        let colored = code(LINK, true).unwrap();
        let bare = colored.replace("\x1b[38;5;231;48;5;16m", "").replace("\x1b[0m", "");
        assert_eq!(bare, plain);
        assert_eq!(code(&"x".repeat(1000), false), None, "too wide for a terminal");
    }
}
