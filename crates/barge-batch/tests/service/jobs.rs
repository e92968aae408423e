//! Jobs from submission to end.

use crate::fixture::{World, definition, fargate, input, job, queue, until};
use barge_batch::runner::LogGroup;
use barge_core::ports::JobSubmitter;
use barge_core::{AwsError, Document};
use barge_wire::batch::{Batch, DescribeJobsRequest, JobStatus, ListJobsRequest};

#[tokio::test]
async fn a_job_runs_and_tells_all() {
    let world = World::new().await;
    let id = world.submit(r#", "parameters": {"what": "there"}, "tags": {"k": "v"}"#).await;
    let spec = world.runner.launch_of(&id, 1).await;
    assert_eq!(world.describe(&id).await.started_at, None);
    assert_eq!((spec.image.as_str(), spec.memory_mib), ("loader:1", Some(512)));
    assert_eq!(spec.command, ["echo", "hello there"]);
    assert_eq!((spec.log.group.as_str(), spec.log_group), ("/aws/batch/job", LogGroup::Create));
    world.runner.start(&id, 1);
    let running = world.reaches(&id, JobStatus::Running).await;
    assert_eq!(running.container.unwrap().log_stream_name, Some(spec.log.stream.clone()));
    world.runner.exit(&id, 1, 0);
    let ended = world.reaches(&id, JobStatus::Succeeded).await;
    assert_eq!(ended.status_reason.as_deref(), Some("Essential container in task exited"));
    assert_eq!(ended.container.as_ref().unwrap().exit_code, Some(0));
    assert_eq!(ended.job_queue, "arn:aws:batch:us-east-1:000000000000:job-queue/q");
    assert_eq!(ended.job_definition, "arn:aws:batch:us-east-1:000000000000:job-definition/d:1");
    assert_eq!(ended.tags.unwrap()["k"], "v");
    assert!(ended.created_at.unwrap() > 0 && ended.stopped_at.is_some());
    let attempts = ended.attempts.unwrap();
    let container = attempts[0].container.as_ref().unwrap();
    assert_eq!((attempts.len(), container.exit_code), (1, Some(0)));
    assert_eq!(container.log_stream_name.as_deref(), Some(spec.log.stream.as_str()));
    until(async || (world.runner.known() == 0).then_some(())).await;
}

#[tokio::test]
async fn the_world_hears_of_each_state() {
    let world = World::new().await;
    let id = world.submit("").await;
    world.runner.launch_of(&id, 1).await;
    world.runner.start(&id, 1);
    world.runner.exit(&id, 1, 3);
    world.reaches(&id, JobStatus::Failed).await;
    let states = || -> Vec<Option<Document>> {
        world.heard.0.lock().unwrap().iter().map(|event| event.detail.get("status").cloned()).collect()
    };
    let expected = ["RUNNABLE", "STARTING", "RUNNING", "FAILED"].map(|state| Some(Document::from(state)));
    until(async || (states().len() == 4).then_some(())).await;
    assert_eq!(states(), expected);
    let events = world.heard.0.lock().unwrap();
    assert_eq!((events[3].source.as_str(), events[3].detail_type.as_str()), ("aws.batch", "Batch Job State Change"));
    assert_eq!(events[3].detail.get("jobId"), Some(&Document::from(id.as_str())));
}

#[tokio::test]
async fn a_failed_job_is_tried_again() {
    let world = World::new().await;
    let id = world.submit(r#", "retryStrategy": {"attempts": 2}"#).await;
    world.runner.launch_of(&id, 1).await;
    world.runner.exit(&id, 1, 1);
    let again = world.runner.launch_of(&id, 2).await;
    assert!(again.env.contains(&("AWS_BATCH_JOB_ATTEMPT".to_owned(), "2".to_owned())));
    world.runner.exit(&id, 2, 5);
    let ended = world.reaches(&id, JobStatus::Failed).await;
    let codes: Vec<_> =
        ended.attempts.unwrap().into_iter().map(|attempt| attempt.container.unwrap().exit_code).collect();
    assert_eq!(codes, [Some(1), Some(5)]);
}

#[tokio::test]
async fn an_image_that_is_not_there_fails_the_attempt() {
    let world = World::new().await;
    world.runner.refuse("CannotPullContainerError: no such image");
    let id = world.submit("").await;
    let ended = world.reaches(&id, JobStatus::Failed).await;
    assert_eq!(ended.status_reason.as_deref(), Some("Task failed to start"));
    let container = ended.container.unwrap();
    assert_eq!(container.reason.as_deref(), Some("CannotPullContainerError: no such image"));
    assert_eq!((container.exit_code, container.log_stream_name), (None, None));
}

#[tokio::test]
async fn overrides_reach_the_container() {
    let world = World::new().await;
    let id = world
        .submit(
            r#", "containerOverrides": {"command": ["x"], "environment": [{"name": "A", "value": "2"}],
               "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]}"#,
        )
        .await;
    let spec = world.runner.launch_of(&id, 1).await;
    assert_eq!((spec.command.as_slice(), spec.memory_mib), (["x".to_owned()].as_slice(), Some(2048)));
    assert!(spec.env.contains(&("A".to_owned(), "2".to_owned())));
    assert!(!spec.env.contains(&("A".to_owned(), "1".to_owned())));
}

#[tokio::test]
async fn cancel_ends_what_waits_and_terminate_ends_what_runs() {
    let world = World::empty().await;
    let (batch, cx) = (&world.batch, &world.cx);
    batch.create_compute_environment(cx, fargate("ce", 1)).await.unwrap();
    batch.create_job_queue(cx, queue("q", &["ce"])).await.unwrap();
    batch.register_job_definition(cx, definition("d")).await.unwrap();
    let large = r#", "containerOverrides": {"resourceRequirements":
        [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]}"#;
    let (runs, waits) = (world.submit(large).await, world.submit(large).await);
    let reason = |id: &str| format!(r#"{{"jobId": "{id}", "reason": "enough"}}"#);
    batch.cancel_job(cx, input(&reason(&runs))).await.unwrap();
    assert_eq!(world.describe(&runs).await.status, JobStatus::Starting, "what has started is not cancelled");
    batch.cancel_job(cx, input(&reason(&waits))).await.unwrap();
    let cancelled = world.describe(&waits).await;
    assert_eq!((cancelled.status, cancelled.status_reason.as_deref()), (JobStatus::Failed, Some("enough")));
    assert_eq!((cancelled.is_cancelled, cancelled.is_terminated), (Some(true), Some(false)));
    world.runner.launch_of(&runs, 1).await;
    batch.terminate_job(cx, input(&reason(&runs))).await.unwrap();
    let terminated = world.reaches(&runs, JobStatus::Failed).await;
    assert_eq!((terminated.status_reason.as_deref(), terminated.is_terminated), (Some("enough"), Some(true)));
    batch.terminate_job(cx, input(&reason(&runs))).await.unwrap();
}

#[tokio::test]
async fn lists_show_running_jobs_by_default_and_page() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(world.submit("").await);
    }
    for id in &ids[..3] {
        world.runner.launch_of(id, 1).await;
        world.runner.start(id, 1);
        world.reaches(id, JobStatus::Running).await;
    }
    let list = async |more: &str| {
        let request: ListJobsRequest = input(&format!(r#"{{"jobQueue": "q"{more}}}"#));
        let response = world.batch.list_jobs(&world.cx, request).await?;
        let ids: Vec<String> = response.job_summary_list.into_iter().map(|job| job.job_id).collect();
        Ok::<_, AwsError>((ids, response.next_token))
    };
    let newest_first = |ids: &[String]| ids.iter().rev().cloned().collect::<Vec<_>>();
    assert_eq!(list("").await.unwrap().0, newest_first(&ids[..3]));
    assert_eq!(list(r#", "jobStatus": "STARTING""#).await.unwrap().0, newest_first(&ids[3..]));
    assert_eq!(list(r#", "jobStatus": "FAILED""#).await.unwrap().0, [""; 0]);
    let (first, next) = list(r#", "maxResults": 2"#).await.unwrap();
    let (rest, end) = list(&format!(r#", "maxResults": 2, "nextToken": "{}""#, next.unwrap())).await.unwrap();
    assert_eq!(([first, rest].concat(), end), (newest_first(&ids[..3]), None));
    for (filter, value, count) in [
        ("JOB_NAME", "J", 5),
        ("JOB_NAME", "j*", 5),
        ("JOB_NAME", "k*", 0),
        ("JOB_DEFINITION", "d", 5),
        ("JOB_DEFINITION", "d:1", 5),
        ("JOB_DEFINITION", "d*", 5),
        ("JOB_DEFINITION", "e", 0),
        ("JOB_DEFINITION", "arn:aws:batch:us-east-1:000000000000:job-definition/d:1", 5),
        ("AFTER_CREATED_AT", "1000", 5),
        ("BEFORE_CREATED_AT", "1000", 0),
    ] {
        let filters = format!(r#", "filters": [{{"name": "{filter}", "values": ["{value}"]}}]"#);
        assert_eq!(list(&filters).await.unwrap().0.len(), count, "{filter} {value}");
    }
    for wrong in [r#", "nextToken": "zz""#, r#", "maxResults": 0"#, r#", "filters": [{"name": "X", "values": ["1"]}]"#]
    {
        assert!(list(wrong).await.unwrap_err().is("ClientException"), "{wrong}");
    }
}

#[tokio::test]
async fn jobs_of_other_regions_are_not_seen() {
    let world = World::new().await;
    let id = world.submit("").await;
    let mut elsewhere = world.cx.clone();
    elsewhere.scope.region = barge_core::Region::new("eu-west-1").unwrap();
    let found = world.batch.describe_jobs(&elsewhere, DescribeJobsRequest { jobs: vec![id.clone()] }).await.unwrap();
    assert_eq!(found.jobs, Some(Vec::new()));
    let cancel = input(&format!(r#"{{"jobId": "{id}", "reason": "r"}}"#));
    assert!(world.batch.cancel_job(&elsewhere, cancel).await.unwrap_err().is("ClientException"));
}

#[tokio::test]
async fn other_services_submit_through_the_port() {
    let world = World::new().await;
    let request = r#"{"jobName": "j", "jobQueue": "q", "jobDefinition": "d:1"}"#;
    let request = Document::from_json(request.as_bytes()).unwrap();
    let submitter: &dyn JobSubmitter = &*world.batch;
    let id = submitter.submit(&world.cx, request).await.unwrap();
    assert_eq!(world.describe(&id).await.job_name, "j");
}

#[tokio::test]
async fn credentials_are_for_live_attempts_with_the_right_token() {
    let world = World::new().await;
    let id = world.submit("").await;
    let spec = world.runner.launch_of(&id, 1).await;
    let value = |name: &str| spec.env.iter().find(|(n, _)| n == name).unwrap().1.clone();
    let (uri, token) = (value("AWS_CONTAINER_CREDENTIALS_FULL_URI"), value("AWS_CONTAINER_AUTHORIZATION_TOKEN"));
    let attempt = uri.strip_prefix("http://127.0.0.1:4566/_barge/credentials/").unwrap().to_owned();
    let given = world.batch.container_credentials(&attempt, &token).await.unwrap();
    assert_eq!(
        (given.role_arn.as_str(), given.access_key_id.as_str()),
        ("arn:aws:iam::000000000000:role/job", "ASIATEST")
    );
    assert_eq!(given.to_document().get("Expiration"), Some(&Document::from("1970-01-01T00:00:00.000Z")));
    for (attempt, token) in [(attempt.as_str(), ""), (attempt.as_str(), "x"), ("x", token.as_str())] {
        assert_eq!(world.batch.container_credentials(attempt, token).await.err().unwrap().status, 403);
    }
    world.runner.exit(&id, 1, 0);
    world.reaches(&id, JobStatus::Succeeded).await;
    assert_eq!(world.batch.container_credentials(&attempt, &token).await.err().unwrap().status, 403);
}

#[tokio::test]
async fn many_submissions_at_once_are_all_kept() {
    let world = World::new().await;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (batch, cx) = (world.batch.clone(), world.cx.clone());
        waiting.spawn(async move { batch.submit_job(&cx, job("")).await.unwrap().job_id });
    }
    let ids = waiting.join_all().await;
    assert_eq!(ids.len(), 200);
    for chunk in ids.chunks(100) {
        let found = world.batch.describe_jobs(&world.cx, DescribeJobsRequest { jobs: chunk.to_vec() }).await.unwrap();
        assert_eq!(found.jobs.unwrap().len(), 100);
    }
}

#[tokio::test]
async fn many_jobs_are_cancelled_or_terminated_at_once() {
    let world = World::new().await;
    let (batch, cx) = (&world.batch, &world.cx);
    let (runs, nobody) = (world.submit("").await, "0b1f9c7a-0000-4bcd-8ef0-00000000002a");
    world.runner.launch_of(&runs, 1).await;
    let jobs = format!(r#"{{"jobs": ["{runs}", "{nobody}", "x"], "reason": "enough"}}"#);
    let cancelled = batch.cancel_jobs(cx, input(&jobs)).await.unwrap();
    assert_eq!(cancelled.successful, [runs.as_str(), nobody]);
    assert_eq!((cancelled.errors[0].job.as_str(), cancelled.errors[0].code.as_str()), ("x", "ValidationException"));
    assert_eq!(world.describe(&runs).await.status, JobStatus::Starting);
    let terminated = batch.terminate_jobs(cx, input(&jobs)).await.unwrap();
    assert_eq!((terminated.successful.len(), terminated.errors.len()), (2, 1));
    world.reaches(&runs, JobStatus::Failed).await;
    for wrong in [r#"{"jobs": [], "reason": "r"}"#.to_owned(), jobs.replace("enough", "")] {
        assert!(batch.cancel_jobs(cx, input(&wrong)).await.unwrap_err().is("ClientException"));
    }
    let many = vec![format!("\"{runs}\""); 51].join(",");
    let refused = batch.cancel_jobs(cx, input(&format!(r#"{{"jobs": [{many}], "reason": "r"}}"#))).await.unwrap_err();
    assert_eq!(refused.message, "Between 1 and 50 jobs must be provided, not 51.");
}

#[tokio::test]
async fn rules_decide_whether_a_job_is_tried_again() {
    let world = World::new().await;
    let rules = r#", "retryStrategy": {"attempts": 5, "evaluateOnExit": [
        {"onExitCode": "3", "action": "Retry"}, {"onExitCode": "*", "action": "EXIT"}]}"#;
    let id = world.submit(rules).await;
    world.runner.launch_of(&id, 1).await;
    world.runner.exit(&id, 1, 3);
    world.runner.launch_of(&id, 2).await;
    world.runner.exit(&id, 2, 4);
    let ended = world.reaches(&id, JobStatus::Failed).await;
    assert_eq!(ended.attempts.unwrap().len(), 2);
    assert_eq!(ended.retry_strategy.unwrap().evaluate_on_exit.unwrap().len(), 2);
}
