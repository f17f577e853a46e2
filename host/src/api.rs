//! What a node says to those who operate it: the shapes of its answers, and their description.
//!
//! - [`views`]: the answers, as the node writes them and as `starcell app`, `tenant` and `top` read them
//! - [`paths`]: the questions and actions, each with its path
//! - [`openapi`]: the description of both

pub mod openapi;
pub mod paths;
pub mod views;
