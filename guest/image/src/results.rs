//! Results are not given back: the functions that free what an export returned are left out.
//!
//! Once the host has read a result it may call such a function, so that the guest can use the memory again. A fork is
//! thrown away with all of its memory, and whatever answers more than one call returns a few bytes; so the call, and
//! looking up each of these functions for every fork, would be for nothing.

use wasm_encoder::reencode::{RoundtripReencoder, utils};
use wasm_encoder::{ExportSection, Module, RawSection};
use wasmparser::{Parser, Payload};

use crate::error::SplitError;

/// How the name of such a function begins, by the component model's convention for core modules.
const POST_RETURN: &str = "cabi_post_";

/// The core module without exports that free results; all else is copied byte by byte.
///
/// # Errors
/// The bytes are not a core module.
pub fn keep_results(core: &[u8]) -> Result<Vec<u8>, SplitError> {
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(core) {
        match payload? {
            Payload::ExportSection(section) => {
                let mut exports = ExportSection::new();
                for export in section {
                    let export = export?;
                    if !export.name.starts_with(POST_RETURN) {
                        utils::parse_export(&mut RoundtripReencoder, &mut exports, export)
                            .map_err(|error| SplitError::Reencode { reason: error.to_string() })?;
                    }
                }
                module.section(&exports);
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    module.section(&RawSection { id, data: core.get(range).unwrap_or_default() });
                }
            }
        }
    }
    Ok(module.finish())
}
