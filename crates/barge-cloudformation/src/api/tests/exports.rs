//! Stacks that export and import.

use super::*;

fn exporting(value: &str, name: &str) -> String {
    format!(
        "{}Outputs: {{O: {{Value: !GetAtt A.Value, Export: {{Name: {name}}}}}}}",
        template(&[&format!("A: Properties: {{Value: {value}}}")])
    )
}

#[tokio::test]
async fn what_is_imported_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let importing = template(&["B: Properties: {Value: !ImportValue net}"]);
    let missing = house.create("user", importing.clone()).await.unwrap_err();
    assert!(missing.message.contains("No export named net found"), "{}", missing.message);
    let id = house.made("net", exporting("one", "net")).await;
    assert_eq!(house.stack("net").await.unwrap().outputs.unwrap()[0].export_name.as_deref(), Some("net"));
    let list = ListExportsInput::default();
    let exports = house.service.list_exports(&house.cx, list).await.unwrap().exports.unwrap();
    assert_eq!((exports[0].name.as_deref(), exports[0].value.as_deref()), (Some("net"), Some("one")));
    let imports = || ListImportsInput { export_name: "net".into(), next_token: None };
    let none = house.service.list_imports(&house.cx, imports()).await.unwrap_err();
    assert_eq!(none.message, "Export 'net' is not imported by any stack.");

    let user = house.made("user", importing).await;
    assert!(house.world.values().into_values().filter(|value| value == "one").count() == 2);
    assert_eq!(house.service.list_imports(&house.cx, imports()).await.unwrap().imports.unwrap(), ["user"]);
    assert_eq!(house.delete("net").await.unwrap_err().message, "Export net cannot be deleted as it is in use by user");
    assert_eq!(house.status("net").await, StackStatus::CreateComplete);
    for (body, verb) in [(exporting("two", "net"), "updated"), (exporting("one", "other"), "deleted")] {
        house.update("net", body).await.unwrap();
        let reason = format!("net UPDATE_ROLLBACK_IN_PROGRESS: Export net cannot be {verb} as it is in use by user");
        assert!(house.events("net").await.contains(&reason), "{:?}", house.events("net").await);
        assert_eq!(house.status("net").await, StackStatus::UpdateRollbackComplete);
    }
    house.delete("user").await.unwrap();
    house.settle(&user).await;
    house.update("net", exporting("two", "other")).await.unwrap();
    assert_eq!(house.status("net").await, StackStatus::UpdateComplete);
    house.delete("net").await.unwrap();
    house.settle(&id).await;
    let list = ListExportsInput::default();
    assert!(house.service.list_exports(&house.cx, list).await.unwrap().exports.unwrap().is_empty());
}

#[tokio::test]
async fn a_name_is_exported_once() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    house.made("one", exporting("x", "net")).await;
    house.made("two", exporting("x", "net")).await;
    assert_eq!(house.status("two").await, StackStatus::RollbackComplete);
    let reason = "two ROLLBACK_IN_PROGRESS: Export with name net is already exported by stack one. Rollback requested \
                  by user.";
    assert!(house.events("two").await.contains(&reason.to_owned()), "{:?}", house.events("two").await);
    assert_eq!(house.world.exists().len(), 1);
}
