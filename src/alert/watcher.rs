//! What the router looks after of itself: the room on the store's disk, and the ends of certificates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::Rules;
use crate::domain::{CertificateOwner, DiskRoom, Trouble, is_end_due, valid_until};
use crate::outbox::{Outbox, OutboxError, TroubleRow};

/// Between two looks; a disk fills in minutes at the fastest.
const EVERY: SignedDuration = SignedDuration::from_secs(60);

/// What was told before that was about something else by now.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(60 * 24);

/// Looks once a minute; remembers what was told, also over a restart.
#[derive(Debug, Default)]
pub(super) struct Watch {
    looked_at: Option<Timestamp>,
    told: Option<Told>,
}

/// What people were told, as the store has it.
#[derive(Debug)]
struct Told {
    room: DiskRoom,
    /// For each certificate the end that was told, and when.
    ends: BTreeMap<CertificateOwner, (Timestamp, Timestamp)>,
}

/// What there is to see.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// Bytes free, and with how few nothing new is accepted.
    disk: Option<(u64, u64)>,
    certificates: Vec<(CertificateOwner, Timestamp)>,
}

impl Watch {
    /// Reports what is to be told, if it is time to look again; returns when it will be.
    pub(super) async fn look(
        &mut self,
        outbox: &Outbox,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Timestamp, OutboxError> {
        if let Some(next) = self.looked_at.map(|last| last + EVERY).filter(|next| *next > now) {
            return Ok(next);
        }
        let told = match &mut self.told {
            Some(told) => told,
            unknown => {
                let since = now.saturating_sub(REMEMBERED).unwrap_or(Timestamp::MIN);
                let rows = outbox
                    .troubles_since(since, &["certificate", "disk", "disk-full"])
                    .await?;
                unknown.insert(Told::by(&rows))
            }
        };
        for trouble in told.due(&seen(outbox, rules), now) {
            outbox.report(trouble.clone(), now).await?;
            told.add(&trouble, now);
        }
        self.looked_at = Some(now);
        Ok(now + EVERY)
    }
}

fn seen(outbox: &Outbox, rules: &Rules) -> Seen {
    let served: BTreeSet<_> = rules
        .destinations
        .values()
        .filter_map(|one| one.url.host_str())
        .collect();
    let of_shops = outbox.certificates().into_iter();
    let of_shops = of_shops
        .filter(|(host, _)| served.contains(&**host))
        .map(|(host, until)| (CertificateOwner::Host(host), until));
    let own = rules.own_certificate.as_deref().and_then(own_certificate);
    Seen {
        disk: outbox.disk(),
        certificates: of_shops.chain(own).collect(),
    }
}

/// The file is read each time: it is renewed beside us. One that cannot be read is `check`'s business.
fn own_certificate(path: &Path) -> Option<(CertificateOwner, Timestamp)> {
    let certificate = CertificateDer::from_pem_file(path).ok()?;
    let owner = CertificateOwner::Receiver(path.display().to_string());
    Some((owner, valid_until(&certificate)?))
}

impl Told {
    fn by(rows: &[TroubleRow]) -> Self {
        let mut told = Self {
            room: DiskRoom::Enough,
            ends: BTreeMap::new(),
        };
        for row in rows {
            told.add(&row.trouble, row.at);
        }
        told
    }

    fn add(&mut self, trouble: &Trouble, at: Timestamp) {
        match trouble {
            Trouble::Disk { room, .. } => self.room = *room,
            Trouble::CertificateEnds { whose, until } => {
                self.ends.insert(whose.clone(), (*until, at));
            }
            _ => {}
        }
    }

    fn due(&self, seen: &Seen, now: Timestamp) -> Vec<Trouble> {
        let disk = seen.disk.and_then(|(free, reserve)| {
            let room = self.room.now(free, reserve);
            (room != self.room).then_some(Trouble::Disk { room, free, reserve })
        });
        let ends = seen.certificates.iter().filter_map(|(whose, until)| {
            let told = self.ends.get(whose).copied();
            is_end_due(*until, told, now).then(|| Trouble::CertificateEnds {
                whose: whose.clone(),
                until: *until,
            })
        });
        disk.into_iter().chain(ends).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap() + SignedDuration::from_hours(24 * day)
    }

    fn ends(host: &str, until: Timestamp) -> (CertificateOwner, Timestamp) {
        (CertificateOwner::Host(host.to_owned()), until)
    }

    #[test]
    fn each_is_told_once_and_a_restart_tells_nothing_again() {
        let seen = Seen {
            disk: Some((300, 256)),
            certificates: vec![ends("lyon.example", day(10)), ends("paris.example", day(60))],
        };
        let mut told = Told::by(&[]);
        let due = told.due(&seen, day(0));
        let lyon = Trouble::CertificateEnds {
            whose: CertificateOwner::Host("lyon.example".to_owned()),
            until: day(10),
        };
        let low = Trouble::Disk {
            room: DiskRoom::Low,
            free: 300,
            reserve: 256,
        };
        assert_eq!(due, [low, lyon.clone()]);
        let rows: Vec<_> = (1..)
            .zip(due)
            .map(|(id, trouble)| TroubleRow {
                id,
                at: day(0),
                trouble,
            })
            .collect();
        rows.iter().for_each(|row| told.add(&row.trouble, row.at));
        for told in [told, Told::by(&rows)] {
            assert_eq!(told.due(&seen, day(1)), []);
            assert_eq!(told.due(&seen, day(3)), vec![lyon.clone()], "a week before its end");
        }
    }

    #[test]
    fn disk_that_has_room_and_certificates_that_last_are_not_worth_a_word() {
        let seen = Seen {
            disk: Some((2_000, 256)),
            certificates: vec![ends("lyon.example", day(90))],
        };
        assert_eq!(Told::by(&[]).due(&seen, day(0)), []);
        assert_eq!(Told::by(&[]).due(&Seen::default(), day(0)), []);
    }
}
