//! `html`: text into markup and back.

use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;

#[builtins("html")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// A text that means itself inside an element or a quoted attribute: `&`, `<`, `>`, `"` and `'` are escaped.
    ///
    /// It does not make a text safe inside a script, a style or an unquoted attribute, and no URL harmless.
    ///
    /// ```text
    /// >>> html.escape("<a href='x'>&</a>")
    /// "&lt;a href=&#39;x&#39;&gt;&amp;&lt;/a&gt;"
    /// ```
    fn escape<'v>(s: &'v str) -> starlark::Result<String> {
        let text = s;
        let mut escaped = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '"' => escaped.push_str("&#34;"),
                '\'' => escaped.push_str("&#39;"),
                c => escaped.push(c),
            }
        }
        Ok(escaped)
    }

    /// The text of markup without tags: entities such as `&eacute;`, `&#233;` and `&#xe9;` become what they stand for,
    /// as browsers read them. The result is text again, and as little to be trusted as what it came from.
    ///
    /// ```text
    /// >>> html.unescape("&lt;b&gt; &copy; &#39;")
    /// "<b> © '"
    /// ```
    fn unescape<'v>(s: &'v str) -> starlark::Result<String> {
        Ok(htmlize::unescape(s).into_owned())
    }
}
