//! TLS toward shops: rustls with the system's authorities, or only with the one that the admin gives.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::Settings;

/// Why a destination's TLS settings are of no use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{} cannot be read as PEM", path.display())]
    BadPem {
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("{} holds no certificate", .0.display())]
    NoCertificate(PathBuf),
    #[error("this system has no certificate authorities to trust, and no CA is given")]
    NoSystemRoots,
    #[error("the certificates in {} are refused", path.display())]
    Refused {
        path: PathBuf,
        #[source]
        source: rustls::Error,
    },
}

/// Returns how connections of a destination are secured; made once, when the configuration is loaded.
///
/// # Errors
///
/// [`TlsError`] for files that cannot be used, or if there is nobody to trust.
pub(super) fn client_config(settings: &Settings) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = match &settings.ca {
        Some(path) => Arc::new(only(path)?),
        None => system_roots(),
    };
    // A destination without TLS may still be redirected to its own https, but does not fail for want of it.
    if roots.is_empty() && settings.url.scheme() == "https" {
        return Err(TlsError::NoSystemRoots);
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring can do both versions of TLS")
        .with_root_certificates(roots);
    let mut config = match &settings.client_certificate {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder
            .with_client_auth_cert(certificates(chain)?, private_key(key)?)
            .map_err(|source| TlsError::Refused {
                path: chain.clone(),
                source,
            })?,
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // One host per destination; the default would keep room for 256.
    config.resumption = Resumption::in_memory_sessions(4);
    Ok(Arc::new(config))
}

/// The authorities that this machine trusts, read once.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let load = || {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "part of the system's certificate authorities cannot be read");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        Arc::new(roots)
    };
    Arc::clone(ROOTS.get_or_init(load))
}

fn only(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|source| TlsError::Refused {
            path: path.to_owned(),
            source,
        })?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = |source| TlsError::BadPem {
        path: path.to_owned(),
        source,
    };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(bad)?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsError::BadPem {
        path: path.to_owned(),
        source,
    })
}
