//! What the router says of itself: its disk, certificates, keys, and what it could not store.

use std::collections::BTreeMap;

use super::layout::Page;
use super::trouble::{LISTED, number_of};
use super::words::{SEND_AGAIN, at, count, lasting};
use crate::domain::{CertificateOwner, DiskRoom, Format, Lost, Mode, ShopId, Trouble};
use crate::outbox::TroubleRow;

/// Notifications to be sent again by hand, each with what to search for.
const LISTED_LOST: usize = 100;

/// Writes of certificates that end, and returns the state for the subject.
pub(super) fn certificate(page: &mut Page, rows: &[&TroubleRow]) -> String {
    let mut newest = BTreeMap::new();
    for row in rows {
        if let Trouble::CertificateEnds { whose, until } = &row.trouble {
            newest.insert(whose, (*until, row.at));
        }
    }
    let ends = |until, told| {
        if until <= told {
            format!("ended at {}", at(until))
        } else {
            format!("ends at {}, in {}", at(until), lasting(told, until))
        }
    };
    page.heading("What happened");
    page.paragraph("A certificate ends soon, or has ended, and was not renewed in time:");
    for (whose, (until, told)) in newest.iter().take(LISTED) {
        match whose {
            CertificateOwner::Host(host) => page.fact("Shop", host),
            CertificateOwner::Receiver(path) => page.fact("Receiver", path),
        }
        page.fact("", &ends(*until, *told));
    }
    and_more(page, newest.len(), LISTED);
    let is_own = |whose: &&CertificateOwner| matches!(whose, CertificateOwner::Receiver(_));
    let (own, of_shops): (Vec<_>, Vec<_>) = newest.keys().copied().partition(is_own);
    page.heading("What it means");
    if !own.is_empty() {
        page.paragraph(
            "Once the receiver's own certificate has ended, the gateway refuses to call, and nothing arrives here any \
             more: the shops do not learn of new, replaced and cancelled cards.",
        );
    }
    if !of_shops.is_empty() {
        page.paragraph("Once a shop's certificate has ended, its notifications wait here until it is renewed.");
    }
    page.heading("What happens next by itself");
    page.paragraph(
        "You are told again 7 days and 1 day before the end, and when it has come. Once it is renewed, nothing more is \
         said.",
    );
    page.heading("What you can do now");
    page.step(1, "Renew it, or tell whoever runs the shop's server.");
    if own.is_empty() {
        page.step(2, "See what the shops' servers show now:");
    } else {
        page.step(
            2,
            "Restart the router, so that it shows the new one; see what it will show:",
        );
    }
    page.command("ipn-router check --online");
    match newest.iter().next() {
        Some((whose, (until, told))) if newest.len() == 1 => {
            let whose = match whose {
                CertificateOwner::Host(host) => format!("of {host}"),
                CertificateOwner::Receiver(_) => "of the receiver".to_owned(),
            };
            let state = if until <= told {
                "has ended".to_owned()
            } else {
                format!("ends in {}", lasting(*told, *until))
            };
            format!("the certificate {whose} {state}")
        }
        _ => format!("{} end", number_of(newest.len(), "certificate", "certificates")),
    }
}

/// Writes of the store's disk, as it is by the last row.
pub(super) fn disk(page: &mut Page, rows: &[&TroubleRow]) -> String {
    let Some(TroubleRow {
        at: when,
        trouble: Trouble::Disk { room, free, reserve },
        ..
    }) = rows.last()
    else {
        return String::new();
    };
    let (free, reserve) = (megabytes(*free), megabytes(*reserve));
    page.heading("What happened");
    page.paragraph(match room {
        DiskRoom::Enough => "The disk of the store has room again.",
        DiskRoom::Full => "The disk of the store is full: new notifications are refused (503).",
        DiskRoom::Low => "The disk of the store is nearly full. New notifications are still accepted.",
    });
    page.fact("At", &at(*when));
    page.fact("Free", &free);
    page.fact("Limit", &format!("at {reserve} nothing new is accepted"));
    page.heading("What it means");
    page.paragraph(match room {
        DiskRoom::Enough => "Everything is accepted as usual.",
        DiskRoom::Full => {
            "The gateway may not send again what is refused now, and then no shop of the company knows what it tells. \
             What was stored before is still delivered: the rest of the disk is kept for that."
        }
        DiskRoom::Low => "Nothing yet. Once the limit is reached, notifications are refused, and may be lost.",
    });
    page.heading("What happens next by itself");
    page.paragraph(match room {
        DiskRoom::Enough => "Nothing more is needed. What was refused in the meantime is told in an e-mail of its own.",
        DiskRoom::Full => {
            "Once there is room again, everything is accepted again, and you are told. What was refused is listed in an \
             e-mail of its own, so that it can be sent again by hand."
        }
        DiskRoom::Low => "You are told when nothing is accepted any more, and when there is room again.",
    });
    if *room != DiskRoom::Enough {
        page.heading("What you can do now");
        page.step(1, "See what fills the disk:");
        page.command("df -h");
        page.step(
            2,
            "Make room, or make the disk larger. Never delete the store, nor the files beside it.",
        );
        page.step(
            3,
            "If it is the store itself that grows: see which destination does not take its deliveries, or write a \
             shorter `keep_bodies` in [store].",
        );
    }
    match room {
        DiskRoom::Enough => "the disk has room again".to_owned(),
        DiskRoom::Full => format!("the disk is full, {free} free: notifications are refused"),
        DiskRoom::Low => format!("the disk is nearly full, {free} free"),
    }
}

