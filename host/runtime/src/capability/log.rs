//! `starcell:guest/log`: what a script says. Needs no permission.

use std::sync::Arc;

use starcell_log::{Format, LogStream};

use crate::Position;
use crate::bindings::starcell::guest::log::{Host, Level, Line, LogFormat, LogOutput};
use crate::host::LogRecord;
use crate::state::{Room, State};

impl State {
    /// Whether the request may log so many bytes more. The first time that it may not is told in their place.
    async fn has_room(&mut self, bytes: usize, at: &Position) -> wasmtime::Result<bool> {
        let app = Arc::clone(self.app()?);
        let most = app.config.limits.log_bytes;
        match (self.count_logged(bytes, most), most) {
            (Room::Left, _) => return Ok(true),
            (Room::JustOver, Some(most)) => {
                let text =
                    format!("the request has logged more than the {most} bytes of limits.log; the rest is dropped");
                let (level, format, stream) = (Some(starcell_log::Level::Warn), Format::default(), LogStream::Err);
                let (message, request) = (text.as_str(), self.request());
                let request = request.as_deref();
                let record = LogRecord { level, message, attributes: &[], at, request, format, stream };
                app.host.log(&record).await;
            }
            _ => {}
        }
        Ok(false)
    }
}

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
        let bytes = attributes.iter().fold(message.len(), |bytes, (name, value)| bytes + name.len() + value.len());
        if !self.has_room(bytes, &at).await? {
            return Ok(());
        }
        let (host, request) = (Arc::clone(&self.app()?.host), self.request());
        let (message, attributes, request) = (&message, &attributes, request.as_deref());
        host.log(&LogRecord { level: Some(level), message, attributes, at: &at, request, format, stream }).await;
        Ok(())
    }

    async fn print(&mut self, text: String, at: Position) -> wasmtime::Result<()> {
        if !self.has_room(text.len(), &at).await? {
            return Ok(());
        }
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
