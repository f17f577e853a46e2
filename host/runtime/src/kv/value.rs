//! A value as it is stored: one byte that says what it is, then its bytes.

use std::sync::Arc;

/// Largest value. State is many small values; a large one would be copied whole into every fork that looks at it.
pub(crate) const MAX_BYTES: usize = 1 << 20;

const TEXT: u8 = b't';
const BYTES: u8 = b'b';
const JSON: u8 = b'j';

/// A stored value. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value(Arc<[u8]>);

/// A value, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parts {
    Text(String),
    Bytes(Vec<u8>),
    Json(String),
}

impl Value {
    /// A value to store, or why it cannot be.
    pub(crate) fn new(parts: &Parts) -> Result<Self, String> {
        let (tag, bytes) = match parts {
            Parts::Text(text) => (TEXT, text.as_bytes()),
            Parts::Bytes(bytes) => (BYTES, bytes.as_slice()),
            Parts::Json(json) => (JSON, json.as_bytes()),
        };
        if bytes.len() > MAX_BYTES {
            return Err(format!("the value has {} bytes, more than {} MiB", bytes.len(), MAX_BYTES >> 20));
        }
        Ok(Self([&[tag], bytes].concat().into()))
    }

    /// An int.
    pub(crate) fn int(int: i64) -> Self {
        Self([&[JSON], int.to_string().as_bytes()].concat().into())
    }

    /// A value as it was stored; `None` when these bytes never were one.
    pub(crate) fn stored(bytes: &[u8]) -> Option<Self> {
        let value = Self(bytes.into());
        value.parts().is_some().then_some(value)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn parts(&self) -> Option<Parts> {
        let (tag, bytes) = self.0.split_first()?;
        let text = || String::from_utf8(bytes.to_vec()).ok();
        match *tag {
            TEXT => text().map(Parts::Text),
            BYTES => Some(Parts::Bytes(bytes.to_vec())),
            JSON => text().map(Parts::Json),
            _ => None,
        }
    }

    /// The int that it is, if it is one that can be added to.
    pub(crate) fn as_int(&self) -> Option<i64> {
        let json = self.0.strip_prefix(&[JSON])?;
        std::str::from_utf8(json).ok()?.parse().ok()
    }

    /// Returns whether it is what a script cannot tell from no value.
    pub(crate) fn is_null(&self) -> bool {
        *self.0 == *b"jnull"
    }

    /// Returns whether they could be equal though their bytes differ: only of JSON has one value several texts.
    pub(crate) fn may_equal(&self, other: &Self) -> bool {
        self == other || (self.0.first() == Some(&JSON) && other.0.first() == Some(&JSON))
    }

    /// Returns whether a script would say that they are equal: the order of a dict's keys means nothing. Parses both,
    /// which takes some milliseconds for large ones.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        let json = |value: &Self| value.0.strip_prefix(&[JSON]).map(serde_json::from_slice::<serde_json::Value>);
        matches!((json(self), json(other)), (Some(Ok(one)), Some(Ok(other))) if one == other)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn json(text: &str) -> Value {
        Value::new(&Parts::Json(text.into())).unwrap()
    }

    #[test]
    fn a_value_comes_back_as_it_was() {
        for parts in [
            Parts::Text(String::new()),
            Parts::Text("ü".into()),
            Parts::Bytes(vec![0, 255]),
            Parts::Json("{\"a\":1}".into()),
        ] {
            let value = Value::new(&parts).unwrap();
            assert_eq!(Value::stored(value.as_bytes()).unwrap().parts().unwrap(), parts);
        }
        for wrong in [&b""[..], b"x1", b"t\xff", b"j\xff"] {
            assert_eq!(Value::stored(wrong), None);
        }
        assert!(Value::new(&Parts::Bytes(vec![0; MAX_BYTES])).is_ok());
        assert!(Value::new(&Parts::Bytes(vec![0; MAX_BYTES + 1])).is_err());
    }

    #[test]
    fn equality_is_that_of_scripts() {
        assert!(json("{\"a\":1,\"b\":[2]}").equals(&json("{\"b\":[2],\"a\":1}")));
        assert!(!json("[1,2]").equals(&json("[2,1]")));
        assert!(!json("\"a\"").equals(&Value::new(&Parts::Text("a".into())).unwrap()));
        assert!(json("null").is_null() && !json("0").is_null());
    }

    #[test]
    fn ints_are_ints() {
        assert_eq!(json("-7").as_int(), Some(-7));
        assert_eq!(Value::int(i64::MIN).as_int(), Some(i64::MIN));
        for other in ["1.0", "9223372036854775808", "\"1\"", "null"] {
            assert_eq!(json(other).as_int(), None, "{other}");
        }
        assert_eq!(Value::new(&Parts::Text("1".into())).unwrap().as_int(), None);
    }
}
