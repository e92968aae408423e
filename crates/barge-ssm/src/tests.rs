//! Stories of parameters.

use super::*;
use barge_core::Document;
use barge_core::resource::Creation;
use barge_wire::ssm::{ParameterType, Tag};
use std::sync::Arc;

struct World {
    service: Arc<SsmService>,
    cx: Context,
    _dir: tempfile::TempDir,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let ambient = Ambient::system("http://127.0.0.1:4566");
    let store = Store::open(dir.path().join("barge.db")).unwrap();
    let cx = ambient.context(Scope::default(), "test.amazonaws.com");
    World { service: Arc::new(SsmService::open(store, ambient).unwrap()), cx, _dir: dir }
}

fn put(name: &str, value: &str) -> PutParameterRequest {
    PutParameterRequest {
        name: name.to_owned(),
        value: value.to_owned(),
        r#type: Some(ParameterType::String),
        ..PutParameterRequest::default()
    }
}

#[tokio::test]
async fn values_are_overwritten_only_where_asked_and_old_ones_are_kept() {
    let World { service, cx, .. } = &world();
    assert_eq!(service.put(cx, put("/a/b", "1"), None).await.unwrap().version, Some(1));
    let again = service.put(cx, put("/a/b", "2"), None).await.unwrap_err();
    assert!(again.is("ParameterAlreadyExists"), "{again}");
    let over = PutParameterRequest { overwrite: Some(true), r#type: None, ..put("/a/b", "2") };
    assert_eq!(service.put(cx, over, None).await.unwrap().version, Some(2));
    assert_eq!(service.one(cx, "/a/b").await.unwrap().version.value, "2");
    assert_eq!(service.one(cx, "/a/b:1").await.unwrap().version.value, "1");
    assert!(service.one(cx, "/a/b:7").await.unwrap_err().is("ParameterVersionNotFound"));
    assert!(service.one(cx, "/a").await.unwrap_err().is("ParameterNotFound"));
    let names = ["/a/b".to_owned(), "/gone".to_owned()].into();
    assert_eq!(service.values(&cx.scope, &names).await.unwrap(), [("/a/b".to_owned(), "2".to_owned())].into());
}

#[tokio::test]
async fn what_is_not_honoured_is_refused() {
    let World { service, cx, .. } = &world();
    for (request, code) in [
        (
            PutParameterRequest { r#type: Some(ParameterType::SecureString), ..put("s", "x") },
            "UnsupportedParameterType",
        ),
        (PutParameterRequest { r#type: None, ..put("s", "x") }, "ValidationException"),
        (
            PutParameterRequest { policies: Some("[{\"Type\": \"Expiration\"}]".into()), ..put("s", "x") },
            "UnsupportedParameterType",
        ),
        (PutParameterRequest { data_type: Some("aws:ec2:image".into()), ..put("s", "x") }, "UnsupportedParameterType"),
        (
            PutParameterRequest { allowed_pattern: Some("^[0-9]+$".into()), ..put("s", "x") },
            "ParameterPatternMismatchException",
        ),
        (put("s", &"x".repeat(4097)), "ValidationException"),
        (put("s", ""), "ValidationException"),
    ] {
        let error = service.put(cx, request, None).await.unwrap_err();
        assert!(error.is(code), "{code}: {error}");
    }
}

#[tokio::test]
async fn pages_and_filters() {
    let World { service, cx, .. } = &world();
    for n in 0..12 {
        service.put(cx, put(&format!("/p/{n:02}"), "v"), None).await.unwrap();
    }
    service.put(cx, put("/p/deep/x", "v"), None).await.unwrap();
    let request = GetParametersByPathRequest { path: "/p".into(), ..GetParametersByPathRequest::default() };
    let first = service.by_path(cx, request.clone()).await.unwrap();
    assert_eq!(first.parameters.unwrap().len(), 10);
    let rest = GetParametersByPathRequest { next_token: first.next_token, ..request.clone() };
    let rest = service.by_path(cx, rest).await.unwrap();
    assert_eq!((rest.parameters.unwrap().len(), rest.next_token), (2, None));
    let all = GetParametersByPathRequest { recursive: Some(true), max_results: Some(10), ..request };
    assert!(service.by_path(cx, all).await.unwrap().next_token.is_some());
}

#[tokio::test]
async fn a_template_s_parameter_lives_its_life() {
    let World { service, cx, .. } = &world();
    let provider = resources::resources(service).remove(0);
    let creation = |value: &str, token: &str| Creation {
        properties: Document::map([
            ("Type", "String".into()),
            ("Value", value.into()),
            ("Name", "/t/p".into()),
            ("Tags", Document::map([("team", "x".into())])),
        ]),
        logical_id: "P".into(),
        stack_name: "s".into(),
        stack_id: "arn:s".into(),
        token: token.into(),
        tags: [("aws:cloudformation:stack-name".to_owned(), "s".to_owned()), ("stage".to_owned(), "t".to_owned())]
            .into(),
    };
    let made = provider.create(cx, &creation("1", "t1")).await.unwrap();
    assert_eq!((made.physical_id.as_str(), &made.attributes["Value"]), ("/t/p", &"1".into()));
    assert_eq!(provider.create(cx, &creation("1", "t1")).await.unwrap(), made);
    assert!(provider.create(cx, &creation("1", "t2")).await.is_err());
    let old = creation("1", "t1").properties;
    let changed = provider.update(cx, "/t/p", &old, &creation("2", "t1")).await.unwrap();
    assert_eq!(changed.attributes["Value"], "2".into());
    assert_eq!(provider.read(cx, "/t/p", &old).await.unwrap().unwrap().resource, changed);
    let found = service.one(cx, "/t/p").await.unwrap();
    assert_eq!(
        found.tags.into_iter().collect::<Vec<_>>(),
        [("stage".into(), "t".into()), ("team".into(), "x".into())] as [(String, String); 2]
    );
    provider.delete(cx, "/t/p", &old).await.unwrap();
    provider.delete(cx, "/t/p", &old).await.unwrap();
    assert_eq!(provider.read(cx, "/t/p", &old).await.unwrap(), None);
}

#[tokio::test]
async fn tags_come_and_go() {
    use barge_wire::ssm::{ListTagsForResourceRequest, ResourceTypeForTagging};
    let World { service, cx, .. } = &world();
    service.put(cx, put("t", "x"), None).await.unwrap();
    let tag = |key: &str| Tag { key: key.to_owned(), value: "v".to_owned() };
    let add = AddTagsToResourceRequest {
        resource_type: ResourceTypeForTagging::Parameter,
        resource_id: "t".into(),
        tags: vec![tag("a"), tag("b")],
    };
    service.tag(cx, add).await.unwrap();
    let remove = RemoveTagsFromResourceRequest {
        resource_type: ResourceTypeForTagging::Parameter,
        resource_id: "t".into(),
        tag_keys: vec!["a".into()],
    };
    service.untag(cx, remove).await.unwrap();
    let list = ListTagsForResourceRequest { resource_type: ResourceTypeForTagging::Parameter, resource_id: "t".into() };
    assert_eq!(service.tags_of(cx, list).await.unwrap().tag_list, Some(vec![tag("b")]));
}
