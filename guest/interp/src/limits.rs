//! The deterministic limits: what a script or a text may have at most, the same in every run and on every machine.
//!
//! Memory and CPU are limited from outside, but what ends there ends without a sentence. These come first for whatever
//! a caller could choose without bound, and each has a message that names it. They fit the memory a tenant has by
//! default.
//!
//! | what | limit | where |
//! |---|---|---|
//! | a source | [`MAX_SOURCE_BYTES`](crate::MAX_SOURCE_BYTES) | `prescan` |
//! | nesting of a source | [`MAX_DEPTH`](crate::MAX_DEPTH) | `prescan` |
//! | nested calls | the operator's `--call-depth`, 200 | `session` |
//! | a TOML document, a text or flow collection of YAML | 512 KiB, 200 000 words and signs | `toml`, `yaml` |
//! | nesting of a JSON, YAML or TOML document | 127, 127, 80 | `json_decode`, `yaml`, `toml` |
//! | nesting of a value that is encoded | the same; 500 as JSON | `encoding` |
//! | values in a JSON document, fields in a CSV text | [`MAX_VALUES`] | `json_decode`, `csv` |
//! | values in a YAML or TOML document, or given to a template | [`MAX_CONFIG_VALUES`] | `yaml`, `toml`, `template` |
//! | digits of an int in a document | [`MAX_INT_DIGITS`] | `json_decode`, `yaml`, `toml`, `encoding` |
//! | a text or bytes that a builtin makes | [`MAX_TEXT_BYTES`] | `encoding`, `regexp`, `csv`, `gzip`, `template` |
//! | a pattern, compiled, its groups | 16 KiB, 512 KiB, 99 | `regexp` |
//! | a template, its work | 256 KiB, 500 000 steps | `template` |
//! | how much larger gzip may make a text | 200 times, above 1 MiB | `gzip` |

/// Largest text or bytes that one call of a builtin makes. A text grows by doubling and is copied once at its end: a
/// little less than a power of two keeps that within 32 MiB.
pub(crate) const MAX_TEXT_BYTES: usize = 16_000_000;

/// Most lists, dicts and scalars in data that is decoded: a million empty lists are about 50 MB.
pub(crate) const MAX_VALUES: usize = 1_000_000;

/// The same for formats that people write by hand. Reading a value of YAML takes ten times as long as one of JSON, and
/// a request has a second by default.
pub(crate) const MAX_CONFIG_VALUES: usize = 200_000;

/// Most digits of an int. Reading or writing a decimal int takes time quadratic in its digits, so ten megabytes of them
/// would be hours; CPython has the same limit for the same reason.
pub(crate) const MAX_INT_DIGITS: usize = 4300;
