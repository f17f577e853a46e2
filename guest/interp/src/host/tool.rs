//! The operator's tool that started this instance, if one did: a test's or a session's.

use starcell_contract::{HostError, MadeServer, Outcome, Position, Question, Reply, Routed};

/// What a test or a session asks for. Every other instance gets errors.
pub trait Tool {
    /// Has the app under test answer.
    fn ask(&self, question: &Question, at: &Position) -> Result<Reply, HostError>;
    /// Finds the route of a request to a server that the test made.
    fn route(&self, server: &MadeServer, question: &Question) -> Result<Routed, HostError>;
    /// Tells what the last input came to and which names can be written now; takes the next one. None at the end.
    fn input(&self, outcome: &Outcome, names: &[String]) -> Result<Option<String>, HostError>;
}
