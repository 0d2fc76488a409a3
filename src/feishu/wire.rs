//! Fields as the service really sends them: numbers as text, text as numbers, `null`
//! where a list or a text should be. One helper each, used by every family.

use std::fmt;

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A whole number, given as a number or as its text; `None` for `null`, an empty text
/// and what is no number.
///
/// Drive, wiki and minutes send times as text, bases and comments as numbers (docs:
/// each family's own pages; the official Python SDK even declares some text as `int`).
pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    Ok(from.deserialize_any(Scalar)?.and_then(|scalar| match scalar {
        Value::Number(number) => Some(number),
        Value::Text(text) => text.trim().parse().ok(),
    }))
}

/// A text, given as text or as a whole number; `None` for `null` and an empty text.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(from.deserialize_any(Scalar)?.and_then(|scalar| match scalar {
        Value::Number(number) => Some(number.to_string()),
        Value::Text(text) => (!text.is_empty()).then_some(text),
    }))
}

/// A text that must be there and not be empty: an object's token.
pub(super) fn token<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    text(from)?.ok_or_else(|| D::Error::custom("an empty token"))
}

enum Value {
    Number(i64),
    Text(String),
}

struct Scalar;

impl<'de> Visitor<'de> for Scalar {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a text")
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Value::Number(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number).ok().map(Value::Number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, a time is small")]
        Ok(number.is_finite().then_some(Value::Number(number as i64)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Value::Text(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Both {
        #[serde(default, deserialize_with = "number")]
        n: Option<i64>,
        #[serde(default, deserialize_with = "text")]
        t: Option<String>,
    }

    #[test]
    fn numbers_and_texts_come_in_either_dress() {
        let cases = [
            (r#"{"n":"1690000000","t":"7"}"#, Some(1_690_000_000), Some("7")),
            (r#"{"n":1690000000,"t":7}"#, Some(1_690_000_000), Some("7")),
            (r#"{"n":1.69e9,"t":""}"#, Some(1_690_000_000), None),
            (r#"{"n":"","t":null}"#, None, None),
            (r#"{"n":{"a":[1]},"t":[{}]}"#, None, None),
            (r"{}", None, None),
        ];
        for (json, number, text) in cases {
            let both: Both = serde_json::from_str(json).unwrap();
            assert_eq!((both.n, both.t.as_deref()), (number, text), "{json}");
        }
    }
}
