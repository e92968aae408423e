//! From a job as submitted to an attempt as a runner takes it: environment, credentials' whereabouts, log stream.

use crate::core::{AttemptId, EnvironmentId, Needs};
use crate::runner::{AttemptSpec, LogGroup, RootAccess};
use barge_core::ports::LogTarget;
use barge_core::{Arn, Region, Scope};
use barge_wire::batch::{ContainerDetail, JobDetail};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Time between SIGTERM and SIGKILL (Batch User Guide, "Job timeouts").
const STOP_GRACE: Duration = Duration::from_secs(30);
/// The log group of jobs whose definition names none (Batch User Guide, "Use the awslogs log driver").
const DEFAULT_GROUP: &str = "/aws/batch/job";

/// What launches have in common.
#[derive(Clone)]
pub(crate) struct Launchpad {
    /// Where containers reach Barge.
    pub(crate) endpoint: String,
    /// What tokens are derived from.
    pub(crate) secret: Vec<u8>,
}

impl Launchpad {
    /// The token with which an attempt fetches its credentials. It follows from the secret, so that it stays the same for
    /// as long as the attempt lives, over restarts.
    pub(crate) fn token(&self, attempt: AttemptId) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        mac.update(attempt.to_string().as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    fn credentials_uri(&self, attempt: AttemptId) -> String {
        format!("{}/_barge/credentials/{attempt}", self.endpoint.trim_end_matches('/'))
    }
}

/// The names that an attempt's environment tells of where it runs.
struct Whereabouts {
    queue: String,
    environment: String,
}

/// What a definition says of logs.
pub(crate) struct LogSettings {
    pub(crate) target: LogTarget,
    pub(crate) group: LogGroup,
}

/// The ECS task id of an attempt: 32 hexadecimal digits that follow from its id.
pub(crate) fn task_id(attempt: AttemptId) -> String {
    let mut digits = hex::encode(Sha256::digest(attempt.to_string().as_bytes()));
    digits.truncate(32);
    digits
}

/// Where an attempt's lines go (Batch User Guide, "Use the awslogs log driver"): stream `PREFIX/default/TASK`, the prefix
/// being the job definition's name where none is given.
pub(crate) fn log_target(detail: &JobDetail, attempt: AttemptId, scope: &Scope) -> LogSettings {
    let container = detail.container.as_ref();
    let options = container.and_then(|container| container.log_configuration.as_ref()?.options.as_ref());
    let option = |name: &str| options.and_then(|options| options.get(name)).map(String::as_str);
    let prefix = option("awslogs-stream-prefix").unwrap_or_else(|| definition_name(&detail.job_definition));
    let group = option("awslogs-group").unwrap_or(DEFAULT_GROUP);
    let region = option("awslogs-region").and_then(Region::new).unwrap_or_else(|| scope.region.clone());
    LogSettings {
        target: LogTarget {
            scope: Scope { account: scope.account.clone(), region },
            group: group.to_owned(),
            stream: format!("{prefix}/default/{}", task_id(attempt)),
        },
        group: if group == DEFAULT_GROUP || option("awslogs-create-group") == Some("true") {
            LogGroup::Create
        } else {
            LogGroup::MustExist
        },
    }
}

/// The name in a definition's ARN, at most 200 characters of it.
fn definition_name(arn: &str) -> &str {
    let name = arn.split_once("job-definition/").map_or(arn, |(_, rest)| rest);
    let name = name.split(':').next().unwrap_or(name);
    name.get(..200).unwrap_or(name)
}

pub(super) fn attempt_spec(
    launchpad: &Launchpad,
    detail: &JobDetail,
    attempt: AttemptId,
    environment: &EnvironmentId,
    needs: Needs,
) -> Result<AttemptSpec, String> {
    let scope = detail.job_queue.parse::<Arn>().ok().and_then(|arn| arn.scope());
    let scope = scope.ok_or("ResourceInitializationError: the job's queue has no account or region")?;
    let empty = ContainerDetail::default();
    let container = detail.container.as_ref().unwrap_or(&empty);
    let log = log_target(detail, attempt, &scope);
    let names = Whereabouts {
        queue: last_part(&detail.job_queue).to_owned(),
        environment: last_part(environment.as_str()).to_owned(),
    };
    Ok(AttemptSpec {
        id: attempt,
        image: container.image.clone().unwrap_or_default(),
        command: container.command.clone().unwrap_or_default(),
        env: variables(launchpad, container, attempt, &scope, names),
        vcpu: f64::from(needs.vcpu_milli) / 1000.0,
        memory_mib: needs.memory_mib.into(),
        user: container.user.clone(),
        root: if container.readonly_root_filesystem == Some(true) {
            RootAccess::ReadOnly
        } else {
            RootAccess::ReadWrite
        },
        log: log.target,
        log_group: log.group,
        stop_grace: STOP_GRACE,
    })
}

fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// What a container's processes find in their environment: where AWS's clients find Barge, then the job's own variables,
/// then those that AWS reserves (Batch User Guide, "Job environment variables").
fn variables(
    launchpad: &Launchpad,
    container: &ContainerDetail,
    attempt: AttemptId,
    scope: &Scope,
    names: Whereabouts,
) -> Vec<(String, String)> {
    let region = scope.region.to_string();
    let mut env = vec![
        ("AWS_ENDPOINT_URL".to_owned(), launchpad.endpoint.clone()),
        ("AWS_REGION".to_owned(), region.clone()),
        ("AWS_DEFAULT_REGION".to_owned(), region),
    ];
    let own = container.environment.iter().flatten();
    env.extend(own.map(|pair| (pair.name.clone().unwrap_or_default(), pair.value.clone().unwrap_or_default())));
    env.push(("AWS_BATCH_JOB_ID".to_owned(), attempt.job.to_string()));
    env.push(("AWS_BATCH_JOB_ATTEMPT".to_owned(), attempt.number.to_string()));
    env.push(("AWS_BATCH_JQ_NAME".to_owned(), names.queue));
    env.push(("AWS_BATCH_CE_NAME".to_owned(), names.environment));
    if container.job_role_arn.is_some() {
        env.push(("AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(), launchpad.credentials_uri(attempt)));
        env.push(("AWS_CONTAINER_AUTHORIZATION_TOKEN".to_owned(), launchpad.token(attempt)));
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::JobId;
    use barge_wire::batch::{KeyValuePair, LogConfiguration};

    fn detail() -> JobDetail {
        JobDetail {
            job_queue: "arn:aws:batch:eu-west-1:123456789012:job-queue/q".to_owned(),
            job_definition: "arn:aws:batch:eu-west-1:123456789012:job-definition/loader:3".to_owned(),
            container: Some(ContainerDetail {
                image: Some("loader".to_owned()),
                job_role_arn: Some("arn:aws:iam::123456789012:role/r".to_owned()),
                environment: Some(vec![
                    KeyValuePair { name: Some("A".to_owned()), value: Some("1".to_owned()) },
                    KeyValuePair { name: Some("AWS_REGION".to_owned()), value: Some("us-west-2".to_owned()) },
                ]),
                ..ContainerDetail::default()
            }),
            ..JobDetail::default()
        }
    }

    fn spec(detail: &JobDetail) -> AttemptSpec {
        let launchpad = Launchpad { endpoint: "http://127.0.0.1:4566".to_owned(), secret: vec![7; 32] };
        let attempt = AttemptId { job: JobId::new(5), number: 2 };
        let environment = EnvironmentId::new("arn:aws:batch:eu-west-1:123456789012:compute-environment/ce");
        attempt_spec(&launchpad, detail, attempt, &environment, Needs { vcpu_milli: 250, memory_mib: 512 }).unwrap()
    }

    #[test]
    fn the_environment_tells_where_and_who() {
        let spec = spec(&detail());
        let value = |name: &str| spec.env.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        for (name, expected) in [
            ("AWS_BATCH_JOB_ID", "00000000-0000-0000-0000-000000000005"),
            ("AWS_BATCH_JOB_ATTEMPT", "2"),
            ("AWS_BATCH_JQ_NAME", "q"),
            ("AWS_BATCH_CE_NAME", "ce"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_REGION", "us-west-2"),
            ("A", "1"),
            (
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                "http://127.0.0.1:4566/_barge/credentials/00000000-0000-0000-0000-000000000005-2",
            ),
        ] {
            assert_eq!(value(name), Some(expected), "{name}");
        }
        assert_eq!(value("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(str::len), Some(64));
        assert!((spec.vcpu - 0.25).abs() < f64::EPSILON);
    }

    #[test]
    fn a_job_without_a_role_has_no_credentials() {
        let mut detail = detail();
        detail.container.as_mut().unwrap().job_role_arn = None;
        assert!(!spec(&detail).env.iter().any(|(name, _)| name.starts_with("AWS_CONTAINER_")));
    }

    #[test]
    fn lines_go_where_the_definition_says() {
        let mut detail = detail();
        let plain = spec(&detail);
        assert_eq!((plain.log.group.as_str(), plain.log_group), ("/aws/batch/job", LogGroup::Create));
        let task = task_id(plain.id);
        assert_eq!(plain.log.stream, format!("loader/default/{task}"));
        let options = [("awslogs-group", "/g"), ("awslogs-stream-prefix", "p"), ("awslogs-region", "eu-north-1")];
        detail.container.as_mut().unwrap().log_configuration = Some(LogConfiguration {
            options: Some(options.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
            ..LogConfiguration::default()
        });
        let named = spec(&detail);
        assert_eq!((named.log.group.as_str(), named.log_group), ("/g", LogGroup::MustExist));
        assert_eq!(named.log.stream, format!("p/default/{task}"));
        assert_eq!(named.log.scope.region.as_str(), "eu-north-1");
    }
}
