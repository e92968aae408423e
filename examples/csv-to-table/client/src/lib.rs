//! How the job and the function reach AWS, or Barge: region, endpoint, credentials, TLS, retries. Only the connection
//! is here; what is asked of which service is theirs.
//!
//! Everything comes from the SDK's own environment variables, so the same binaries run on both: `AWS_ENDPOINT_URL`
//! (unset on AWS), and credentials from any source of the default chain.

use std::fmt;
use std::time::Duration;

pub use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How hard to try before giving up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Three attempts, as the SDK has it: for callers that are themselves retried.
    Short,
    /// About half a minute of attempts: enough to sit out a restarting server.
    Long,
}

/// The SDK's configuration for `region`, with everything else from the environment.
pub async fn configure(region: String, patience: Patience) -> SdkConfig {
    let retries = match patience {
        Patience::Short => RetryConfig::standard(),
        Patience::Long => RetryConfig::standard()
            .with_max_attempts(16)
            .with_initial_backoff(Duration::from_millis(100))
            .with_max_backoff(Duration::from_secs(5)),
    };
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(region))
        .http_client(http_client())
        .retry_config(retries)
        .load()
        .await;
    match (patience, config.credentials_provider()) {
        (Patience::Long, Some(inner)) => config
            .to_builder()
            .credentials_provider(SharedCredentialsProvider::new(Persistent { inner }))
            .identity_cache(IdentityCache::lazy().load_timeout(Duration::from_mins(1)).build())
            .build(),
        _ => config,
    }
}

/// Whether S3 is asked at a custom endpoint, where a bucket has no host name of its own.
pub fn has_own_s3_endpoint() -> bool {
    ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].iter().any(|name| std::env::var_os(name).is_some())
}

/// A failed call in one line: the service's code and message, or what kept the request from reaching it.
pub fn explain<E: std::error::Error + 'static>(error: &SdkError<E, HttpResponse>) -> String {
    let first: &dyn std::error::Error = match error {
        SdkError::ServiceError(context) => context.err(),
        other => other,
    };
    let mut text = first.to_string();
    let mut cause = first.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// The certificates come from the system or, in an image that holds nothing but the binary, from the binary.
fn http_client() -> SharedHttpClient {
    let endpoint = std::env::var("AWS_ENDPOINT_URL").unwrap_or_default();
    // Reading a hundred and fifty certificates costs more than a small file's load; without TLS there is no use in it.
    let roots = if endpoint.starts_with("http://") {
        tls::TrustStore::empty()
    } else if rustls_native_certs::load_native_certs().certs.is_empty() {
        webpki_root_certs::TLS_SERVER_ROOT_CERTS
            .iter()
            .fold(tls::TrustStore::empty(), |roots, der| roots.with_pem_certificate(pem(der)))
    } else {
        tls::TrustStore::default()
    };
    let builder = Builder::new().tls_provider(tls::Provider::rustls(tls::rustls_provider::CryptoMode::Ring));
    match tls::TlsContext::builder().with_trust_store(roots).build() {
        Ok(context) => builder.tls_context(context).build_https(),
        Err(_) => builder.build_https(),
    }
}

fn pem(der: &[u8]) -> Vec<u8> {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let encoded = STANDARD.encode(der);
    for (index, letter) in encoded.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push_str("\n-----END CERTIFICATE-----\n");
    text.into_bytes()
}

/// Asks again where the credentials' source fails. The SDK retries a call, but not the credentials that it needs.
struct Persistent {
    inner: SharedCredentialsProvider,
}

impl fmt::Debug for Persistent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Persistent").finish_non_exhaustive()
    }
}

impl ProvideCredentials for Persistent {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let mut wait = Duration::from_millis(100);
            loop {
                let result = self.inner.provide_credentials().await;
                let hopeless = match &result {
                    Ok(_) => true,
                    Err(error) => matches!(
                        error,
                        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_)
                    ),
                };
                if hopeless || wait > Duration::from_secs(10) {
                    return result;
                }
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_wrapped_as_pem() {
        let text = String::from_utf8(pem(&[7; 60])).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!((lines[1].len(), lines[2].len()), (64, 16));
    }
}
