//! STS: temporary credentials and who one is. The port [`CredentialIssuer`] is the same for Barge's own work.

use crate::access_keys::random_secret;
use crate::account::Account;
use crate::policy_document::{self, Purpose};
use crate::records::{DEFAULT_SESSION_SECONDS, ProfileRecord, RoleRecord};
use crate::service::IamService;
use crate::sessions::{self, Session};
use crate::{errors, managed_policies};
use async_trait::async_trait;
use barge_core::ports::{CredentialIssuer, Credentials};
use barge_core::{AccountId, Arn, AwsError, Context, IdSource, Principal, Region, Scope};
use barge_wire::iam::error::no_such_entity_exception;
use barge_wire::sts::{
    self, AssumeRoleRequest, AssumeRoleResponse, AssumedRoleUser, GetCallerIdentityRequest, GetCallerIdentityResponse,
    GetSessionTokenRequest, GetSessionTokenResponse, STS,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;

/// The longest that a session of the root key pair, or of a role assumed by another role, may last, in seconds.
const AN_HOUR: i64 = 3600;
/// How long GetSessionToken's credentials of a user last where the caller doesn't say, in seconds.
const TWELVE_HOURS: i64 = 43_200;
/// The role in the ARN of credentials that no role was named for. No such role exists, so nothing can be granted to it.
const NO_ROLE: &str = "barge-no-role";

impl STS for IamService {
    async fn get_caller_identity(
        &self,
        cx: &Context,
        _: GetCallerIdentityRequest,
    ) -> Result<GetCallerIdentityResponse, AwsError> {
        let account = cx.scope.account.to_string();
        let user_id = match &cx.principal {
            Principal::Root { account } => account.to_string(),
            Principal::User { user_id, .. } | Principal::AssumedRole { user_id, .. } => user_id.clone(),
            Principal::Service(name) => name.clone(),
        };
        Ok(GetCallerIdentityResponse { user_id: Some(user_id), account: Some(account), arn: Some(cx.principal.arn()) })
    }

    async fn assume_role(&self, cx: &Context, input: AssumeRoleRequest) -> Result<AssumeRoleResponse, AwsError> {
        check_session_request(&input)?;
        let role_arn: Arn =
            input.role_arn.parse().map_err(|_| errors::validation(format!("{} is invalid", input.role_arn)))?;
        let role = self.role(&role_arn).await?.ok_or_else(|| denied(&cx.principal, &role_arn))?;
        for policy in input.policy_arns.iter().flatten().filter_map(|policy| policy.arn.clone()) {
            self.read(cx, move |account| managed_policies::check_attachable(account, &policy)).await?;
        }
        let seconds = input.duration_seconds.unwrap_or(DEFAULT_SESSION_SECONDS);
        if seconds > role.max_session_seconds {
            return Err(errors::validation(
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            ));
        }
        if seconds > AN_HOUR && matches!(cx.principal, Principal::AssumedRole { .. }) {
            return Err(errors::validation(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
            ));
        }
        let source_identity = input.source_identity.clone();
        let principal = assumed(&role_arn.account, &role.name, &role.id, &input.role_session_name);
        let user = AssumedRoleUser {
            assumed_role_id: format!("{}:{}", role.id, input.role_session_name),
            arn: principal.arn(),
        };
        let account = account_of(&role_arn)?;
        let credentials = self.begin(principal, account, seconds_long(seconds), Some(input)).await?;
        Ok(AssumeRoleResponse {
            credentials: Some(shown(credentials)),
            assumed_role_user: Some(user),
            source_identity,
            ..AssumeRoleResponse::default()
        })
    }

    async fn get_session_token(
        &self,
        cx: &Context,
        input: GetSessionTokenRequest,
    ) -> Result<GetSessionTokenResponse, AwsError> {
        if input.serial_number.is_some() || input.token_code.is_some() {
            return Err(AwsError::not_implemented("AWS STS", "multi-factor authentication in GetSessionToken"));
        }
        if input.minimum_session_token_size.is_some() {
            return Err(AwsError::not_implemented("AWS STS", "MinimumSessionTokenSize in GetSessionToken"));
        }
        let seconds = match &cx.principal {
            Principal::Root { .. } => input.duration_seconds.unwrap_or(AN_HOUR).min(AN_HOUR),
            Principal::User { .. } => input.duration_seconds.unwrap_or(TWELVE_HOURS),
            Principal::AssumedRole { .. } | Principal::Service(_) => {
                return Err(access_denied("Cannot call GetSessionToken with session credentials"));
            }
        };
        let credentials =
            self.begin(cx.principal.clone(), cx.scope.account.clone(), seconds_long(seconds), None).await?;
        Ok(GetSessionTokenResponse { credentials: Some(shown(credentials)), ..GetSessionTokenResponse::default() })
    }
}

#[async_trait]
impl CredentialIssuer for IamService {
    async fn issue(&self, role: &Arn, session: &str, lifetime: Duration) -> Result<Credentials, AwsError> {
        let record = self
            .role(role)
            .await?
            .ok_or_else(|| no_such_entity_exception(format!("The role with ARN {role} cannot be found.")))?;
        let principal = assumed(&role.account, &record.name, &record.id, session);
        self.begin(principal, account_of(role)?, lifetime, None).await
    }

    async fn issue_anonymous(&self, scope: &Scope, session: &str, lifetime: Duration) -> Result<Credentials, AwsError> {
        let principal = assumed(scope.account.as_str(), NO_ROLE, NO_ROLE, session);
        self.begin(principal, scope.account.clone(), lifetime, None).await
    }

    async fn instance_role(&self, scope: &Scope, profile: &str) -> Result<Option<Arn>, AwsError> {
        let name = profile.rsplit('/').next().unwrap_or(profile).to_owned();
        let cx = self.ambient.context(scope.clone(), "ec2.amazonaws.com");
        self.read(&cx, move |account: &Account<'_>| {
            let Some(role) = account.find::<ProfileRecord>(&name)?.and_then(|profile| profile.role) else {
                return Ok(None);
            };
            let role = account.find::<RoleRecord>(&role)?;
            role.map(|role| role.arn(account).parse().map_err(AwsError::internal)).transpose()
        })
        .await
    }
}

