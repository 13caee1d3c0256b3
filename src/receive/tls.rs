use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::settings::TlsFiles;

/// Why the receiver's own TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read a certificate from {}", path.display())]
    Certificate {
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("cannot read a private key from {}", path.display())]
    Key {
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("the certificate in {} cannot be used with its key", path.display())]
    Unusable {
        path: PathBuf,
        #[source]
        source: rustls::Error,
    },
}

/// Reads the files, so that a mistake in them stops the start and not the first call.
pub(super) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let bad_certificate = |source| TlsError::Certificate {
        path: files.certificate.clone(),
        source,
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(bad_certificate)?;
    if chain.is_empty() {
        return Err(bad_certificate(pem::Error::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|source| TlsError::Key {
        path: files.key.clone(),
        source,
    })?;
    let unusable = |source| TlsError::Unusable {
        path: files.certificate.clone(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_in_the_files_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::KeyPair::generate().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let certificate = file("chain.pem", &own.cert.pem());
        let key = file("key.pem", &own.signing_key.serialize_pem());
        let other_key = file("other.pem", &other.serialize_pem());
        let empty = file("empty.pem", "");
        let why = |certificate: &PathBuf, key: &PathBuf| {
            let files = TlsFiles {
                certificate: certificate.clone(),
                key: key.clone(),
            };
            acceptor(&files)
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default()
        };
        assert_eq!(why(&certificate, &key), "");
        assert!(
            why(&empty, &key).starts_with("cannot read a certificate from") && why(&empty, &key).ends_with("empty.pem")
        );
        assert!(why(&certificate, &empty).starts_with("cannot read a private key from"));
        assert!(why(&certificate, &folder.path().join("none.pem")).ends_with("none.pem"));
        assert!(why(&certificate, &other_key).starts_with("the certificate in"));
    }
}
