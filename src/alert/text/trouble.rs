use std::collections::BTreeSet;

use super::Email;
use super::layout::{Page, subject};
use super::own::{certificate, disk, not_stored, signature, store_failed};
use super::silence::silence;
use super::words::{SEND_AGAIN, at, count};
use crate::domain::{Format, Mode, NotificationId, ShopId, Trouble};
use crate::outbox::TroubleRow;

/// As many are named in an e-mail.
pub(super) const LISTED: usize = 10;

/// Returns the e-mail to the operators about troubles of one word ([`Trouble::word`]), oldest first.
pub(in crate::alert) fn trouble_email(rows: &[&TroubleRow]) -> Email {
    let mut page = Page::default();
    let notifications = || number_of(rows.len(), "notification", "notifications");
    let state = match rows.first().map(|row| &row.trouble) {
        Some(Trouble::CertificateEnds { .. }) => certificate(&mut page, rows),
        Some(Trouble::Disk { .. }) => disk(&mut page, rows),
        Some(Trouble::NotStored { .. }) => not_stored(&mut page, rows),
        Some(Trouble::SignaturesRefused { .. } | Trouble::SignaturesRight { .. }) => signature(&mut page, rows),
        Some(Trouble::StoreFailed { why }) => store_failed(&mut page, rows, why),
        Some(Trouble::Parked { .. }) => {
            parked(&mut page);
            format!("{} with nowhere to go", notifications())
        }
        Some(Trouble::Quarantined { .. }) => {
            quarantined(&mut page);
            format!("{} quarantined", notifications())
        }
        Some(Trouble::ReloadRefused { .. }) => {
            reload_refused(&mut page, rows);
            "the changed configuration is not applied".to_owned()
        }
        Some(Trouble::HeardAgain { .. } | Trouble::Silence { .. }) => silence(&mut page, rows),
        Some(Trouble::UnknownShop { .. }) | None => {
            unknown_shop(&mut page, rows);
            let shops = number_of(unknown_shops(rows).len(), "unknown shop", "unknown shops");
            format!("notifications of {shops} refused")
        }
    };
    the_notifications(&mut page, rows);
    let mut modes: Vec<&str> = rows
        .iter()
        .filter_map(|row| mode(&row.trouble))
        .map(Mode::word)
        .collect();
    modes.sort_unstable();
    modes.dedup();
    Email {
        subject: subject(&modes.join(", "), &["ipn-router"], &state),
        text: page.finish(),
    }
}

pub(super) fn number_of(number: usize, one: &str, more: &str) -> String {
    count(u64::try_from(number).unwrap_or(u64::MAX), one, more)
}

fn mode(trouble: &Trouble) -> Option<Mode> {
    match trouble {
        Trouble::HeardAgain { mode, .. }
        | Trouble::Parked { mode, .. }
        | Trouble::Quarantined { mode, .. }
        | Trouble::SignaturesRefused { mode, .. }
        | Trouble::SignaturesRight { mode, .. }
        | Trouble::Silence { mode, .. }
        | Trouble::UnknownShop { mode, .. } => Some(*mode),
        Trouble::CertificateEnds { .. }
        | Trouble::Disk { .. }
        | Trouble::NotStored { .. }
        | Trouble::ReloadRefused { .. }
        | Trouble::StoreFailed { .. } => None,
    }
}

fn reload_refused(page: &mut Page, rows: &[&TroubleRow]) {
    page.heading("What happened");
    page.paragraph("The configuration was to be read again, and cannot be used as it is written now.");
    if let Some(TroubleRow {
        at: when,
        trouble: Trouble::ReloadRefused { by, why },
        ..
    }) = rows.last()
    {
        page.fact("At", &at(*when));
        page.fact("Asked by", by);
        for problem in why.iter().take(LISTED) {
            page.quote(problem);
        }
        if why.len() > LISTED {
            page.paragraph(&format!("And {} more.", why.len() - LISTED));
        }
    }
    page.heading("What it means");
    page.paragraph(
        "The configuration before it runs on, unchanged: nothing is lost, and nothing that was meant to change has \
         changed.",
    );
    page.heading("What happens next by itself");
    page.paragraph(
        "Nothing. At the next restart the router would not start with this file. You are told of more at most once an \
         hour.",
    );
    page.heading("What you can do now");
    page.step(1, "See everything that is wrong, with what to write instead; mend it:");
    page.command("ipn-router check");
    page.step(2, "Have it read again (with --confirm, if you mean what is dangerous):");
    page.command("ipn-router reload");
}

