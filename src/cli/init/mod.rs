//! `init`: a small configuration to start from, by questions or by flags.
//!
//! Each answer is judged by the configuration's own reader: the file is written in memory after every answer, and read.

mod draft;
mod file;
mod questions;
mod steps;

use std::fs::OpenOptions;
use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::words::formats;
use crate::config;
use crate::domain::Format;
use draft::Draft;
use questions::Asker;

/// Writes a small configuration to start from, and says what to do next, up to the first TEST notification.
///
/// On a terminal it asks for what no flag says; with --yes, or elsewhere, it takes what it has. It never overwrites a
/// file. Exit codes: 0 written, 1 not written.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Options {
    /// Asks nothing: takes the default of everything that is not given.
    #[arg(long)]
    yes: bool,

    /// The company (legal entity) whose shops share tokens.
    #[arg(long, value_name = "NAME", help_heading = "The company")]
    legal_entity: Option<String>,
    /// Which rules of the Back Office will name the daemon: `a`, operations of the Back Office; `b`, payments too.
    #[arg(long, value_enum, help_heading = "The company")]
    set_up: Option<SetUp>,
    /// The operators are told if the gateway is silent for longer, such as `7d`; or `never`.
    #[arg(long, value_name = "TIME", help_heading = "The company")]
    expect_every: Option<String>,
    /// On-call: e-mail addresses, separated by semicolons.
    #[arg(long, value_name = "ADDRESSES", help_heading = "The company")]
    failure_emails: Option<String>,

    /// The shop that the gateway notifies, 8 digits.
    #[arg(long, value_name = "ID", help_heading = "The notified shop")]
    shop: Option<String>,
    #[arg(long, value_name = "NAME", help_heading = "The notified shop")]
    name: Option<String>,
    /// How the gateway writes to it.
    #[arg(long, value_parser = formats(), help_heading = "The notified shop")]
    format: Option<Format>,
    /// Where its plugin takes the gateway's TEST notifications.
    #[arg(long, value_name = "URL", help_heading = "The notified shop")]
    shop_url: Option<String>,

    /// A shop of the company that is to learn of the tokens, 8 digits.
    #[arg(long, value_name = "ID", help_heading = "Another shop")]
    other_shop: Option<String>,
    #[arg(long, value_name = "NAME", requires = "other_shop", help_heading = "Another shop")]
    other_name: Option<String>,
    /// Where it takes events, in TEST.
    #[arg(long, value_name = "URL", requires = "other_shop", help_heading = "Another shop")]
    other_url: Option<String>,

    /// Where the daemon listens.
    #[arg(long, value_name = "ADDRESS", help_heading = "The daemon")]
    listen: Option<String>,
    /// PEM file with the certificate chain, if no proxy in front ends TLS.
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = "The daemon")]
    tls_certificate: Option<String>,
    /// PEM file with its key.
    #[arg(long, value_name = "FILE", requires = "tls_certificate", help_heading = "The daemon")]
    tls_key: Option<String>,
    /// Where notifications are kept.
    #[arg(long, value_name = "FILE", help_heading = "The daemon")]
    store: Option<String>,
    /// Whether secrets are files, or files that systemd hands over.
    #[arg(long, value_enum, help_heading = "The daemon")]
    secrets: Option<Keeping>,
    /// The mail server for failure e-mails, such as `smtps://mail.example.com`.
    #[arg(long, value_name = "URL", help_heading = "The daemon")]
    smtp: Option<String>,
    /// For the login there.
    #[arg(long, value_name = "NAME", help_heading = "The daemon")]
    smtp_username: Option<String>,
    /// The sender of failure e-mails.
    #[arg(long, value_name = "ADDRESS", help_heading = "The daemon")]
    mail_from: Option<String>,
}

/// Design.md 5's two ways to put the daemon in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum SetUp {
    /// Payments are untouched.
    A,
    /// The named shop's payments pass here.
    B,
}

/// Where secrets are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Keeping {
    Credential,
    File,
}

pub(super) fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let asks = !options.yes && io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut out = anstream::stdout();
    write(file, options, asks, io::stdin().lock(), &mut out)?;
    Ok(ExitCode::SUCCESS)
}

/// Asks if it may, writes the file, and prints what to do next.
fn write(file: &Path, options: &Options, asks: bool, input: impl BufRead, out: &mut impl Write) -> anyhow::Result<()> {
    if file.exists() {
        bail!(
            "{} is there already, and is left as it is; name another file with --config",
            file.display()
        );
    }
    let draft = if asks {
        writeln!(
            out,
            "This writes {}. An empty answer takes what stands in [brackets].",
            file.display()
        )?;
        questions::draft(options, file, Asker::asking(input, &mut *out))?
    } else {
        questions::draft(options, file, Asker::silent())?
    };
    let schema = create(file, &draft)?;
    writeln!(out, "\nWrote {}", file.display())?;
    if let Some(schema) = schema {
        writeln!(out, "Wrote {}, for editors", schema.display())?;
    }
    steps::print(&draft, file, steps::is_packaged(), out)?;
    Ok(())
}

/// Writes the configuration and, unless there is one, the schema beside it, and returns the latter's path.
fn create(file: &Path, draft: &Draft) -> anyhow::Result<Option<PathBuf>> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let create_new = |path: &Path, text: String| -> io::Result<()> {
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .open(path)?
            .write_all(text.as_bytes())
    };
    create_new(file, file::toml(draft)).with_context(|| format!("cannot write {}", file.display()))?;
    let schema = file.with_file_name("ipn-router.schema.json");
    match create_new(&schema, format!("{:#}\n", config::schema())) {
        Ok(()) => Ok(Some(schema)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot write {}", schema.display())),
    }
}

#[cfg(test)]
mod tests;
