//! Who asks, where, and when: what comes with every call to a service.

use crate::{AccountId, Arn, Clock, IdSource, RandomIds, Scope, SystemClock, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The identity behind a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Principal {
    /// The account's root key pair.
    Root {
        /// The account.
        account: AccountId,
    },
    /// A user's access key.
    User {
        /// `arn:aws:iam::ACCOUNT:user/NAME`.
        arn: Arn,
        /// `AIDA…`.
        user_id: String,
    },
    /// Temporary credentials of a role.
    AssumedRole {
        /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
        arn: Arn,
        /// `AROA…:SESSION`.
        user_id: String,
    },
    /// Barge itself, acting as one of AWS's services, e.g. `s3.amazonaws.com`.
    Service(String),
}

impl Principal {
    /// The ARN that GetCallerIdentity answers with.
    pub fn arn(&self) -> String {
        match self {
            Self::Root { account } => format!("arn:aws:iam::{account}:root"),
            Self::User { arn, .. } | Self::AssumedRole { arn, .. } => arn.to_string(),
            Self::Service(name) => name.clone(),
        }
    }
}

/// One request's surroundings.
#[derive(Clone, Debug)]
pub struct Context {
    /// The account and region that the request speaks to.
    pub scope: Scope,
    /// Who asks.
    pub principal: Principal,
    /// A UUID, returned to the client.
    pub request_id: String,
    /// When the request came.
    pub now: Timestamp,
    /// Scheme and authority under which the client reached the gateway, e.g. `http://127.0.0.1:4566`.
    pub endpoint: String,
}

/// What a service needs of its surroundings at any time, not only during a request.
#[derive(Clone)]
pub struct Ambient {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives randomness.
    pub ids: Arc<dyn IdSource>,
    /// Scheme and authority at which functions and containers reach the gateway.
    pub endpoint: String,
}

impl Ambient {
    /// The machine's clock and randomness.
    pub fn system(endpoint: impl Into<String>) -> Self {
        Self { clock: Arc::new(SystemClock), ids: Arc::new(RandomIds), endpoint: endpoint.into() }
    }

    /// The context of work that a service does on its own account, as `service` (e.g. `batch.amazonaws.com`).
    pub fn context(&self, scope: Scope, service: &str) -> Context {
        Context {
            scope,
            principal: Principal::Service(service.to_owned()),
            request_id: self.ids.uuid(),
            now: self.clock.now(),
            endpoint: self.endpoint.clone(),
        }
    }
}
