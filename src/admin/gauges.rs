use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::api::{self, DestinationStatus};
use super::listener::Inside;
use crate::domain::valid_until;
use crate::metrics::{DestinationReading, DestinationState, Reading};
use crate::outbox::OutboxError;

/// Looks how things stand, for metrics that cannot be counted.
pub(super) async fn read(inside: &Inside) -> Result<Reading, OutboxError> {
    let status = api::look(&inside.parts).await?;
    let now = status.now;
    let mut certificates = inside.parts.outbox.certificates();
    if let Some(file) = inside.own_certificate.clone() {
        let own = tokio::task::spawn_blocking(move || end_of(&file)).await;
        certificates.extend(own.ok().flatten().map(|until| ("receiver".to_owned(), until)));
    }
    Ok(Reading {
        destinations: status.destinations.iter().map(|one| destination(one, now)).collect(),
        silences: status
            .heard
            .into_iter()
            .map(|heard| (heard.legal_entity, heard.mode, now.duration_since(heard.at)))
            .collect(),
        certificates: certificates
            .into_iter()
            .map(|(whose, until)| (whose, until.duration_since(now)))
            .collect(),
        incidents: status.incidents.len(),
        parked: status.totals.parked,
        quarantined: status.totals.quarantined,
        emails_waiting: status.totals.emails_waiting,
        emails_failed: status.totals.emails_failed,
        store: status.space.map(|space| (space.used, space.free)),
    })
}

fn destination(status: &DestinationStatus, now: Timestamp) -> DestinationReading {
    let (line, load) = (&status.line, &status.load);
    let state = match (line.parked_since, line.paused_since, line.down_since) {
        (Some(_), ..) => DestinationState::Parked,
        (None, Some(_), _) => DestinationState::Paused,
        (None, None, Some(_)) => DestinationState::Down,
        (None, None, None) => DestinationState::Up,
    };
    let since = |time: Option<Timestamp>| {
        let age = time.map(|time| now.duration_since(time));
        age.unwrap_or_default().max(SignedDuration::ZERO)
    };
    DestinationReading {
        key: line.key.clone(),
        state,
        waiting: load.waiting,
        oldest: since(load.oldest),
        overdue: since(load.next_attempt),
    }
}

fn end_of(file: &Path) -> Option<Timestamp> {
    valid_until(&CertificateDer::from_pem_file(file).ok()?)
}
