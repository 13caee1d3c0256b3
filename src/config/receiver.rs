//! `[receiver]`.

use std::path::PathBuf;

use super::codes;
use super::diagnostics::{Problem, Problems};
use super::network::{listen_address, network};
use super::outside::Outside;
use super::reader::{Table, Value};
use super::values::{count, duration, list, path, size, text};
use crate::receive;

pub(super) fn read(table: Option<Table<'_>>, outside: &dyn Outside, problems: &mut Problems) -> receive::Settings {
    let default = receive::Settings::default();
    let Some(mut table) = table else { return default };
    let settings = receive::Settings {
        listen: table.optional("listen", problems, listen_address).or(default.listen),
        tls: table
            .optional("tls", problems, |value, problems| tls(value, outside, problems))
            .value(),
        path: table.optional("path", problems, url_path).or(default.path),
        trusted_proxies: table
            .optional("trusted_proxies", problems, list(network))
            .or(default.trusted_proxies),
        allow_from: table
            .optional("allow_from", problems, list(network))
            .or(default.allow_from),
        max_in_flight: table
            .optional("max_in_flight", problems, count(100_000))
            .or(default.max_in_flight),
        max_body: table.optional("max_body", problems, size).or(default.max_body),
        header_timeout: table
            .optional("header_timeout", problems, duration)
            .or(default.header_timeout),
        body_timeout: table
            .optional("body_timeout", problems, duration)
            .or(default.body_timeout),
        answer_timeout: table
            .optional("answer_timeout", problems, duration)
            .or(default.answer_timeout),
    };
    table.refuse_the_rest(problems);
    settings
}

fn tls(value: &Value<'_>, outside: &dyn Outside, problems: &mut Problems) -> Option<receive::TlsFiles> {
    let (certificate, key) = certificate_and_key(value, outside, problems)?;
    Some(receive::TlsFiles { certificate, key })
}

/// `{ certificate = "…", key = "…" }`, both PEM files.
pub(super) fn certificate_and_key(
    value: &Value<'_>,
    outside: &dyn Outside,
    problems: &mut Problems,
) -> Option<(PathBuf, PathBuf)> {
    let Some(mut table) = value.table() else {
        let problem = value.wrong_type("a certificate with its key, in braces");
        problems.push(
            problem.instead(
                "{ certificate = \"/etc/ipn-router/tls/fullchain.pem\", key = \"/etc/ipn-router/tls/key.pem\" }",
            ),
        );
        return None;
    };
    let read = |value: &Value<'_>, problems: &mut Problems| pem_file(value, outside, problems);
    let certificate = table.required("certificate", "\"/etc/ipn-router/tls/fullchain.pem\"", problems, read);
    let key = table.required("key", "\"/etc/ipn-router/tls/key.pem\"", problems, read);
    table.refuse_the_rest(problems);
    Some((certificate.value()?, key.value()?))
}

/// The path of a PEM file that can be opened.
pub(super) fn pem_file(value: &Value<'_>, outside: &dyn Outside, problems: &mut Problems) -> Option<PathBuf> {
    let path = path(value, problems)?;
    if let Err(reason) = outside.open(&path) {
        let what = format!("`{}` cannot be opened: {reason}", value.key);
        let problem = Problem::new(codes::UNREADABLE_PEM, &value.spot, what);
        problems.push(problem.instead("a PEM file that the daemon's user may read; a path is relative to this file"));
        return None;
    }
    Some(path)
}

fn url_path(value: &Value<'_>, problems: &mut Problems) -> Option<String> {
    let path = text(value, problems)?;
    let plain = |c: char| c.is_ascii_graphic() && !"?#%".contains(c);
    if path.starts_with('/') && path.chars().all(plain) {
        return Some(path);
    }
    let what = format!("`{}` must be the path of an address", value.key);
    let problem = value.problem(codes::BAD_URL, what);
    problems.push(problem.instead("\"/ipn\": a slash, then letters and digits without accents"));
    None
}
