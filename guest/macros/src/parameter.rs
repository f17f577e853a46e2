//! One parameter: what starlark's macro sees of it, and how the body gets its value.

use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, FnArg, Ident, Lit, Meta, Pat, Token, Type, parse_quote};

/// A name without the `r#` that Rust wants before its own words.
pub(crate) fn plain(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

/// What becomes of a parameter.
pub(crate) enum Parameter {
    /// Left to starlark: the receiver, the evaluator, a value of any type.
    AsItIs,
    /// Takes any value, and is unpacked in the body.
    Unpacked { unpacking: proc_macro2::TokenStream, default: Option<String> },
}

/// Reads a parameter, and gives it the type that takes any value.
pub(crate) fn read(input: &mut FnArg) -> syn::Result<Parameter> {
    let FnArg::Typed(parameter) = input else {
        return Err(syn::Error::new_spanned(input, "a builtin has no self; a method has `this`"));
    };
    let Pat::Ident(pattern) = &*parameter.pat else {
        return Err(syn::Error::new_spanned(&parameter.pat, "expected a name"));
    };
    let ident = pattern.ident.clone();
    let name = plain(&ident);
    let marked = |word: &str| parameter.attrs.iter().any(|attribute| says(attribute, word));
    if name == "this" || marked("this") || marked("args") || marked("kwargs") || is_left_alone(&parameter.ty) {
        return Ok(Parameter::AsItIs);
    }
    let mut ty = (*parameter.ty).clone();
    live(&mut ty);
    let default = take_default(&mut parameter.attrs)?;
    if let Some(default) = default {
        *parameter.ty = parse_quote!(Option<crate::given::OrNone<'v, #ty>>);
        let text = format!("{name} = {}", spelled(&default));
        let unpacking = quote! {
            let #ident: #ty = match crate::given::OrNone::maybe(#ident, #name)? {
                Some(given) => given,
                None => #default,
            };
        };
        return Ok(Parameter::Unpacked { unpacking, default: Some(text) });
    }
    if let Some(inner) = optional(&ty) {
        *parameter.ty = parse_quote!(Option<crate::given::OrNone<'v, #inner>>);
        let unpacking = quote!(let #ident: #ty = crate::given::OrNone::maybe(#ident, #name)?;);
        return Ok(Parameter::Unpacked { unpacking, default: Some(format!("{name} = None")) });
    }
    *parameter.ty = parse_quote!(crate::given::Given<'v, #ty>);
    Ok(Parameter::Unpacked { unpacking: quote!(let #ident: #ty = #ident.take(#name)?;), default: None })
}

/// Gives a reference without a lifetime that of values, `'v`.
fn live(ty: &mut Type) {
    if let Type::Reference(reference) = ty {
        reference.lifetime.get_or_insert_with(|| parse_quote!('v));
    }
}

/// Whether a type is one that starlark hands over, or one of any value.
fn is_left_alone(ty: &Type) -> bool {
    let inner = optional(ty);
    let ty = match (&inner, ty) {
        (Some(inner), _) => inner,
        (None, Type::Reference(reference)) => &*reference.elem,
        (None, ty) => ty,
    };
    let Type::Path(path) = ty else { return false };
    let Some(last) = path.path.segments.last() else { return false };
    ["Value", "Heap", "Evaluator", "Arguments", "Given"].iter().any(|name| last.ident == name)
}

/// The `T` of `Option<T>`.
fn optional(ty: &Type) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        syn::GenericArgument::Type(inner) => Some(inner.clone()),
        _ => None,
    }
}

/// Whether an attribute is `#[starlark(word)]`, alone or among others.
fn says(attribute: &Attribute, word: &str) -> bool {
    let Meta::List(list) = &attribute.meta else { return false };
    list.path.is_ident("starlark") && list.tokens.clone().into_iter().any(|token| token.to_string() == word)
}

/// Takes the `default = ..` of `#[starlark(..)]`, and leaves what else it says.
fn take_default(attributes: &mut Vec<Attribute>) -> syn::Result<Option<Expr>> {
    let Some(at) = attributes.iter().position(|attribute| says(attribute, "default")) else { return Ok(None) };
    let attribute = attributes.remove(at);
    let parts = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?;
    let (defaults, others): (Vec<Meta>, Vec<Meta>) =
        parts.into_iter().partition(|part| part.path().is_ident("default"));
    if !others.is_empty() {
        attributes.push(parse_quote!(#[starlark(#(#others),*)]));
    }
    match defaults.into_iter().next() {
        Some(Meta::NameValue(default)) => Ok(Some(default.value)),
        _ => Err(syn::Error::new_spanned(attribute, "expected `default = value`")),
    }
}

/// A default as a script would write it; one that is no literal is not spelled out.
fn spelled(default: &Expr) -> String {
    match default {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Bool(truth) => if truth.value { "True" } else { "False" }.to_owned(),
            Lit::Str(text) => format!("{:?}", text.value()),
            Lit::Int(int) => int.base10_digits().to_owned(),
            other => other.to_token_stream().to_string(),
        },
        Expr::Unary(unary) => unary.to_token_stream().to_string().replace(' ', ""),
        _ => "None".to_owned(),
    }
}