/// Writes of what was answered 503, and what of it to send again by hand.
pub(super) fn not_stored(page: &mut Page, rows: &[&TroubleRow]) -> String {
    let refused = Refused::of(rows);
    page.heading("What happened");
    page.paragraph(
        "Notifications of the gateway could not be stored, and were answered 503: the disk is full, the store has \
         failed, or too much came at once.",
    );
    refused.facts(page);
    page.heading("What it means");
    page.paragraph(
        "The gateway may try again for about an hour, but it need not. What it does not send again, no shop of the \
         company knows of.",
    );
    page.heading("What happens next by itself");
    page.paragraph("Nothing. You are told of more at most once an hour.");
    page.heading("What you can do now");
    page.step(
        1,
        "See that it works again: room on the disk, and nothing else in the router's log.",
    );
    page.step(
        2,
        &format!(
            "In the Back Office look for each of these. If its notification is shown as failed, have it sent again: \
             {SEND_AGAIN}. What has arrived since is recognised, so once too often does no harm."
        ),
    );
    refused.list(page);
    format!(
        "{} not stored",
        count(refused.number(), "notification", "notifications")
    )
}

/// Writes of a store that has failed, with what was refused for it.
pub(super) fn store_failed(page: &mut Page, rows: &[&TroubleRow], why: &str) -> String {
    let refused = Refused::of(rows);
    page.heading("What happened");
    page.paragraph("The store has failed, and the router ends: it cannot promise anything any more.");
    page.quote(why);
    if let Some(row) = rows.first() {
        page.fact("At", &at(row.at));
    }
    refused.facts(page);
    page.heading("What it means");
    page.paragraph(
        "While the router does not run, the gateway's calls fail, and it may not send them again. What was stored \
         before is on the disk and goes out once the router runs again.",
    );
    page.heading("What happens next by itself");
    page.paragraph(
        "systemd starts it again, if it is set up so. If the fault lasts, it ends again; you are told of it at most once \
         an hour.",
    );
    page.heading("What you can do now");
    page.step(1, "Look at the router's log and the system's, and at the disk:");
    page.command("df -h");
    page.step(2, "See whether the store can be opened:");
    page.command("ipn-router check --online");
    page.step(
        3,
        &format!(
            "Once it runs, look in the Back Office for notifications shown as failed since then, and have them sent \
             again: {SEND_AGAIN}."
        ),
    );
    refused.list(page);
    "the store has failed, the router ends".to_owned()
}

/// Writes of signatures that are refused one after the other, or are right again.
pub(super) fn signature(page: &mut Page, rows: &[&TroubleRow]) -> String {
    let mut newest: BTreeMap<(ShopId, Mode, Format), &TroubleRow> = BTreeMap::new();
    for row in rows {
        if let Trouble::SignaturesRefused { shop, mode, format, .. }
        | Trouble::SignaturesRight { shop, mode, format, .. } = &row.trouble
        {
            newest.insert((*shop, *mode, *format), row);
        }
    }
    let is_refused = |row: &TroubleRow| matches!(row.trouble, Trouble::SignaturesRefused { .. });
    let (refused, right): (BTreeMap<_, _>, BTreeMap<_, _>) = newest.into_iter().partition(|(_, row)| is_refused(row));
    page.heading("What happened");
    if !refused.is_empty() {
        page.paragraph(
            "The signatures of several notifications in a row were wrong, and they were refused (403). No right one came \
             between.",
        );
    }
    for row in refused.values().chain(right.values()).take(LISTED) {
        signature_facts(page, row);
    }
    and_more(page, refused.len() + right.len(), LISTED);
    page.heading("What it means");
    if refused.is_empty() {
        page.paragraph("A right one has come: the key here is the gateway's.");
    } else {
        page.paragraph(
            "Most likely the key here is not the one of the Back Office: then every notification of this shop is \
             refused, and the company's shops do not learn of its cards. Or somebody else calls this URL.",
        );
    }
    page.heading("What happens next by itself");
    if refused.is_empty() {
        page.paragraph("What the gateway tells from now on arrives. It tries refused calls again for about an hour.");
    } else {
        page.paragraph("Nothing. You are told when a signature is right again, and once a day until then.");
    }
    page.heading("What you can do now");
    if refused.is_empty() {
        page.step(
            1,
            &format!("What was refused and does not come again, have sent again: {SEND_AGAIN}."),
        );
        return format!("signatures {} are right again", of_shops(&right));
    }
    page.step(
        1,
        "Compare the key with the Back Office, Settings > Shop > Keys: `form_key` for form, `rest_password` for rest, of \
         this mode. Put it right, check it, and have the router read it again:",
    );
    page.command("ipn-router check && ipn-router reload");
    page.step(
        2,
        &format!("Have the gateway send again what was refused: {SEND_AGAIN}."),
    );
    page.step(
        3,
        "If the key is right, somebody else calls: the address is in the router's log, after \"refused a call from\".",
    );
    format!("signatures {} are wrong", of_shops(&refused))
}

