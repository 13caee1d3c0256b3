//! Tests over real sockets and files, and with software that is not ours.

mod outside;
mod receive;
