use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::Context;
use bytes::Bytes;
use clap::Args;

use super::check::CONFIGURATION_ERROR;
use super::page::FAINT;
use super::screen;
use crate::domain::{Format, Mode, ShopId};
use crate::route::{Happening, kind};
use crate::verify::{Explanation, Keyring, MismatchHint, VerifiedNotification, VerifyError};

/// Says whether the gateway has signed a notification, and if not, why.
///
/// Nothing is stored or sent. Exit codes: 0 it has, 1 it has not, 78 the configuration has errors.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// A file with the body of the request, as it was received; `-` reads the standard input.
    #[arg(long, value_name = "FILE")]
    body: PathBuf,
}

pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();

pub(super) fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let Some(loaded) = super::load(file)? else {
        return Ok(ExitCode::from(CONFIGURATION_ERROR));
    };
    let body = read(&options.body).with_context(|| format!("cannot read {}", options.body.display()))?;
    let explanation = Keyring::new(loaded.config.keys).explain(body);
    tell(&explanation, &mut screen::stdout())?;
    Ok(ExitCode::from(u8::from(explanation.verdict.is_err())))
}

/// Reads a recorded body. Editors and `echo` end a file with a line end, which no body has.
pub(super) fn read(path: &Path) -> io::Result<Bytes> {
    let mut body = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut body)?;
    } else {
        body = fs::read(path)?;
    }
    body.truncate(body.trim_ascii_end().len());
    Ok(body.into())
}

fn tell(explanation: &Explanation, out: &mut impl Write) -> io::Result<()> {
    for (label, text) in &explanation.facts {
        writeln!(out, "{FAINT}{label:<12}{FAINT:#} {text}")?;
    }
    match &explanation.verdict {
        Ok(verified) => {
            writeln!(out, "{FAINT}{:<12}{FAINT:#} {}", "kind", kind_of(verified))?;
            writeln!(out, "\n{GOOD}The signature is right.{GOOD:#}")?;
            if verified.is_quarantined() {
                writeln!(
                    out,
                    "But perhaps it is no notification: it would wait for an operator's release."
                )?;
            }
            Ok(())
        }
        Err(error) => {
            writeln!(out, "\n{BAD}It would be refused:{BAD:#} {error}.")?;
            writeln!(out, "{}", advice(error))
        }
    }
}

fn kind_of(verified: &VerifiedNotification) -> &'static str {
    kind(&Happening::read(verified.content())).name()
}

/// What to do about it.
pub(super) fn advice(error: &VerifyError) -> String {
    match error {
        VerifyError::Malformed(_) => {
            "Save the body of the request byte for byte: not decoded, not pretty-printed, without the headers.".into()
        }
        VerifyError::NotANotification { .. } => {
            "Buyers see such texts, so none is accepted. The gateway's notifications carry vads_hash.".into()
        }
        VerifyError::SignatureMismatch {
            shop,
            mode,
            format,
            hint,
        } => advice_on_mismatch(*hint, &place(*shop, *mode, *format)),
        VerifyError::UnknownShop { shop, mode, format, .. } => {
            let shop = shop.as_deref().and_then(|shop| shop.parse().ok());
            format!("Give the configuration {}.", place(shop, *mode, *format))
        }
        VerifyError::WrongMode {
            shop,
            format,
            written,
            matched,
        } => format!(
            "Look whether {} and {} are mixed up.",
            place(Some(*shop), Some(*written), *format),
            place(Some(*shop), Some(*matched), *format)
        ),
    }
}

fn advice_on_mismatch(hint: MismatchHint, place: &str) -> String {
    match hint {
        MismatchHint::BlankInKey => format!("Remove the blanks around {place}."),
        MismatchHint::BrowserReturnKey | MismatchHint::OtherKeyFamily => {
            "A notification is signed with the REST password; this is what a buyer's browser carries back.".into()
        }
        MismatchHint::KeyOrText => format!(
            "Compare {place} with the Back Office (Settings > Shop > Keys); \
             if it is the same, the body was altered on its way here."
        ),
        MismatchHint::NobodysAnswer | MismatchHint::SeveralShops => {
            "Without shop and mode, only a password that one shop alone has can tell whose it is.".into()
        }
        MismatchHint::OtherHash { .. } => {
            "Set form_hash of this shop and mode as the Back Office has it (Settings > Shop > Keys).".into()
        }
        MismatchHint::OtherShop => format!("Look whether {place} stands in another shop's table."),
        MismatchHint::Shapeless(_) | MismatchHint::VersionOne => {
            "Look whether the body is complete, and as it was received.".into()
        }
    }
}

/// `form_key of [shops.12345678.test]`.
fn place(shop: Option<ShopId>, mode: Option<Mode>, format: Format) -> String {
    let key = match format {
        Format::Form => "form_key",
        Format::Rest => "rest_password",
    };
    let shop = shop.map_or("…".to_owned(), |shop| shop.to_string());
    let mode = mode.map_or("…".to_owned(), |mode| mode.word().to_lowercase());
    format!("{key} of [shops.{shop}.{mode}]")
}
