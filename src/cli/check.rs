mod online;
mod table;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::cli::screen;
use crate::config::{self, Diagnostic, Loaded, Severity};
use crate::domain::{Clock, SystemClock};
use online::{Finding, Verdict};

/// Says everything that is wrong with the configuration, without applying it.
///
/// Exit codes: 0 no error, 1 warnings with --deny-warnings or something that --online cannot reach, 78 errors.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// Fail on warnings too.
    #[arg(long)]
    deny_warnings: bool,
    /// Looks too whether every URL, the mail server and the store can be reached from here, and how long certificates
    /// last. Connects, and sends nothing.
    #[arg(long)]
    online: bool,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// For people, or for programs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Format {
    Json,
    Text,
}

/// `EX_CONFIG` of sysexits.h.
pub(super) const CONFIGURATION_ERROR: u8 = 78;

pub(super) fn run(file: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let loaded = config::load(file);
    let counts = Counts::of(diagnostics(&loaded));
    let now = SystemClock.now();
    let found = match &loaded {
        Ok(loaded) if options.online => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Some(runtime.block_on(online::look_at(&loaded.config, now)))
        }
        _ => None,
    };
    let mut out = screen::stdout();
    match options.format {
        Format::Json => {
            let mut json = to_json(&loaded, &counts);
            json["online"] = found.as_ref().map(|found| table::to_json(found, now)).into();
            writeln!(out, "{json:#}")?;
        }
        Format::Text => {
            print(diagnostics(&loaded), io::stdout().is_terminal(), &mut out)?;
            writeln!(out, "{}: {}", file.display(), closing_line(&loaded, &counts))?;
            if let Some(found) = &found {
                writeln!(out)?;
                table::print(found, now, &mut out)?;
            }
        }
    }
    let of_online = exit_code_of(found.as_deref().unwrap_or_default(), options.deny_warnings);
    Ok(ExitCode::from(counts.exit_code(options.deny_warnings).max(of_online)))
}

fn exit_code_of(found: &[Finding], deny_warnings: bool) -> u8 {
    let worst = found.iter().map(|finding| finding.verdict).max();
    let enough = if deny_warnings {
        Verdict::Warning
    } else {
        Verdict::Fails
    };
    u8::from(worst.is_some_and(|worst| worst >= enough))
}

/// Each with the line that it is about.
pub(super) fn print(diagnostics: &[Diagnostic], coloured: bool, out: &mut impl Write) -> io::Result<()> {
    diagnostics
        .iter()
        .try_for_each(|diagnostic| writeln!(out, "{}\n", diagnostic.to_text(coloured)))
}

fn diagnostics(loaded: &Result<Loaded, Vec<Diagnostic>>) -> &[Diagnostic] {
    match loaded {
        Ok(loaded) => &loaded.diagnostics,
        Err(diagnostics) => diagnostics,
    }
}

struct Counts {
    errors: usize,
    notes: usize,
    warnings: usize,
}

impl Counts {
    fn of(diagnostics: &[Diagnostic]) -> Self {
        let count = |severity| diagnostics.iter().filter(|d| d.severity() == severity).count();
        Self {
            errors: count(Severity::Error),
            notes: count(Severity::Note),
            warnings: count(Severity::Warning),
        }
    }

    fn exit_code(&self, deny_warnings: bool) -> u8 {
        if self.errors > 0 {
            CONFIGURATION_ERROR
        } else {
            u8::from(deny_warnings && self.warnings > 0)
        }
    }
}

/// "2 companies, 5 shops, 9 destinations; 0 errors, 1 warning".
fn closing_line(loaded: &Result<Loaded, Vec<Diagnostic>>, counts: &Counts) -> String {
    let mut found = format!(
        "{}, {}",
        counted(counts.errors, "error", "errors"),
        counted(counts.warnings, "warning", "warnings")
    );
    if counts.notes > 0 {
        found = format!("{found}, {}", counted(counts.notes, "note", "notes"));
    }
    match loaded {
        Ok(loaded) => format!(
            "{}, {}, {}; {found}",
            counted(loaded.legal_entities, "company", "companies"),
            counted(loaded.shops, "shop", "shops"),
            counted(loaded.config.destinations.len(), "destination", "destinations"),
        ),
        Err(_) => found,
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn to_json(loaded: &Result<Loaded, Vec<Diagnostic>>, counts: &Counts) -> serde_json::Value {
    let mut json = json!({
        "errors": counts.errors,
        "warnings": counts.warnings,
        "notes": counts.notes,
        "diagnostics": diagnostics(loaded).iter().map(Diagnostic::to_json).collect::<Vec<_>>(),
    });
    if let Ok(loaded) = loaded {
        json["legal_entities"] = loaded.legal_entities.into();
        json["shops"] = loaded.shops.into();
        json["destinations"] = loaded.config.destinations.len().into();
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_exit_with_78_and_warnings_only_when_denied() {
        let of = |errors, warnings, deny| {
            Counts {
                errors,
                warnings,
                notes: 9,
            }
            .exit_code(deny)
        };
        assert_eq!((of(0, 0, true), of(0, 2, false), of(0, 2, true)), (0, 0, 1));
        assert_eq!((of(1, 0, false), of(1, 2, true)), (78, 78));
    }

    #[test]
    fn closing_line_is_in_words() {
        let counts = Counts {
            errors: 0,
            warnings: 1,
            notes: 2,
        };
        let line = closing_line(&Err(Vec::new()), &counts);
        assert_eq!(line, "0 errors, 1 warning, 2 notes");
    }
}
