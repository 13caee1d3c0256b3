//! Due delivery to shop.

mod classify;
mod client;
mod guard;
mod link;
mod render;
mod settings;
mod splice;
#[cfg(test)]
mod testing;
mod tls;

pub use classify::classify;
pub use client::{Client, Connection, Rendered};
pub use render::{RenderError, Renderer};
pub use settings::{AnswerCheck, Settings, SetupError, Signing, Timeouts};
pub use tls::TlsError;
