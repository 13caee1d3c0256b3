use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::api::{self, DestinationStatus, Status};
use super::listener::Inside;
use crate::domain::{Circle, LegalEntityId, Member, Mode, valid_until};
use crate::metrics::{DestinationReading, DestinationState, Reading};
use crate::outbox::OutboxError;

/// Looks how things stand, for metrics that cannot be counted.
pub(super) async fn read(inside: &Inside) -> Result<Reading, OutboxError> {
    let parts = &inside.parts;
    let status = api::look(parts).await?;
    let now = status.now;
    let circles = parts.circles.borrow().clone();
    let urls = circles.iter().flat_map(|circle| &circle.members).flat_map(Member::urls);
    let hosts: HashSet<_> = urls.filter_map(|url| url.host_str()).collect();
    let mut certificates = parts.outbox.certificates();
    certificates.retain(|(host, _)| hosts.contains(&**host));
    if let Some(file) = inside.own_certificate.clone() {
        let own = tokio::task::spawn_blocking(move || end_of(&file)).await;
        certificates.extend(own.ok().flatten().map(|until| ("receiver".to_owned(), until)));
    }
    Ok(Reading {
        destinations: status.destinations.iter().map(|one| destination(one, now)).collect(),
        silences: silences(&circles, &status),
        signatures: parts.intake.refused_signatures(),
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

/// Of companies that are switched on and that the gateway can notify.
fn silences(circles: &[Arc<Circle>], status: &Status) -> Vec<(LegalEntityId, Mode, SignedDuration)> {
    let can_be_heard =
        |circle: &&Arc<Circle>| circle.legal_entity.enabled && circle.members.iter().any(Member::is_notified);
    circles
        .iter()
        .filter(can_be_heard)
        .map(|circle| {
            let (id, mode) = (&circle.legal_entity.id, circle.mode);
            let heard = status
                .heard
                .iter()
                .find(|heard| heard.legal_entity == *id && heard.mode == mode);
            let last = heard.map_or(status.since, |heard| heard.at);
            (id.clone(), mode, status.now.duration_since(last))
        })
        .collect()
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
