//! `starcell audit`: what a log says, for whoever has to answer for a script.
//!
//! A log is read with every file that its writer has renamed, and never past a line that is not as it was written.

use std::fmt::Display;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use starcell_audit::{
    AnchorError, Anchors, Event, Evidence, LeastError, ReadError, Records, VerifyError, VerifyingKey, Widen, events,
    files_of, least, replay, summary, verify_against,
};
use starcell_policy::{Grants, Profile};

use crate::cli::{AuditCommand, AuditLogFlags, RuleFlags, Verify, Widening};
use crate::exit::Exit;
use crate::granted::{Chosen, roots_of};
use crate::say::{Said, fail, say};

/// Bytes of a file that a key is read from.
const MAX_KEY: u64 = 64 << 10;

/// Answers a question about an audit log.
pub fn answer(command: &AuditCommand) -> Exit {
    let answered = match command {
        AuditCommand::Least { log, app, widen, profile } => narrowest(log, app.as_deref(), *widen, profile.as_deref()),
        AuditCommand::Replay { log, app, rules } => tried(log, app.as_deref(), rules),
        AuditCommand::Summary { log, app } => counted(log, app.as_deref()),
        AuditCommand::Verify(verify) => verified(verify),
    };
    match answered {
        Ok((exit, answer)) => say(exit, &answer),
        Err((exit, error)) => fail(exit, &error),
    }
}

/// An answer and its exit code; or why there is none.
type Answered = Result<(Exit, Said), (Exit, String)>;

fn counted(log: &AuditLogFlags, app: Option<&str>) -> Answered {
    let found = summary(events_of(log, app)?).map_err(unsound)?;
    Ok((Exit::Ok, if log.json { Said::Json(found.json()) } else { Said::Text(found.text()) }))
}

fn narrowest(log: &AuditLogFlags, app: Option<&str>, widening: Widening, profile: Option<&str>) -> Answered {
    let Widening { widen_paths: paths, widen_hosts: hosts } = widening;
    if let Some(name) = profile {
        Profile::custom(name, &Profile::deny_all(), Vec::new(), Vec::new())
            .map_err(|e| (Exit::Usage, e.to_string()))?;
    }
    let found = least(events_of(log, app)?, Widen { paths, hosts }).map_err(|error| match error {
        LeastError::Read(error) => unsound(error),
        LeastError::TooMany(_) => (Exit::Usage, error.to_string()),
    })?;
    let text = match profile {
        Some(name) => Said::Text(found.toml(name)),
        None if log.json => Said::Json(found.json()),
        None => Said::Text(found.text()),
    };
    Ok((Exit::Ok, text))
}

fn tried(log: &AuditLogFlags, app: Option<&str>, rules: &RuleFlags) -> Answered {
    let grants = Chosen::new(rules).and_then(|Chosen { profile, allow, deny, .. }| {
        Grants::new(&profile, &allow, &deny, &roots_of(rules)?).map_err(|error| error.to_string())
    });
    let grants = grants.map_err(|error| (Exit::Configuration, error))?;
    let found = replay(events_of(log, app)?, &grants).map_err(unsound)?;
    let exit = if found.denied.is_empty() { Exit::Ok } else { Exit::Denied };
    Ok((exit, if log.json { Said::Json(found.json()) } else { Said::Text(found.text()) }))
}

fn verified(arguments: &Verify) -> Answered {
    let Verify { files, json, expect, anchor, key } = arguments;
    let key = key.as_deref().map(verifying_key).transpose()?;
    let anchors = anchor.as_deref().map(|path| anchors(path, key.as_ref())).transpose()?.transpose();
    let has_evidence = anchor.is_some() || !expect.is_empty();
    let files = open(files).map_err(|(exit, text)| match has_evidence && is_gone(files) {
        true => (Exit::Unsound, text),
        false => (exit, text),
    })?;
    let found = anchors.map_err(VerifyError::from).and_then(|anchors| {
        let evidence = Evidence { expect: expect.clone(), anchors };
        verify_against(files, &evidence)
    });
    match found {
        Ok(verified) => Ok((Exit::Ok, if *json { Said::Json(verified.json()) } else { Said::Text(verified.text()) })),
        Err(error) if *json => Ok((Exit::Unsound, Said::Json(error.json()))),
        Err(error) => Err((Exit::Unsound, error.to_string())),
    }
}

/// True if a file is not there. A log that something is known about must be.
#[expect(clippy::disallowed_methods, reason = "looks for the log that the command line names")]
fn is_gone(files: &[PathBuf]) -> bool {
    let is_missing =
        |path: &PathBuf| std::fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    files.iter().any(is_missing)
}

/// The anchors of a file; or why the file proves nothing, which is a finding about the log.
fn anchors(path: &Path, key: Option<&VerifyingKey>) -> Result<Result<Anchors, AnchorError>, (Exit, String)> {
    let (_, file) = opened(path).map_err(|error| cannot_read(path, &error))?;
    Ok(Anchors::read(file, key))
}

fn verifying_key(path: &Path) -> Result<VerifyingKey, (Exit, String)> {
    let (_, file) = opened(path).map_err(|error| cannot_read(path, &error))?;
    let mut pem = Vec::new();
    file.take(MAX_KEY).read_to_end(&mut pem).map_err(|error| cannot_read(path, &error))?;
    VerifyingKey::from_pem(&pem).map_err(|error| (Exit::Usage, format!("{}: {error}", path.display())))
}

fn unsound(error: ReadError) -> (Exit, String) {
    (Exit::Unsound, error.to_string())
}

/// The calls of a log, those of one app where one is named.
fn events_of(
    log: &AuditLogFlags,
    app: Option<&str>,
) -> Result<impl Iterator<Item = Result<Event, ReadError>>, (Exit, String)> {
    let records = Records::new(open(std::slice::from_ref(&log.file))?);
    let app = app.map(str::to_owned);
    let wanted = move |event: &Result<Event, ReadError>| match (event, &app) {
        (Ok(event), Some(app)) => event.call.subject.app == *app,
        (Ok(_), None) | (Err(_), _) => true,
    };
    Ok(events(records).filter(wanted))
}

/// The files of a log, each with its name.
fn open(paths: &[PathBuf]) -> Result<Vec<Named>, (Exit, String)> {
    let shown = paths.first().map(PathBuf::as_path).unwrap_or(Path::new(""));
    let files = files_of(paths).map_err(|error| cannot_read(shown, &error))?;
    files.iter().map(|path| opened(path).map_err(|error| cannot_read(path, &error))).collect()
}

fn cannot_read(path: &Path, error: &dyn Display) -> (Exit, String) {
    (Exit::Usage, format!("cannot read {}: {error}", path.display()))
}

/// A file of a log with its name, for messages.
type Named = (String, Box<dyn BufRead>);

#[expect(clippy::disallowed_types, reason = "reads the log that the command line names")]
fn opened(path: &Path) -> io::Result<Named> {
    let file = std::fs::File::open(path)?;
    match file.metadata()?.is_file() {
        true => Ok((path.display().to_string(), Box::new(BufReader::new(file)))),
        false => Err(io::Error::other("not a regular file")),
    }
}
