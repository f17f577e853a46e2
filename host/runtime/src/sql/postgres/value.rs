//! Values of PostgreSQL. Parameters go over as texts, which the server reads as the type that the statement wants: so an int
//! of any size fits a `numeric`, and no value can be anything but a value. What comes back is in the server's binary form.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::sql::value::SqlValue;

/// Microseconds from the Unix epoch to that of PostgreSQL, the first day of 2000.
const EPOCH: i64 = 946_684_800_000_000;

/// A parameter.
#[derive(Debug)]
pub(super) struct Bound<'a>(pub(super) &'a SqlValue);

impl ToSql for Bound<'_> {
    fn to_sql(&self, _ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self.0 {
            SqlValue::Null => return Ok(IsNull::Yes),
            SqlValue::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            SqlValue::Int(int) | SqlValue::Time(int) => out.extend_from_slice(int.to_string().as_bytes()),
            SqlValue::Float(float) => out.extend_from_slice(float.to_string().as_bytes()),
            SqlValue::Big(text) | SqlValue::Text(text) => out.extend_from_slice(text.as_bytes()),
            SqlValue::Bytes(bytes) => {
                out.extend_from_slice(b"\\x");
                for byte in bytes {
                    out.extend_from_slice(format!("{byte:02x}").as_bytes());
                }
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    fn encode_format(&self, _ty: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// A value that came back.
pub(super) struct Returned(pub(super) SqlValue);

impl<'a> FromSql<'a> for Returned {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(read(ty, raw)?))
    }

    fn from_sql_null(_ty: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(SqlValue::Null))
    }

    fn accepts(ty: &Type) -> bool {
        is_known(ty)
    }
}

/// Whether a type has a value in scripts.
pub(super) fn is_known(ty: &Type) -> bool {
    matches!(
        *ty,
        Type::BOOL
            | Type::INT2
            | Type::INT4
            | Type::INT8
            | Type::OID
            | Type::FLOAT4
            | Type::FLOAT8
            | Type::NUMERIC
            | Type::TEXT
            | Type::VARCHAR
            | Type::BPCHAR
            | Type::NAME
            | Type::UNKNOWN
            | Type::JSON
            | Type::JSONB
            | Type::BYTEA
            | Type::TIMESTAMPTZ
            | Type::TIMESTAMP
            | Type::UUID
            | Type::VOID
    )
}

fn read(ty: &Type, raw: &[u8]) -> Result<SqlValue, Box<dyn Error + Sync + Send>> {
    Ok(match *ty {
        Type::BOOL => SqlValue::Boolean(bool::from_sql(ty, raw)?),
        Type::INT2 => SqlValue::Int(i64::from(i16::from_sql(ty, raw)?)),
        Type::INT4 => SqlValue::Int(i64::from(i32::from_sql(ty, raw)?)),
        Type::INT8 => SqlValue::Int(i64::from_sql(ty, raw)?),
        Type::OID => SqlValue::Int(i64::from(u32::from_sql(ty, raw)?)),
        Type::FLOAT4 => SqlValue::Float(f64::from(f32::from_sql(ty, raw)?)),
        Type::FLOAT8 => SqlValue::Float(f64::from_sql(ty, raw)?),
        Type::NUMERIC => numeric(raw).ok_or("a numeric that is none")?,
        Type::BYTEA => SqlValue::Bytes(raw.to_owned()),
        Type::TIMESTAMPTZ | Type::TIMESTAMP => time(i64::from_be_bytes(raw.try_into()?))?,
        Type::UUID => SqlValue::Text(uuid(raw)),
        Type::VOID => SqlValue::Null,
        // A byte for the version stands before the text.
        Type::JSONB => SqlValue::Text(std::str::from_utf8(raw.get(1..).unwrap_or_default())?.to_owned()),
        _ => SqlValue::Text(std::str::from_utf8(raw)?.to_owned()),
    })
}

fn time(microseconds: i64) -> Result<SqlValue, &'static str> {
    let since = microseconds.checked_add(EPOCH).and_then(|microseconds| microseconds.checked_mul(1000));
    // Infinity is at both ends of the range.
    since.map(SqlValue::Time).ok_or("a time before 1677 or behind 2262; select it as text, as in column::text")
}

