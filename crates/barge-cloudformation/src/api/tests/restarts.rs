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
fn an_update_goes_on_where_it_was() {
    let world = Arc::<World>::default();
    let begin = |house: House| async move {
        house.made("one", template(&LINES)).await;
        house.world.hold("B");
        let changed = LINES.map(|line| line.replace("!Ref A", "!Sub '${A}!'"));
        let changed = template(&changed.each_ref().map(String::as_str));
        let input =
            UpdateStackInput { stack_name: "one".into(), template_body: Some(changed), ..UpdateStackInput::default() };
        house.service.update_stack(&house.cx, input).await.unwrap();
        house.world.begun(4).await;
    };
    killed_between(&world, begin, &["B"], |house| async move {
        let id = house.stack("one").await.unwrap().stack_id.unwrap();
        house.settle(&id).await;
        assert_eq!(house.status("one").await, StackStatus::UpdateComplete);
        assert_eq!(house.world.log(), ["+A", "+B", "+C", "~B"]);
        assert!(house.world.values().values().any(|value| value.ends_with('!')));
    });
}

#[test]
fn an_answer_that_comes_after_a_restart_is_heard_and_nothing_is_asked_twice() {
    let world = Arc::<World>::default();
    let token = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&token);
    let begin = |house: House| async move {
        house.create("one", custom::custom("Size: 1")).await.unwrap();
        *kept.lock().unwrap() = house.asked(0).await.1;
        // The asking is recorded.
        let sent = || {
            let query = "SELECT sent FROM cloudformation_mailboxes";
            let read = house
                .service
                .engine()
                .store()
                .read(move |db| barge_store::sql(db.query_row(query, [], |row| row.get::<_, bool>(0))));
            async move { read.await.unwrap_or(false) }
        };
        while !sent().await {
            tokio::task::yield_now().await;
        }
    };
    killed_between(&world, begin, &[], |house| async move {
        let token = token.lock().unwrap().clone();
        house.answer(&token, r#"{"Status": "SUCCESS", "PhysicalResourceId": "p", "Data": {"Secret": "s"}}"#).await;
        let id = house.stack("one").await.unwrap().stack_id.unwrap();
        house.settle(&id).await;
        assert_eq!(house.status("one").await, StackStatus::CreateComplete);
        assert!(house.functions.0.borrow().is_empty());
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
