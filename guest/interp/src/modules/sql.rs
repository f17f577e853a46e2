//! `sql`: databases.
//!
//! A database is a description, so that handlers find it in their forks: the host keeps the connections, for all requests
//! of the app together. What a statement is given stands for its placeholders and is never part of its text.

mod database;
mod value;

use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::GlobalsBuilder;

use crate::error::usage;
use crate::given::Text;
use crate::host::Connection;
use database::Database;

/// What the reference says of the types.
pub(super) fn types() -> [(&'static str, DocType); 1] {
    [(database::TYPE, database::documented())]
}

#[builtins("sql")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// A database: `sqlite:PATH`, a file that is made when something is first written, or
    /// `postgres://USER@HOST/DATABASE`.
    ///
    /// Nothing is opened yet, and no permission is asked for: each call on the database asks. So a database of the top level
    /// can be used in handlers. The host keeps the connections, for all requests of the app together. A connection to
    /// PostgreSQL is encrypted and the server's name is verified, unless the URL ends with `?sslmode=disable`. Errors: a URL
    /// of another kind, or one with a password in it.
    ///
    /// ```text
    /// >>> db = sql.open("sqlite:shop.db")
    /// ... db
    /// sqlite:shop.db
    /// >>> sql.open("postgres://shop@db.internal/shop", password = "secret")
    /// postgres://shop@db.internal/shop
    /// ```
    fn open<'v>(url: Text<'v>, #[starlark(require = named)] password: Option<&'v str>) -> starlark::Result<Database> {
        Ok(Database::new(connection(url.0, password)?))
    }
}

/// What a URL describes, without the user and the options in it.
fn connection(url: &str, password: Option<&str>) -> starlark::Result<Connection> {
    let password = password.map(str::to_owned);
    if let Some(path) = url.strip_prefix("sqlite:") {
        if path.is_empty() || path.contains(":memory:") {
            return Err(usage("a database in memory would be gone with the request; name a file: sqlite:data/shop.db"));
        }
        if password.is_some() {
            return Err(usage("a file has no password; leave password= out"));
        }
        return Ok(Connection { url: url.to_owned(), user: None, password, plain: false });
    }
    let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
    let rest = rest.ok_or_else(|| usage("url must be sqlite:PATH or postgres://USER@HOST/DATABASE"))?;
    let (rest, plain) = match rest.split_once('?') {
        None | Some((_, "sslmode=verify-full")) => (rest.split('?').next().unwrap_or_default(), false),
        Some((rest, "sslmode=disable")) => (rest, true),
        Some(_) => {
            return Err(usage("the one option of a URL is sslmode=verify-full, the default, or sslmode=disable"));
        }
    };
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    if user.is_some_and(|user| user.contains(':')) {
        return Err(usage("a password does not belong in a URL, which stands in records; give it as password="));
    }
    let url = format!("postgres://{host}/{database}");
    Ok(Connection { url, user: user.map(str::to_owned), password, plain })
}
