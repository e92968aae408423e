//! Servers killed half-way: the runtime is dropped with calls under way, and a new service opens the same database.

use super::*;
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Runs `before` on a service, kills it, and runs `after` on its successor once that has taken up the work.
fn killed_between<B, A>(
    world: &Arc<World>,
    before: impl FnOnce(House) -> B,
    release: &[&str],
    after: impl FnOnce(House) -> A,
) where
    B: Future<Output = ()>,
    A: Future<Output = ()>,
{
    let dir = tempfile::tempdir().unwrap();
    let first = runtime();
    first.block_on(async { before(house_at(&dir, Arc::clone(world), 0)).await });
    drop(first);
    for name in release {
        world.release(name);
    }
    runtime().block_on(async {
        let house = house_at(&dir, Arc::clone(world), 2);
        house.service.resume().await.unwrap();
        after(house).await;
    });
}

const LINES: [&str; 3] =
    ["A: Properties: {}", "B: Properties: {Value: !Ref A}", "C: Properties: {Value: !GetAtt B.Arn}"];

#[test]
fn a_creation_goes_on_where_it_was() {
    let world = Arc::<World>::default();
    world.hold("B");
    let begin = |house: House| async move {
        house.create("one", template(&LINES)).await.unwrap();
        house.world.begun(2).await;
    };
    killed_between(&world, begin, &["B"], |house| async move {
        let id = house.stack("one").await.unwrap().stack_id.unwrap();
        house.settle(&id).await;
        assert_eq!(house.status("one").await, StackStatus::CreateComplete);
        assert_eq!(house.world.log(), ["+A", "+B", "+C"]);
        let completed = house.events("one").await.iter().filter(|event| event.ends_with("CREATE_COMPLETE")).count();
        assert_eq!(completed, 4);
    });
}

#[test]
fn a_deletion_goes_on_where_it_was() {
    let world = Arc::<World>::default();
    let begin = |house: House| async move {
        house.made("one", template(&LINES)).await;
        house.world.hold("B");
        house.delete("one").await.unwrap();
        house.world.begun(5).await;
    };
    killed_between(&world, begin, &["B"], |house| async move {
        let deleted = ListStacksInput::default();
        let stack = house.service.list_stacks(&house.cx, deleted).await.unwrap().stack_summaries.unwrap().remove(0);
        house.settle(&stack.stack_id.clone().unwrap()).await;
        assert_eq!(house.status(&stack.stack_id.unwrap()).await, StackStatus::DeleteComplete);
        assert!(house.world.exists().is_empty());
    });
}

#[test]
fn a_rollback_goes_on_where_it_was() {
    let world = Arc::<World>::default();
    world.fail("C");
    let begin = |house: House| async move {
        house.world.hold("C");
        house.create("one", template(&LINES)).await.unwrap();
        house.world.begun(3).await;
        house.world.hold("B");
        house.world.release("C");
        house.world.begun(4).await;
        assert_eq!(house.status("one").await, StackStatus::RollbackInProgress);
    };
    killed_between(&world, begin, &["B"], |house| async move {
        let id = house.stack("one").await.unwrap().stack_id.unwrap();
        house.settle(&id).await;
        assert_eq!(house.status("one").await, StackStatus::RollbackComplete);
        assert!(house.world.exists().is_empty());
    });
}

#[test]
fn what_is_settled_stays_as_it_was() {
    let world = Arc::<World>::default();
    let begin = |house: House| async move {
        house.made("one", template(&LINES)).await;
    };
    killed_between(&world, begin, &[], |house| async move {
        assert_eq!(house.service.resume().await.unwrap(), 0);
        assert_eq!(house.status("one").await, StackStatus::CreateComplete);
        assert_eq!(house.events("one").await.len(), 11);
        house.delete("one").await.unwrap();
        let id = house.stack("one").await.map_or_else(|_| String::new(), |stack| stack.stack_id.unwrap());
        house.settle(&id).await;
        assert!(house.world.exists().is_empty());
    });
}

#[test]
fn a_stack_that_takes_too_long_is_rolled_back_and_downtime_counts() {
    let world = Arc::<World>::default();
    world.hold("A");
    let begin = |house: House| async move {
        let minute = |input: &mut CreateStackInput| input.timeout_in_minutes = Some(1);
        house.create_with("one", template(&["A: Properties: {}"]), minute).await.unwrap();
        house.world.begun(1).await;
    };
    killed_between(&world, begin, &[], |house| async move {
        let phase = async || house.service.existing(&house.cx.scope, "one").await.unwrap().phase;
        while phase().await == crate::engine::Phase::Creating {
            tokio::task::yield_now().await;
        }
        house.world.release("A");
        let id = house.stack("one").await.unwrap().stack_id.unwrap();
        house.settle(&id).await;
        assert_eq!(house.status("one").await, StackStatus::RollbackComplete);
        let reason = "Stack creation time exceeded the specified timeout. Rollback requested by user.";
        assert!(house.events("one").await.contains(&format!("one ROLLBACK_IN_PROGRESS: {reason}")));
        assert!(house.world.exists().is_empty());
    });
}
