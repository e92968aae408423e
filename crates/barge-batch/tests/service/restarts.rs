//! The program is killed and started again.

use crate::fixture::{World, until};
use barge_wire::batch::{Batch, DescribeJobQueuesRequest, JQState, JobStatus, UpdateJobQueueRequest};

#[tokio::test]
async fn what_ran_is_found_again_and_nothing_starts_twice() {
    let world = World::new().await;
    let (running, starting) = (world.submit("").await, world.submit("").await);
    for id in [&running, &starting] {
        world.runner.launch_of(id, 1).await;
    }
    world.runner.start(&running, 1);
    world.reaches(&running, JobStatus::Running).await;
    let world = world.restart().await;
    world.runner.exit(&running, 1, 0);
    world.runner.start(&starting, 1);
    world.runner.exit(&starting, 1, 0);
    for id in [&running, &starting] {
        world.reaches(id, JobStatus::Succeeded).await;
    }
    assert_eq!(world.runner.launched().len(), 2);
}

#[tokio::test]
async fn an_end_that_came_while_the_program_was_down_is_heard() {
    let mut world = World::new().await;
    let id = world.submit("").await;
    world.runner.launch_of(&id, 1).await;
    world.runner.start(&id, 1);
    world.reaches(&id, JobStatus::Running).await;
    let runner = world.runner.clone();
    world = world.restart().await;
    runner.exit(&id, 1, 7);
    let world = world.restart().await;
    let ended = world.reaches(&id, JobStatus::Failed).await;
    assert_eq!(ended.container.unwrap().exit_code, Some(7));
}

#[tokio::test]
async fn what_the_machine_lost_is_tried_again_where_it_may() {
    let world = World::new().await;
    let (once, twice) = (world.submit("").await, world.submit(r#", "retryStrategy": {"attempts": 2}"#).await);
    for id in [&once, &twice] {
        world.runner.launch_of(id, 1).await;
        world.runner.start(id, 1);
        world.reaches(id, JobStatus::Running).await;
    }
    world.runner.lose_all();
    let world = world.restart().await;
    let lost = world.reaches(&once, JobStatus::Failed).await;
    assert!(lost.status_reason.unwrap().starts_with("Host EC2"));
    world.runner.launch_of(&twice, 2).await;
}

#[tokio::test]
async fn names_revisions_and_queues_stay() {
    let world = World::new().await.restart().await;
    let id = world.submit("").await;
    let token = |world: &World, id: &str| {
        let mut spec = world.runner.launched().into_iter().find(|spec| spec.id.attempt.job.to_string() == id)?;
        Some((
            spec.id.to_string(),
            spec.containers.remove(0).env.into_iter().find(|(n, _)| n == "AWS_CONTAINER_AUTHORIZATION_TOKEN")?.1,
        ))
    };
    let (attempt, token) = until(async || token(&world, &id)).await;
    let world = world.restart().await;
    assert!(world.batch.container_credentials(&attempt, &token).await.is_ok(), "a token outlives the program");
    let disable = UpdateJobQueueRequest {
        job_queue: "q".to_owned(),
        state: Some(JQState::Disabled),
        ..UpdateJobQueueRequest::default()
    };
    world.batch.update_job_queue(&world.cx, disable).await.unwrap();
    let world = world.restart().await;
    let queues = world.batch.describe_job_queues(&world.cx, DescribeJobQueuesRequest::default()).await.unwrap();
    assert_eq!(queues.job_queues.unwrap()[0].state, JQState::Disabled);
    let refused = world.batch.submit_job(&world.cx, crate::fixture::job("")).await.unwrap_err();
    assert_eq!(refused.message, "JobQueue q is not in ENABLED state.");
}

#[tokio::test]
async fn what_can_not_be_kept_is_refused_and_news_is_kept_later() {
    let world = World::new().await;
    let id = world.submit("").await;
    world.runner.launch_of(&id, 1).await;
    let aside = world.second_store();
    let rename = async |sql: &'static str| {
        aside.write(move |tx| barge_store::sql(tx.execute_batch(sql))).await.unwrap();
    };
    rename("ALTER TABLE batch_outbox RENAME TO batch_hidden").await;
    let refused = world.batch.submit_job(&world.cx, crate::fixture::job("")).await.unwrap_err();
    assert_eq!(refused.status, 500);
    world.runner.start(&id, 1);
    world.runner.exit(&id, 1, 0);
    rename("ALTER TABLE batch_hidden RENAME TO batch_outbox").await;
    world.reaches(&id, JobStatus::Succeeded).await;
    let next = world.submit("").await;
    world.runner.launch_of(&next, 1).await;
    assert_eq!(world.runner.launched().len(), 2, "what was refused did not run");
}
