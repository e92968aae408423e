//! Queues, scheduling policies and snapshots.

use crate::fixture::{World, definition, fargate, input, message, queue};
use barge_wire::batch::{Batch, DescribeJobQueuesRequest, JobStatus};

const POLICY: &str = "arn:aws:batch:us-east-1:000000000000:scheduling-policy/p";

/// A world with a fair-share queue `fair` on an environment of one vCPU.
async fn fair() -> World {
    let world = World::empty().await;
    let (batch, cx) = (&world.batch, &world.cx);
    batch.create_compute_environment(cx, fargate("ce", 1)).await.unwrap();
    let policy =
        r#"{"name": "p", "fairsharePolicy": {"shareDistribution": [{"shareIdentifier": "a", "weightFactor": 0.5}]}}"#;
    assert_eq!(batch.create_scheduling_policy(cx, input(policy)).await.unwrap().arn, POLICY);
    let mut fair = queue("fair", &["ce"]);
    fair.scheduling_policy_arn = Some(POLICY.to_owned());
    batch.create_job_queue(cx, fair).await.unwrap();
    batch.create_job_queue(cx, queue("q", &["ce"])).await.unwrap();
    let whole = r#""value": "1"}, {"type": "MEMORY", "value": "2048""#;
    let mut definition = definition("d");
    let requirements = definition.container_properties.as_mut().unwrap().resource_requirements.as_mut().unwrap();
    *requirements = input::<barge_wire::batch::ContainerOverrides>(&format!(
        r#"{{"resourceRequirements": [{{"type": "VCPU", {whole}}}]}}"#
    ))
    .resource_requirements
    .unwrap();
    batch.register_job_definition(cx, definition).await.unwrap();
    world
}

