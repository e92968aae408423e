//! IAM and STS as the gateway, functions and containers need them.

use crate::{Arn, AwsError, Principal, Scope, Timestamp};
use async_trait::async_trait;
use std::time::Duration;

/// Temporary credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `ASIA…`.
    pub access_key_id: String,
    /// Secret; never logged.
    pub secret_access_key: String,
    /// Goes with every request signed by this key.
    pub session_token: String,
    /// When they end.
    pub expiration: Timestamp,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Issues credentials of roles to work that Barge runs.
#[async_trait]
pub trait CredentialIssuer: Send + Sync {
    /// Credentials of `role` for a session called `session` that work for `lifetime`. `NoSuchEntity` where there is no
    /// such role.
    async fn issue(&self, role: &Arn, session: &str, lifetime: Duration) -> Result<Credentials, AwsError>;

    /// Credentials for work in `scope` that no role was named for; they carry the account only.
    async fn issue_anonymous(&self, scope: &Scope, session: &str, lifetime: Duration) -> Result<Credentials, AwsError>;

    /// The role in an instance profile, given by name or ARN; `None` where there is no such profile, or it is empty;
    /// an issuer that keeps no profiles has none.
    async fn instance_role(&self, _scope: &Scope, _profile: &str) -> Result<Option<Arn>, AwsError> {
        Ok(None)
    }
}

/// What the gateway must know of an access key to verify a signature.
#[derive(Clone)]
pub struct AccessKey {
    /// Secret; never logged.
    pub secret_access_key: String,
    /// The session token that must come along, for temporary credentials.
    pub session_token: Option<String>,
    /// Whom the key stands for.
    pub principal: Principal,
    /// The account that the key's requests speak to.
    pub account: crate::AccountId,
    /// When a temporary key ends.
    pub expiration: Option<Timestamp>,
}

/// Looks access keys up. Called for every request, so answers come from memory.
pub trait KeyDirectory: Send + Sync {
    /// The key, where there is one.
    fn access_key(&self, access_key_id: &str) -> Option<AccessKey>;
}
