//! The service: what it stands on, and what other services and the gateway ask of it besides AWS's operations.

use crate::board::Meter;
use crate::core::{Job, Machine, TaskId};
use crate::dispatcher::{self, Audience, Dispatcher, Handle, Launchpad, Operator, Pilots, task_role};
use crate::runner::{Capacity, TaskRunner};
use crate::spot;
use crate::store::Rows;
use async_trait::async_trait;
use barge_core::ports::{CredentialIssuer, EventSink, JobSubmitter};
use barge_core::{Ambient, Arn, AwsError, Context, Document};
use barge_store::Store;
use barge_wire::batch::SubmitJobRequest;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// How long an attempt's credentials work; SDKs fetch new ones before they end.
const CREDENTIALS_LIFETIME: Duration = Duration::from_hours(6);

/// What Batch needs of others.
pub struct Ports {
    /// Runs attempts.
    pub runner: Arc<dyn TaskRunner>,
    /// Issues the credentials of job roles.
    pub credentials: Arc<dyn CredentialIssuer>,
    /// Hears of jobs' states, where anybody does.
    pub events: Option<Arc<dyn EventSink>>,
}

/// What the operator decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// vCPUs that may be promised for each one that the machine has. Memory is never promised twice.
    pub vcpu_overcommit: f64,
    /// How long an instance of a compute environment may be idle before it goes.
    pub idle_time: Duration,
    /// How many times an hour each Spot instance, or attempt on FARGATE_SPOT, is interrupted on average; 0 for never.
    pub spot_interruptions_per_hour: f64,
    /// What jobs may have of this machine.
    pub operator: Operator,
}

impl Default for Settings {
    /// Four vCPUs for one: most jobs of a pipeline wait for others most of their time. Five minutes idle. No interruptions.
    fn default() -> Self {
        Self {
            vcpu_overcommit: 4.0,
            idle_time: Duration::from_mins(5),
            spot_interruptions_per_hour: 0.0,
            operator: Operator::default(),
        }
    }
}

/// AWS Batch.
pub struct BatchService {
    pub(crate) ambient: Ambient,
    pub(crate) rows: Rows,
    pub(crate) dispatcher: Handle,
    pub(crate) meter: Arc<Meter>,
    launchpad: Launchpad,
    credentials: Arc<dyn CredentialIssuer>,
}

/// What a container gets from the credentials endpoint, with the member names that AWS's SDKs read (Amazon ECS Developer
/// Guide, "Task IAM role").
#[derive(Clone, PartialEq, Eq)]
pub struct ContainerCredentials {
    /// The job role's ARN.
    pub role_arn: String,
    /// `ASIA…`.
    pub access_key_id: String,
    /// Secret; never logged.
    pub secret_access_key: String,
    /// Goes with every request.
    pub token: String,
    /// When they end, ISO 8601.
    pub expiration: String,
}

impl ContainerCredentials {
    /// The endpoint's JSON answer.
    pub fn to_document(&self) -> Document {
        Document::map([
            ("RoleArn", self.role_arn.as_str().into()),
            ("AccessKeyId", self.access_key_id.as_str().into()),
            ("SecretAccessKey", self.secret_access_key.as_str().into()),
            ("Token", self.token.as_str().into()),
            ("Expiration", Document::from(self.expiration.as_str())),
        ])
    }
}

