//! The resource types that templates use.

use crate::fixture::{World, until};
use barge_core::Document;
use barge_core::resource::{Creation, Resource, ResourceProvider};
use barge_wire::batch::{
    Batch, DescribeComputeEnvironmentsRequest, DescribeJobDefinitionsRequest, DescribeJobQueuesRequest, JobStatus,
};
use std::collections::BTreeMap;
use std::sync::Arc;

fn provider(world: &World, type_name: &str) -> Arc<dyn ResourceProvider> {
    let all = barge_batch::resources::resources(&world.batch);
    all.into_iter().find(|provider| provider.schema().type_name == type_name).unwrap()
}

fn creation(token: &str, properties: &str) -> Creation {
    Creation {
        properties: Document::from_json(properties.as_bytes()).unwrap(),
        logical_id: "Thing".to_owned(),
        stack_name: "stack".to_owned(),
        stack_id: "arn:aws:cloudformation:us-east-1:000000000000:stack/stack/1".to_owned(),
        token: token.to_owned(),
        tags: BTreeMap::from([("stack".to_owned(), "tag".to_owned())]),
    }
}

async fn create(world: &World, type_name: &str, token: &str, properties: &str) -> Resource {
    let provider = provider(world, type_name);
    let creation = creation(token, properties);
    let made = provider.create(&world.cx, &creation).await.unwrap();
    assert_eq!(provider.create(&world.cx, &creation).await.unwrap(), made, "the same token makes nothing new");
    let read = provider.read(&world.cx, &made.physical_id, &creation.properties).await.unwrap();
    assert_eq!(read.unwrap().resource, made);
    let attribute = provider.schema().attributes[0];
    assert_eq!(made.attributes[attribute], Document::from(made.physical_id.as_str()));
    made
}

const ENVIRONMENT: &str = r#"{"Type": "managed", "ComputeResources": {"Type": "fargate", "MaxvCpus": "4",
    "Subnets": ["s"], "SecurityGroupIds": ["g"]}}"#;
const DEFINITION: &str = r#"{"Type": "container", "PlatformCapabilities": ["FARGATE"], "RetryStrategy": {"Attempts": "2"},
    "ContainerProperties": {"Image": "i", "ExecutionRoleArn": "arn:aws:iam::000000000000:role/e",
    "ResourceRequirements": [{"Type": "VCPU", "Value": 0.25}, {"Type": "MEMORY", "Value": 512}],
    "LogConfiguration": {"LogDriver": "awslogs", "Options": {"awslogs-group": "/g", "awslogs-stream-prefix": "p"}}}}"#;