impl IamService {
    /// The role with this ARN, of any account; `None` where there is none.
    async fn role(&self, arn: &Arn) -> Result<Option<RoleRecord>, AwsError> {
        if arn.service != "iam" || !arn.resource.starts_with("role/") {
            return Err(errors::validation(format!("{arn} is invalid")));
        }
        let scope = Scope { account: account_of(arn)?, region: Region::default() };
        let (name, arn) = (arn.resource.rsplit('/').next().unwrap_or_default().to_owned(), arn.to_string());
        let cx = self.ambient.context(scope, "sts.amazonaws.com");
        self.read(&cx, move |account: &Account<'_>| {
            let role = account.find::<RoleRecord>(&name)?;
            Ok(role.filter(|role| role.arn(account) == arn))
        })
        .await
    }

    /// Makes credentials that work from now on, also after a restart.
    async fn begin(
        &self,
        principal: Principal,
        account: AccountId,
        lifetime: Duration,
        request: Option<AssumeRoleRequest>,
    ) -> Result<Credentials, AwsError> {
        let (now, ids) = (self.ambient.clock.now(), &*self.ambient.ids);
        let session = Session { secret: random_secret(ids), token: random_token(ids), principal, account, request };
        let credentials = Credentials {
            access_key_id: format!("ASIA{}", ids.upper_alphanumeric(16)),
            secret_access_key: session.secret.clone(),
            session_token: session.token.clone(),
            expiration: now + lifetime,
        };
        let (id, expiration, key) =
            (credentials.access_key_id.clone(), credentials.expiration, session.key(credentials.expiration));
        self.store
            .write(move |tx| {
                sessions::sweep(tx, now)?;
                sessions::insert(tx, &id, expiration, &session)
            })
            .await?;
        self.keys.sweep(now);
        self.keys.set(&credentials.access_key_id, Some(key));
        Ok(credentials)
    }
}

fn check_session_request(input: &AssumeRoleRequest) -> Result<(), AwsError> {
    if input.serial_number.is_some() || input.token_code.is_some() {
        return Err(AwsError::not_implemented("AWS STS", "multi-factor authentication in AssumeRole"));
    }
    if input.provided_contexts.is_some() || input.minimum_session_token_size.is_some() {
        return Err(AwsError::not_implemented("AWS STS", "ProvidedContexts and MinimumSessionTokenSize in AssumeRole"));
    }
    input.policy.as_deref().map_or(Ok(()), |policy| policy_document::check(policy, Purpose::Identity))
}

fn account_of(arn: &Arn) -> Result<AccountId, AwsError> {
    AccountId::new(&arn.account).ok_or_else(|| errors::validation(format!("{arn} is invalid")))
}

fn assumed(account: &str, role: &str, role_id: &str, session: &str) -> Principal {
    Principal::AssumedRole {
        arn: Arn {
            partition: Arn::PARTITION.to_owned(),
            service: "sts".to_owned(),
            region: String::new(),
            account: account.to_owned(),
            resource: format!("assumed-role/{role}/{session}"),
        },
        user_id: format!("{role_id}:{session}"),
    }
}

fn random_token(ids: &dyn IdSource) -> String {
    let mut bytes = [0; 96];
    ids.fill(&mut bytes);
    STANDARD.encode(bytes)
}

fn seconds_long(seconds: i64) -> Duration {
    Duration::from_secs(seconds.unsigned_abs())
}

fn shown(credentials: Credentials) -> sts::Credentials {
    sts::Credentials {
        access_key_id: credentials.access_key_id,
        secret_access_key: credentials.secret_access_key,
        session_token: credentials.session_token,
        expiration: credentials.expiration,
    }
}

