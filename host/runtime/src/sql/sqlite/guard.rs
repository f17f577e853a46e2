//! What a statement of a script may ask SQLite for. SQLite asks for each action when it compiles a statement, triggers and
//! views included, so nothing that is in the file already gets around it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// Functions that reach out of the database, or into the process.
const FUNCTIONS: [&str; 5] = ["edit", "fts3_tokenizer", "load_extension", "readfile", "writefile"];

/// Pragmas that only look, with or without the name of a table.
const LOOKING: [&str; 14] = [
    "application_id",
    "collation_list",
    "data_version",
    "foreign_key_check",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
];

/// Pragmas that scripts may set.
const SET: [&str; 2] = ["application_id", "user_version"];

/// Kinds of virtual tables that keep their data in the database.
const VIRTUAL: [&str; 1] = ["fts5"];

/// Who speaks to a connection now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Speaker {
    /// The host, with statements of its own.
    Host = 0,
    /// A script that may only read.
    Reader = 1,
    /// A script that may write.
    Writer = 2,
}

/// The guard of a connection.
#[derive(Clone, Debug)]
pub(super) struct Guard(Arc<AtomicU8>);

impl Guard {
    /// Puts a guard in front of a connection.
    pub(super) fn before(connection: &mut Connection) -> rusqlite::Result<Self> {
        let guard = Self(Arc::new(AtomicU8::new(Speaker::Host as u8)));
        let asked = guard.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| asked.answer(&context.action)))?;
        Ok(guard)
    }

    /// Says who speaks from now on.
    pub(super) fn set(&self, speaker: Speaker) {
        self.0.store(speaker as u8, Ordering::Relaxed);
    }

    fn answer(&self, action: &AuthAction<'_>) -> Authorization {
        let speaker = self.0.load(Ordering::Relaxed);
        let may =
            speaker == Speaker::Host as u8 || reads(action) || (speaker == Speaker::Writer as u8 && writes(action));
        if may { Authorization::Allow } else { Authorization::Deny }
    }
}

fn reads(action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => {
            !FUNCTIONS.iter().any(|banned| function_name.eq_ignore_ascii_case(banned))
        }
        AuthAction::Pragma { pragma_name, pragma_value } => {
            let is = |known: &str| pragma_name.eq_ignore_ascii_case(known);
            LOOKING.iter().any(|known| is(known)) && (pragma_value.is_none() || !SET.iter().any(|known| is(known)))
        }
        _ => false,
    }
}

fn writes(action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::Pragma { pragma_name, .. } => SET.iter().any(|known| pragma_name.eq_ignore_ascii_case(known)),
        AuthAction::CreateVtable { module_name, .. } => {
            VIRTUAL.iter().any(|known| module_name.eq_ignore_ascii_case(known))
        }
        AuthAction::AlterTable { .. }
        | AuthAction::Analyze { .. }
        | AuthAction::CreateIndex { .. }
        | AuthAction::CreateTable { .. }
        | AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::CreateTrigger { .. }
        | AuthAction::CreateView { .. }
        | AuthAction::Delete { .. }
        | AuthAction::DropIndex { .. }
        | AuthAction::DropTable { .. }
        | AuthAction::DropTempIndex { .. }
        | AuthAction::DropTempTable { .. }
        | AuthAction::DropTempTrigger { .. }
        | AuthAction::DropTempView { .. }
        | AuthAction::DropTrigger { .. }
        | AuthAction::DropView { .. }
        | AuthAction::DropVtable { .. }
        | AuthAction::Insert { .. }
        | AuthAction::Reindex { .. }
        | AuthAction::Update { .. } => true,
        _ => false,
    }
}