async fn submit(world: &World, more: &str) -> Result<String, barge_core::AwsError> {
    let request = format!(r#"{{"jobName": "j", "jobQueue": "fair", "jobDefinition": "d"{more}}}"#);
    Ok(world.batch.submit_job(&world.cx, input(&request)).await?.job_id)
}

#[tokio::test]
async fn shares_take_turns_and_the_snapshot_shows_who_is_next() {
    let world = fair().await;
    assert_eq!(
        message(submit(&world, "").await),
        "shareIdentifier must be provided: JobQueue fair has a fair-share scheduling policy."
    );
    let first = submit(&world, r#", "shareIdentifier": "a""#).await.unwrap();
    world.runner.launch_of(&first, 1).await;
    let second = submit(&world, r#", "shareIdentifier": "a""#).await.unwrap();
    let urgent = submit(&world, r#", "shareIdentifier": "a", "schedulingPriorityOverride": 9"#).await.unwrap();
    let other = submit(&world, r#", "shareIdentifier": "b""#).await.unwrap();
    let snapshot = world.batch.get_job_queue_snapshot(&world.cx, input(r#"{"jobQueue": "fair"}"#)).await.unwrap();
    let front = snapshot.front_of_queue.unwrap().jobs.unwrap();
    let next: Vec<String> = front.iter().map(|job| job.job_arn.clone().unwrap()).collect();
    let arn = |id: &String| format!("arn:aws:batch:us-east-1:000000000000:job/{id}");
    assert_eq!(next, [arn(&other), arn(&urgent), arn(&second)]);
    assert!(front.iter().all(|job| job.earliest_time_at_position.unwrap() > 0));
    let utilization = snapshot.queue_utilization.unwrap();
    let total = utilization.total_capacity_usage.unwrap().remove(0);
    assert_eq!((total.capacity_unit.as_deref(), total.quantity), (Some("VCPU"), Some(1.0)));
    let shares = utilization.fairshare_utilization.unwrap();
    assert_eq!(shares.active_share_count, Some(2));
    assert_eq!(shares.top_capacity_utilization.unwrap()[0].share_identifier.as_deref(), Some("a"));
    // Nothing is held any more, and what was does not count without a decay time: the first share by name goes next.
    world.runner.exit(&first, 1, 0);
    world.runner.launch_of(&urgent, 1).await;
    let shown = world.describe(&urgent).await;
    assert_eq!((shown.share_identifier.as_deref(), shown.scheduling_priority), (Some("a"), Some(9)));
    let by_share = async |more: &str| {
        let filter = r#""jobQueue": "fair", "filters": [{"name": "SHARE_IDENTIFIER", "values": ["a*"]}]"#;
        world.list(&format!("{filter}{more}")).await.unwrap().0
    };
    assert_eq!(by_share("").await.len(), 3);
    assert_eq!(by_share(r#", "jobStatus": "RUNNABLE""#).await, [second]);
    world.reaches(&first, JobStatus::Succeeded).await;
    assert_eq!(by_share(r#", "jobStatus": "SUCCEEDED""#).await, [first]);
}

#[tokio::test]
async fn policies_are_made_changed_listed_and_deleted_when_unused() {
    let world = fair().await;
    let (batch, cx) = (&world.batch, &world.cx);
    let create = |json: &str| batch.create_scheduling_policy(cx, input(json));
    assert_eq!(message(create(r#"{"name": "p"}"#).await), "Object already exists");
    for (json, expected) in [
        (r#"{"name": "-"}"#, "Scheduling policy name should match valid pattern"),
        (
            r#"{"name": "x", "quotaSharePolicy": {"idleResourceAssignmentStrategy": "FIFO"}}"#,
            "quotaSharePolicy is not available",
        ),
        (
            r#"{"name": "x", "fairsharePolicy": {"computeReservation": 100}}"#,
            "computeReservation must be between 0 and 99.",
        ),
        (r#"{"name": "x", "fairsharePolicy": {"shareDecaySeconds": 604801}}"#, "shareDecaySeconds must be between"),
        (
            r#"{"name": "x", "fairsharePolicy": {"shareDistribution": [{"shareIdentifier": "a", "weightFactor": 1000}]}}"#,
            "weightFactor must be between 0.0001 and 999.9999.",
        ),
    ] {
        let refused = message(create(json).await);
        assert!(refused.starts_with(expected), "{json}: {refused}");
    }
    create(r#"{"name": "r"}"#).await.unwrap();
    let list = async |more: &str| {
        let page = batch.list_scheduling_policies(cx, input(more)).await.unwrap();
        let arns: Vec<String> = page.scheduling_policies.unwrap().into_iter().map(|policy| policy.arn).collect();
        (arns, page.next_token)
    };
    let (first, next) = list(r#"{"maxResults": 1}"#).await;
    let (rest, end) = list(&format!(r#"{{"maxResults": 1, "nextToken": "{}"}}"#, next.unwrap())).await;
    assert_eq!((first, rest, end), (vec![POLICY.to_owned()], vec![POLICY.replace("/p", "/r")], None));
    let update = format!(r#"{{"arn": "{POLICY}", "fairsharePolicy": {{"computeReservation": 7}}}}"#);
    batch.update_scheduling_policy(cx, input(&update)).await.unwrap();
    let found =
        batch.describe_scheduling_policies(cx, input(&format!(r#"{{"arns": ["{POLICY}", "x"]}}"#))).await.unwrap();
    let found = found.scheduling_policies.unwrap();
    assert_eq!(found[0].fairshare_policy.as_ref().unwrap().compute_reservation, Some(7));
    let gone = POLICY.replace("/p", "/gone");
    assert_eq!(
        message(batch.update_scheduling_policy(cx, input(&format!(r#"{{"arn": "{gone}"}}"#))).await),
        format!("Scheduling policy {gone} does not exist.")
    );
    let delete = |arn: &str| batch.delete_scheduling_policy(cx, input(&format!(r#"{{"arn": "{arn}"}}"#)));
    assert!(message(delete(POLICY).await).starts_with("Cannot delete, job queue "));
    delete(&POLICY.replace("/p", "/r")).await.unwrap();
    let world = world.restart().await;
    assert_eq!(
        world.batch.list_scheduling_policies(&world.cx, input("{}")).await.unwrap().scheduling_policies.unwrap().len(),
        1
    );
    assert!(
        submit(&world, r#", "shareIdentifier": "a""#).await.is_ok(),
        "the queue is a fair-share queue after a restart"
    );
}

#[tokio::test]
async fn a_queue_keeps_its_kind() {
    let world = fair().await;
    let (batch, cx) = (&world.batch, &world.cx);
    let update = |json: String| batch.update_job_queue(cx, input(&json));
    for (json, expected) in [
        (format!(r#"{{"jobQueue": "q", "schedulingPolicyArn": "{POLICY}"}}"#), "A scheduling policy can't be added"),
        (r#"{"jobQueue": "fair", "schedulingPolicyArn": ""}"#.to_owned(), "A job queue's scheduling policy can't be removed."),
        (format!(r#"{{"jobQueue": "fair", "schedulingPolicyArn": "{POLICY}x"}}"#), "Scheduling policy "),
        (
            r#"{"jobQueue": "q", "jobStateTimeLimitActions": [{"reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "state": "RUNNABLE", "maxTimeSeconds": 599, "action": "CANCEL"}]}"#.to_owned(),
            "jobStateTimeLimitActions.maxTimeSeconds must be between 600 and 86400, not 599.",
        ),
        (
            r#"{"jobQueue": "q", "jobStateTimeLimitActions": [{"reason": "X", "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}]}"#.to_owned(),
            "jobStateTimeLimitActions.reason \"X\" is not valid.",
        ),
        (
            r#"{"jobQueue": "q", "jobStateTimeLimitActions": [{"reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "TERMINATE"}]}"#.to_owned(),
            "jobStateTimeLimitActions.action TERMINATE is not available in Barge yet.",
        ),
        (r#"{"jobQueue": "q", "priority": 1001}"#.to_owned(), "priority must be between 0 and 1000."),
        (r#"{"jobQueue": "none", "priority": 1}"#.to_owned(), "JobQueue none not found."),
    ] {
        let refused = message(update(json.clone()).await);
        assert!(refused.starts_with(expected), "{json}: {refused}");
    }
    let limit = r#"{"reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}"#;
    update(format!(
        r#"{{"jobQueue": "fair", "schedulingPolicyArn": "{POLICY}", "jobStateTimeLimitActions": [{limit}]}}"#
    ))
    .await
    .unwrap();
    let shown = batch.describe_job_queues(cx, input(r#"{"jobQueues": ["fair"]}"#)).await.unwrap().job_queues.unwrap();
    assert_eq!(shown[0].status.unwrap().as_str(), "VALID");
    assert_eq!(shown[0].job_state_time_limit_actions.as_ref().unwrap()[0].max_time_seconds, 600);
    let mut mixed = queue("m", &["ce"]);
    mixed.job_queue_type = Some(barge_wire::batch::JobQueueType::Ecs);
    assert_eq!(
        message(batch.create_job_queue(cx, mixed).await),
        "jobQueueType ECS does not match the queue's compute environments."
    );
    let missing = batch.get_job_queue_snapshot(cx, input(r#"{"jobQueue": "none"}"#)).await;
    assert_eq!(message(missing), "JobQueue none not found.");
}

#[tokio::test]
async fn an_empty_queue_is_gone_at_once_and_lists_page() {
    let world = fair().await;
    let (batch, cx) = (&world.batch, &world.cx);
    let list = async |more: &str| {
        let request: DescribeJobQueuesRequest = input(more);
        let page = batch.describe_job_queues(cx, request).await.unwrap();
        let names: Vec<String> = page.job_queues.unwrap().into_iter().map(|queue| queue.job_queue_name).collect();
        (names, page.next_token)
    };
    let (first, next) = list(r#"{"maxResults": 1}"#).await;
    let (rest, end) = list(&format!(r#"{{"maxResults": 1, "nextToken": "{}"}}"#, next.unwrap())).await;
    assert_eq!((first, rest, end), (vec!["fair".to_owned()], vec!["q".to_owned()], None));
    batch.update_job_queue(cx, input(r#"{"jobQueue": "q", "state": "DISABLED"}"#)).await.unwrap();
    batch.delete_job_queue(cx, input(r#"{"jobQueue": "q"}"#)).await.unwrap();
    assert_eq!(list("{}").await.0, ["fair"]);
    let world = world.restart().await;
    let after = world.batch.describe_job_queues(&world.cx, input("{}")).await.unwrap();
    assert_eq!(after.job_queues.unwrap().len(), 1, "it stays gone");
}
