//! The module that stands in for the main module's allocator until the main module exists.

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, ConstExpr, ElementSection, Elements, ExportKind, ExportSection, FunctionSection, ImportSection,
    Module, RefType, TableSection, TableType, TypeSection, ValType,
};
use wasmparser::{ElementSectionReader, ImportSectionReader};

use crate::error::SplitError;

/// The name under which the main module imports the allocator's place.
pub(super) const ALLOCATOR_IMPORT: &str = "allocator";

/// The table with that place.
const PLACE_EXPORT: &str = "place";

/// The function that calls the one in the place.
pub(super) const CALL_EXPORT: &str = "call";

/// Gives the main module a table to import, before its own, and puts its allocator there. The new element segment comes
/// after all others, so that an engine can still fill the large table lazily.
#[derive(Debug)]
pub(super) struct Place {
    /// The allocator, as a function of the main module.
    pub(super) allocator: u32,
}

impl Reencode for Place {
    type Error = SplitError;

    fn table_index(&mut self, table: u32) -> Result<u32, Error<SplitError>> {
        Ok(table + 1)
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), Error<SplitError>> {
        utils::parse_import_section(self, imports, section)?;
        imports.import(ALLOCATOR_IMPORT, PLACE_EXPORT, place_type());
        Ok(())
    }

    fn parse_element_section(
        &mut self,
        elements: &mut ElementSection,
        section: ElementSectionReader<'_>,
    ) -> Result<(), Error<SplitError>> {
        utils::parse_element_section(self, elements, section)?;
        elements.active(None, &ConstExpr::i32_const(0), Elements::Functions((&[self.allocator][..]).into()));
        Ok(())
    }
}

fn place_type() -> TableType {
    TableType { element_type: RefType::FUNCREF, table64: false, minimum: 1, maximum: Some(1), shared: false }
}

/// The module that stands in for the allocator: its function calls the one in the place.
pub(super) fn stand_in() -> Vec<u8> {
    const PARAMETERS: u32 = 4;
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32; PARAMETERS as usize], [ValType::I32]);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut tables = TableSection::new();
    tables.table(place_type());
    let mut exports = ExportSection::new();
    exports.export(CALL_EXPORT, ExportKind::Func, 0).export(PLACE_EXPORT, ExportKind::Table, 0);
    let mut call = wasm_encoder::Function::new([]);
    let mut code = call.instructions();
    for parameter in 0..PARAMETERS {
        code.local_get(parameter);
    }
    code.i32_const(0).call_indirect(0, 0).end();
    let mut bodies = CodeSection::new();
    bodies.function(&call);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&tables).section(&exports).section(&bodies);
    module.finish()
}
