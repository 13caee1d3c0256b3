//! Incident to mailbox.

mod settings;
mod step;
mod text;

pub use settings::{MailSecurity, MailSettings, Recipients, Settings};
