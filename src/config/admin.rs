//! `[admin]`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use url::Url;

use super::diagnostics::Problems;
use super::network::{listen_address, web_url};
use super::outside::Outside;
use super::reader::{Given, Table};
use super::secrets::{Secrets, plain, secrets};
use super::source::At;
use super::values::path;
use crate::admin::Settings;

/// `[admin]` as written.
#[derive(Debug)]
pub(super) struct AdminTable {
    pub(super) listen: Option<At<SocketAddr>>,
    pub(super) token: Given<Secrets>,
    pub(super) public_url: Option<At<Url>>,
    socket: Option<PathBuf>,
}

pub(super) fn read(mut table: Table<'_>, outside: &dyn Outside, problems: &mut Problems) -> AdminTable {
    let admin = AdminTable {
        listen: table.optional("listen", problems, listen_address).at(),
        token: table.optional("token", problems, secrets(outside)),
        public_url: table.optional("public_url", problems, web_url).at(),
        socket: table.optional("socket", problems, path).value(),
    };
    table.refuse_the_rest(problems);
    admin
}

/// The settings; the socket is beside the store unless it is put elsewhere.
pub(super) fn settings(table: Option<&AdminTable>, store: &Path) -> Settings {
    Settings {
        listen: table.and_then(|table| table.listen.as_ref()).map(|at| at.value),
        tokens: table.map(|table| plain(&table.token)).unwrap_or_default(),
        public_url: table
            .and_then(|table| table.public_url.as_ref())
            .map(|at| at.value.clone()),
        socket: table
            .and_then(|table| table.socket.clone())
            .unwrap_or_else(|| store.with_file_name("ipn-router.sock")),
    }
}
