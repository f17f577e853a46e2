//! `starcell:guest/types`: the border, where an error of a call becomes the sentence that a script reads.

use crate::bindings::starcell::guest::types::{Error, Host};
use crate::call_error::HostCallError;
use crate::state::State;

impl Host for State {
    fn convert_error(&mut self, error: HostCallError) -> wasmtime::Result<Error> {
        match error {
            HostCallError::Broken(error) => Err(error),
            HostCallError::Denied(_) | HostCallError::HostFile(..) => Ok(Error::Denied(error.to_string())),
            HostCallError::Failed(_) | HostCallError::Unrecorded(_) => Ok(Error::Failed(error.to_string())),
        }
    }
}
