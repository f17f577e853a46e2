//! Why a component cannot be split: one variant per cause, each naming what was found and what it
//! would break.

use thiserror::Error;

/// A component that cannot be split, or an image that cannot be read.
///
/// `place` in a variant is `the main module`, `module 2` (the position of a core module in the
/// component) or `the component`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The name that the image needs is taken.
    #[error("the component imports `image` already: it was split before, or its world uses that name")]
    AlreadySplit,

    /// An instruction names data segments at run time.
    #[error(
        "{place} has a {instruction} instruction: the data segments are moved into the image, so it has nothing to act on"
    )]
    DataInstruction {
        /// Where it was found.
        place: String,
        /// The instruction's name.
        instruction: &'static str,
    },

    /// The place of a data segment is computed.
    #[error("data segment {segment} has an offset that is not a constant: its place in the image cannot be known")]
    DataOffset {
        /// The segment's index.
        segment: usize,
    },

    /// A data segment reaches beyond the memory.
    #[error("data segment {segment} ends at {end}, but the memory has {limit} bytes: the instance would trap at once")]
    DataOutOfBounds {
        /// The segment's index.
        segment: usize,
        /// The address after its last byte.
        end: u64,
        /// The initial size of the memory in bytes.
        limit: u64,
    },

    /// The component takes code from outside, or hides it where the checks would not see it.
    #[error("{found}: every core module has to be at the top level of the component, where it can be checked")]
    ForeignModule {
        /// What was found.
        found: &'static str,
    },

    /// Something of an instance would live outside of its memory.
    #[error(
        "the component has {found}: only plain data may cross the border, since an image holds no table of handles"
    )]
    Handle {
        /// What was found.
        found: &'static str,
    },

    /// The component imports something that is not allowed.
    #[error(
        "the component imports `{name}`, which is not allowed: the import list is all the authority a script can have"
    )]
    Import {
        /// The import's name.
        name: String,
    },

    /// The main module takes its memory or a global from elsewhere.
    #[error("the main module imports the {kind} `{module}` `{name}`: a fork does not capture what another module owns")]
    ImportedState {
        /// `memory` or `global`.
        kind: &'static str,
        /// The import's module name.
        module: String,
        /// The import's field name.
        name: String,
    },

    /// The bytes are not a valid component.
    #[error("the component is not valid")]
    Invalid(#[source] wasmparser::Error),

    /// The main module is instantiated more than once, or never.
    #[error("the main module is instantiated {count} times instead of once: an image belongs to one instance")]
    MainInstances {
        /// How often it is instantiated.
        count: usize,
    },

    /// The main module has no memory, or several.
    #[error("the main module defines {count} memories instead of one: an image is a copy of one memory")]
    MemoryCount {
        /// How many memories there are.
        count: usize,
    },

    /// The main module's memory is of a kind that an image cannot be.
    #[error(
        "the memory of the main module {found}: an image is a plain 32-bit memory of 64 KiB pages that one instance owns"
    )]
    MemoryKind {
        /// What was found.
        found: &'static str,
    },

    /// The main module has a mutable global besides the stack pointer.
    #[error(
        "the main module has mutable globals {indices:?} besides the stack pointer: a fork restores only that one, so the others would silently start anew"
    )]
    MutableGlobals {
        /// The indices of the globals that are too many.
        indices: Vec<usize>,
    },

    /// There is no core module in the component.
    #[error("the component has no core module: there is nothing to split")]
    NoModule,

    /// The bytes are a core module.
    #[error("the binary is a core module, not a component")]
    NotAComponent,

    /// A module other than the main one keeps state.
    #[error(
        "{place} has {found}: only the main module is captured by a fork, so this would silently start anew or overwrite the image"
    )]
    OtherModuleState {
        /// Where it was found.
        place: String,
        /// What was found.
        found: &'static str,
    },

    /// The rewritten component is not valid, which is a defect of this crate.
    #[error("the split component is not valid: this is a defect of the splitter")]
    Output(#[source] wasmparser::Error),

    /// The bytes could not be parsed.
    #[error("the binary cannot be parsed")]
    Parse(#[from] wasmparser::Error),

    /// A data segment is passive.
    #[error(
        "data segment {segment} is passive: whether it was already used or dropped is state that a fork does not capture"
    )]
    PassiveData {
        /// The segment's index.
        segment: usize,
    },

    /// The binary holds something that cannot be written back.
    #[error("the binary cannot be written back: {reason}")]
    Reencode {
        /// What the encoder said.
        reason: String,
    },

    /// Global 0 is not a stack pointer.
    #[error(
        "global 0 of the main module {found}: it has to be the stack pointer, a mutable i32 that starts as a constant"
    )]
    StackPointer {
        /// What was found.
        found: &'static str,
    },

    /// Code runs at every instantiation.
    #[error(
        "{place} has a start function: it would run again in every fork, on top of the memory it has set up before"
    )]
    Start {
        /// Where it was found.
        place: String,
    },

    /// Code writes to a table.
    #[error(
        "{place} has a {instruction} instruction: a fork does not capture tables, so the change would silently be lost"
    )]
    TableInstruction {
        /// Where it was found.
        place: String,
        /// The instruction's name.
        instruction: &'static str,
    },
}

impl From<wasm_encoder::reencode::Error<Self>> for SplitError {
    fn from(error: wasm_encoder::reencode::Error<Self>) -> Self {
        match error {
            wasm_encoder::reencode::Error::ParseError(error) => Self::Parse(error),
            wasm_encoder::reencode::Error::UserError(error) => error,
            other => Self::Reencode { reason: other.to_string() },
        }
    }
}

impl From<wasm_encoder::reencode::Error> for SplitError {
    fn from(error: wasm_encoder::reencode::Error) -> Self {
        match error {
            wasm_encoder::reencode::Error::ParseError(error) => Self::Parse(error),
            other => Self::Reencode { reason: other.to_string() },
        }
    }
}
