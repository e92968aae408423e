//! Where a resource lives and what it is called: account, region, and the ARN that joins them with a service and name.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A twelve-digit AWS account id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountId(String);

impl AccountId {
    /// The account that Barge's root key pair belongs to.
    pub const DEFAULT: &'static str = "000000000000";

    /// `None` unless `id` is exactly twelve ASCII digits.
    pub fn new(id: &str) -> Option<Self> {
        (id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit())).then(|| Self(id.to_owned()))
    }

    /// The twelve digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for AccountId {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

/// An AWS region name such as `us-east-1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Region(String);

impl Region {
    /// The region used where nothing names one.
    pub const DEFAULT: &'static str = "us-east-1";

    /// `None` unless `name` has the form of a region: lower-case letters, digits and hyphens, 1 to 32 of them.
    pub fn new(name: &str) -> Option<Self> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        ((1..=32).contains(&name.len()) && name.bytes().all(legal)).then(|| Self(name.to_owned()))
    }

    /// The region's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Region {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

/// The account and region that a request speaks to and that its resources live in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    /// Owner of the resources.
    pub account: AccountId,
    /// Region of the resources.
    pub region: Region,
}

impl Scope {
    /// The ARN of `resource` of `service` in this scope, e.g. `scope.arn("batch", "job-queue/q")`.
    pub fn arn(&self, service: &str, resource: impl Into<String>) -> Arn {
        Arn {
            partition: Arn::PARTITION.to_owned(),
            service: service.to_owned(),
            region: self.region.0.clone(),
            account: self.account.0.clone(),
            resource: resource.into(),
        }
    }

    /// The ARN of a resource of a service without regions (IAM): `arn:aws:iam::ACCOUNT:role/NAME`.
    pub fn global_arn(&self, service: &str, resource: impl Into<String>) -> Arn {
        Arn { region: String::new(), ..self.arn(service, resource) }
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An Amazon Resource Name, `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE` (IAM User Guide, "Identify AWS resources
/// with Amazon Resource Names").
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Arn {
    /// `aws` everywhere in Barge; others parse.
    pub partition: String,
    /// The service's namespace, e.g. `batch`.
    pub service: String,
    /// Empty for global resources and S3 buckets.
    pub region: String,
    /// Empty for S3 buckets and objects.
    pub account: String,
    /// Everything after the fifth colon, colons included, e.g. `function:loader:1`.
    pub resource: String,
}

impl Arn {
    /// The partition that Barge's own ARNs name.
    pub const PARTITION: &'static str = "aws";

    /// The account and region in this ARN, where it names both.
    pub fn scope(&self) -> Option<Scope> {
        Some(Scope { account: AccountId::new(&self.account)?, region: Region::new(&self.region)? })
    }

    /// The resource's part after its type, e.g. `q` of `job-queue/q`; the whole resource where it is of another type.
    pub fn resource_name(&self, kind: &str) -> Option<&str> {
        let rest = self.resource.strip_prefix(kind)?;
        rest.strip_prefix('/').or_else(|| rest.strip_prefix(':'))
    }
}

/// The text is not an ARN.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not an ARN")]
pub struct NotAnArn(pub String);

impl FromStr for Arn {
    type Err = NotAnArn;

    fn from_str(text: &str) -> Result<Self, NotAnArn> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        match parts[..] {
            ["arn", partition, service, region, account, resource]
                if !partition.is_empty() && !service.is_empty() && !resource.is_empty() =>
            {
                Ok(Self {
                    partition: partition.to_owned(),
                    service: service.to_owned(),
                    region: region.to_owned(),
                    account: account.to_owned(),
                    resource: resource.to_owned(),
                })
            }
            _ => Err(NotAnArn(text.to_owned())),
        }
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

impl From<Arn> for String {
    fn from(arn: Arn) -> Self {
        arn.to_string()
    }
}

impl TryFrom<String> for Arn {
    type Error = NotAnArn;

    fn try_from(text: String) -> Result<Self, NotAnArn> {
        text.parse()
    }
}

impl Serialize for Arn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Arn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_round_trip() {
        for text in [
            "arn:aws:batch:us-east-1:000000000000:job-definition/loader:3",
            "arn:aws:s3:::bucket/key:with:colons",
            "arn:aws:iam::123456789012:role/service-role/x",
        ] {
            assert_eq!(text.parse::<Arn>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_an_arn_is_refused() {
        for text in ["", "arn", "arn:aws:s3", "arn:aws:s3:::", "urn:aws:s3:::b", "arn::s3:::b", "arn:aws::::b"] {
            assert_eq!(text.parse::<Arn>(), Err(NotAnArn(text.to_owned())));
        }
    }

    #[test]
    fn a_resource_name_follows_its_type() {
        let arn = Scope::default().arn("batch", "job-queue/q");
        assert_eq!(arn.resource_name("job-queue"), Some("q"));
        assert_eq!(arn.resource_name("job"), None);
        assert_eq!(Scope::default().arn("lambda", "function:f").resource_name("function"), Some("f"));
    }
}
