//! Containers and tasks as definitions have them, in the shapes in which jobs show them.

use barge_wire::batch::{
    ContainerDetail, ContainerProperties, EcsPropertiesDetail, EcsTaskDetails, EcsTaskProperties, TaskContainerDetails,
    TaskContainerProperties,
};

/// A job's container.
pub(crate) fn container_detail(properties: ContainerProperties) -> ContainerDetail {
    let ContainerProperties {
        image,
        vcpus,
        memory,
        command,
        job_role_arn,
        execution_role_arn,
        volumes,
        environment,
        mount_points,
        readonly_root_filesystem,
        privileged,
        ulimits,
        user,
        instance_type,
        resource_requirements,
        linux_parameters,
        log_configuration,
        secrets,
        network_configuration,
        fargate_platform_configuration,
        enable_execute_command,
        ephemeral_storage,
        runtime_platform,
        repository_credentials,
    } = properties;
    ContainerDetail {
        image,
        vcpus,
        memory,
        command,
        job_role_arn,
        execution_role_arn,
        volumes: Some(volumes.unwrap_or_default()),
        environment,
        mount_points: Some(mount_points.unwrap_or_default()),
        readonly_root_filesystem,
        ulimits: Some(ulimits.unwrap_or_default()),
        privileged,
        user,
        instance_type,
        network_interfaces: Some(Vec::new()),
        resource_requirements,
        linux_parameters,
        log_configuration,
        secrets: Some(secrets.unwrap_or_default()),
        network_configuration,
        fargate_platform_configuration,
        ephemeral_storage,
        runtime_platform,
        repository_credentials,
        enable_execute_command,
        ..ContainerDetail::default()
    }
}

/// A job's task.
pub(crate) fn ecs_detail(task: EcsTaskProperties) -> EcsPropertiesDetail {
    let EcsTaskProperties {
        containers,
        ephemeral_storage,
        execution_role_arn,
        platform_version,
        ipc_mode,
        task_role_arn,
        pid_mode,
        network_configuration,
        runtime_platform,
        volumes,
        enable_execute_command,
        network_mode,
    } = task;
    let task = EcsTaskDetails {
        containers: Some(containers.into_iter().map(task_container).collect()),
        ephemeral_storage,
        execution_role_arn,
        platform_version,
        ipc_mode,
        task_role_arn,
        pid_mode,
        network_configuration,
        runtime_platform,
        volumes,
        enable_execute_command,
        network_mode,
        ..EcsTaskDetails::default()
    };
    EcsPropertiesDetail { task_properties: Some(vec![task]) }
}

fn task_container(container: TaskContainerProperties) -> TaskContainerDetails {
    let TaskContainerProperties {
        command,
        depends_on,
        environment,
        essential,
        firelens_configuration,
        image,
        linux_parameters,
        log_configuration,
        mount_points,
        name,
        privileged,
        readonly_root_filesystem,
        repository_credentials,
        resource_requirements,
        secrets,
        ulimits,
        user,
        start_timeout,
        stop_timeout,
    } = container;
    TaskContainerDetails {
        command,
        depends_on,
        environment,
        essential: Some(essential != Some(false)),
        firelens_configuration,
        image: Some(image),
        linux_parameters,
        log_configuration,
        mount_points,
        name,
        privileged,
        readonly_root_filesystem,
        repository_credentials,
        resource_requirements,
        secrets,
        ulimits,
        user,
        start_timeout,
        stop_timeout,
        network_interfaces: Some(Vec::new()),
        ..TaskContainerDetails::default()
    }
}
