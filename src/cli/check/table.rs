use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::counted;
use super::online::{Finding, Verdict, days_until};
use crate::cli::page::{FAINT, beside};

const GOOD: Style = AnsiColor::Green.on_default();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// The column in which the text below a row stands.
const NOTES: usize = 6;

/// Prints what was found, one row for each, and what it comes to.
pub(super) fn print(found: &[Finding], now: Timestamp, out: &mut impl Write) -> io::Result<()> {
    let width = |cell: fn(&Finding) -> &str| found.iter().map(|f| cell(f).chars().count()).max().unwrap_or(0);
    let (what_width, at_width) = (width(|finding| &finding.what), width(|finding| &finding.at));
    writeln!(
        out,
        "{FAINT}      {:what_width$}  {:at_width$}  TLS  certificate until{FAINT:#}",
        "what", "where"
    )?;
    for finding in found {
        let (style, word) = match finding.verdict {
            Verdict::Fails => (BAD, "FAILS"),
            Verdict::Good => (GOOD, "ok"),
            Verdict::Off => (FAINT, "off"),
            Verdict::Warning => (WARNING, "warn"),
        };
        let row = format!(
            "{:what_width$}  {:at_width$}  {:<3}  {}",
            finding.what,
            finding.at,
            finding.tls,
            finding.until.map_or_else(String::new, |until| end(until, now))
        );
        writeln!(out, "{style}{word:<5}{style:#} {}", row.trim_end())?;
        for note in &finding.notes {
            beside(out, "", NOTES, note)?;
        }
    }
    writeln!(out, "{}", summary(found))
}

/// "2027-01-15, 54 days".
fn end(until: Timestamp, now: Timestamp) -> String {
    let date = until.to_zoned(TimeZone::UTC).date();
    format!(
        "{date}, {}",
        counted(usize::try_from(days_until(until, now)).unwrap_or(0), "day", "days")
    )
}

fn summary(found: &[Finding]) -> String {
    let count = |verdict| found.iter().filter(|finding| finding.verdict == verdict).count();
    let off = match count(Verdict::Off) {
        0 => String::new(),
        off => format!(", {off} switched off"),
    };
    format!(
        "{}{off}, {}, {}; nothing was sent",
        counted(found.len() - count(Verdict::Off), "thing looked at", "things looked at"),
        counted(count(Verdict::Fails), "failure", "failures"),
        counted(count(Verdict::Warning), "warning", "warnings")
    )
}

/// The same for programs.
pub(super) fn to_json(found: &[Finding], now: Timestamp) -> Vec<Value> {
    let json = |finding: &Finding| {
        json!({
            "what": finding.what,
            "where": finding.at,
            "tls": finding.tls,
            "certificate_until": finding.until.map(|until| until.to_string()),
            "certificate_days": finding.until.map(|until| days_until(until, now)),
            "verdict": match finding.verdict {
                Verdict::Fails => "fails",
                Verdict::Good => "ok",
                Verdict::Off => "off",
                Verdict::Warning => "warning",
            },
            "notes": finding.notes,
        })
    };
    found.iter().map(json).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_aligned_and_notes_stand_below() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let finding = |what: &str, at: &str, tls: &str, until: Option<&str>, verdict, notes: &[&str]| Finding {
            what: what.to_owned(),
            at: at.to_owned(),
            tls: tls.to_owned(),
            until: until.map(|until| until.parse().unwrap()),
            verdict,
            notes: notes.iter().map(|note| (*note).to_owned()).collect(),
        };
        let found = [
            finding(
                "12345678 test form_url",
                "192.0.2.7:443",
                "1.3",
                Some("2027-01-15T10:00:00Z"),
                Verdict::Good,
                &[],
            ),
            finding(
                "23456789 test event_url",
                "lyon.example",
                "",
                None,
                Verdict::Fails,
                &["no address"],
            ),
            finding(
                "34567890 test form_url",
                "nice.example",
                "",
                None,
                Verdict::Off,
                &["not tried"],
            ),
        ];
        let mut out = anstream::StripStream::new(Vec::new());
        print(&found, now, &mut out).unwrap();
        let expected = "      what                     where          TLS  certificate until
ok    12345678 test form_url   192.0.2.7:443  1.3  2027-01-15, 54 days
FAILS 23456789 test event_url  lyon.example
      no address
off   34567890 test form_url   nice.example
      not tried
2 things looked at, 1 switched off, 1 failure, 0 warnings; nothing was sent
";
        assert_eq!(String::from_utf8(out.into_inner()).unwrap(), expected);
    }
}
