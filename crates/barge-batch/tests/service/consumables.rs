//! Consumable resources.

use crate::fixture::{World, input, message};
use barge_wire::batch::{Batch, JobStatus, ListJobsByConsumableResourceRequest};

const NEEDS: &str = r#", "consumableResourcePropertiesOverride": {"consumableResourceList": [{"consumableResource": "l", "quantity": 2}]}"#;

/// A world with three licences `l`.
async fn world() -> World {
    let world = World::new().await;
    let create =
        r#"{"consumableResourceName": "l", "totalQuantity": 3, "resourceType": "REPLENISHABLE", "tags": {"a": "b"}}"#;
    world.batch.create_consumable_resource(&world.cx, input(create)).await.unwrap();
    world
}

/// Total, in use and available.
async fn quantities(world: &World) -> (i64, i64, i64) {
    let found =
        world.batch.describe_consumable_resource(&world.cx, input(r#"{"consumableResource": "l"}"#)).await.unwrap();
    (found.total_quantity.unwrap(), found.in_use_quantity.unwrap(), found.available_quantity.unwrap())
}

#[tokio::test]
async fn jobs_take_what_they_need_and_give_it_back() {
    let world = world().await;
    let (first, second) = (world.submit(NEEDS).await, world.submit(NEEDS).await);
    world.runner.launch_of(&first, 1).await;
    assert_eq!(quantities(&world).await, (3, 2, 1));
    let waits = world.describe(&second).await;
    assert_eq!(waits.status, JobStatus::Runnable);
    assert_eq!(waits.consumable_resource_properties.unwrap().consumable_resource_list.unwrap()[0].quantity, Some(2));
    let delete = || input(r#"{"consumableResource": "l"}"#);
    let refused = message(world.batch.delete_consumable_resource(&world.cx, delete()).await);
    assert!(refused.starts_with("Cannot delete, jobs that have not ended need"), "{refused}");
    world.runner.exit(&first, 1, 0);
    world.runner.launch_of(&second, 1).await;
    world.runner.exit(&second, 1, 0);
    world.reaches(&second, JobStatus::Succeeded).await;
    assert_eq!(quantities(&world).await, (3, 0, 3));
    world.batch.delete_consumable_resource(&world.cx, delete()).await.unwrap();
    let gone =
        message(world.batch.describe_consumable_resource(&world.cx, input(r#"{"consumableResource": "l"}"#)).await);
    assert_eq!(gone, "Consumable resource l does not exist.");
}

#[tokio::test]
async fn quantities_change_once_for_each_token() {
    let world = world().await;
    let update = async |operation: &str, quantity: i64, more: &str| {
        let json =
            format!(r#"{{"consumableResource": "l", "operation": "{operation}", "quantity": {quantity}{more}}}"#);
        world.batch.update_consumable_resource(&world.cx, input(&json)).await
    };
    assert_eq!(update("ADD", 4, "").await.unwrap().total_quantity, Some(7));
    assert_eq!(update("REMOVE", 1, r#", "clientToken": "t""#).await.unwrap().total_quantity, Some(6));
    assert_eq!(update("REMOVE", 1, r#", "clientToken": "t""#).await.unwrap().total_quantity, Some(6));
    assert_eq!(update("SET", 5, "").await.unwrap().total_quantity, Some(5));
    for (operation, quantity) in [("REMOVE", 6), ("SET", -1), ("X", 1)] {
        message(update(operation, quantity, "").await);
    }
    assert_eq!(quantities(&world).await, (5, 0, 5));
    let world = world.restart().await;
    assert_eq!(quantities(&world).await, (5, 0, 5));
    let again = r#"{"consumableResource": "l", "operation": "REMOVE", "quantity": 1, "clientToken": "t"}"#;
    world.batch.update_consumable_resource(&world.cx, input(again)).await.unwrap();
    assert_eq!(quantities(&world).await, (5, 0, 5), "the token is remembered over a restart");
}

#[tokio::test]
async fn jobs_are_listed_by_what_they_need() {
    let world = world().await;
    let plain = world.submit("").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(world.submit(NEEDS).await);
    }
    let list = async |more: &str| {
        let request: ListJobsByConsumableResourceRequest = input(&format!(r#"{{"consumableResource": "l"{more}}}"#));
        let page = world.batch.list_jobs_by_consumable_resource(&world.cx, request).await.unwrap();
        assert!(page.jobs.iter().all(|job| job.quantity == 2 && !job.job_arn.ends_with(&plain)));
        let ids: Vec<String> =
            page.jobs.into_iter().map(|job| job.job_arn.rsplit('/').next().unwrap().to_owned()).collect();
        (ids, page.next_token)
    };
    let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
    assert_eq!(list("").await, (newest_first.clone(), None));
    let (first, next) = list(r#", "maxResults": 2"#).await;
    let (rest, end) = list(&format!(r#", "maxResults": 2, "nextToken": "{}""#, next.unwrap())).await;
    assert_eq!(([first, rest].concat(), end), (newest_first.clone(), None));
    world.runner.launch_of(&ids[0], 1).await;
    let filter = |name: &str, value: &str| format!(r#", "filters": [{{"name": "{name}", "values": ["{value}"]}}]"#);
    assert_eq!(list(&filter("JOB_STATUS", "STARTING")).await.0, ids[..1]);
    assert_eq!(list(&filter("JOB_STATUS", "RUNNABLE")).await.0, newest_first[..2]);
    assert_eq!(list(&filter("JOB_NAME", "J*")).await.0.len(), 3);
    assert_eq!(list(&filter("JOB_NAME", "k")).await.0.len(), 0);
    for wrong in [filter("X", "y"), filter("JOB_STATUS", "y"), r#", "nextToken": "zz""#.to_owned()] {
        let request = input(&format!(r#"{{"consumableResource": "l"{wrong}}}"#));
        message(world.batch.list_jobs_by_consumable_resource(&world.cx, request).await);
    }
    let missing = input(r#"{"consumableResource": "none"}"#);
    assert_eq!(
        message(world.batch.list_jobs_by_consumable_resource(&world.cx, missing).await),
        "Consumable resource none does not exist."
    );
}

#[tokio::test]
async fn resources_are_listed_by_name() {
    let world = world().await;
    let (batch, cx) = (&world.batch, &world.cx);
    for name in ["m1", "m2"] {
        let create = format!(r#"{{"consumableResourceName": "{name}", "resourceType": "NON_REPLENISHABLE"}}"#);
        batch.create_consumable_resource(cx, input(&create)).await.unwrap();
    }
    let list = async |more: &str| {
        let page = batch.list_consumable_resources(cx, input(more)).await.unwrap();
        let names: Vec<String> =
            page.consumable_resources.into_iter().map(|found| found.consumable_resource_name).collect();
        (names, page.next_token)
    };
    let (first, next) = list(r#"{"maxResults": 2}"#).await;
    let (rest, end) = list(&format!(r#"{{"maxResults": 2, "nextToken": "{}"}}"#, next.unwrap())).await;
    assert_eq!((first.join(" "), rest.join(" "), end), ("l m1".to_owned(), "m2".to_owned(), None));
    let filtered = r#"{"filters": [{"name": "CONSUMABLE_RESOURCE_NAME", "values": ["M*"]}]}"#;
    assert_eq!(list(filtered).await.0, ["m1", "m2"]);
    for (json, expected) in [
        (r#"{"consumableResourceName": "l"}"#, "Object already exists"),
        (r#"{"consumableResourceName": "a b"}"#, "consumableResourceName should match valid pattern"),
        (r#"{"consumableResourceName": "x", "totalQuantity": -1}"#, "totalQuantity must be at least 0."),
        (r#"{"consumableResourceName": "x", "resourceType": "X"}"#, "resourceType must be REPLENISHABLE or"),
    ] {
        let refused = message(batch.create_consumable_resource(cx, input(json)).await);
        assert!(refused.starts_with(expected), "{json}: {refused}");
    }
}