impl BatchService {
    /// Opens Batch's tables in `store`, takes up the jobs that the last run left, and starts the scheduler. It stops when
    /// the service is dropped.
    pub async fn open(store: Store, ambient: Ambient, ports: Ports, settings: Settings) -> Result<Arc<Self>, AwsError> {
        let Ports { runner, credentials, events } = ports;
        let rows = Rows::open(store)?;
        let secret = rows.secret(&*ambient.ids).await?;
        let machine = machine(runner.capacity(), &settings);
        let launchpad = Launchpad { endpoint: ambient.endpoint.clone(), secret, operator: settings.operator };
        let clock = Arc::clone(&ambient.clock);
        let (pilots, news) = Pilots::new(runner, rows.clone(), Arc::clone(&clock), launchpad.clone());
        let audience = match events {
            Some(sink) => dispatcher::start_outbox(rows.clone(), sink, Arc::clone(&ambient.ids)),
            None => Audience::Nobody,
        };
        let idle_time = settings.idle_time;
        let meter = Arc::new(Meter::default());
        let counted = Arc::clone(&meter);
        let dispatcher =
            Dispatcher { rows: rows.clone(), clock, machine, idle_time, audience, meter: counted, pilots, news };
        let dispatcher = dispatcher::start(dispatcher).await?;
        let rate = settings.spot_interruptions_per_hour;
        if rate > 0.0 {
            tokio::spawn(spot::run(dispatcher.clone(), Arc::clone(&ambient.ids), rate));
        }
        Ok(Arc::new(Self { ambient, rows, dispatcher, meter, launchpad, credentials }))
    }

    /// Answers a container that asks for its job role's credentials: `task` from the path
    /// `/_barge/credentials/TASK`, `authorization` the header's value. `AccessDeniedException` (403) where the token is
    /// wrong, the attempt is not live, or its job has no role; on EC2 a job without one has that of its instance.
    pub async fn container_credentials(
        &self,
        task: &str,
        authorization: &str,
    ) -> Result<ContainerCredentials, AwsError> {
        let denied = || AwsError::new("AccessDeniedException", 403, "No credentials for this token.");
        let id: TaskId = task.parse().map_err(|_| denied())?;
        let expected = self.launchpad.token(id);
        if !bool::from(expected.as_bytes().ct_eq(authorization.as_bytes())) {
            return Err(denied());
        }
        let stored = self.rows.job(id.attempt.job).await?.ok_or_else(denied)?;
        let live = stored.job.live_tasks().any(|(live, ..)| live == id);
        if !live {
            return Err(denied());
        }
        let arn: Arn = match task_role(&stored.detail, id) {
            Some(role) => role.parse().map_err(AwsError::internal)?,
            None => self.instance_role(&stored.job).await?.ok_or_else(denied)?,
        };
        let issued = self.credentials.issue(&arn, &session_name(id), CREDENTIALS_LIFETIME).await?;
        Ok(ContainerCredentials {
            role_arn: arn.to_string(),
            access_key_id: issued.access_key_id,
            secret_access_key: issued.secret_access_key,
            token: issued.session_token,
            expiration: issued.expiration.iso8601(),
        })
    }

    /// The role of the instance that a job's attempt runs on (Batch User Guide, "Amazon ECS instance role").
    async fn instance_role(&self, job: &Job) -> Result<Option<Arn>, AwsError> {
        let Some(environment) = job.live.as_ref().map(|live| live.environment.clone()) else { return Ok(None) };
        let found = self.dispatcher.look(move |_, directory| {
            let row = directory.environment(&environment)?;
            let profile = row.detail.compute_resources.as_ref()?.instance_role.clone()?;
            Some((row.scope.clone(), profile))
        });
        let Some((scope, profile)) = found.await? else { return Ok(None) };
        self.credentials.instance_role(&scope, &profile).await
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates; a machine has few processors
fn machine(capacity: Capacity, settings: &Settings) -> Machine {
    let vcpu_milli = (capacity.vcpu * settings.vcpu_overcommit.max(0.0) * 1000.0) as u64;
    Machine { vcpu_milli, memory_mib: capacity.memory_mib }
}

/// The job's id as the name of a role's session, which takes no colon.
fn session_name(task: TaskId) -> String {
    task.attempt.job.to_string().replace(':', "-")
}

#[async_trait]
impl JobSubmitter for BatchService {
    async fn submit(&self, cx: &Context, request: Document) -> Result<String, AwsError> {
        let request: SubmitJobRequest = barge_wire::Value::from_document(request)?;
        Ok(self.submit(cx, request).await?.job_id)
    }
}
