//! Tests over real sockets and files, and with software that is not ours.

mod alert;
mod demo;
mod outside;
mod receive;
mod send;
