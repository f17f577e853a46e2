//! `starcell:guest/log`: what a script says. Needs no permission.

use std::sync::Arc;

use crate::Position;
use crate::bindings::starcell::guest::log::{Host, Level, Line};
use crate::host::LogRecord;
use crate::state::State;

impl Host for State {
    async fn write(&mut self, line: Line) -> wasmtime::Result<()> {
        let level = match line.level {
            Level::Debug => starcell_log::Level::Debug,
            Level::Info => starcell_log::Level::Info,
            Level::Warn => starcell_log::Level::Warn,
            Level::Error => starcell_log::Level::Error,
        };
        self.say(Some(level), &line.message, &line.attributes, &line.at).await
    }

    async fn print(&mut self, text: String, at: Position) -> wasmtime::Result<()> {
        self.say(None, &text, &[], &at).await
    }

    async fn panicked(&mut self, message: String) -> wasmtime::Result<()> {
        self.panic = Some(message);
        Ok(())
    }
}

impl State {
    async fn say(
        &mut self,
        level: Option<starcell_log::Level>,
        message: &str,
        attributes: &[(String, String)],
        at: &Position,
    ) -> wasmtime::Result<()> {
        let (host, request) = (Arc::clone(&self.app()?.host), self.request());
        host.log(&LogRecord { level, message, attributes, at, request: request.as_deref() }).await;
        Ok(())
    }
}
