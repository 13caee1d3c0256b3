use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum, value_parser};
use jiff::Timestamp;
use url::Url;

use crate::cli::simulator::{Occasion, Occurrence};
use crate::cli::words::{formats, kinds, modes};
use crate::domain::{Format, Kind, Mode, ShopId};

/// Simulates the gateway: posts signed notifications to the daemon, or to whatever --to says.
///
/// Without more, one notification about a new card, in TEST, to the daemon of the configuration, signed with the key
/// of its only shop. With --secret it simulates the daemon: signed events, to a shop's own endpoint.
///
/// Exit codes: 0 every answer was 2xx (with --wrong-signature: 4xx), 1 one was not, 78 the configuration has errors.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Options {
    /// Where to; by default the configuration's own receiver.
    #[arg(long, value_name = "URL")]
    pub(super) to: Option<Url>,

    /// What has happened.
    #[arg(long, value_parser = kinds(), default_value = Kind::TokenCreated.name(), help_heading = "What")]
    pub(super) kind: Kind,
    /// How the gateway writes it; by default `form`, but `rest` for `token.saved`.
    #[arg(long, value_parser = formats(), help_heading = "What")]
    format: Option<Format>,
    #[arg(long, value_parser = modes(), default_value = "test", help_heading = "What")]
    pub(super) mode: Mode,
    /// The shop that it names; by default the only one whose key is in the configuration.
    #[arg(long, value_name = "ID", help_heading = "What")]
    pub(super) shop: Option<ShopId>,
    /// The token; by default a new one each time.
    #[arg(long, value_parser = NonEmptyStringValueParser::new(), help_heading = "What")]
    pub(super) token: Option<String>,
    /// The order; a card is then stored by the payment for it.
    #[arg(long, value_parser = NonEmptyStringValueParser::new(), help_heading = "What")]
    order: Option<String>,

    /// How many, each of something else that has happened.
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=100_000), default_value_t = 1,
        help_heading = "How often")]
    pub(super) count: u32,
    /// How many a second; by default each waits for the answer to the one before.
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=10_000), help_heading = "How often")]
    pub(super) rate: Option<u32>,
    /// Sends each so many times more, the same bytes.
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(..=100), default_value_t = 0,
        help_heading = "How often")]
    duplicates: u32,
    /// Then sends each again as the gateway does.
    #[arg(long, help_heading = "How often")]
    resend: Option<Resend>,

    /// The shop's key for that format and mode, instead of the configuration's.
    #[arg(
        long,
        value_name = "FILE",
        requires = "shop",
        conflicts_with = "key_env",
        help_heading = "Signature"
    )]
    pub(super) key_file: Option<PathBuf>,
    /// The same, in an environment variable.
    #[arg(long, value_name = "NAME", requires = "shop", help_heading = "Signature")]
    pub(super) key_env: Option<String>,
    /// Signs a form by SHA-1, as it is for old shops.
    #[arg(long, help_heading = "Signature")]
    pub(super) sha1: bool,
    /// Signs with a key that is not the right one.
    #[arg(long, help_heading = "Signature")]
    pub(super) wrong_signature: bool,
    /// Sends events instead, signed by Standard Webhooks with this secret of a shop.
    #[arg(long, value_name = "WHSEC", requires = "to", conflicts_with_all = ["secret_file", "key_file", "key_env", "sha1"],
        help_heading = "Signature")]
    pub(super) secret: Option<String>,
    /// The same, with the secret in a file.
    #[arg(long, value_name = "FILE", requires = "to", conflicts_with_all = ["key_file", "key_env", "sha1"],
        help_heading = "Signature")]
    pub(super) secret_file: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  A card was replaced at the Back Office; does every shop hear of it?
    ipn-router send --kind token.updated --token my-token
  What the gateway does when its call has failed, and what a click on \"send again\" does:
    ipn-router send --resend retry
    ipn-router send --resend bo
  A shop's developer, without any daemon:
    ipn-router send --to http://localhost:3000/token-events --secret-file lyon-events --kind token.cancelled";

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Resend {
    /// Because somebody at the Back Office has asked for it.
    Bo,
    /// By itself, because the first call has failed.
    Retry,
}

/// How often each notification is sent again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeats {
    /// The same bytes.
    pub(super) duplicates: u32,
    /// Written anew.
    pub(super) occasion: Option<Occasion>,
}

impl Options {
    pub(super) fn has_own_key(&self) -> bool {
        self.key_file.is_some() || self.key_env.is_some()
    }

    pub(super) fn sends_events(&self) -> bool {
        self.secret.is_some() || self.secret_file.is_some()
    }

    pub(super) fn needs_configuration(&self) -> bool {
        self.to.is_none() || !(self.has_own_key() || self.sends_events())
    }

    /// Only REST has a word for a card that was saved, be it created or updated.
    pub(super) fn format(&self) -> Format {
        self.format.unwrap_or(match self.kind {
            Kind::TokenSaved => Format::Rest,
            _ => Format::Form,
        })
    }

    pub(super) fn repeats(&self) -> Repeats {
        Repeats {
            duplicates: self.duplicates,
            occasion: self.resend.map(|resend| match resend {
                Resend::Bo => Occasion::Resend,
                Resend::Retry => Occasion::Retry,
            }),
        }
    }

    /// Something new that has happened, as asked for.
    pub(super) fn occurrence(&self, now: Timestamp) -> Occurrence {
        let mut occurrence = Occurrence::new(self.kind, now);
        if let Some(token) = &self.token {
            occurrence.token = Some(token.clone());
        }
        if let Some(order) = &self.order {
            occurrence.order = Some(order.clone());
        }
        occurrence
    }
}
