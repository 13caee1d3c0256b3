use rusqlite::Connection;
use tokio::time::timeout;

use super::*;
use crate::deliver::testing::settings;
use crate::domain::{Format, Rendition, SystemClock};
use crate::outbox;

#[tokio::test]
async fn a_store_that_fails_at_the_start_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let outbox = Outbox::open(&outbox::Settings {
        path: path.clone(),
        keep_bodies: Duration::from_secs(3600),
        keep_records: Duration::from_secs(3600),
    })
    .unwrap();
    // As a full disk would do it: the first write of an owner fails.
    let beside = Connection::open(&path).unwrap();
    beside
        .execute_batch(
            "CREATE TRIGGER full BEFORE UPDATE OF owner ON destinations BEGIN SELECT RAISE(ABORT, 'full'); END",
        )
        .unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let settings = settings(Rendition::AsReceived(Format::Form), "http://127.0.0.1:1/");
    let prepared = Arc::new(Prepared::new(settings, &clock).unwrap());
    let key = prepared.key().clone();
    let (wanted, told) = watch::channel(Wanted::Served(prepared));
    let mut served = tokio::spawn(keep(key, outbox.clone(), clock, told));
    let gave_up = timeout(Duration::from_millis(200), &mut served).await;
    assert!(gave_up.is_err(), "{gave_up:?}");

    beside.execute_batch("DROP TRIGGER full").unwrap();
    let owned = async {
        while beside
            .query_row("SELECT count(owner) FROM destinations", [], |row| row.get(0))
            .unwrap_or(0)
            == 0
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), owned).await.unwrap();
    wanted.send_replace(Wanted::Stopped);
    served.await.unwrap();
}
