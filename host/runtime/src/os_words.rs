//! The words of the system's errors, as a sentence for a script goes on with them.

use std::error::Error;
use std::fmt::Display;
use std::iter;

/// An error without the number that `std` puts behind it.
pub(crate) fn unnumbered(error: &(impl Display + ?Sized)) -> String {
    let mut text = error.to_string();
    if let Some(number) = text.find(" (os error ") {
        text.truncate(number);
    }
    text
}

/// The same, beginning with a small letter.
pub(crate) fn os_words(error: &(impl Display + ?Sized)) -> String {
    let text = unnumbered(error);
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// An error and what it comes from, from the outermost on.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |error| (*error).source());
    causes.map(unnumbered).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use std::{fmt, io};

    use super::*;

    /// Fails when `std` words its errors in another way.
    #[test]
    fn the_number_is_left_out() {
        let missing = io::Error::from_raw_os_error(2);
        assert_eq!(missing.to_string(), "No such file or directory (os error 2)");
        assert_eq!(unnumbered(&missing), "No such file or directory");
        assert_eq!(os_words(&missing), "no such file or directory");
        assert_eq!(os_words(&io::Error::other("")), "");
    }

    #[test]
    fn causes_follow_what_they_caused() {
        #[derive(Debug)]
        struct Outer(io::Error);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("it was lost")
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let lost = Outer(io::Error::from_raw_os_error(2));
        assert_eq!(with_causes(&lost), "it was lost: No such file or directory");
        assert_eq!(with_causes(&lost.0), "No such file or directory");
    }
}
