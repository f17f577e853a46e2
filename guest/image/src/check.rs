//! The conditions under which a fork captures all state of a core module.
//!
//! A fork is a copy of one memory and one global. Everything else that an instance can change
//! (other globals, tables, the dropped-or-not of passive segments) starts anew in each fork,
//! without an error and without a trace. So there must be nothing else that can change, and that is
//! decided here from the code itself rather than from what a compiler is known to emit.

use wasmparser::{
    ConstExpr, DataKind, FunctionBody, Global, GlobalSectionReader, MemoryType, Operator, Parser, Payload, TypeRef,
    ValType,
};

use crate::error::SplitError;
use crate::format::WASM_PAGE;

/// The parts of the main module that become the image.
#[derive(Debug)]
pub(crate) struct Main {
    /// The size of its memory, in 64 KiB.
    pub(crate) memory_pages: u64,
    /// The most that memory may grow to, in 64 KiB.
    pub(crate) maximum_pages: Option<u64>,
    /// The initial value of global 0.
    pub(crate) stack_pointer: u32,
    /// The memory up to the end of its last data segment.
    pub(crate) memory: Vec<u8>,
}

/// Checks the main module.
pub(crate) fn main_module(module: &[u8]) -> Result<Main, SplitError> {
    const PLACE: &str = "the main module";
    let mut memories = Vec::new();
    let mut stack_pointer = None;
    let mut segments = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let kind = match import.ty {
                        TypeRef::Memory(_) => "memory",
                        TypeRef::Global(_) => "global",
                        _ => continue,
                    };
                    return Err(SplitError::ImportedState {
                        kind,
                        module: import.module.to_owned(),
                        name: import.name.to_owned(),
                    });
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    memories.push(memory?);
                }
            }
            Payload::GlobalSection(section) => stack_pointer = Some(globals(section)?),
            Payload::StartSection { .. } => {
                return Err(SplitError::Start { place: PLACE.to_owned() });
            }
            Payload::CodeSectionEntry(body) => code(&body, PLACE)?,
            Payload::DataSection(section) => {
                for data in section {
                    segments.push(data?);
                }
            }
            _ => {}
        }
    }

    let [memory] = memories.as_slice() else {
        return Err(SplitError::MemoryCount { count: memories.len() });
    };
    plain(memory)?;
    Ok(Main {
        memory_pages: memory.initial,
        maximum_pages: memory.maximum,
        stack_pointer: stack_pointer.ok_or(SplitError::StackPointer { found: "is missing" })?,
        memory: lay_out(&segments, memory.initial.saturating_mul(WASM_PAGE))?,
    })
}

/// Checks a module other than the main one: it must have no state at all.
pub(crate) fn other_module(module: &[u8], index: u32) -> Result<(), SplitError> {
    let place = || format!("module {index}");
    let state = |found| SplitError::OtherModuleState { place: place(), found };
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::MemorySection(section) if section.count() > 0 => {
                return Err(state("a memory"));
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    if global?.ty.mutable {
                        return Err(state("a mutable global"));
                    }
                }
            }
            Payload::DataSection(section) if section.count() > 0 => {
                return Err(state("a data segment"));
            }
            Payload::StartSection { .. } => return Err(SplitError::Start { place: place() }),
            Payload::CodeSectionEntry(body) => code(&body, &place())?,
            _ => {}
        }
    }
    Ok(())
}

fn plain(memory: &MemoryType) -> Result<(), SplitError> {
    let found = if memory.shared {
        "is shared"
    } else if memory.memory64 {
        "is 64-bit"
    } else if memory.page_size_log2.is_some() {
        "has a page size of its own"
    } else {
        return Ok(());
    };
    Err(SplitError::MemoryKind { found })
}

/// Accepts globals of which the first is a stack pointer and the others cannot change; gives the
/// initial value.
fn globals(section: GlobalSectionReader<'_>) -> Result<u32, SplitError> {
    let globals = section.into_iter().collect::<Result<Vec<_>, _>>()?;
    let indices: Vec<usize> =
        globals.iter().enumerate().skip(1).filter(|(_, global)| global.ty.mutable).map(|(index, _)| index).collect();
    if !indices.is_empty() {
        return Err(SplitError::MutableGlobals { indices });
    }
    match globals.first() {
        None => Err(SplitError::StackPointer { found: "is missing" }),
        Some(global) => stack_pointer(global),
    }
}

