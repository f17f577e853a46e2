//! The routes of the servers of an app, within bounds.

use std::sync::Arc;

use starcell_http::router::Routes;

/// Servers one script may create.
const MAX_SERVERS: u32 = 64;

/// Routes one server may have.
const MAX_ROUTES: usize = 1000;

/// Bytes one pattern may have.
const MAX_PATTERN: usize = 1024;

/// Adds a pattern to the routes of one server, and returns the number of the route. Servers up to that one are made.
///
/// # Errors
/// The sentence for the script's developer: a bound is reached, or the pattern is bad or conflicts with another one.
pub fn add_route<S: Default>(
    servers: &mut Vec<S>,
    server: u32,
    pattern: &str,
    routes: impl FnOnce(&mut S) -> &mut Arc<Routes>,
) -> Result<u32, String> {
    if server >= MAX_SERVERS {
        return Err(format!("a script may create {MAX_SERVERS} servers at most"));
    }
    if pattern.len() > MAX_PATTERN {
        return Err(format!("a pattern may have {MAX_PATTERN} bytes at most, this one has {}", pattern.len()));
    }
    while servers.len() <= server as usize {
        servers.push(S::default());
    }
    let Some(slot) = servers.get_mut(server as usize) else { return Err("out of memory".into()) };
    let routes = routes(slot);
    if routes.len() >= MAX_ROUTES {
        return Err(format!("a server may have {MAX_ROUTES} routes at most"));
    }
    let number = Arc::make_mut(routes).add(pattern).map_err(|error| error.to_string())?;
    u32::try_from(number).map_err(|error| error.to_string())
}
