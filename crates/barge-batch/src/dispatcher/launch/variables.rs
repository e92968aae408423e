//! What a container's processes find in their environment: where AWS's clients find Barge, then the job's own variables
//! and secrets, then those that AWS reserves (Batch User Guide, "Job environment variables", "Array jobs", "Multi-node
//! parallel jobs").

use super::Launchpad;
use super::said::Said;
use crate::core::{EnvironmentId, Kind, Platform, TaskId, Terms};
use barge_core::Scope;
use barge_wire::batch::JobDetail;

/// Where a node reaches the main node: containers share the machine's network.
const LOOPBACK: &str = "127.0.0.1";

/// What a task's containers have in common.
pub(super) struct Surroundings<'a> {
    pub(super) launchpad: &'a Launchpad,
    pub(super) detail: &'a JobDetail,
    pub(super) terms: &'a Terms,
    pub(super) task: TaskId,
    pub(super) environment: &'a EnvironmentId,
    pub(super) scope: &'a Scope,
    pub(super) role: Option<&'a str>,
}

impl Surroundings<'_> {
    pub(super) fn variables(&self, said: &Said<'_>, secrets: Vec<(String, String)>) -> Vec<(String, String)> {
        let region = self.scope.region.to_string();
        let mut env = Vec::new();
        let mut set = |name: &str, value: String| env.push((name.to_owned(), value));
        set("AWS_ENDPOINT_URL", self.launchpad.endpoint.clone());
        set("AWS_REGION", region.clone());
        set("AWS_DEFAULT_REGION", region);
        for pair in said.environment {
            set(pair.name.as_deref().unwrap_or_default(), pair.value.clone().unwrap_or_default());
        }
        for (name, value) in secrets {
            set(&name, value);
        }
        set("AWS_BATCH_JOB_ID", self.job_id());
        set("AWS_BATCH_JOB_ATTEMPT", self.task.attempt.number.to_string());
        set("AWS_BATCH_JQ_NAME", last_part(&self.detail.job_queue).to_owned());
        set("AWS_BATCH_CE_NAME", last_part(self.environment.as_str()).to_owned());
        self.array(&mut set);
        self.nodes(&mut set);
        // On EC2 a job without a role has its instance's; whether there is one is known when it asks.
        if self.role.is_some() || self.terms.shape.platform == Platform::Ec2 {
            set("AWS_CONTAINER_CREDENTIALS_FULL_URI", self.launchpad.credentials_uri(self.task));
            set("AWS_CONTAINER_AUTHORIZATION_TOKEN", self.launchpad.token(self.task));
        }
        env
    }

    /// `UUID:INDEX` of an array's child, `UUID#NODE` of a node.
    fn job_id(&self) -> String {
        match self.terms.kind {
            Kind::Nodes { .. } => format!("{}#{}", self.task.attempt.job, self.task.node),
            Kind::Single | Kind::Array { .. } => self.task.attempt.job.to_string(),
        }
    }

    fn array(&self, set: &mut impl FnMut(&str, String)) {
        let Some((_, index)) = self.task.attempt.job.parent() else { return };
        set("AWS_BATCH_JOB_ARRAY_INDEX", index.to_string());
        if let Kind::Array { size } = self.terms.kind {
            set("AWS_BATCH_JOB_ARRAY_SIZE", size.to_string());
        }
    }

    fn nodes(&self, set: &mut impl FnMut(&str, String)) {
        let Kind::Nodes { main } = self.terms.kind else { return };
        set("AWS_BATCH_JOB_MAIN_NODE_INDEX", main.to_string());
        set("AWS_BATCH_JOB_NODE_INDEX", self.task.node.to_string());
        set("AWS_BATCH_JOB_NUM_NODES", self.terms.shape.tasks.len().to_string());
        if self.task.node != main {
            set("AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS", LOOPBACK.to_owned());
        }
    }
}

fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
