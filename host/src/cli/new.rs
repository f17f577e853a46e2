//! The arguments of `starcell new`.

use clap::Args;

/// Arguments of `starcell new`.
#[derive(Args, Debug)]
pub struct New {
    /// Name of the folder to make, in this one: letters, digits, - and _.
    #[arg(value_parser = name)]
    pub name: String,
}

/// Longest name.
const MAX_NAME: usize = 64;

/// A name that means nothing special to a file system, a shell or a configuration file.
fn name(text: &str) -> Result<String, String> {
    let legal = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if !legal || !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err("a name begins with an ASCII letter and has only letters, digits, - and _".into());
    }
    match text.len() <= MAX_NAME {
        true => Ok(text.to_owned()),
        false => Err(format!("a name may have {MAX_NAME} characters at most")),
    }
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn a_name_is_a_plain_word() {
        for good in ["a", "My-app_2"] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for bad in ["", ".", "..", "a/b", "/a", "a b", "-a", "_a", "2a", "é", "a.star", "a\0", &"a".repeat(65)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }
}
