//! Results are not freed: the exports that free the result of another export are left out.
//!
//! Once the host has read a result it may call such a function, so that the guest can use the memory again. The memory of
//! a fork is dropped or put back to its image, and an instance that answers several calls otherwise returns a few bytes.
//! So the call would free nothing that matters, and each fork would look the functions up.

use wasm_encoder::reencode::{RoundtripReencoder, utils};
use wasm_encoder::{ExportSection, Module, RawSection};
use wasmparser::{Parser, Payload};

use crate::error::SplitError;

/// Beginning of the name of a function that frees a result, by the component model's convention for core modules.
const POST_RETURN: &str = "cabi_post_";

/// Makes a core module without the exports that free results; everything else is copied byte by byte.
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