#[tokio::test]
async fn a_stack_of_batch_comes_and_goes() {
    let world = World::empty().await;
    let environment = create(&world, "AWS::Batch::ComputeEnvironment", "t1", ENVIRONMENT).await;
    let arn = &environment.physical_id;
    assert!(arn.starts_with("arn:aws:batch:us-east-1:000000000000:compute-environment/stack-Thing-"), "{arn}");
    let order = format!(
        r#"{{"JobQueueName": "q", "Priority": "5", "ComputeEnvironmentOrder": [{{"Order": "1", "ComputeEnvironment": "{arn}"}}]}}"#
    );
    let queue = create(&world, "AWS::Batch::JobQueue", "t2", &order).await;
    let definition = create(&world, "AWS::Batch::JobDefinition", "t3", DEFINITION).await;
    assert!(definition.physical_id.ends_with(":1"));

    let submit = format!(
        r#"{{"jobName": "j", "jobQueue": "{}", "jobDefinition": "{}"}}"#,
        queue.physical_id, definition.physical_id
    );
    let id = world.batch.submit_job(&world.cx, crate::fixture::input(&submit)).await.unwrap().job_id;
    world.runner.launch_of(&id, 1).await;

    let tags =
        world.batch.list_tags_for_resource(&world.cx, crate::fixture::input(&format!(r#"{{"resourceArn": "{arn}"}}"#)));
    assert_eq!(tags.await.unwrap().tags.unwrap()["stack"], "tag");

    for (type_name, made) in [
        ("AWS::Batch::JobDefinition", &definition),
        ("AWS::Batch::JobQueue", &queue),
        ("AWS::Batch::ComputeEnvironment", &environment),
    ] {
        let provider = provider(&world, type_name);
        let properties = Document::default();
        provider.delete(&world.cx, &made.physical_id, &properties).await.unwrap();
        assert_eq!(provider.read(&world.cx, &made.physical_id, &properties).await.unwrap(), None);
        provider.delete(&world.cx, &made.physical_id, &properties).await.unwrap();
    }
    let ended = world.reaches(&id, JobStatus::Failed).await;
    assert_eq!(ended.status_reason.as_deref(), Some("Job queue was deleted"));
}

#[tokio::test]
async fn a_new_token_is_a_new_revision() {
    let world = World::empty().await;
    let named = DEFINITION.replacen('{', r#"{"JobDefinitionName": "d", "#, 1);
    let first = create(&world, "AWS::Batch::JobDefinition", "t1", &named).await;
    let second = create(&world, "AWS::Batch::JobDefinition", "t2", &named).await;
    assert_ne!(first, second);
    let found =
        world.batch.describe_job_definitions(&world.cx, DescribeJobDefinitionsRequest::default()).await.unwrap();
    assert_eq!(found.job_definitions.unwrap().len(), 2);
}

#[tokio::test]
async fn a_queue_and_an_environment_change_in_place() {
    let world = World::new().await;
    let queue = provider(&world, "AWS::Batch::JobQueue");
    let arn = "arn:aws:batch:us-east-1:000000000000:job-queue/q";
    let old = Document::from_json(br#"{"Tags": {"a": "1"}}"#).unwrap();
    let new = creation("t", r#"{"JobQueueName": "q", "Priority": 7, "State": "disabled", "Tags": {"b": "2"}}"#);
    assert_eq!(queue.update(&world.cx, arn, &old, &new).await.unwrap().physical_id, arn);
    let shown = async || {
        let all = world.batch.describe_job_queues(&world.cx, DescribeJobQueuesRequest::default());
        all.await.unwrap().job_queues.unwrap().into_iter().next()
    };
    let now = until(shown).await;
    let tags: Vec<String> = now.tags.unwrap().into_keys().collect();
    assert_eq!((now.priority, now.state.as_str(), tags), (7, "DISABLED", vec!["b".to_owned(), "stack".to_owned()]));
    let environment = provider(&world, "AWS::Batch::ComputeEnvironment");
    let arn = "arn:aws:batch:us-east-1:000000000000:compute-environment/ce";
    let new = creation("t", r#"{"Type": "MANAGED", "ComputeResources": {"Type": "FARGATE", "MaxvCpus": 9}}"#);
    environment.update(&world.cx, arn, &Document::default(), &new).await.unwrap();
    let all = world
        .batch
        .describe_compute_environments(&world.cx, DescribeComputeEnvironmentsRequest::default())
        .await
        .unwrap();
    let resources = all.compute_environments.unwrap().remove(0).compute_resources.unwrap();
    assert_eq!((resources.maxv_cpus, resources.subnets.unwrap()), (9, vec!["subnet-1".to_owned()]));
}

#[tokio::test]
async fn policies_and_consumables_come_with_stacks() {
    let world = World::empty().await;
    let policy = create(
        &world,
        "AWS::Batch::SchedulingPolicy",
        "t1",
        r#"{"FairsharePolicy": {"ShareDecaySeconds": "60",
        "ShareDistribution": [{"ShareIdentifier": "a", "WeightFactor": 0.5}]}}"#,
    )
    .await;
    let licence = r#"{"ConsumableResourceName": "l", "TotalQuantity": "3", "ResourceType": "replenishable"}"#;
    let licence = create(&world, "AWS::Batch::ConsumableResource", "t2", licence).await;
    assert_eq!(licence.attributes["AvailableQuantity"], Document::from(3i64));
    let environment = create(&world, "AWS::Batch::ComputeEnvironment", "t3", ENVIRONMENT).await;
    let queue = format!(
        r#"{{"Priority": 1, "SchedulingPolicyArn": "{}", "ComputeEnvironmentOrder": [{{"Order": 1, "ComputeEnvironment": "{}"}}],
            "JobStateTimeLimitActions": [{{"Reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "State": "RUNNABLE", "MaxTimeSeconds": "600", "Action": "CANCEL"}}]}}"#,
        policy.physical_id, environment.physical_id
    );
    let queue = create(&world, "AWS::Batch::JobQueue", "t4", &queue).await;
    let nodes = r#"{"Type": "multinode", "NodeProperties": {"NumNodes": 2, "MainNode": 0, "NodeRangeProperties":
        [{"TargetNodes": "0:", "Container": {"Image": "i", "Vcpus": 1, "Memory": 128}}]}}"#;
    create(&world, "AWS::Batch::JobDefinition", "t5", nodes).await;
    let several = r#"{"Type": "container", "EcsProperties": {"TaskProperties": [{"Containers": [{"Name": "a", "Image": "i",
        "ResourceRequirements": [{"Type": "VCPU", "Value": "1"}, {"Type": "MEMORY", "Value": "128"}]}]}]}}"#;
    create(&world, "AWS::Batch::JobDefinition", "t6", several).await;

    let change =
        creation("t", r#"{"ConsumableResourceName": "l", "TotalQuantity": 5, "ResourceType": "REPLENISHABLE"}"#);
    let consumables = provider(&world, "AWS::Batch::ConsumableResource");
    let changed = consumables.update(&world.cx, &licence.physical_id, &Document::default(), &change).await.unwrap();
    assert_eq!(changed.attributes["AvailableQuantity"], Document::from(5i64));
    let policies = provider(&world, "AWS::Batch::SchedulingPolicy");
    policies.update(&world.cx, &policy.physical_id, &Document::default(), &creation("t", "{}")).await.unwrap();

    for (type_name, made) in [
        ("AWS::Batch::JobQueue", &queue),
        ("AWS::Batch::SchedulingPolicy", &policy),
        ("AWS::Batch::ConsumableResource", &licence),
        ("AWS::Batch::ComputeEnvironment", &environment),
    ] {
        let provider = provider(&world, type_name);
        provider.delete(&world.cx, &made.physical_id, &Document::default()).await.unwrap();
        assert_eq!(provider.read(&world.cx, &made.physical_id, &Document::default()).await.unwrap(), None);
    }
}
