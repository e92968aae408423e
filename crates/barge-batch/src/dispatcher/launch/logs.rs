//! Where containers' lines go (Batch User Guide, "Use the awslogs log driver").

use super::said::said;
use crate::core::TaskId;
use crate::runner::LogGroup;
use barge_core::ports::LogTarget;
use barge_core::{Region, Scope};
use barge_wire::batch::{JobDetail, LogConfiguration};
use sha2::{Digest, Sha256};

/// The log group of jobs whose definition names none.
const DEFAULT_GROUP: &str = "/aws/batch/job";
/// Characters of a definition's name in the name of a stream.
const LONGEST_PREFIX: usize = 200;

/// What a definition says of a container's logs.
pub(crate) struct LogSettings {
    /// Where lines go.
    pub(crate) target: LogTarget,
    /// What to do where the group does not exist.
    pub(crate) group: LogGroup,
}

/// The ECS task id of a task: 32 hexadecimal digits that follow from its id.
pub(crate) fn task_id(task: TaskId) -> String {
    let mut digits = hex::encode(Sha256::digest(task.to_string().as_bytes()));
    digits.truncate(32);
    digits
}

/// Where the lines of one of a task's containers go: stream `PREFIX/CONTAINER/TASK`, the prefix being the job
/// definition's name where none is given, and the container `default` where it has no name.
pub(crate) fn log_target(detail: &JobDetail, task: TaskId, container: &str, scope: &Scope) -> LogSettings {
    let said = said(detail, task.node);
    let found = said.containers.iter().find(|said| said.name() == container).or(said.containers.first());
    let name = found.map_or(container, |found| found.name());
    settings(detail, task, name, found.and_then(|found| found.log), scope)
}

pub(super) fn settings(
    detail: &JobDetail,
    task: TaskId,
    container: &str,
    configuration: Option<&LogConfiguration>,
    scope: &Scope,
) -> LogSettings {
    let options = configuration.and_then(|configuration| configuration.options.as_ref());
    let option = |name: &str| options.and_then(|options| options.get(name)).map(String::as_str);
    let prefix = option("awslogs-stream-prefix").unwrap_or_else(|| definition_name(&detail.job_definition));
    let group = option("awslogs-group").unwrap_or(DEFAULT_GROUP);
    let region = option("awslogs-region").and_then(Region::new).unwrap_or_else(|| scope.region.clone());
    LogSettings {
        target: LogTarget {
            scope: Scope { account: scope.account.clone(), region },
            group: group.to_owned(),
            stream: format!("{prefix}/{container}/{}", task_id(task)),
        },
        group: if group == DEFAULT_GROUP || option("awslogs-create-group") == Some("true") {
            LogGroup::Create
        } else {
            LogGroup::MustExist
        },
    }
}

/// The name in a definition's ARN, as much of it as a stream's name takes.
fn definition_name(arn: &str) -> &str {
    let name = arn.split_once("job-definition/").map_or(arn, |(_, rest)| rest);
    let name = name.split(':').next().unwrap_or(name);
    name.get(..LONGEST_PREFIX).unwrap_or(name)
}
