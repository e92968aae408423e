//! What a job says of the containers on one of its nodes, whichever member says it: `container`, `ecsProperties`, or the
//! range of `nodeProperties` that the node is in.

use crate::ranges::range_of;
use barge_wire::batch::{
    EcsProperties, EcsPropertiesDetail, EphemeralStorage, JobDetail, KeyValuePair, LinuxParameters, LogConfiguration,
    MountPoint, ResourceRequirement, ResourceType, Secret, TaskContainerDependency, Ulimit, Volume,
};

/// The name of a container that has none (Batch User Guide, "Use the awslogs log driver": the stream's second part).
pub(super) const DEFAULT_NAME: &str = "default";

/// What is said of a node's containers together.
#[derive(Clone, Debug, Default)]
pub(super) struct TaskSaid<'a> {
    pub(super) containers: Vec<Said<'a>>,
    pub(super) volumes: &'a [Volume],
    pub(super) role: Option<&'a str>,
    pub(super) ephemeral: Option<&'a EphemeralStorage>,
}

/// What is said of one container.
#[derive(Clone, Debug)]
pub(super) struct Said<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) image: &'a str,
    pub(super) command: &'a [String],
    pub(super) environment: &'a [KeyValuePair],
    pub(super) secrets: &'a [Secret],
    pub(super) mounts: &'a [MountPoint],
    pub(super) ulimits: &'a [Ulimit],
    pub(super) requirements: &'a [ResourceRequirement],
    pub(super) linux: Option<&'a LinuxParameters>,
    pub(super) log: Option<&'a LogConfiguration>,
    pub(super) user: Option<&'a str>,
    pub(super) read_only: Option<bool>,
    pub(super) depends_on: &'a [TaskContainerDependency],
    pub(super) essential: Option<bool>,
    /// Seconds.
    pub(super) stop_timeout: Option<i64>,
}

impl Said<'_> {
    pub(super) fn name(&self) -> &str {
        self.name.unwrap_or(DEFAULT_NAME)
    }

    /// The MiB that are asked for.
    pub(super) fn memory_mib(&self) -> Option<u64> {
        self.requirement(ResourceType::Memory)?.parse().ok().filter(|number| *number > 0)
    }

    /// The vCPUs that are asked for, e.g. `0.25`.
    pub(super) fn vcpu(&self) -> Option<f64> {
        self.requirement(ResourceType::Vcpu)?.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0)
    }

    fn requirement(&self, kind: ResourceType) -> Option<&str> {
        self.requirements.iter().find(|requirement| requirement.r#type == kind).map(|found| found.value.as_str())
    }
}

/// The members that every structure with a container has; `image` differs, and so do the rest.
macro_rules! said {
    ($container:ident, $image:expr, $name:expr, $depends_on:expr, $essential:expr, $stop_timeout:expr) => {
        Said {
            name: $name,
            image: $image,
            command: $container.command.as_deref().unwrap_or_default(),
            environment: $container.environment.as_deref().unwrap_or_default(),
            secrets: $container.secrets.as_deref().unwrap_or_default(),
            mounts: $container.mount_points.as_deref().unwrap_or_default(),
            ulimits: $container.ulimits.as_deref().unwrap_or_default(),
            requirements: $container.resource_requirements.as_deref().unwrap_or_default(),
            linux: $container.linux_parameters.as_ref(),
            log: $container.log_configuration.as_ref(),
            user: $container.user.as_deref(),
            read_only: $container.readonly_root_filesystem,
            depends_on: $depends_on,
            essential: $essential,
            stop_timeout: $stop_timeout,
        }
    };
}

/// A task of one container, from `container` of a job or a range of nodes.
macro_rules! alone {
    ($container:ident) => {{
        let image = $container.image.as_deref().unwrap_or_default();
        TaskSaid {
            containers: vec![said!($container, image, None, &[], None, None)],
            volumes: $container.volumes.as_deref().unwrap_or_default(),
            role: $container.job_role_arn.as_deref(),
            ephemeral: $container.ephemeral_storage.as_ref(),
        }
    }};
}

/// A container of a task that may have several.
macro_rules! among {
    ($container:ident, $image:expr) => {{
        let depends_on = $container.depends_on.as_deref().unwrap_or_default();
        let name = $container.name.as_deref();
        said!($container, $image, name, depends_on, $container.essential, $container.stop_timeout)
    }};
}

/// What `detail` says of the containers on `node`; nothing where it does not say anything of it.
pub(super) fn said(detail: &JobDetail, node: u16) -> TaskSaid<'_> {
    if let Some(properties) = &detail.node_properties {
        let Some(range) = range_of(properties, node) else { return TaskSaid::default() };
        return match (&range.ecs_properties, &range.container) {
            (Some(ecs), _) => from_definition(ecs),
            (None, Some(container)) => alone!(container),
            (None, None) => TaskSaid::default(),
        };
    }
    match (&detail.ecs_properties, &detail.container) {
        (Some(ecs), _) => from_detail(ecs),
        (None, Some(container)) => alone!(container),
        (None, None) => TaskSaid::default(),
    }
}

fn from_detail(ecs: &EcsPropertiesDetail) -> TaskSaid<'_> {
    let Some(task) = ecs.task_properties.as_ref().and_then(|tasks| tasks.first()) else { return TaskSaid::default() };
    let containers = task.containers.as_deref().unwrap_or_default();
    TaskSaid {
        containers: containers
            .iter()
            .map(|container| among!(container, container.image.as_deref().unwrap_or_default()))
            .collect(),
        volumes: task.volumes.as_deref().unwrap_or_default(),
        role: task.task_role_arn.as_deref(),
        ephemeral: task.ephemeral_storage.as_ref(),
    }
}

fn from_definition(ecs: &EcsProperties) -> TaskSaid<'_> {
    let Some(task) = ecs.task_properties.first() else { return TaskSaid::default() };
    TaskSaid {
        containers: task.containers.iter().map(|container| among!(container, &container.image)).collect(),
        volumes: task.volumes.as_deref().unwrap_or_default(),
        role: task.task_role_arn.as_deref(),
        ephemeral: task.ephemeral_storage.as_ref(),
    }
}
