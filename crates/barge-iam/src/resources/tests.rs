//! The life of each resource type, as CloudFormation drives it.

use super::*;
use crate::testing::Bench;
use barge_core::Document;
use barge_core::resource::{Creation, Resource};
use barge_wire::iam::{
    CreateRoleRequest, GetRolePolicyRequest, GetRoleRequest, IAM as _, ListAttachedRolePoliciesRequest,
};

fn creation(logical_id: &str, json: &str) -> Creation {
    Creation {
        properties: Document::from_json(json.as_bytes()).unwrap(),
        logical_id: logical_id.to_owned(),
        stack_name: "stack".to_owned(),
        stack_id: "arn:aws:cloudformation:us-east-1:000000000000:stack/stack/1".to_owned(),
        token: format!("token-of-{logical_id}"),
        tags: std::iter::once(("team".to_owned(), "data".to_owned())).collect(),
    }
}

fn provider(bench: &Bench, type_name: &str) -> Arc<dyn ResourceProvider> {
    resources(&bench.iam).into_iter().find(|provider| provider.schema().type_name == type_name).unwrap()
}

const ROLE: &str = r#"{
    "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": ["batch.amazonaws.com"]}, "Action": ["sts:AssumeRole"]}]},
    "MaxSessionDuration": "7200",
    "ManagedPolicyArns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"],
    "Policies": [{"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement":
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}}}]
}"#;

/// Creates twice, as after a crash, and checks that both give the same and that `read` agrees.
async fn created(bench: &Bench, type_name: &str, creation: &Creation) -> Resource {
    let provider = provider(bench, type_name);
    let first = provider.create(&bench.cx, creation).await.unwrap();
    let again = provider.create(&bench.cx, creation).await.unwrap();
    assert_eq!(first, again, "{type_name}");
    let read = provider.read(&bench.cx, &first.physical_id, &creation.properties).await.unwrap();
    assert_eq!(read.unwrap().resource, first, "{type_name}");
    for attribute in provider.schema().attributes {
        assert!(first.attributes.contains_key(*attribute), "{type_name} lacks {attribute}");
    }
    first
}

async fn deleted(bench: &Bench, type_name: &str, id: &str, creation: &Creation) {
    let provider = provider(bench, type_name);
    for _ in 0..2 {
        provider.delete(&bench.cx, id, &creation.properties).await.unwrap();
    }
    assert_eq!(provider.read(&bench.cx, id, &creation.properties).await.unwrap(), None, "{type_name}");
}

#[tokio::test]
async fn a_role_lives_from_creation_to_deletion() {
    let bench = Bench::new();
    let first = creation("JobRole", ROLE);
    let role = created(&bench, "AWS::IAM::Role", &first).await;
    assert!(role.physical_id.starts_with("stack-JobRole-"));
    let get = || bench.iam.get_role(&bench.cx, GetRoleRequest { role_name: role.physical_id.clone() });
    let found = get().await.unwrap().role;
    assert_eq!(found.max_session_duration, Some(7200));
    assert_eq!(found.tags.unwrap()[0].key, "team");

    let second = Creation {
        properties: Document::from_json(ROLE.replace("\"p\"", "\"q\"").replace("ReadOnlyAccess", "Other").as_bytes())
            .unwrap(),
        ..first.clone()
    };
    let provider = provider(&bench, "AWS::IAM::Role");
    let updated = provider.update(&bench.cx, &role.physical_id, &first.properties, &second).await.unwrap();
    assert_eq!(updated, role);
    let inline = |name: &str| {
        let input = GetRolePolicyRequest { role_name: role.physical_id.clone(), policy_name: name.to_owned() };
        bench.iam.get_role_policy(&bench.cx, input)
    };
    assert!(inline("p").await.is_err() && inline("q").await.is_ok());
    let attached = bench
        .iam
        .list_attached_role_policies(
            &bench.cx,
            ListAttachedRolePoliciesRequest { role_name: role.physical_id.clone(), ..Default::default() },
        )
        .await
        .unwrap();
    let names: Vec<_> =
        attached.attached_policies.unwrap().into_iter().filter_map(|policy| policy.policy_name).collect();
    assert_eq!(names, ["Other"]);
    deleted(&bench, "AWS::IAM::Role", &role.physical_id, &second).await;
}