fn uuid(raw: &[u8]) -> String {
    let mut text: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    for at in [20, 16, 12, 8] {
        if text.len() > at {
            text.insert(at, '-');
        }
    }
    text
}

/// A number of any size: groups of four decimal digits. Without digits behind its point it is an int, and else its text, so
/// that a column with a scale has one type.
fn numeric(raw: &[u8]) -> Option<SqlValue> {
    let word = |index: usize| Some(i16::from_be_bytes(raw.get(2 * index..2 * index + 2)?.try_into().ok()?));
    let (groups, weight, sign, scale) = (word(0)?, word(1)?, word(2)?, usize::try_from(word(3)?).ok()?);
    let sign = match sign.cast_unsigned() {
        0x0000 => "",
        0x4000 => "-",
        0xc000 => return Some(SqlValue::Text("NaN".to_owned())),
        0xd000 => return Some(SqlValue::Text("Infinity".to_owned())),
        0xf000 => return Some(SqlValue::Text("-Infinity".to_owned())),
        _ => return None,
    };
    let digit = |group: i32| -> Option<i16> {
        match usize::try_from(group) {
            Ok(index) if index < usize::try_from(groups).ok()? => word(4 + index),
            _ => Some(0),
        }
    };
    let mut whole = String::new();
    for position in 0..=i32::from(weight).max(0) {
        // The first group has the weight; those above it are zero.
        let group = if weight < 0 { 0 } else { digit(position)? };
        whole.push_str(&format!("{group:04}"));
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    if scale == 0 {
        let text = format!("{sign}{whole}");
        return Some(text.parse().map(SqlValue::Int).unwrap_or(SqlValue::Big(text)));
    }
    let mut fraction = String::new();
    let mut position = 1;
    while fraction.len() < scale {
        fraction.push_str(&format!("{:04}", digit(i32::from(weight) + position)?));
        position += 1;
    }
    fraction.truncate(scale);
    Some(SqlValue::Text(format!("{sign}{whole}.{fraction}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn of(words: &[i32]) -> SqlValue {
        let raw: Vec<u8> = words.iter().flat_map(|word| (*word as u16).to_be_bytes()).collect();
        numeric(&raw).unwrap()
    }

    #[test]
    fn numerics_are_exact() {
        let text = |text: &str| SqlValue::Text(text.to_owned());
        for (words, value) in [
            (&[0, 0, 0, 0][..], SqlValue::Int(0)),
            (&[1, 0, 0, 0, 7], SqlValue::Int(7)),
            (&[1, 1, 0, 0, 5], SqlValue::Int(50_000)),
            (&[2, 1, 0x4000, 0, 1, 2345], SqlValue::Int(-12_345)),
            (&[5, 4, 0, 0, 1844, 6744, 737, 955, 1616], SqlValue::Big("18446744073709551616".into())),
            (&[2, 0, 0, 2, 12, 5000], text("12.50")),
            (&[1, -1, 0, 2, 500], text("0.05")),
            (&[1, -2, 0, 6, 1200], text("0.000012")),
            (&[1, 0, 0, 2, 12], text("12.00")),
            (&[0, 0, 0xc000, 0], text("NaN")),
        ] {
            assert_eq!(of(words), value, "{words:?}");
        }
        assert_eq!(numeric(&[0, 1, 0]), None);
    }

    #[test]
    fn uuids_and_times_are_read() {
        let raw: Vec<u8> = (0..16).collect();
        assert_eq!(uuid(&raw), "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(time(0), Ok(SqlValue::Time(946_684_800_000_000_000)));
        assert!(time(i64::MAX).is_err() && time(i64::MIN).is_err());
    }

    #[test]
    fn parameters_are_texts() {
        for (value, written) in [
            (SqlValue::Int(-7), "-7"),
            (SqlValue::Boolean(true), "true"),
            (SqlValue::Bytes(vec![0, 255, b'\'']), "\\x00ff27"),
            (SqlValue::Text("'; drop table t; --".into()), "'; drop table t; --"),
            (SqlValue::Big("18446744073709551616".into()), "18446744073709551616"),
        ] {
            let mut out = BytesMut::new();
            assert!(matches!(Bound(&value).to_sql(&Type::TEXT, &mut out), Ok(IsNull::No)));
            assert_eq!(out.as_ref(), written.as_bytes());
        }
    }
}
