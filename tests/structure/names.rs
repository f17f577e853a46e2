//! The public types that a crate defines.

use syn::visit::{self, Visit};
use syn::{Attribute, ItemEnum, ItemMod, ItemStruct, ItemTrait, ItemType, Visibility};

use crate::sources::Crate;

/// The names of public types, each with the file that defines it.
pub(crate) fn public_types(source: &Crate) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in source.files.values() {
        let mut types = Types::default();
        types.visit_file(&file.syntax);
        found.extend(types.0.into_iter().map(|name| (name, file.path.clone())));
    }
    found
}

#[derive(Default)]
struct Types(Vec<String>);

impl Types {
    fn note(&mut self, visibility: &Visibility, name: &syn::Ident) {
        if matches!(visibility, Visibility::Public(_)) {
            self.0.push(name.to_string());
        }
    }
}

impl<'a> Visit<'a> for Types {
    fn visit_item_mod(&mut self, item: &'a ItemMod) {
        if !is_of_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_struct(&mut self, item: &'a ItemStruct) {
        self.note(&item.vis, &item.ident);
    }

    fn visit_item_enum(&mut self, item: &'a ItemEnum) {
        self.note(&item.vis, &item.ident);
    }

    fn visit_item_trait(&mut self, item: &'a ItemTrait) {
        self.note(&item.vis, &item.ident);
    }

    fn visit_item_type(&mut self, item: &'a ItemType) {
        self.note(&item.vis, &item.ident);
    }
}

/// Whether an item is compiled for tests alone.
pub(crate) fn is_of_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|argument| argument == "test")
    })
}
