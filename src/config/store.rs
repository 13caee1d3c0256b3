//! `[store]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::codes;
use super::diagnostics::{Problem, Problems};
use super::outside::Outside;
use super::reader::{Given, Table, Value};
use super::secrets::secret;
use super::values::{duration, duration_from, text};
use crate::outbox;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is parked or a dead letter is kept so long at least, and its record with it (design.md 4).
const KEPT_UNRESOLVED: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Where the store is if nothing is said.
pub(super) const DEFAULT_PATH: &str = "/var/lib/ipn-router/outbox.db";

pub(super) fn read(table: Option<Table<'_>>, outside: &dyn Outside, problems: &mut Problems) -> outbox::Settings {
    let default = outbox::Settings {
        path: DEFAULT_PATH.into(),
        keep_bodies: 14 * DAY,
        keep_records: 400 * DAY,
    };
    let Some(mut table) = table else { return default };
    let url = table.optional("url", problems, sqlite_path);
    // SQLite has no password; PostgreSQL, which has, is refused by its URL.
    let password = table.optional("password", problems, secret(outside)).at();
    if let (Some(_), Some(password)) = (url.as_ref(), password) {
        let what = "SQLite has no `password`";
        problems.push(Problem::new(codes::UNUSED, &password.spot, what).instead("leave it out"));
    }
    let keep_bodies = table.optional("keep_bodies", problems, duration);
    let why = "what was not delivered is kept for 90 days, and its record with it";
    let keep_records = table.optional("keep_records", problems, duration_from(KEPT_UNRESOLVED, "90d", why));
    let records = keep_records.as_ref().map_or(default.keep_records, |at| at.value);
    bodies_go_first(&keep_bodies, records, problems);
    let settings = outbox::Settings {
        path: url.or(default.path),
        keep_bodies: keep_bodies.or(default.keep_bodies),
        keep_records: keep_records.or(default.keep_records),
    };
    table.refuse_the_rest(problems);
    settings
}

fn bodies_go_first(bodies: &Given<Duration>, records: Duration, problems: &mut Problems) {
    let Some(bodies) = bodies.as_ref().filter(|bodies| bodies.value > records) else {
        return;
    };
    problems.push(
        Problem::new(
            codes::TOO_LONG,
            &bodies.spot,
            "`keep_bodies` is longer than `keep_records`",
        )
        .why("a body goes with its record at the latest, and would not be kept as long as this says")
        .instead("raise `keep_records`, which is 400d if it is left out, or lower `keep_bodies`"),
    );
}

fn sqlite_path(value: &Value<'_>, problems: &mut Problems) -> Option<PathBuf> {
    let url = text(value, problems)?;
    let path = url.strip_prefix("sqlite:").map(|path| {
        path.strip_prefix("//")
            .filter(|path| path.starts_with('/'))
            .unwrap_or(path)
    });
    match path {
        Some(path) if !path.is_empty() && !path.starts_with("//") && path != ":memory:" => {
            return Some(value.folder().join(Path::new(path)));
        }
        _ => {}
    }
    let what = if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        "PostgreSQL is not supported by this version"
    } else {
        "`url` must name a SQLite file"
    };
    let problem = Problem::new(codes::UNSUPPORTED_STORE, &value.spot, what);
    problems.push(if url.starts_with('/') {
        problem.instead(format!("url = \"sqlite:{url}\""))
    } else {
        problem.instead("url = \"sqlite:/var/lib/ipn-router/outbox.db\"")
    });
    None
}
