//! Tokens: computed from a number and read back, so that a million of them need no
//! table.
//!
//! They look like the service's: 27 characters, a prefix that tells the type, then
//! letters and digits that tell nothing. The last eight differ between any two.

/// What a token names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Id {
    /// An object: `obj_token`, also the place's token of a Drive entry.
    Obj(u32),
    /// A place of its own: a wiki node or a Drive shortcut.
    Place(u32),
    /// An image or attachment inside a document.
    Media(u32),
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PREFIX_LEN: usize = 5;
const DIGITS: usize = 11;
/// Odd, so multiplying by it modulo 2^64 can be undone.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
/// `FACTOR * INVERSE == 1` modulo 2^64.
const INVERSE: u64 = 0xF1DE_83E1_9937_733D;

/// The token of `id`, with the prefix that the service gives to `kind`.
pub fn token(id: Id, kind: &str) -> String {
    let number = match id {
        Id::Obj(n) => u64::from(n) * 3,
        Id::Place(n) => u64::from(n) * 3 + 1,
        Id::Media(n) => u64::from(n) * 3 + 2,
    };
    let mut text = String::with_capacity(27);
    text.push_str(prefix(kind));
    push_digits(&mut text, scramble(number ^ 0x5EED_0000_0000));
    push_digits(&mut text, scramble(number));
    text
}

/// What `text` names, where it is a token made by [`token`]; the prefix is not checked.
pub fn parse(text: &str) -> Option<Id> {
    if text.len() != PREFIX_LEN + 2 * DIGITS || !text.is_ascii() {
        return None;
    }
    let read = |from: usize| read_digits(&text[from..from + DIGITS]).map(unscramble);
    let number = read(PREFIX_LEN + DIGITS)?;
    if read(PREFIX_LEN)? != number ^ 0x5EED_0000_0000 {
        return None;
    }
    let index = u32::try_from(number / 3).ok()?;
    Some(match number % 3 {
        0 => Id::Obj(index),
        1 => Id::Place(index),
        _ => Id::Media(index),
    })
}

/// The prefix for a type word; `wiki` and `media` are words of ours.
fn prefix(kind: &str) -> &'static str {
    match kind {
        "folder" => "fldcn",
        "docx" => "doxcn",
        "doc" => "doccn",
        "sheet" => "shtcn",
        "bitable" => "bascn",
        "slides" => "sldcn",
        "mindnote" => "bmncn",
        "file" => "boxcn",
        "shortcut" => "shccn",
        "wiki" => "wikcn",
        "media" => "imgcn",
        _ => "objcn",
    }
}

/// Mixes a number's bits so that neighbours look unlike; can be undone.
pub fn scramble(mut x: u64) -> u64 {
    x ^= x >> 32;
    x = x.wrapping_mul(FACTOR);
    x ^= x >> 29;
    x = x.wrapping_mul(FACTOR);
    x ^ (x >> 32)
}

fn unscramble(mut x: u64) -> u64 {
    x ^= x >> 32;
    x = x.wrapping_mul(INVERSE);
    x ^= (x >> 29) ^ (x >> 58);
    x = x.wrapping_mul(INVERSE);
    x ^ (x >> 32)
}

fn push_digits(text: &mut String, mut number: u64) {
    for _ in 0..DIGITS {
        let digit = usize::try_from(number % 62).expect("below 62");
        text.push(char::from(ALPHABET[digit]));
        number /= 62;
    }
}

fn read_digits(text: &str) -> Option<u64> {
    text.bytes().rev().try_fold(0u64, |number, byte| {
        let digit = ALPHABET.iter().position(|b| *b == byte)?;
        number.checked_mul(62)?.checked_add(digit as u64)
    })
}

/// A small, fast, seeded source of numbers (splitmix64); not for secrets.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(FACTOR);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % bound.max(1) as u64).expect("below a usize")
    }

    /// True with the given probability, in millionths.
    pub fn chance(&mut self, millionths: u32) -> bool {
        self.roll() % 1_000_000 < u64::from(millionths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_back() {
        for n in [0, 1, 2, 77, 999_999, u32::MAX] {
            for id in [Id::Obj(n), Id::Place(n), Id::Media(n)] {
                let text = token(id, "docx");
                assert_eq!(text.len(), 27);
                assert_eq!(parse(&text), Some(id), "{text}");
            }
        }
        assert_eq!(FACTOR.wrapping_mul(INVERSE), 1);
        assert_eq!(parse("doxcnAAAAAAAAAAAAAAAAAAAAAA"), None);
        assert_eq!(parse("短"), None);
    }

    #[test]
    fn the_last_eight_characters_differ() {
        let tails: std::collections::BTreeSet<String> = (0..20_000)
            .flat_map(|n| [token(Id::Obj(n), "file"), token(Id::Place(n), "wiki")])
            .map(|t| t[19..].to_owned())
            .collect();
        assert_eq!(tails.len(), 40_000);
    }
}
