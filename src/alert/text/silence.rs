use std::collections::BTreeMap;
use std::time::Duration;

use super::layout::Page;
use super::trouble::{LISTED, number_of};
use super::words::{SEND_AGAIN, at, lasting};
use crate::domain::{LegalEntityId, Mode, Trouble};
use crate::outbox::TroubleRow;

/// What is told last of each company, in the mode that counts for it.
type Newest<'a> = BTreeMap<(&'a LegalEntityId, Mode), &'a TroubleRow>;

/// Writes of silences that begin or end, and returns the state for the subject.
pub(super) fn silence(page: &mut Page, rows: &[&TroubleRow]) -> String {
    let (silent, heard): (Newest<'_>, Newest<'_>) = newest(rows)
        .into_iter()
        .partition(|(_, row)| matches!(row.trouble, Trouble::Silence { .. }));
    if silent.is_empty() {
        heard_again(page, &heard);
        return format!("the gateway is heard again for {}", companies(&heard));
    }
    what_happened(page, &silent, &heard);
    what_to_do(page, &silent);
    format!("nothing from the gateway for {}", companies(&silent))
}

fn newest<'a>(rows: &[&'a TroubleRow]) -> Newest<'a> {
    let of_company = |row: &&'a TroubleRow| match &row.trouble {
        Trouble::HeardAgain { legal_entity, mode, .. } | Trouble::Silence { legal_entity, mode, .. } => {
            Some(((legal_entity, *mode), *row))
        }
        _ => None,
    };
    rows.iter().filter_map(of_company).collect()
}

fn companies(newest: &Newest<'_>) -> String {
    match newest.keys().next() {
        Some((legal_entity, _)) if newest.len() == 1 => legal_entity.to_string(),
        _ => number_of(newest.len(), "company", "companies"),
    }
}

fn what_happened(page: &mut Page, silent: &Newest<'_>, heard: &Newest<'_>) {
    page.heading("What happened");
    page.paragraph("Nothing has come from the gateway for longer than `expect_every` says.");
    for ((legal_entity, mode), row) in silent.iter().take(LISTED) {
        let Trouble::Silence {
            since,
            last_heard,
            expected_every,
            ..
        } = &row.trouble
        else {
            continue;
        };
        page.fact("Company", &format!("{legal_entity}, {mode}"));
        match last_heard {
            Some(last) => page.fact("Last heard", &format!("{}, {} ago", at(*last), lasting(*last, row.at))),
            None => page.fact("Last heard", "never"),
        }
        let every = format!("at least every {}", words(*expected_every));
        if *last_heard == Some(*since) {
            page.fact("Expected", &every);
        } else {
            page.fact("Expected", &format!("{every}, since {}", at(*since)));
        }
    }
    and_more(page, silent);
    if !heard.is_empty() {
        page.paragraph("Heard again meanwhile:");
        the_heard(page, heard);
    }
    page.heading("What it means");
    page.paragraph(
        "Perhaps nothing has happened at these shops, or this router was not running. Or the gateway does not call it \
         any more, or cannot: then the shops do not learn of new, replaced and cancelled cards, and nothing else tells \
         you.",
    );
    page.heading("What happens next by itself");
    page.paragraph(
        "You are told when the gateway is heard again. As long as it is not, you are told again each time that \
         `expect_every` is over, at most once a day.",
    );
}

fn what_to_do(page: &mut Page, silent: &Newest<'_>) {
    page.heading("What you can do now");
    let test = if silent.keys().any(|(_, mode)| *mode == Mode::Test) {
        " In TEST it counts as heard."
    } else {
        ""
    };
    page.step(
        1,
        &format!(
            "See that this side works: a notification in TEST as the gateway sends it, for the shops of TEST.{test}"
        ),
    );
    page.command("ipn-router send");
    page.step(
        2,
        "See that the way to it works: the same from a machine outside, with --to and the URL that the gateway calls. \
         If it ends on the way: look at the DNS entry, the certificate, the firewall, the proxy.",
    );
    page.step(
        3,
        "In the Back Office of each shop, under Settings > Notification rules: is the rule enabled, and does it name \
         this router's URL for this mode?",
    );
    page.step(
        4,
        &format!(
            "Look at the shop's last transactions in the Back Office: is the notification shown as failed? Once it can \
             arrive, have each sent again: {SEND_AGAIN}."
        ),
    );
    page.step(
        5,
        "If it is often so quiet, write a longer `expect_every` for the company.",
    );
}

fn heard_again(page: &mut Page, heard: &Newest<'_>) {
    page.heading("What happened");
    page.paragraph("The gateway has called again, with a notification that is rightly signed.");
    the_heard(page, heard);
    page.heading("What it means");
    page.paragraph(
        "What it tells arrives again. What it could not deliver in the meantime does not come by itself: it tries for \
         about an hour.",
    );
    page.heading("What happens next by itself");
    page.paragraph("Nothing more is needed. You are told if it falls silent again.");
    page.heading("What you can do now");
    page.step(
        1,
        &format!(
            "If its calls have failed in this time (the Back Office shows it at each transaction), have them sent \
             again: {SEND_AGAIN}."
        ),
    );
}

fn the_heard(page: &mut Page, heard: &Newest<'_>) {
    for ((legal_entity, mode), row) in heard.iter().take(LISTED) {
        if let Trouble::HeardAgain { silent_since, .. } = row.trouble {
            page.fact("Company", &format!("{legal_entity}, {mode}"));
            page.fact(
                "Heard",
                &format!("{}, after {}", at(row.at), lasting(silent_since, row.at)),
            );
        }
    }
    and_more(page, heard);
}

fn and_more(page: &mut Page, newest: &Newest<'_>) {
    if newest.len() > LISTED {
        page.paragraph(&format!("And {} more.", newest.len() - LISTED));
    }
}

/// A time as it was configured.
fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (unit, word) = [(86_400, "d"), (3_600, "h"), (60, "min")]
        .into_iter()
        .find(|(unit, _)| seconds.is_multiple_of(*unit))
        .unwrap_or((1, "s"));
    format!("{} {word}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_they_were_configured() {
        for (hours, written) in [(1, "1 h"), (24, "1 d"), (36, "36 h"), (168, "7 d")] {
            assert_eq!(words(Duration::from_hours(hours)), written);
        }
        assert_eq!(words(Duration::from_mins(90)), "90 min");
        assert_eq!(words(Duration::from_secs(3_601)), "3601 s");
    }
}
