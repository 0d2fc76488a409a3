//! Colours by their numbers, as the service's editor shows them.
//! (docs: docs/docx-v1/data-structure/rich-text, `FontColor` and `FontBackgroundColor`)

/// CSS for a text colour (1 to 7) and a background (1 to 15); 0 is none.
pub(super) fn style(text: u8, background: u8) -> String {
    const TEXT: [&str; 7] =
        ["#d83931", "#de7802", "#dc9b04", "#2ea121", "#245bdb", "#6425d0", "#8f959e"];
    const BACKGROUND: [&str; 15] = [
        "#fbbfbc", "#fed4a4", "#fff67a", "#b7edb1", "#bacefd", "#cdb2fa", "#dee0e3", "#f76964",
        "#ffa53d", "#ffe928", "#62d256", "#78a3f5", "#935af6", "#bbbfc4", "#f2f3f5",
    ];
    let value = |of: &[&'static str], number: u8| {
        usize::from(number).checked_sub(1).and_then(|at| of.get(at)).copied()
    };
    let text = value(&TEXT, text).map(|color| format!("color:{color}"));
    let background =
        value(&BACKGROUND, background).map(|color| format!("background-color:{color}"));
    [text, background].into_iter().flatten().collect::<Vec<_>>().join(";")
}
