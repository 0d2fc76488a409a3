//! Numbers and texts one after the other, as packed rows hold them.

use super::Bad;

/// Bytes being written.
#[derive(Default)]
pub(super) struct Out(pub(super) Vec<u8>);

impl Out {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// Seven bits a byte, the lowest first; the top bit says that more follow.
    pub(super) fn number(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n.to_le_bytes()[0] | 0x80);
            n >>= 7;
        }
        self.0.push(n.to_le_bytes()[0]);
    }

    /// A number that may be negative, as its distance from one that is likely near: small
    /// distances of either sign take few bytes.
    pub(super) fn near(&mut self, n: i64, base: i64) {
        let n = n.wrapping_sub(base);
        self.number(((n << 1) ^ (n >> 63)).cast_unsigned());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }
}

/// Bytes being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct In<'a>(pub(super) &'a [u8]);

const SHORT: Bad = Bad::Borrowed("it is cut short");

impl<'a> In<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Bad> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Bad> {
        let (first, rest) = self.0.split_first().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn number(&mut self) -> Result<u64, Bad> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && bits > 1 {
                break;
            }
            n |= bits << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(Bad::Borrowed("a number is too large"))
    }

    pub(super) fn near(&mut self, base: i64) -> Result<i64, Bad> {
        let n = self.number()?;
        let n = (n >> 1).cast_signed() ^ -(n & 1).cast_signed();
        Ok(n.wrapping_add(base))
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Bad> {
        let length = usize::try_from(self.number()?).map_err(|_| SHORT)?;
        str::from_utf8(self.take(length)?).map_err(|_| Bad::Borrowed("a text is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_and_small_ones_are_short() {
        for (n, length) in [(0, 1), (127, 1), (128, 2), (u64::MAX, 10)] {
            let mut out = Out::default();
            out.number(n);
            assert_eq!((out.0.len(), In(&out.0).number().unwrap()), (length, n));
        }
        for (n, base, length) in [
            (5, 5, 1),
            (-60, 0, 1),
            (i64::MIN, i64::MAX, 1),
            (i64::MAX, 0, 10),
            (i64::MIN, 0, 10),
            (1_700_000_000, 0, 5),
        ] {
            let mut out = Out::default();
            out.near(n, base);
            assert_eq!(In(&out.0).near(base).unwrap(), n);
            assert_eq!(out.0.len(), length, "{n} near {base}");
        }
        assert!(In(&[0xff; 9]).number().is_err(), "cut short");
        assert!(In(&[0xff; 10]).number().is_err(), "more than 64 bits");
        assert!(In(&[0xff; 11]).number().is_err());
    }
}