#[tokio::test]
async fn a_name_that_someone_else_took_is_refused() {
    let bench = Bench::new();
    let input = CreateRoleRequest {
        role_name: "taken".to_owned(),
        assume_role_policy_document: crate::testing::TRUST.to_owned(),
        ..Default::default()
    };
    bench.iam.create_role(&bench.cx, input).await.unwrap();
    let creation = creation("R", &ROLE.replacen('{', r#"{"RoleName": "taken","#, 1));
    let error = provider(&bench, "AWS::IAM::Role").create(&bench.cx, &creation).await.unwrap_err();
    assert!(error.is("EntityAlreadyExists"), "{error}");
}

#[tokio::test]
async fn policies_and_a_profile_around_a_role() {
    let bench = Bench::new();
    let role_creation = creation("Role", ROLE);
    let role = created(&bench, "AWS::IAM::Role", &role_creation).await.physical_id;
    let document = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;
    let inline =
        creation("Inline", &format!(r#"{{"PolicyName":"extra","PolicyDocument":{document},"Roles":["{role}"]}}"#));
    let managed = creation("Managed", &format!(r#"{{"PolicyDocument":{document},"Roles":["{role}"]}}"#));
    let profile = creation("Profile", &format!(r#"{{"Roles":["{role}"]}}"#));
    let inline_id = created(&bench, "AWS::IAM::Policy", &inline).await.physical_id;
    let managed_id = created(&bench, "AWS::IAM::ManagedPolicy", &managed).await.physical_id;
    assert!(managed_id.starts_with("arn:aws:iam::000000000000:policy/stack-Managed-"), "{managed_id}");
    let profile_id = created(&bench, "AWS::IAM::InstanceProfile", &profile).await.physical_id;

    let newer = Creation {
        properties: Document::from_json(
            format!(r#"{{"PolicyDocument":{},"Roles":["{role}"]}}"#, document.replace("Allow", "Deny")).as_bytes(),
        )
        .unwrap(),
        ..managed.clone()
    };
    let provider = provider(&bench, "AWS::IAM::ManagedPolicy");
    let mut old = &managed;
    for round in 2..9 {
        let new = if round % 2 == 0 { &newer } else { &managed };
        let updated = provider.update(&bench.cx, &managed_id, &old.properties, new).await.unwrap();
        assert_eq!(updated.attributes["DefaultVersionId"], format!("v{round}").into());
        old = new;
    }

    deleted(&bench, "AWS::IAM::InstanceProfile", &profile_id, &profile).await;
    deleted(&bench, "AWS::IAM::ManagedPolicy", &managed_id, old).await;
    deleted(&bench, "AWS::IAM::Policy", &inline_id, &inline).await;
    deleted(&bench, "AWS::IAM::Role", &role, &role_creation).await;
}

#[tokio::test]
async fn properties_that_can_not_be_are_refused_by_name() {
    let bench = Bench::new();
    for (type_name, properties, part) in [
        ("AWS::IAM::Role", r#"{"AssumeRolePolicyDocument": 7}"#, "AssumeRolePolicyDocument"),
        ("AWS::IAM::InstanceProfile", r#"{"Roles": []}"#, "exactly one role"),
        ("AWS::IAM::Policy", r#"{"PolicyName": "p", "PolicyDocument": {}}"#, "must be non-empty"),
        ("AWS::IAM::ManagedPolicy", r#"{"PolicyDocument": {}, "Path": "nowhere"}"#, "path"),
    ] {
        let error = provider(&bench, type_name).create(&bench.cx, &creation("X", properties)).await.unwrap_err();
        assert!(error.message.to_lowercase().contains(&part.to_lowercase()), "{type_name}: {error}");
    }
}

#[tokio::test]
async fn a_user_with_a_group_and_a_key() {
    let bench = Bench::new();
    let document = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;
    let group = creation(
        "Group",
        &format!(r#"{{"Policies": [{{"PolicyName": "p", "PolicyDocument": {document}}}], "Path": "/team/"}}"#),
    );
    let group_id = created(&bench, "AWS::IAM::Group", &group).await.physical_id;
    let user = creation(
        "User",
        &format!(r#"{{"Groups": ["{group_id}"], "ManagedPolicyArns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"]}}"#),
    );
    let user_id = created(&bench, "AWS::IAM::User", &user).await.physical_id;
    let other = creation("Other", r#"{"UserName": "other"}"#);
    created(&bench, "AWS::IAM::User", &other).await;
    let members = creation("Members", &format!(r#"{{"GroupName": "{group_id}", "Users": ["other"]}}"#));
    let members_id = created(&bench, "AWS::IAM::UserToGroupAddition", &members).await.physical_id;
    let key = creation("Key", &format!(r#"{{"UserName": "{user_id}"}}"#));
    let made = created(&bench, "AWS::IAM::AccessKey", &key).await;
    assert!(bench.iam.keys.get(&made.physical_id).is_some());

    let off = Creation {
        properties: Document::from_json(format!(r#"{{"UserName": "{user_id}", "Status": "Inactive"}}"#).as_bytes())
            .unwrap(),
        ..key.clone()
    };
    let keys = provider(&bench, "AWS::IAM::AccessKey");
    assert_eq!(keys.update(&bench.cx, &made.physical_id, &key.properties, &off).await.unwrap(), made);
    assert!(bench.iam.keys.get(&made.physical_id).is_none());

    // A user with keys stays, as does a group with users.
    let users = provider(&bench, "AWS::IAM::User");
    assert!(users.delete(&bench.cx, &user_id, &user.properties).await.unwrap_err().is("DeleteConflict"));
    let groups = provider(&bench, "AWS::IAM::Group");
    assert!(groups.delete(&bench.cx, &group_id, &group.properties).await.unwrap_err().is("DeleteConflict"));
    deleted(&bench, "AWS::IAM::AccessKey", &made.physical_id, &key).await;
    deleted(&bench, "AWS::IAM::UserToGroupAddition", &members_id, &members).await;
    deleted(&bench, "AWS::IAM::User", &user_id, &user).await;
    deleted(&bench, "AWS::IAM::User", "other", &other).await;
    deleted(&bench, "AWS::IAM::Group", &group_id, &group).await;
}
