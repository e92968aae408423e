//! Stories of roles, policies, users and keys, told through the API.

use super::*;
use crate::testing::{Bench, POLICY, TRUST};

const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

fn role(name: &str) -> CreateRoleRequest {
    CreateRoleRequest {
        role_name: name.to_owned(),
        assume_role_policy_document: TRUST.to_owned(),
        ..CreateRoleRequest::default()
    }
}

async fn with_role(name: &str) -> Bench {
    let bench = Bench::new();
    bench.iam.create_role(&bench.cx, role(name)).await.unwrap();
    bench
}

fn user(name: &str) -> CreateUserRequest {
    CreateUserRequest { user_name: name.to_owned(), ..CreateUserRequest::default() }
}

#[tokio::test]
async fn a_role_is_there_under_its_name_until_it_is_deleted() {
    let bench = with_role("job").await;
    let get = || bench.iam.get_role(&bench.cx, GetRoleRequest { role_name: "job".to_owned() });
    let found = get().await.unwrap().role;
    assert_eq!(found.arn, "arn:aws:iam::000000000000:role/job");
    assert!(found.role_id.starts_with("AROA") && found.role_id.len() == 21);
    assert!(found.assume_role_policy_document.unwrap().starts_with("%7B%22Version%22%3A"));
    bench.iam.delete_role(&bench.cx, DeleteRoleRequest { role_name: "job".to_owned() }).await.unwrap();
    let error = get().await.unwrap_err();
    assert_eq!(
        (error.code.as_ref(), error.status, error.message.as_str()),
        ("NoSuchEntity", 404, "The role with name job cannot be found.")
    );
}

#[tokio::test]
async fn a_name_is_taken_in_every_case() {
    let bench = with_role("Job").await;
    let error = bench.iam.create_role(&bench.cx, role("jOB")).await.unwrap_err();
    assert_eq!((error.code.as_ref(), error.status), ("EntityAlreadyExists", 409));
    assert_eq!(error.message, "Role with name jOB already exists.");
}

#[tokio::test]
async fn a_role_with_policies_is_not_deleted() {
    let bench = with_role("job").await;
    let (iam, cx) = (&bench.iam, &bench.cx);
    let delete = || iam.delete_role(cx, DeleteRoleRequest { role_name: "job".to_owned() });
    let attach = AttachRolePolicyRequest { role_name: "job".to_owned(), policy_arn: READ_ONLY.to_owned() };
    iam.attach_role_policy(cx, attach).await.unwrap();
    let put = PutRolePolicyRequest {
        role_name: "job".to_owned(),
        policy_name: "read".to_owned(),
        policy_document: POLICY.to_owned(),
    };
    iam.put_role_policy(cx, put).await.unwrap();

    let error = delete().await.unwrap_err();
    assert_eq!(error.message, "Cannot delete entity, must detach all policies first.");
    let detach = DetachRolePolicyRequest { role_name: "job".to_owned(), policy_arn: READ_ONLY.to_owned() };
    iam.detach_role_policy(cx, detach.clone()).await.unwrap();
    assert!(iam.detach_role_policy(cx, detach).await.unwrap_err().is("NoSuchEntity"));
    let error = delete().await.unwrap_err();
    assert_eq!((error.code.as_ref(), error.status), ("DeleteConflict", 409));
    assert_eq!(error.message, "Cannot delete entity, must delete policies first.");
    let policy = DeleteRolePolicyRequest { role_name: "job".to_owned(), policy_name: "read".to_owned() };
    iam.delete_role_policy(cx, policy).await.unwrap();
    delete().await.unwrap();
}

#[tokio::test]
async fn what_can_be_attached() {
    let bench = with_role("job").await;
    for (arn, outcome) in [
        (READ_ONLY, None),
        ("arn:aws:iam::aws:policy/service-role/AWSBatchServiceRole", None),
        ("arn:aws:iam::000000000000:policy/none", Some("NoSuchEntity")),
        ("arn:aws:iam::aws:policy/with space", Some("ValidationError")),
        ("arn:aws:s3:::policy/bucket-of-someone", Some("ValidationError")),
    ] {
        let input = AttachRolePolicyRequest { role_name: "job".to_owned(), policy_arn: arn.to_owned() };
        let result = bench.iam.attach_role_policy(&bench.cx, input).await;
        assert_eq!(result.err().map(|error| error.code.to_string()).as_deref(), outcome, "{arn}");
    }
}