fn signature_facts(page: &mut Page, row: &TroubleRow) {
    let (Trouble::SignaturesRefused {
        shop,
        mode,
        format,
        refused,
        since,
        ..
    }
    | Trouble::SignaturesRight {
        shop,
        mode,
        format,
        refused,
        since,
    }) = &row.trouble
    else {
        return;
    };
    page.fact("Shop", &format!("{shop}, {format}, {mode}"));
    page.fact("Refused", &format!("{refused} in a row, since {}", at(*since)));
    match &row.trouble {
        Trouble::SignaturesRefused { hint, .. } => page.fact("Likely", hint),
        _ => page.fact("Right", &at(row.at)),
    }
}

fn of_shops(rows: &BTreeMap<(ShopId, Mode, Format), &TroubleRow>) -> String {
    match rows.keys().next() {
        Some((shop, ..)) if rows.len() == 1 => format!("of shop {shop}"),
        _ => format!("of {}", number_of(rows.len(), "key", "keys")),
    }
}

/// Everything that rows say of what was refused.
struct Refused<'a> {
    between: Option<(jiff::Timestamp, jiff::Timestamp)>,
    lost: Vec<&'a Lost>,
    more: u64,
    unread: u64,
}

impl<'a> Refused<'a> {
    fn of(rows: &[&'a TroubleRow]) -> Self {
        let mut all = Self {
            between: None,
            lost: Vec::new(),
            more: 0,
            unread: 0,
        };
        for row in rows {
            if let Trouble::NotStored {
                first_at,
                last_at,
                lost,
                more,
                unread,
            } = &row.trouble
            {
                let (first, last) = all.between.unwrap_or((*first_at, *last_at));
                all.between = Some((first.min(*first_at), last.max(*last_at)));
                all.lost.extend(lost);
                all.more += more;
                all.unread += unread;
            }
        }
        all
    }

    fn number(&self) -> u64 {
        u64::try_from(self.lost.len())
            .unwrap_or(u64::MAX)
            .saturating_add(self.more)
            .saturating_add(self.unread)
    }

    fn facts(&self, page: &mut Page) {
        let Some((first, last)) = self.between else { return };
        page.fact("Between", &format!("{} and {}", at(first), at(last)));
        page.fact("Refused", &count(self.number(), "notification", "notifications"));
        if self.unread > 0 {
            page.fact(
                "Unread",
                &format!(
                    "{} of them, because too much came at once: nothing is known of them",
                    self.unread
                ),
            );
        }
    }

    fn list(&self, page: &mut Page) {
        if self.lost.is_empty() {
            return;
        }
        page.heading("What to look for");
        for lost in self.lost.iter().take(LISTED_LOST) {
            page.item(
                &format!(
                    "{}, shop {}, {}, {}, {}",
                    at(lost.at),
                    lost.shop,
                    lost.mode,
                    lost.format,
                    lost.kind
                ),
                &search_terms(lost),
            );
        }
        let shown = self.lost.len().min(LISTED_LOST);
        let more = self.number() - self.unread - u64::try_from(shown).unwrap_or(u64::MAX);
        if more > 0 {
            page.paragraph(&format!(
                "And {more} more: each is in the router's log, after \"did not store a notification\"."
            ));
        }
    }
}

fn search_terms(lost: &Lost) -> String {
    let terms = [
        ("transaction", &lost.transaction),
        ("order", &lost.order),
        ("date", &lost.date),
        ("token", &lost.token),
    ];
    let known: Vec<_> = terms
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)))
        .collect();
    if known.is_empty() {
        "nothing to search for but the time".to_owned()
    } else {
        known.join(", ")
    }
}

