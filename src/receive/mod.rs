//! Socket to bytes, and an honest answer back.

mod settings;

pub use settings::{Settings, TlsFiles};
