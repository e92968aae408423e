//! Images by the names that job definitions use: `ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY`, or the address at
//! which this registry is reached.

use crate::EcrService;
use crate::names::ImageName;
use crate::rows;
use async_trait::async_trait;
use barge_core::ports::{ImageSource, LocalImage};
use barge_core::{AccountId, AwsError, Region, Scope};

/// The account and region in the host name of an ECR registry (ECR User Guide, "Private registry concepts").
fn ecr_scope(registry: &str) -> Option<Scope> {
    let mut parts = registry.strip_suffix(".amazonaws.com")?.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(account), Some("dkr"), Some("ecr"), Some(region), None) => {
            Some(Scope { account: AccountId::new(account)?, region: Region::new(region)? })
        }
        _ => None,
    }
}

/// Whether a registry's address is this machine's: the port may have been another one when the name was written down.
fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    host == "localhost"
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host == "[::1]"
}

#[async_trait]
impl ImageSource for EcrService {
    async fn resolve(&self, scope: &Scope, reference: &str) -> Result<Option<LocalImage>, AwsError> {
        let Some(name) = ImageName::parse(reference) else { return Ok(None) };
        let scope = match ecr_scope(name.registry) {
            Some(scope) => scope,
            None if is_loopback(name.registry) => scope.clone(),
            None => return Ok(None),
        };
        let (repository, pick) = (name.repository.to_owned(), name.pick);
        let found = self
            .store
            .read(move |db| match rows::repository(db, &scope, &repository)? {
                None => Ok(None),
                Some(_) => rows::find(db, &scope, &repository, &pick),
            })
            .await?;
        match found {
            Some((digest, _)) => Ok(Some(LocalImage { digest })),
            None => Err(AwsError::new(
                "ImageNotFoundException",
                400,
                format!(
                    "pull image manifest has been retried 1 time(s): failed to resolve ref {reference}: {reference}: not found"
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_recognised() {
        for (registry, region) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("12345.dkr.ecr.eu-west-1.amazonaws.com", None),
            ("docker.io", None),
            ("127.0.0.1:4566", None),
        ] {
            assert_eq!(ecr_scope(registry).map(|scope| scope.region.to_string()).as_deref(), region, "{registry}");
        }
        for (registry, ours) in [
            ("localhost:4566", true),
            ("127.0.0.1:1", true),
            ("localhost", true),
            ("10.0.0.1:4566", false),
            ("[::1]:4566", true),
        ] {
            assert_eq!(is_loopback(registry), ours, "{registry}");
        }
    }
}
