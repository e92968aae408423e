//! Multi-node parallel jobs, and jobs of several containers.

use crate::fixture::{World, input, message};
use barge_wire::batch::{Batch, DescribeJobsRequest, JobDetail, JobStatus};

/// A world with an EC2 environment `e`, its queue `eq`, a definition `n` of three nodes with the second as main node, and a
/// definition `c` of two containers.
async fn world() -> World {
    let world = World::empty().await;
    let (batch, cx) = (&world.batch, &world.cx);
    let environment = r#"{"computeEnvironmentName": "e", "type": "MANAGED", "computeResources": {"type": "EC2", "maxvCpus": 64,
        "subnets": ["s"], "securityGroupIds": ["g"], "instanceTypes": ["c5.xlarge"], "instanceRole": "r"}}"#;
    batch.create_compute_environment(cx, input(environment)).await.unwrap();
    let queue = r#"{"jobQueueName": "eq", "priority": 1, "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "e"}]}"#;
    batch.create_job_queue(cx, input(queue)).await.unwrap();
    let nodes = r#"{"jobDefinitionName": "n", "type": "multinode", "parameters": {"what": "all"}, "nodeProperties":
        {"numNodes": 3, "mainNode": 1, "nodeRangeProperties": [
          {"targetNodes": "0:", "container": {"image": "worker", "vcpus": 1, "memory": 256, "command": ["work", "Ref::what"]}},
          {"targetNodes": "1", "container": {"image": "main", "vcpus": 2, "memory": 512}}]}}"#;
    batch.register_job_definition(cx, input(nodes)).await.unwrap();
    let containers = r#"{"jobDefinitionName": "c", "type": "container", "ecsProperties": {"taskProperties": [{"containers": [
        {"name": "main", "image": "m", "dependsOn": [{"containerName": "side", "condition": "START"}],
         "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "256"}]},
        {"name": "side", "image": "s", "essential": false, "command": ["side"],
         "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]}]}]}}"#;
    batch.register_job_definition(cx, input(containers)).await.unwrap();
    world
}

async fn submit(world: &World, definition: &str, more: &str) -> String {
    let request = format!(r#"{{"jobName": "j", "jobQueue": "eq", "jobDefinition": "{definition}"{more}}}"#);
    world.batch.submit_job(&world.cx, input(&request)).await.unwrap().job_id
}

async fn refused(world: &World, definition: &str, more: &str) -> String {
    let request = format!(r#"{{"jobName": "j", "jobQueue": "eq", "jobDefinition": "{definition}"{more}}}"#);
    message(world.batch.submit_job(&world.cx, input(&request)).await)
}

async fn nodes_in(world: &World, id: &str, status: &str) -> Vec<String> {
    world.list(&format!(r#""multiNodeJobId": "{id}", "jobStatus": "{status}""#)).await.unwrap().0
}

#[tokio::test]
async fn the_main_nodes_end_is_the_jobs() {
    let world = world().await;
    let id = submit(&world, "n", "").await;
    let node = |node: u16| format!("{id}#{node}");
    let images = async |number| world.runner.launch_of_node(&id, 1, number).await.containers.remove(0).image;
    assert_eq!((images(0).await, images(1).await, images(2).await), ("worker".into(), "main".into(), "worker".into()));
    assert_eq!(world.runner.launch_of_node(&id, 1, 2).await.containers[0].command, ["work", "all"]);
    assert_eq!(nodes_in(&world, &id, "STARTING").await, [node(0), node(1), node(2)]);
    for number in 0..3 {
        world.runner.start_node(&id, 1, number);
    }
    world.reaches(&id, JobStatus::Running).await;
    world.runner.exit_node(&id, 1, 1, 0);
    let ended = world.reaches(&id, JobStatus::Succeeded).await;
    assert_eq!(ended.node_properties.unwrap().num_nodes, 3);
    assert_eq!(ended.attempts.unwrap()[0].container.as_ref().unwrap().exit_code, Some(0));
    let request = DescribeJobsRequest { jobs: vec![node(1), node(2), node(3)] };
    let found: Vec<JobDetail> = world.batch.describe_jobs(&world.cx, request).await.unwrap().jobs.unwrap();
    assert_eq!(found.iter().map(|job| job.job_id.clone()).collect::<Vec<_>>(), [node(1), node(2)]);
    let main = &found[0];
    let details = main.node_details.as_ref().unwrap();
    assert_eq!((details.node_index, details.is_main_node), (Some(1), Some(true)));
    let container = main.container.as_ref().unwrap();
    assert_eq!((container.image.as_deref(), container.exit_code), (Some("main"), Some(0)));
    assert!(container.container_instance_arn.as_ref().unwrap().contains("container-instance/AWSBatch-e/i-"));
    assert_ne!(container.log_stream_name, found[1].container.as_ref().unwrap().log_stream_name);
    let node_end =
        world.batch.terminate_job(&world.cx, input(&format!(r#"{{"jobId": "{}", "reason": "r"}}"#, node(0))));
    assert!(message(node_end.await).starts_with(&format!("Node {id}#0 can't be ended by itself")));
}

#[tokio::test]
async fn overrides_reach_the_nodes() {
    let world = world().await;
    let more = r#", "nodeOverrides": {"numNodes": 4, "nodePropertyOverrides": [{"targetNodes": "0:", "containerOverrides":
        {"command": ["other", "Ref::what"], "vcpus": 3, "environment": [{"name": "A", "value": "1"}]}}]}"#;
    let id = submit(&world, "n", more).await;
    let spec = world.runner.launch_of_node(&id, 1, 3).await.containers.remove(0);
    assert_eq!((spec.command, spec.vcpu), (vec!["other".to_owned(), "all".to_owned()], Some(3.0)));
    assert!(spec.env.contains(&("A".to_owned(), "1".to_owned())));
    assert_eq!(world.runner.launch_of_node(&id, 1, 1).await.containers[0].vcpu, Some(2.0));
    for (more, expected) in [
        (
            r#", "containerOverrides": {"command": ["x"]}"#,
            "containerOverrides is not applicable to the job definition; use nodeOverrides.",
        ),
        (r#", "arrayProperties": {"size": 2}"#, "A multi-node parallel job can't be an array job."),
        (r#", "nodeOverrides": {"numNodes": 1}"#, "mainNode must be between 0 and 0, not 1."),
        (
            r#", "nodeOverrides": {"nodePropertyOverrides": [{"targetNodes": "2", "containerOverrides": {}}]}"#,
            "targetNodes \"2\" of nodeOverrides is no node range of the job definition.",
        ),
        (
            r#", "nodeOverrides": {"nodePropertyOverrides": [{"targetNodes": "1", "instanceTypes": ["c5.large"]}]}"#,
            "nodeOverrides.nodePropertyOverrides.instanceTypes is not available in Barge yet.",
        ),
    ] {
        assert_eq!(refused(&world, "n", more).await, expected, "{more}");
    }
}

#[tokio::test]
async fn a_job_of_several_containers_tells_of_each() {
    let world = world().await;
    let more =
        r#", "ecsPropertiesOverride": {"taskProperties": [{"containers": [{"name": "side", "command": ["other"]}]}]}"#;
    let id = submit(&world, "c", more).await;
    let spec = world.runner.launch_of_node(&id, 1, 0).await;
    let seen: Vec<_> = spec.containers.iter().map(|c| (c.name.as_str(), c.command.clone())).collect();
    assert_eq!(seen, [("main", vec![]), ("side", vec!["other".to_owned()])]);
    world.runner.start(&id, 1);
    world.runner.exit_containers(&id, 1, &[("main", 3), ("side", 0)]);
    let ended = world.reaches(&id, JobStatus::Failed).await;
    assert_eq!(ended.container, None);
    let attempt = ended.attempts.unwrap().remove(0);
    let containers = attempt.task_properties.unwrap().remove(0).containers.unwrap();
    let codes: Vec<_> = containers.iter().map(|c| (c.name.as_deref().unwrap(), c.exit_code)).collect();
    assert_eq!(codes, [("main", Some(3)), ("side", Some(0))]);
    assert_ne!(containers[0].log_stream_name, containers[1].log_stream_name);
    let task = ended.ecs_properties.unwrap().task_properties.unwrap().remove(0);
    assert!(task.task_arn.is_some());
    assert_eq!(task.containers.unwrap()[0].exit_code, Some(3));
    assert_eq!(
        refused(&world, "c", r#", "ecsPropertiesOverride": {"taskProperties": [{"containers": [{"name": "x"}]}]}"#)
            .await,
        "ecsPropertiesOverride names no container of the task: \"x\"."
    );
}

#[tokio::test]
async fn instances_come_with_the_demand_and_are_shown() {
    let world = world().await;
    let desired = async || {
        let all = world.batch.describe_compute_environments(&world.cx, input("{}")).await.unwrap();
        all.compute_environments.unwrap().remove(0).compute_resources.unwrap().desiredv_cpus
    };
    assert_eq!(desired().await, Some(0));
    let id = submit(&world, "c", "").await;
    world.runner.launch_of_node(&id, 1, 0).await;
    assert_eq!(desired().await, Some(4), "one c5.xlarge");
}