fn parked(page: &mut Page) {
    page.heading("What happened");
    page.paragraph(
        "The gateway sent notifications that nobody can be given: the company is disabled, or none of its shops has a \
         URL for them. They were verified and stored, and the gateway was told so.",
    );
    page.heading("What it means");
    page.paragraph("The shops do not know what these notifications tell.");
    page.heading("What happens next by itself");
    page.paragraph(
        "Nothing, until the configuration is changed. What waits for a disabled company goes out once it is enabled. \
         You are told of more at most once an hour.",
    );
    page.heading("What you can do now");
    page.step(
        1,
        "Enable the company, or give its shops the URLs that they lack; check it, and have the router read it again:",
    );
    page.command("ipn-router check && ipn-router reload");
    page.step(
        2,
        &format!("Have the gateway send again what no shop had a URL for: {SEND_AGAIN}."),
    );
}

fn quarantined(page: &mut Page) {
    page.heading("What happened");
    page.paragraph(
        "Something arrived that is signed with the right key, but does not look like a notification as the gateway \
         documents it. It may be the cancellation of a token, whose form is undocumented. It was stored, and is given \
         to no shop.",
    );
    page.heading("What it means");
    page.paragraph("If it was a cancellation, the company's shops may still offer a card that no longer works.");
    page.heading("What happens next by itself");
    page.paragraph("Nothing. You are told of more at most once an hour.");
    page.heading("What you can do now");
    page.step(
        1,
        "Look in the Back Office whether a token of this shop was cancelled at that time; if so, take the card out of \
         the shops that still offer it.",
    );
    page.step(
        2,
        "If nobody did anything at that time, somebody may be trying out a buyer's request: look into the access log.",
    );
}

fn unknown_shop(page: &mut Page, rows: &[&TroubleRow]) {
    let shops = unknown_shops(rows);
    page.heading("What happened");
    page.paragraph(
        "Notifications were refused (403), because no key is configured for their shop in their format and mode. They \
         may come from the gateway or from a stranger: without a key nobody can tell.",
    );
    for (site_id, format, mode) in shops.iter().take(LISTED) {
        page.fact("Shop", &format!("{site_id}, {format}, {mode}"));
    }
    if shops.len() > LISTED {
        page.paragraph(&format!("And {} more.", shops.len() - LISTED));
    }
    if let [first, .., last] = rows {
        page.fact("Between", &format!("{} and {}", at(first.at), at(last.at)));
    } else if let [only] = rows {
        page.fact("At", &at(only.at));
    }
    page.heading("What it means");
    page.paragraph("If they are the gateway's, no shop of the company knows what they tell. Nothing was stored.");
    page.heading("What happens next by itself");
    page.paragraph("The gateway may try again for about an hour. You are told of more at most once an hour.");
    page.heading("What you can do now");
    page.step(
        1,
        "If the shop is yours, add its key from the Back Office (Settings > Shop > Keys), `form_key` for form, \
         `rest_password` for rest; check it, and have the router read it again:",
    );
    page.command("ipn-router check && ipn-router reload");
    page.step(
        2,
        &format!("Have the gateway send again what was refused: {SEND_AGAIN}."),
    );
    page.step(
        3,
        "If the shop is not yours, find out who calls: the address is in the router's log, after \"refused a call \
         from\".",
    );
}

/// Each once: they are reported once an hour, however many notifications come.
fn unknown_shops<'a>(rows: &[&'a TroubleRow]) -> BTreeSet<(&'a str, Format, Mode)> {
    let shop = |row: &&'a TroubleRow| match &row.trouble {
        Trouble::UnknownShop { site_id, format, mode } => {
            Some((site_id.as_deref().unwrap_or("no shop id"), *format, *mode))
        }
        _ => None,
    };
    rows.iter().filter_map(shop).collect()
}

fn the_notifications(page: &mut Page, rows: &[&TroubleRow]) {
    let stored: Vec<_> = rows.iter().filter_map(|row| stored(&row.trouble)).collect();
    if stored.is_empty() {
        return;
    }
    page.heading("The first notifications");
    for (id, shop, mode) in stored.into_iter().take(LISTED) {
        page.item(
            &format!("{}, shop {shop}, {mode}", at(id.received_at())),
            &format!("id {id}"),
        );
    }
}

fn stored(trouble: &Trouble) -> Option<(NotificationId, ShopId, Mode)> {
    match trouble {
        Trouble::Parked {
            notification,
            shop,
            mode,
        }
        | Trouble::Quarantined {
            notification,
            shop,
            mode,
        } => Some((*notification, *shop, *mode)),
        _ => None,
    }
}