#[tokio::test]
async fn a_managed_policy_has_up_to_five_versions() {
    let bench = Bench::new();
    let (iam, cx) = (&bench.iam, &bench.cx);
    let create = CreatePolicyRequest {
        policy_name: "p".to_owned(),
        policy_document: POLICY.to_owned(),
        ..CreatePolicyRequest::default()
    };
    let arn = iam.create_policy(cx, create.clone()).await.unwrap().policy.unwrap().arn.unwrap();
    assert!(iam.create_policy(cx, create).await.unwrap_err().is("EntityAlreadyExists"));
    let version = || CreatePolicyVersionRequest {
        policy_arn: arn.clone(),
        policy_document: POLICY.to_owned(),
        set_as_default: Some(true),
    };
    for _ in 2..=5 {
        iam.create_policy_version(cx, version()).await.unwrap();
    }
    assert!(iam.create_policy_version(cx, version()).await.unwrap_err().is("LimitExceeded"));
    let listed = iam
        .list_policy_versions(cx, ListPolicyVersionsRequest { policy_arn: arn.clone(), ..Default::default() })
        .await
        .unwrap();
    let ids: Vec<_> = listed.versions.unwrap().into_iter().filter_map(|version| version.version_id).collect();
    assert_eq!(ids, ["v5", "v4", "v3", "v2", "v1"]);
    let delete = |id: &str| DeletePolicyVersionRequest { policy_arn: arn.clone(), version_id: id.to_owned() };
    assert!(iam.delete_policy_version(cx, delete("v5")).await.unwrap_err().is("DeleteConflict"));
    assert!(iam.delete_policy_version(cx, delete("v9")).await.unwrap_err().is("NoSuchEntity"));
    assert!(iam.delete_policy(cx, DeletePolicyRequest { policy_arn: arn.clone() }).await.is_err());
    for id in ["v1", "v2", "v3", "v4"] {
        iam.delete_policy_version(cx, delete(id)).await.unwrap();
    }
    iam.delete_policy(cx, DeletePolicyRequest { policy_arn: arn.clone() }).await.unwrap();
}

#[tokio::test]
async fn an_attached_policy_is_not_deleted_and_says_where_it_is() {
    let bench = with_role("job").await;
    let (iam, cx) = (&bench.iam, &bench.cx);
    let create = CreatePolicyRequest {
        policy_name: "p".to_owned(),
        policy_document: POLICY.to_owned(),
        ..CreatePolicyRequest::default()
    };
    let arn = iam.create_policy(cx, create).await.unwrap().policy.unwrap().arn.unwrap();
    let attach = AttachRolePolicyRequest { role_name: "job".to_owned(), policy_arn: arn.clone() };
    iam.attach_role_policy(cx, attach).await.unwrap();
    let error = iam.delete_policy(cx, DeletePolicyRequest { policy_arn: arn.clone() }).await.unwrap_err();
    assert!(error.is("DeleteConflict"), "{error}");
    let entities = iam
        .list_entities_for_policy(cx, ListEntitiesForPolicyRequest { policy_arn: arn, ..Default::default() })
        .await
        .unwrap();
    assert_eq!(entities.policy_roles.unwrap()[0].role_name.as_deref(), Some("job"));
}

#[tokio::test]
async fn a_users_key_works_at_once_and_stops_at_once() {
    let bench = Bench::new();
    let (iam, cx) = (&bench.iam, &bench.cx);
    iam.create_user(cx, user("ann")).await.unwrap();
    let create = || CreateAccessKeyRequest { user_name: Some("ann".to_owned()) };
    let key = iam.create_access_key(cx, create()).await.unwrap().access_key;
    for service in [iam, &bench.reopen()] {
        let found = service.access_key(&key.access_key_id).unwrap();
        assert_eq!(found.secret_access_key, key.secret_access_key);
        assert_eq!(found.principal.arn(), "arn:aws:iam::000000000000:user/ann");
    }
    let status = |status| UpdateAccessKeyRequest {
        user_name: Some("ann".to_owned()),
        access_key_id: key.access_key_id.clone(),
        status,
    };
    iam.update_access_key(cx, status(StatusType::Inactive)).await.unwrap();
    assert!(iam.access_key(&key.access_key_id).is_none() && bench.reopen().access_key(&key.access_key_id).is_none());
    iam.update_access_key(cx, status(StatusType::Active)).await.unwrap();
    assert!(iam.access_key(&key.access_key_id).is_some());

    iam.create_access_key(cx, create()).await.unwrap();
    assert!(iam.create_access_key(cx, create()).await.unwrap_err().is("LimitExceeded"));
    let error = iam.delete_user(cx, DeleteUserRequest { user_name: "ann".to_owned() }).await.unwrap_err();
    assert!(error.is("DeleteConflict"), "{error}");
    let delete = DeleteAccessKeyRequest { user_name: Some("ann".to_owned()), access_key_id: key.access_key_id.clone() };
    iam.delete_access_key(cx, delete).await.unwrap();
    assert!(iam.access_key(&key.access_key_id).is_none());
}

