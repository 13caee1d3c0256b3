//! ipn-router: one URL for the payment gateway's notifications, forwarded to every shop of the company.
//!
//! The Lyra payment gateway (PayZen, Systempay, Sogecommerce, …) tells one shop what happens to a token (a stored
//! card) that every shop of the same legal entity can charge. This daemon is that one shop's URL, and tells the others.
//!
//! # The way of a notification
//!
//! ```text
//!                            ┌───────────────────── outbox ─────────────────────┐
//!  gateway ─▶ receive ─▶ verify ─▶ route ─▶ accept (one synced transaction)      │
//!     ◀─ 200 OK-stored ◀──────────────────┘ │                                    │
//!                            │      deliveries ─▶ deliver ─▶ shops               │
//!                            │      incidents  ─▶ alert   ─▶ mailboxes           │
//!                            └───────────────────────────────────────────────────┘
//! ```
//!
//! # Promises
//!
//! - A 200 to the gateway means that the notification, its raw body and one delivery per destination are on disk.
//! - What was acknowledged is delivered at least once, with a stable id, or on-call knows.
//! - A notification never leaves its legal entity or its mode.
//! - Nothing is believed that is not signed with a key of the shop that it names.
//!
//! The modules stand in the order of the flow; each imports only from those before it, and from `domain`:
//! `receive`, `deliver` and `alert` meet in the outbox, and do not know each other. `tests/architecture.rs` holds that.

pub mod domain;
pub mod metrics;
pub mod receive;
pub mod verify;
pub mod route;
pub mod outbox;
pub mod deliver;
pub mod alert;
pub mod admin;
pub mod config;
pub mod app;
pub mod cli;
