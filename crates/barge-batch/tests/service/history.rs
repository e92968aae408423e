//! The operator's history: every job that there was, a page at a time, with how its attempts went.

use crate::fixture::World;
use barge_batch::history::Ending;
use barge_batch::operator::HistoryQuery;
use barge_core::{Context, Region, Scope};
use barge_wire::batch::JobStatus;

async fn pages(world: &World, cx: &Context, limit: Option<usize>) -> Vec<Vec<String>> {
    let (mut pages, mut query) = (Vec::new(), HistoryQuery { after: 0, limit });
    loop {
        let page = world.batch.history(cx, query).await.unwrap();
        pages.push(page.jobs.iter().map(|job| job.id.to_string()).collect());
        match page.next {
            Some(next) => query.after = next,
            None => return pages,
        }
    }
}

#[tokio::test]
async fn jobs_come_oldest_first_with_their_attempts() {
    let world = World::new().await;
    let retried = world.submit(r#", "retryStrategy": {"attempts": 2}"#).await;
    for (number, code) in [(1, 3), (2, 0)] {
        world.runner.launch_of(&retried, number).await;
        world.runner.start(&retried, number);
        world.runner.exit(&retried, number, code);
    }
    world.reaches(&retried, JobStatus::Succeeded).await;
    let array = world.submit(r#", "arrayProperties": {"size": 3}"#).await;
    let child = format!("{array}:1");
    world.runner.launch_of(&child, 1).await;
    world.runner.start(&child, 1);
    world.runner.exit(&child, 1, 0);
    world.reaches(&child, JobStatus::Succeeded).await;
    let after = world.submit(&format!(r#", "dependsOn": [{{"jobId": "{array}"}}]"#)).await;

    let page = world.batch.history(&world.cx, HistoryQuery::default()).await.unwrap();
    assert_eq!(page.next, None);
    let [first, second, third] = page.jobs.as_slice() else { panic!("{page:?}") };
    assert_eq!([first, second, third].map(|job| job.id.to_string()), [retried.clone(), array.clone(), after.clone()]);
    let endings =
        |runs: &[barge_batch::history::PastRun]| runs.iter().map(|run| run.ending.clone()).collect::<Vec<_>>();
    assert_eq!(endings(&first.attempts), [Ending::Exited(3), Ending::Exited(0)]);
    assert_eq!((first.name.as_str(), first.definition.as_str(), first.queue.as_str()), ("j", "d:1", "q"));
    assert!(first.stopped_at.is_some() && second.stopped_at.is_none());
    assert_eq!((second.array, second.status.as_str()), (Some(3), "PENDING"));
    let succeeded: Vec<u32> = second
        .children
        .iter()
        .filter(|(_, runs)| endings(runs) == [Ending::Exited(0)])
        .map(|(index, _)| *index)
        .collect();
    assert_eq!(succeeded, [1]);
    assert_eq!((third.depends_on.len(), third.attempts.len()), (1, 0));
}

#[tokio::test]
async fn pages_are_bounded_and_everyone_sees_their_own() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(world.submit("").await);
    }
    let of = |sizes: &[usize]| -> Vec<Vec<String>> {
        let mut rest = ids.iter().cloned();
        sizes.iter().map(|size| rest.by_ref().take(*size).collect()).collect()
    };
    for (limit, sizes) in [
        (None, &[5][..]),
        (Some(2), &[2, 2, 1]),
        (Some(5), &[5]),
        (Some(0), &[1, 1, 1, 1, 1]),
        (Some(usize::MAX), &[5]),
    ] {
        assert_eq!(pages(&world, &world.cx, limit).await, of(sizes), "{limit:?}");
    }
    let region = Region::new("eu-west-1").unwrap();
    let elsewhere = Context { scope: Scope { region, ..Scope::default() }, ..world.cx.clone() };
    assert_eq!(pages(&world, &elsewhere, Some(2)).await, vec![Vec::<String>::new(); 3]);
    assert!(world.batch.setup(&elsewhere).await.unwrap().queues.is_empty());
    let setup = world.batch.setup(&world.cx).await.unwrap();
    assert_eq!((setup.queues.len(), setup.environments[0].max_vcpus), (1, 4));
}
