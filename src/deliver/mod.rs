//! Due delivery to shop.

mod classify;
mod client;
mod guard;
mod link;
mod settings;
mod tls;

pub use classify::classify;
pub use client::{Client, Connection, Rendered};
pub use settings::{AnswerCheck, Settings, SetupError, Signing, Timeouts};
pub use tls::TlsError;
