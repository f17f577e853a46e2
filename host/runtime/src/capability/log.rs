//! `starcell:guest/log`: what a script says. Needs no permission.

use std::sync::Arc;

use starcell_log::{Format, LogStream};

use crate::Position;
use crate::bindings::starcell::guest::log::{Host, Level, Line, LogFormat, LogOutput};
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
        let format = match line.format {
            LogFormat::Text => Format::Text,
            LogFormat::Json => Format::Json,
        };
        let stream = match line.output {
            LogOutput::Stderr => LogStream::Err,
            LogOutput::Stdout => LogStream::Out,
        };
        let Line { message, attributes, at, .. } = line;
        let (host, request) = (Arc::clone(&self.app()?.host), self.request());
        let (message, attributes, request) = (&message, &attributes, request.as_deref());
        host.log(&LogRecord { level: Some(level), message, attributes, at: &at, request, format, stream }).await;
        Ok(())
    }

    async fn print(&mut self, text: String, at: Position) -> wasmtime::Result<()> {
        let (host, request) = (Arc::clone(&self.app()?.host), self.request());
        let (format, stream, request) = (Format::default(), LogStream::Out, request.as_deref());
        host.log(&LogRecord { level: None, message: &text, attributes: &[], at: &at, request, format, stream }).await;
        Ok(())
    }

    async fn panicked(&mut self, message: String) -> wasmtime::Result<()> {
        self.panic = Some(message);
        Ok(())
    }
}
