//! Socket to bytes, and an honest answer back.
//!
//! The answer is 200 only if the notification is on disk; everything else is refused with the reason, or put off with
//! 503. The order of decisions is that of design.md 5.
//!
//! ```text
//! server ─► connection ─► stack ─► request: address, method, path, type, size, body
//!                           │          └─► handler: verify ─► route ─► outbox (commit) ─► Kept
//!                           └◄── respond: the one match from outcome to answer ◄── ReceiveError
//! ```
//!
//! What is left out: delivering. This folder does not know that anybody is notified; the outbox is where both meet.

mod address;
mod connection;
mod facts;
mod handler;
mod hourly;
mod refusals;
mod request;
mod respond;
mod server;
mod settings;
mod signatures;
mod stack;
mod tls;

pub use handler::Intake;
pub use refusals::{BodyShape, Refusal};
pub use server::Receiver;
pub use settings::{Settings, TlsFiles};
pub use tls::TlsError;