/// The initial value of a global that is a stack pointer.
pub(crate) fn stack_pointer(global: &Global<'_>) -> Result<u32, SplitError> {
    let found = match (global.ty.mutable, global.ty.content_type, global.ty.shared) {
        (true, ValType::I32, false) => match constant(&global.init_expr)? {
            Some(value) => return Ok(value),
            None => "starts as a computed value",
        },
        (false, ..) => "is immutable",
        (_, _, true) => "is shared",
        _ => "is not an i32",
    };
    Err(SplitError::StackPointer { found })
}

/// The value of an expression that is one `i32.const`.
fn constant(expression: &ConstExpr<'_>) -> Result<Option<u32>, SplitError> {
    let mut operators = expression.get_operators_reader().into_iter();
    Ok(match (operators.next().transpose()?, operators.next().transpose()?, operators.next().transpose()?) {
        (Some(Operator::I32Const { value }), Some(Operator::End), None) => Some(value.cast_unsigned()),
        _ => None,
    })
}

/// Writes the data segments into a memory, in order: a later one overwrites an earlier one, as at
/// instantiation.
fn lay_out(segments: &[wasmparser::Data<'_>], limit: u64) -> Result<Vec<u8>, SplitError> {
    let mut memory = Vec::new();
    for (segment, data) in segments.iter().enumerate() {
        let offset = active_offset(segment, &data.kind)?;
        let end = offset.saturating_add(data.data.len());
        if end as u64 > limit {
            return Err(SplitError::DataOutOfBounds { segment, end: end as u64, limit });
        }
        if memory.len() < end {
            memory.resize(end, 0);
        }
        if let Some(target) = memory.get_mut(offset..end) {
            target.copy_from_slice(data.data);
        }
    }
    Ok(memory)
}

/// The address of an active data segment.
pub(crate) fn active_offset(segment: usize, kind: &DataKind<'_>) -> Result<usize, SplitError> {
    let DataKind::Active { offset_expr, .. } = kind else {
        return Err(SplitError::PassiveData { segment });
    };
    let offset = constant(offset_expr)?.ok_or(SplitError::DataOffset { segment })?;
    Ok(offset as usize)
}

/// Refuses instructions that change state which a fork does not capture.
fn code(body: &FunctionBody<'_>, place: &str) -> Result<(), SplitError> {
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let operator = operators.read()?;
        if let Some(instruction) = table_instruction(&operator) {
            return Err(SplitError::TableInstruction { place: place.to_owned(), instruction });
        }
        if let Some(instruction) = data_instruction(&operator) {
            return Err(SplitError::DataInstruction { place: place.to_owned(), instruction });
        }
    }
    Ok(())
}

fn table_instruction(operator: &Operator<'_>) -> Option<&'static str> {
    Some(match operator {
        Operator::ElemDrop { .. } => "elem.drop",
        Operator::TableAtomicRmwCmpxchg { .. } => "table.atomic.rmw.cmpxchg",
        Operator::TableAtomicRmwXchg { .. } => "table.atomic.rmw.xchg",
        Operator::TableAtomicSet { .. } => "table.atomic.set",
        Operator::TableCopy { .. } => "table.copy",
        Operator::TableFill { .. } => "table.fill",
        Operator::TableGrow { .. } => "table.grow",
        Operator::TableInit { .. } => "table.init",
        Operator::TableSet { .. } => "table.set",
        _ => return None,
    })
}

fn data_instruction(operator: &Operator<'_>) -> Option<&'static str> {
    Some(match operator {
        Operator::ArrayInitData { .. } => "array.init_data",
        Operator::ArrayNewData { .. } => "array.new_data",
        Operator::DataDrop { .. } => "data.drop",
        Operator::MemoryInit { .. } => "memory.init",
        _ => return None,
    })
}
