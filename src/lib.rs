//! ipn-router.

pub mod domain;
pub mod receive;
pub mod verify;
pub mod route;
pub mod outbox;
pub mod deliver;
pub mod alert;
pub mod config;
pub mod cli;