fn and_more(page: &mut Page, number: usize, listed: usize) {
    if number > listed {
        page.paragraph(&format!("And {} more.", number - listed));
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::super::{Email, trouble_email};
    use super::*;
    use crate::domain::Kind;

    fn minute(minute: i64) -> Timestamp {
        "2026-10-17T14:02:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minute)
    }

    fn email(troubles: &[(i64, Trouble)]) -> Email {
        let rows: Vec<_> = (1..)
            .zip(troubles)
            .map(|(id, (at, trouble))| TroubleRow {
                id,
                at: minute(*at),
                trouble: trouble.clone(),
            })
            .collect();
        trouble_email(&rows.iter().collect::<Vec<_>>())
    }

    fn shop(number: u32) -> ShopId {
        format!("{number}").parse().unwrap()
    }

    fn lost(at: i64, kind: Kind, order: Option<&str>) -> Lost {
        Lost {
            at: minute(at),
            shop: shop(12_345_678),
            mode: Mode::Production,
            format: Format::Form,
            kind,
            transaction: Some("192ee2d72bfc4ab3a9b1230a4eb301cf".into()),
            order: order.map(str::to_owned),
            date: Some("20261017140200".into()),
            token: Some("0a1b…e8f9".into()),
        }
    }

    fn not_stored(unread: u64, more: u64) -> Trouble {
        let lost = vec![
            lost(0, Kind::TokenUpdated, None),
            lost(1, Kind::Payment, Some("2026-1234")),
            Lost {
                transaction: None,
                date: None,
                token: None,
                format: Format::Rest,
                ..lost(2, Kind::Other, None)
            },
        ];
        Trouble::NotStored {
            first_at: minute(0),
            last_at: minute(2),
            lost,
            more,
            unread,
        }
    }

    /// Golden ones: see `tests.rs`.
    pub(in crate::alert::text) fn emails() -> Vec<(&'static str, Email)> {
        let disk = |room, free: u64| Trouble::Disk {
            room,
            free: free * 1_000_000,
            reserve: 268_435_456,
        };
        let ends = |whose: CertificateOwner, days: i64| Trouble::CertificateEnds {
            whose,
            until: minute(0) + SignedDuration::from_hours(24 * days),
        };
        let own = || CertificateOwner::Receiver("/etc/ipn-router/tls/fullchain.pem".into());
        let host = |host: &str| CertificateOwner::Host(host.to_owned());
        let refused = |number, hint: &str| Trouble::SignaturesRefused {
            shop: shop(number),
            mode: Mode::Production,
            format: Format::Form,
            refused: 3,
            since: minute(-45),
            hint: hint.to_owned(),
        };
        let right = Trouble::SignaturesRight {
            shop: shop(12_345_678),
            mode: Mode::Production,
            format: Format::Form,
            refused: 5,
            since: minute(-45),
        };
        let failed = Trouble::StoreFailed {
            why: "disk I/O error".into(),
        };
        let another = "matches no key configured for this shop: another key, or text altered on the way";
        vec![
            ("trouble-disk-low", email(&[(0, disk(DiskRoom::Low, 912))])),
            ("trouble-disk-full", email(&[(0, disk(DiskRoom::Full, 201))])),
            (
                "trouble-disk-enough",
                email(&[(0, disk(DiskRoom::Low, 912)), (9, disk(DiskRoom::Enough, 4_100))]),
            ),
            ("trouble-certificate", email(&[(0, ends(own(), 14))])),
            (
                "trouble-certificate-of-shops",
                email(&[
                    (0, ends(host("lyon.acme.example"), 1)),
                    (0, ends(host("nice.acme.example"), 0)),
                ]),
            ),
            ("trouble-not-stored", email(&[(3, not_stored(0, 0))])),
            (
                "trouble-not-stored-in-a-flood",
                email(&[(3, not_stored(7, 210)), (4, not_stored(1, 0))]),
            ),
            ("trouble-signature", email(&[(0, refused(12_345_678, another))])),
            (
                "trouble-signature-of-several",
                email(&[
                    (0, refused(12_345_678, "is SHA-1, this shop expects HMAC-SHA-256")),
                    (1, refused(23_456_789, another)),
                ]),
            ),
            (
                "trouble-signature-right",
                email(&[(0, refused(12_345_678, another)), (5, right)]),
            ),
            ("trouble-store-failed", email(&[(0, failed), (0, not_stored(0, 0))])),
        ]
    }

    #[test]
    fn every_lost_notification_is_listed_or_counted() {
        let many: Vec<_> = (0..LISTED_LOST + 5)
            .map(|_| lost(0, Kind::TokenUpdated, None))
            .collect();
        let text = email(&[(
            0,
            Trouble::NotStored {
                first_at: minute(0),
                last_at: minute(0),
                lost: many,
                more: 10,
                unread: 3,
            },
        )])
        .text;
        assert_eq!(text.matches("transaction 192ee2d7").count(), LISTED_LOST);
        assert!(text.contains("And 15 more:") && text.contains("118 notifications") && text.contains("3 of them"));
    }
}
