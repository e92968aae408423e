//! What is refused, and in which words.

use crate::fixture::{World, definition, fargate, input, job, message, queue};
use barge_core::Document;
use barge_wire::Value;
use barge_wire::batch::{
    Batch, CEState, DeleteComputeEnvironmentRequest, DeleteJobQueueRequest, DeregisterJobDefinitionRequest,
    DescribeJobDefinitionsRequest, RegisterJobDefinitionRequest, UpdateComputeEnvironmentRequest,
};

#[tokio::test]
async fn submissions() {
    let world = World::new().await;
    for (more, expected) in [
        (r#", "jobQueue": "nowhere""#, "JobQueue nowhere not found."),
        (r#", "jobQueue": "a/b""#, "JobQueue a/b not found."),
        (r#", "jobDefinition": "none""#, "JobDefinition name none does not exist or is not in ACTIVE status"),
        (r#", "jobDefinition": "d:7""#, "JobDefinition name d:7 does not exist or is not in ACTIVE status"),
        (
            r#", "jobName": "-x""#,
            "Error executing request, Exception : Job name should match valid pattern, RequestId: ",
        ),
        (r#", "dependsOn": [{"jobId": "x"}]"#, "Job x in dependsOn does not exist."),
        (
            r#", "dependsOn": [{"jobId": "0b1f9c7a-0000-4bcd-8ef0-00000000002a"}]"#,
            "Job 0b1f9c7a-0000-4bcd-8ef0-00000000002a in dependsOn does not exist.",
        ),
        (r#", "dependsOn": [{"type": "SEQUENTIAL"}]"#, "Dependencies of type SEQUENTIAL are for array jobs."),
        (r#", "arrayProperties": {"size": 1}"#, "arrayProperties.size must be between 2 and 10000, not 1."),
        (r#", "arrayProperties": {"size": 10001}"#, "arrayProperties.size must be between 2 and 10000, not 10001."),
        (
            r#", "nodeOverrides": {"numNodes": 2}"#,
            "nodeOverrides is not applicable to the job definition; use containerOverrides.",
        ),
        (
            r#", "ecsPropertiesOverride": {"taskProperties": [{"containers": []}]}"#,
            "ecsPropertiesOverride is not applicable to the job definition; use containerOverrides.",
        ),
        (r#", "eksPropertiesOverride": {}"#, "eksPropertiesOverride is not available in Barge yet."),
        (
            r#", "shareIdentifier": "s""#,
            "shareIdentifier must not be provided: JobQueue q has no fair-share scheduling policy.",
        ),
        (r#", "shareIdentifier": "a/b""#, "shareIdentifier \"a/b\" is not valid."),
        (r#", "schedulingPriorityOverride": 10000"#, "schedulingPriorityOverride must be between 0 and 9999."),
        (
            r#", "consumableResourcePropertiesOverride": {"consumableResourceList": [{"consumableResource": "l", "quantity": 1}]}"#,
            "Consumable resource arn:aws:batch:us-east-1:000000000000:consumable-resource/l does not exist.",
        ),
        (r#", "timeout": {"attemptDurationSeconds": 59}"#, "timeout.attemptDurationSeconds must be at least 60."),
        (r#", "retryStrategy": {"attempts": 11}"#, "retryStrategy.attempts must be between 1 and 10."),
        (
            r#", "containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "1"}]}"#,
            "Fargate resource requirements (1.00 vCPU, 512 MiB) not valid.",
        ),
        (
            r#", "containerOverrides": {"vcpus": 2}"#,
            "vcpus and memory are not supported for jobs that run on Fargate resources; use resourceRequirements.",
        ),
        (
            r#", "containerOverrides": {"environment": [{"name": "AWS_BATCH_X", "value": "1"}]}"#,
            "Environment variable AWS_BATCH_X is not allowed: names that start with AWS_BATCH are reserved.",
        ),
        (r#", "tags": {"aws:x": "y"}"#, "Tag key aws:x is not allowed: keys that start with aws: are reserved."),
    ] {
        let refused = message(world.batch.submit_job(&world.cx, job(more)).await);
        assert!(refused.starts_with(expected), "{more}: {refused}");
    }
    assert!(world.runner.launched().is_empty());
}

#[tokio::test]
async fn definitions_refuse_by_name_what_is_not_honoured() {
    let world = World::empty().await;
    for (member, expected) in [
        (
            r#""privileged": true"#,
            "containerProperties.privileged is not supported for jobs that run on Fargate resources.",
        ),
        (
            r#""volumes": [{"name": "v", "host": {"sourcePath": "/data"}}]"#,
            "containerProperties.volumes.host.sourcePath is not supported for jobs that run on Fargate resources.",
        ),
        (r#""volumes": [{"name": "v"}]"#, "accepted"),
        (
            r#""volumes": [{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]"#,
            "containerProperties.volumes.efsVolumeConfiguration is not available in Barge yet.",
        ),
        (r#""mountPoints": [{"sourceVolume": "v", "containerPath": "/x"}]"#, "Unknown volume 'v'."),
        (r#""secrets": [{"name": "a", "valueFrom": "b"}]"#, "accepted"),
        (
            r#""linuxParameters": {"devices": [{"hostPath": "/dev/null"}]}"#,
            "containerProperties.linuxParameters.devices is not supported for jobs that run on Fargate resources.",
        ),
        (
            r#""linuxParameters": {"tmpfs": [{"containerPath": "/t", "size": 1}]}"#,
            "containerProperties.linuxParameters.tmpfs is not supported for jobs that run on Fargate resources.",
        ),
        (r#""linuxParameters": {"initProcessEnabled": true}"#, "accepted"),
        (
            r#""ulimits": [{"name": "nofile", "softLimit": 1, "hardLimit": 1}]"#,
            "containerProperties.ulimits is not supported for jobs that run on Fargate resources.",
        ),
        (r#""ephemeralStorage": {"sizeInGiB": 20}"#, "ephemeralStorage.sizeInGiB must be between 21 and 200, not 20."),
        (r#""ephemeralStorage": {"sizeInGiB": 21}"#, "accepted"),
        (
            r#""instanceType": "c5.large""#,
            "containerProperties.instanceType is not applicable to single-node container jobs.",
        ),
        (
            r#""repositoryCredentials": {"credentialsParameter": "p"}"#,
            "containerProperties.repositoryCredentials is not available in Barge yet.",
        ),
        (
            r#""resourceRequirements": [{"type": "GPU", "value": "1"}]"#,
            "GPU resource requirements are not available in Barge yet.",
        ),
        (
            r#""logConfiguration": {"logDriver": "splunk"}"#,
            "containerProperties.logConfiguration.logDriver splunk is not available in Barge; use awslogs.",
        ),
        (
            r#""logConfiguration": {"logDriver": "awslogs", "options": {"mode": "blocking"}}"#,
            "containerProperties.logConfiguration.options.mode is not available in Barge yet.",
        ),
        (r#""jobRoleArn": "r""#, r#"jobRoleArn "r" is not the ARN of a role."#),
        (r#""image": "a b""#, r#"Container image "a b" is not valid."#),
        (r#""resourceRequirements": []"#, "Error executing request, Exception : vCPU is not provided., RequestId: "),
        (r#""volumes": [], "ulimits": [], "secrets": [], "privileged": false"#, "accepted"),
        (r#""logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-stream-prefix": "p"}}"#, "accepted"),
        (r#""networkConfiguration": {"assignPublicIp": "DISABLED"}"#, "accepted"),
    ] {
        let mut properties = definition("d").container_properties.unwrap().into_document();
        let extra = Document::from_json(format!("{{{member}}}").as_bytes()).unwrap();
        // Later members win.
        if let (Document::Map(all), Document::Map(extra)) = (&mut properties, extra) {
            all.extend(extra);
        }
        let request = RegisterJobDefinitionRequest {
            container_properties: Some(input(&properties.to_json())),
            ..definition("d")
        };
        let answer = message(world.batch.register_job_definition(&world.cx, request).await);
        assert!(answer.starts_with(expected), "{member}: {answer}");
    }
}

#[tokio::test]
async fn fargate_definitions_need_an_execution_role() {
    let world = World::empty().await;
    let mut request = definition("d");
    request.container_properties.as_mut().unwrap().execution_role_arn = None;
    assert_eq!(
        message(world.batch.register_job_definition(&world.cx, request).await),
        "executionRoleArn is required for jobs that run on Fargate resources."
    );
}

#[tokio::test]
async fn a_definition_runs_only_on_its_platform() {
    let world = World::new().await;
    let ec2 = r#"{"jobDefinitionName": "e", "type": "container",
        "containerProperties": {"image": "i", "vcpus": 1, "memory": 128}}"#;
    world.batch.register_job_definition(&world.cx, input(ec2)).await.unwrap();
    let refused = message(world.batch.submit_job(&world.cx, job(r#", "jobDefinition": "e""#)).await);
    assert!(refused.starts_with("Job Queue is attached to Compute Environments that can not run Jobs"), "{refused}");
}

#[tokio::test]
async fn revisions_are_counted_and_deregistered() {
    let world = World::new().await;
    let (batch, cx) = (&world.batch, &world.cx);
    assert_eq!(batch.register_job_definition(cx, definition("d")).await.unwrap().revision, 2);
    let gone = DeregisterJobDefinitionRequest { job_definition: "d:2".to_owned() };
    batch.deregister_job_definition(cx, gone).await.unwrap();
    let id = world.submit("").await;
    assert!(world.describe(&id).await.job_definition.ends_with("/d:1"), "the latest active revision");
    let refused = message(batch.submit_job(cx, job(r#", "jobDefinition": "d:2""#)).await);
    assert_eq!(refused, "JobDefinition name d:2 does not exist or is not in ACTIVE status");
    assert_eq!(batch.register_job_definition(cx, definition("d")).await.unwrap().revision, 3);
    for (more, expected) in [
        (r#""status": "ACTIVE""#, vec![1, 3]),
        (r#""status": "INACTIVE""#, vec![2]),
        (r#""jobDefinitionName": "d""#, vec![1, 2, 3]),
        (r#""jobDefinitions": ["d:2"]"#, vec![2]),
        (r#""jobDefinitionName": "e""#, vec![]),
    ] {
        let request: DescribeJobDefinitionsRequest = input(&format!("{{{more}}}"));
        let found = batch.describe_job_definitions(cx, request).await.unwrap().job_definitions.unwrap();
        assert_eq!(found.iter().map(|found| found.revision).collect::<Vec<_>>(), expected, "{more}");
    }
}

#[tokio::test]
async fn environments_and_queues() {
    let world = World::new().await;
    let (batch, cx) = (&world.batch, &world.cx);
    assert_eq!(message(batch.create_compute_environment(cx, fargate("ce", 4)).await), "Object already exists");
    assert_eq!(message(batch.create_job_queue(cx, queue("q", &["ce"])).await), "Object already exists");
    assert_eq!(
        message(batch.create_job_queue(cx, queue("r", &["none"])).await),
        "Compute environment arn:aws:batch:us-east-1:000000000000:compute-environment/none does not exist."
    );
    assert!(message(batch.create_job_queue(cx, queue("r", &[])).await).starts_with("computeEnvironmentOrder"));
    let delete = || DeleteComputeEnvironmentRequest { compute_environment: "ce".to_owned() };
    assert_eq!(message(batch.delete_compute_environment(cx, delete()).await), "Cannot delete, state must be DISABLED");
    let disable = UpdateComputeEnvironmentRequest {
        compute_environment: "ce".to_owned(),
        state: Some(CEState::Disabled),
        ..UpdateComputeEnvironmentRequest::default()
    };
    batch.update_compute_environment(cx, disable).await.unwrap();
    assert_eq!(
        message(batch.delete_compute_environment(cx, delete()).await),
        "Cannot delete, found existing JobQueue relationship"
    );
    let delete_queue = || DeleteJobQueueRequest { job_queue: "q".to_owned() };
    assert_eq!(message(batch.delete_job_queue(cx, delete_queue()).await), "Cannot delete, state must be DISABLED");
    batch.update_job_queue(cx, input(r#"{"jobQueue": "q", "state": "DISABLED"}"#)).await.unwrap();
    batch.delete_job_queue(cx, delete_queue()).await.unwrap();
    batch.delete_compute_environment(cx, delete()).await.unwrap();
    batch.delete_compute_environment(cx, delete()).await.unwrap();
    let mut wrong = fargate("x", 4);
    wrong.compute_resources.as_mut().unwrap().minv_cpus = Some(0);
    assert_eq!(
        message(batch.create_compute_environment(cx, wrong).await),
        "computeResources.minvCpus is not applicable to Fargate compute environments."
    );
}

#[tokio::test]
async fn tags_come_and_go_on_everything() {
    let world = World::new().await;
    let id = world.submit("").await;
    world.batch.create_scheduling_policy(&world.cx, input(r#"{"name": "p"}"#)).await.unwrap();
    world.batch.create_consumable_resource(&world.cx, input(r#"{"consumableResourceName": "l"}"#)).await.unwrap();
    for resource in [
        "compute-environment/ce".to_owned(),
        "job-queue/q".into(),
        "job-definition/d:1".into(),
        "scheduling-policy/p".into(),
        "consumable-resource/l".into(),
        format!("job/{id}"),
    ] {
        let arn = format!("arn:aws:batch:us-east-1:000000000000:{resource}");
        let (batch, cx) = (&world.batch, &world.cx);
        batch
            .tag_resource(cx, input(&format!(r#"{{"resourceArn": "{arn}", "tags": {{"a": "1", "b": "2"}}}}"#)))
            .await
            .unwrap();
        batch.untag_resource(cx, input(&format!(r#"{{"resourceArn": "{arn}", "tagKeys": ["a"]}}"#))).await.unwrap();
        let reserved = input(&format!(r#"{{"resourceArn": "{arn}", "tags": {{"aws:a": "1"}}}}"#));
        message(batch.tag_resource(cx, reserved).await);
        let many: Vec<String> = (0..50).map(|n| format!(r#""k{n}": "v""#)).collect();
        let many = input(&format!(r#"{{"resourceArn": "{arn}", "tags": {{{}}}}}"#, many.join(",")));
        assert_eq!(message(batch.tag_resource(cx, many).await), "A resource can have at most 50 tags.");
        let list = input(&format!(r#"{{"resourceArn": "{arn}"}}"#));
        let tags = batch.list_tags_for_resource(cx, list).await.unwrap().tags.unwrap();
        assert_eq!(tags.into_iter().collect::<Vec<_>>(), [("b".to_owned(), "2".to_owned())], "{arn}");
    }
    let missing = input(r#"{"resourceArn": "arn:aws:batch:us-east-1:000000000000:job-queue/none"}"#);
    message(world.batch.list_tags_for_resource(&world.cx, missing).await);
}
