//! Due delivery to shop.

mod settings;

pub use settings::{AnswerCheck, Settings, Signing, Timeouts};
