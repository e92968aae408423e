//! Array jobs: children that have no record until they start, and still are shown.

use crate::fixture::{World, input, job, message};
use barge_wire::batch::{Batch, DescribeJobsRequest, JobStatus};

/// A world whose environment runs two children at a time, and an array of five.
async fn array() -> (World, String) {
    let world = World::new().await;
    let large = r#""containerOverrides": {"resourceRequirements":
        [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "4096"}]}"#;
    let id = world.submit(&format!(r#", "arrayProperties": {{"size": 5}}, {large}"#)).await;
    (world, id)
}

async fn counts(world: &World, id: &str) -> Vec<(String, i64)> {
    let summary = world.describe(id).await.array_properties.unwrap().status_summary.unwrap();
    summary.into_iter().filter(|(_, count)| *count > 0).collect()
}

fn text(counts: &[(&str, i64)]) -> Vec<(String, i64)> {
    counts.iter().map(|(status, count)| ((*status).to_owned(), *count)).collect()
}

#[tokio::test]
async fn children_run_and_the_parent_ends_with_the_last() {
    let (world, id) = array().await;
    for index in 0..2 {
        let spec = world.runner.launch_of(&format!("{id}:{index}"), 1).await;
        let value = |name: &str| spec.env.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        assert_eq!(value("AWS_BATCH_JOB_ARRAY_INDEX"), Some(index.to_string()));
        assert_eq!(value("AWS_BATCH_JOB_ID"), Some(format!("{id}:{index}")));
    }
    assert_eq!(counts(&world, &id).await, text(&[("RUNNABLE", 3), ("STARTING", 2)]));
    let parent = world.describe(&id).await;
    assert_eq!((parent.status, parent.array_properties.unwrap().size), (JobStatus::Pending, Some(5)));
    for index in 0..5 {
        let child = format!("{id}:{index}");
        world.runner.launch_of(&child, 1).await;
        world.runner.start(&child, 1);
        world.runner.exit(&child, 1, i32::from(index == 3));
    }
    let parent = world.reaches(&id, JobStatus::Failed).await;
    assert_eq!(parent.status_reason.as_deref(), Some("Array Child Job failed"));
    assert_eq!(counts(&world, &id).await, text(&[("FAILED", 1), ("SUCCEEDED", 4)]));
    let child = world.describe(&format!("{id}:3")).await;
    assert_eq!((child.status, child.container.unwrap().exit_code), (JobStatus::Failed, Some(1)));
    assert_eq!(child.array_properties.unwrap().index, Some(3));
    assert_eq!(child.job_arn.unwrap(), format!("arn:aws:batch:us-east-1:000000000000:job/{id}:3"));
}

#[tokio::test]
async fn children_without_a_record_are_described_and_listed() {
    let (world, id) = array().await;
    world.runner.launch_of(&format!("{id}:1"), 1).await;
    let ids = ["0", "4", "5", "x"].map(|index| format!("{id}:{index}"));
    let found = world.batch.describe_jobs(&world.cx, DescribeJobsRequest { jobs: ids.into() }).await.unwrap();
    let states: Vec<_> = found.jobs.unwrap().into_iter().map(|job| (job.job_id, job.status)).collect();
    assert_eq!(states, [(format!("{id}:0"), JobStatus::Starting), (format!("{id}:4"), JobStatus::Runnable)]);
    let list = async |more: &str| world.list(&format!(r#""arrayJobId": "{id}"{more}"#)).await.unwrap();
    let children = |indexes: &[u32]| indexes.iter().map(|index| format!("{id}:{index}")).collect::<Vec<_>>();
    assert_eq!(list("").await.0, children(&[]), "none runs yet");
    assert_eq!(list(r#", "jobStatus": "STARTING""#).await.0, children(&[0, 1]));
    let (first, next) = list(r#", "jobStatus": "RUNNABLE", "maxResults": 2"#).await;
    assert_eq!(first, children(&[2, 3]));
    let more = format!(r#", "jobStatus": "RUNNABLE", "maxResults": 2, "nextToken": "{}""#, next.unwrap());
    assert_eq!(list(&more).await, (children(&[4]), None));
    assert_eq!(
        message(
            world.list(&format!(r#""arrayJobId": "{id}", "filters": [{{"name": "JOB_NAME", "values": ["j"]}}]"#)).await
        ),
        "Filters don't apply to the children of an array or the nodes of a job."
    );
    let single = world.submit("").await;
    assert_eq!(
        message(world.list(&format!(r#""arrayJobId": "{single}""#)).await),
        format!("Job {single} is not an array job.")
    );
}

#[tokio::test]
async fn cancel_and_terminate_reach_the_children() {
    let (world, id) = array().await;
    let (batch, cx) = (&world.batch, &world.cx);
    for index in 0..2 {
        world.runner.launch_of(&format!("{id}:{index}"), 1).await;
    }
    let end = |id: &str| input(&format!(r#"{{"jobId": "{id}", "reason": "enough"}}"#));
    batch.cancel_job(cx, input(&format!(r#"{{"jobId": "{id}:4", "reason": "not this one"}}"#))).await.unwrap();
    let child = world.describe(&format!("{id}:4")).await;
    assert_eq!((child.status, child.is_cancelled), (JobStatus::Failed, Some(true)));
    batch.cancel_job(cx, end(&id)).await.unwrap();
    assert_eq!(counts(&world, &id).await, text(&[("FAILED", 3), ("STARTING", 2)]));
    let child = world.describe(&format!("{id}:2")).await;
    assert_eq!((child.status, child.status_reason.as_deref()), (JobStatus::Failed, Some("enough")));
    batch.terminate_job(cx, input(&format!(r#"{{"jobId": "{id}", "reason": "now"}}"#))).await.unwrap();
    let parent = world.reaches(&id, JobStatus::Failed).await;
    assert_eq!(parent.is_terminated, Some(true));
    let child = world.describe(&format!("{id}:0")).await;
    assert_eq!((child.status_reason.as_deref(), child.is_terminated), (Some("now"), Some(true)));
    assert_eq!(counts(&world, &id).await, text(&[("FAILED", 5)]));
    let listed = world.list(&format!(r#""arrayJobId": "{id}", "jobStatus": "FAILED""#)).await.unwrap().0;
    assert_eq!(listed.len(), 5);
    let missing = message(batch.cancel_job(cx, end(&format!("{id}:5"))).await);
    assert_eq!(missing, format!("Job {id}:5 does not exist."));
}

#[tokio::test]
async fn arrays_wait_for_arrays_child_by_child() {
    let world = World::new().await;
    let first = world.submit(r#", "arrayProperties": {"size": 2}"#).await;
    let depends = format!(r#""dependsOn": [{{"jobId": "{first}", "type": "N_TO_N"}}]"#);
    let second = world.submit(&format!(r#", "arrayProperties": {{"size": 2}}, {depends}"#)).await;
    assert_eq!(counts(&world, &second).await, text(&[("PENDING", 2)]));
    world.runner.launch_of(&format!("{first}:1"), 1).await;
    world.runner.exit(&format!("{first}:1"), 1, 0);
    world.runner.launch_of(&format!("{second}:1"), 1).await;
    assert_eq!(world.describe(&format!("{second}:0")).await.status, JobStatus::Pending);
    world.runner.exit(&format!("{first}:0"), 1, 1);
    let failed = world.reaches(&format!("{second}:0"), JobStatus::Failed).await;
    assert_eq!(failed.status_reason.as_deref(), Some("Dependent Job failed"));
    let refused = world.batch.submit_job(&world.cx, job(&format!(r#", "arrayProperties": {{"size": 3}}, {depends}"#)));
    assert_eq!(
        message(refused.await),
        format!("Dependencies of type N_TO_N need arrays of the same size: job {first} is none.")
    );
    // The first has ended: what became of its children still counts.
    world.reaches(&first, JobStatus::Failed).await;
    let third = world.submit(&format!(r#", "arrayProperties": {{"size": 2}}, {depends}"#)).await;
    world.runner.launch_of(&format!("{third}:1"), 1).await;
    assert_eq!(world.describe(&format!("{third}:0")).await.status, JobStatus::Failed);
}

#[tokio::test]
async fn a_sequential_array_runs_one_after_the_other() {
    let world = World::new().await;
    let id = world.submit(r#", "arrayProperties": {"size": 3}, "dependsOn": [{"type": "SEQUENTIAL"}]"#).await;
    world.runner.launch_of(&format!("{id}:0"), 1).await;
    assert_eq!(counts(&world, &id).await, text(&[("PENDING", 2), ("STARTING", 1)]));
    world.runner.exit(&format!("{id}:0"), 1, 0);
    world.runner.launch_of(&format!("{id}:1"), 1).await;
    world.runner.exit(&format!("{id}:1"), 1, 1);
    world.reaches(&id, JobStatus::Failed).await;
    let last = world.describe(&format!("{id}:2")).await;
    assert_eq!((last.status, last.status_reason.as_deref()), (JobStatus::Failed, Some("Dependent Job failed")));
}

#[tokio::test]
async fn jobs_wait_for_jobs_and_for_children() {
    let world = World::new().await;
    let array = world.submit(r#", "arrayProperties": {"size": 2}"#).await;
    let after = |id: &str| format!(r#", "dependsOn": [{{"jobId": "{id}"}}]"#);
    let child = world.submit(&after(&format!("{array}:0"))).await;
    let whole = world.submit(&after(&array)).await;
    world.runner.launch_of(&format!("{array}:0"), 1).await;
    world.runner.exit(&format!("{array}:0"), 1, 0);
    world.runner.launch_of(&child, 1).await;
    assert_eq!(world.describe(&whole).await.status, JobStatus::Pending);
    world.runner.exit(&format!("{array}:1"), 1, 0);
    world.runner.launch_of(&whole, 1).await;
    // What has succeeded is no obstacle, what has failed is fatal.
    let met = world.submit(&after(&array)).await;
    world.runner.launch_of(&met, 1).await;
    world.runner.exit(&met, 1, 1);
    world.reaches(&met, JobStatus::Failed).await;
    let lost = world.submit(&after(&met)).await;
    let lost = world.describe(&lost).await;
    assert_eq!((lost.status, lost.status_reason.as_deref()), (JobStatus::Failed, Some("Dependent Job failed")));
    assert_eq!(lost.depends_on.unwrap()[0].job_id.as_deref(), Some(met.as_str()));
}
