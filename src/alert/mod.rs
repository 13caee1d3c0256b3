//! Incident to mailbox.

mod settings;

pub use settings::{MailSecurity, MailSettings, Recipients, Settings};
