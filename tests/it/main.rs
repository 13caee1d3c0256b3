//! Tests over real sockets and files, and with software that is not ours.

mod alert;
mod changes;
mod check;
mod commands;
mod deliver;
mod demo;
mod explain;
mod fanout;
mod flows;
mod init;
mod listener;
mod mail;
mod outbox;
mod outside;
mod proxies;
mod receive;
mod reload;
mod restart;
mod rude;
mod schema;
mod send;
mod shipped;
mod silence;
mod support;
mod systemd;
mod verbs;