fn denied(caller: &Principal, role: &Arn) -> AwsError {
    access_denied(format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {role}", caller.arn()))
}

fn access_denied(message: impl Into<String>) -> AwsError {
    AwsError::new("AccessDenied", 403, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, TRUST};
    use barge_core::Clock as _;
    use barge_core::ports::KeyDirectory as _;
    use barge_wire::iam::{CreateRoleRequest, IAM as _};

    async fn with_role(seconds: i64) -> Bench {
        let bench = Bench::new();
        let input = CreateRoleRequest {
            role_name: "job".to_owned(),
            path: Some("/svc/".to_owned()),
            assume_role_policy_document: TRUST.to_owned(),
            max_session_duration: Some(seconds),
            ..CreateRoleRequest::default()
        };
        bench.iam.create_role(&bench.cx, input).await.unwrap();
        bench
    }

    fn request(arn: &str, seconds: Option<i64>) -> AssumeRoleRequest {
        AssumeRoleRequest {
            role_arn: arn.to_owned(),
            role_session_name: "me".to_owned(),
            duration_seconds: seconds,
            ..AssumeRoleRequest::default()
        }
    }

    const ROLE: &str = "arn:aws:iam::000000000000:role/svc/job";

    #[tokio::test]
    async fn credentials_of_a_role_carry_it_and_survive_a_restart() {
        let bench = with_role(3600).await;
        let answer = bench.iam.assume_role(&bench.cx, request(ROLE, None)).await.unwrap();
        let arn = "arn:aws:sts::000000000000:assumed-role/job/me";
        assert_eq!(answer.assumed_role_user.unwrap().arn, arn);
        let credentials = answer.credentials.unwrap();
        for iam in [&bench.iam, &bench.reopen()] {
            let key = iam.access_key(&credentials.access_key_id).unwrap();
            assert_eq!(key.secret_access_key, credentials.secret_access_key);
            assert_eq!(key.session_token.as_ref(), Some(&credentials.session_token));
            assert_eq!(key.principal.arn(), arn);
            assert_eq!(key.expiration, Some(bench.clock.now() + Duration::from_hours(1)));
        }
    }

    #[tokio::test]
    async fn ended_credentials_are_swept_from_memory_and_store() {
        let bench = with_role(3600).await;
        let role: Arn = ROLE.parse().unwrap();
        let first = bench.iam.issue(&role, "a", Duration::from_mins(1)).await.unwrap();
        bench.clock.advance(Duration::from_mins(1) + crate::key_ring::REMEMBERED + Duration::from_secs(1));
        let second = bench.iam.issue(&role, "b", Duration::from_mins(1)).await.unwrap();
        for iam in [&bench.iam, &bench.reopen()] {
            assert!(iam.access_key(&first.access_key_id).is_none());
            assert!(iam.access_key(&second.access_key_id).is_some());
        }
    }

    #[tokio::test]
    async fn what_can_not_be_assumed() {
        let bench = with_role(3600).await;
        for (arn, seconds, code) in [
            ("arn:aws:iam::000000000000:role/job", None, "AccessDenied"),
            ("arn:aws:iam::000000000000:role/other", None, "AccessDenied"),
            ("arn:aws:iam::000000000000:user/svc/job", None, "ValidationError"),
            ("not an arn, but long enough", None, "ValidationError"),
            (ROLE, Some(7200), "ValidationError"),
        ] {
            let error = bench.iam.assume_role(&bench.cx, request(arn, seconds)).await.unwrap_err();
            assert!(error.is(code), "{arn}: {error}");
        }
    }

    #[tokio::test]
    async fn a_role_assumed_by_a_role_lasts_an_hour_at_most() {
        let bench = with_role(7200).await;
        let chained = Context { principal: assumed("000000000000", "first", "AROA1", "s"), ..bench.cx.clone() };
        assert!(bench.iam.assume_role(&bench.cx, request(ROLE, Some(7200))).await.is_ok());
        let error = bench.iam.assume_role(&chained, request(ROLE, Some(7200))).await.unwrap_err();
        assert!(error.message.contains("role chaining"), "{error}");
    }

    #[tokio::test]
    async fn barges_own_work_gets_credentials_too() {
        let bench = with_role(3600).await;
        let missing: Arn = "arn:aws:iam::000000000000:role/none".parse().unwrap();
        let error = bench.iam.issue(&missing, "s", Duration::from_mins(1)).await.unwrap_err();
        assert!(error.is("NoSuchEntity"), "{error}");
        let scope = Scope::default();
        let anonymous = bench.iam.issue_anonymous(&scope, "s", Duration::from_mins(1)).await.unwrap();
        let key = bench.iam.access_key(&anonymous.access_key_id).unwrap();
        assert_eq!(key.account, scope.account);
        assert_eq!(key.principal.arn(), "arn:aws:sts::000000000000:assumed-role/barge-no-role/s");
    }
}
