//! Who may ask the running daemon, and change it: the commands, through a Unix socket.
//!
//! ```text
//!   ipn-router reload ── HTTP over ipn-router.sock ─▶ api ── Asked ─▶ app
//! ```
//!
//! The socket's file mode says who: its owner and its group (root may always). There is no token to look for at night.
//! What is asked by whom is logged.
//!
//! What is left out: doing it. This folder turns a request into a question to `app`, and the answer into JSON.

mod api;
mod socket;
mod verdict;

pub use api::{Asked, RELOAD, Reload, Who};
pub use socket::{Admin, SocketError};
pub use verdict::{Problem, Told, Verdict, VerdictKind};