#[tokio::test]
async fn a_user_may_leave_out_the_own_name_and_nobody_else() {
    let bench = Bench::new();
    let (iam, cx) = (&bench.iam, &bench.cx);
    iam.create_user(cx, user("ann")).await.unwrap();
    let key = iam
        .create_access_key(cx, CreateAccessKeyRequest { user_name: Some("ann".to_owned()) })
        .await
        .unwrap()
        .access_key;
    let as_ann = Context { principal: iam.access_key(&key.access_key_id).unwrap().principal, ..cx.clone() };
    assert_eq!(iam.get_user(&as_ann, GetUserRequest { user_name: None }).await.unwrap().user.user_name, "ann");
    assert!(iam.get_user(cx, GetUserRequest { user_name: None }).await.unwrap_err().is("ValidationError"));
}

#[tokio::test]
async fn a_profile_holds_one_role() {
    let bench = with_role("job").await;
    let (iam, cx) = (&bench.iam, &bench.cx);
    let create = CreateInstanceProfileRequest { instance_profile_name: "i".to_owned(), ..Default::default() };
    iam.create_instance_profile(cx, create).await.unwrap();
    let add = || AddRoleToInstanceProfileRequest { instance_profile_name: "i".to_owned(), role_name: "job".to_owned() };
    iam.add_role_to_instance_profile(cx, add()).await.unwrap();
    assert!(iam.add_role_to_instance_profile(cx, add()).await.unwrap_err().is("LimitExceeded"));
    let error = iam.delete_role(cx, DeleteRoleRequest { role_name: "job".to_owned() }).await.unwrap_err();
    assert_eq!(error.message, "Cannot delete entity, must remove roles from instance profile first.");
    let delete = || DeleteInstanceProfileRequest { instance_profile_name: "i".to_owned() };
    assert!(iam.delete_instance_profile(cx, delete()).await.unwrap_err().is("DeleteConflict"));
    let remove =
        RemoveRoleFromInstanceProfileRequest { instance_profile_name: "i".to_owned(), role_name: "job".to_owned() };
    iam.remove_role_from_instance_profile(cx, remove).await.unwrap();
    iam.delete_instance_profile(cx, delete()).await.unwrap();
}

#[tokio::test]
async fn tags_are_added_replaced_and_removed() {
    let bench = with_role("job").await;
    let (iam, cx) = (&bench.iam, &bench.cx);
    let tag = |key: &str, value: &str| Tag { key: key.to_owned(), value: value.to_owned() };
    let put = |tags| iam.tag_role(cx, TagRoleRequest { role_name: "job".to_owned(), tags });
    put(vec![tag("a", "1"), tag("b", "2")]).await.unwrap();
    put(vec![tag("a", "3")]).await.unwrap();
    assert!(put(vec![tag("x", "1"), tag("X", "2")]).await.unwrap_err().is("InvalidInput"));
    assert!(put(vec![tag("aws:x", "1")]).await.unwrap_err().is("InvalidInput"));
    let untag = UntagRoleRequest { role_name: "job".to_owned(), tag_keys: vec!["b".to_owned()] };
    iam.untag_role(cx, untag).await.unwrap();
    let listed =
        iam.list_role_tags(cx, ListRoleTagsRequest { role_name: "job".to_owned(), ..Default::default() }).await;
    assert_eq!(listed.unwrap().tags, [tag("a", "3")]);
}

#[tokio::test]
async fn accounts_do_not_see_each_other() {
    let bench = with_role("job").await;
    let mut other = bench.cx.clone();
    other.scope.account = AccountId::new("111111111111").unwrap();
    let error = bench.iam.get_role(&other, GetRoleRequest { role_name: "job".to_owned() }).await.unwrap_err();
    assert!(error.is("NoSuchEntity"));
}
