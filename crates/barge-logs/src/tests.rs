//! The service as a client and as a container meet it.

use crate::CloudWatchLogs;
use barge_core::clock::ManualClock;
use barge_core::ports::{LogLine, LogSink as _, LogTarget};
use barge_core::resource::Creation;
use barge_core::{Ambient, AwsError, Context, Document, RandomIds, Scope, Timestamp};
use barge_store::Store;
use barge_wire::logs::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const NOW: i64 = 1_800_000_000_000;

struct Fixture {
    service: Arc<CloudWatchLogs>,
    clock: Arc<ManualClock>,
    ambient: Ambient,
    _directory: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(NOW)));
        let ambient = Ambient { clock: clock.clone(), ids: Arc::new(RandomIds), endpoint: String::new() };
        let store = Store::open(directory.path().join("barge.db")).unwrap();
        let service = Arc::new(CloudWatchLogs::open(store, ambient.clone()).unwrap());
        Self { service, clock, ambient, _directory: directory }
    }

    fn cx(&self) -> Context {
        self.ambient.context(Scope::default(), "test")
    }

    async fn group(&self, name: &str) {
        let request = CreateLogGroupRequest { log_group_name: name.to_owned(), ..Default::default() };
        self.service.create_log_group(&self.cx(), request).await.unwrap();
    }

    async fn stream(&self, group: &str, name: &str) {
        let request = CreateLogStreamRequest { log_group_name: group.to_owned(), log_stream_name: name.to_owned() };
        self.service.create_log_stream(&self.cx(), request).await.unwrap();
    }

    /// Puts messages at milliseconds after [`NOW`].
    async fn put(&self, group: &str, stream: &str, events: &[(i64, &str)]) -> PutLogEventsResponse {
        let log_events =
            events.iter().map(|(at, message)| InputLogEvent { timestamp: NOW + at, message: (*message).to_owned() });
        let request = PutLogEventsRequest {
            log_group_name: group.to_owned(),
            log_stream_name: stream.to_owned(),
            log_events: log_events.collect(),
            ..Default::default()
        };
        self.service.put_log_events(&self.cx(), request).await.unwrap()
    }

    async fn get(&self, token: Option<String>, head: bool, limit: i64) -> GetLogEventsResponse {
        let request = GetLogEventsRequest {
            log_group_name: Some("g".to_owned()),
            log_stream_name: "s".to_owned(),
            next_token: token,
            start_from_head: Some(head),
            limit: Some(limit),
            ..Default::default()
        };
        self.service.get_log_events(&self.cx(), request).await.unwrap()
    }

    async fn filter(
        &self,
        change: impl FnOnce(&mut FilterLogEventsRequest),
    ) -> Result<FilterLogEventsResponse, AwsError> {
        let mut request = FilterLogEventsRequest { log_group_name: Some("g".to_owned()), ..Default::default() };
        change(&mut request);
        self.service.filter_log_events(&self.cx(), request).await
    }

    async fn filtered(&self, change: impl FnOnce(&mut FilterLogEventsRequest)) -> Vec<String> {
        let found = self.filter(change).await.unwrap();
        found.events.unwrap().into_iter().filter_map(|event| event.message).collect()
    }
}

fn messages(response: &GetLogEventsResponse) -> Vec<&str> {
    response.events.iter().flatten().filter_map(|event| event.message.as_deref()).collect()
}

#[tokio::test]
async fn a_stream_is_read_from_its_head_until_the_token_stays() {
    let f = Fixture::new();
    f.group("g").await;
    f.stream("g", "s").await;
    f.put("g", "s", &[(1, "a"), (1, "b"), (2, "c")]).await;
    let first = f.get(None, true, 2).await;
    assert_eq!(messages(&first), ["a", "b"]);
    let second = f.get(first.next_forward_token, true, 2).await;
    assert_eq!(messages(&second), ["c"]);
    let end = f.get(second.next_forward_token.clone(), true, 2).await;
    assert_eq!(messages(&end), [""; 0]);
    assert_eq!(end.next_forward_token, second.next_forward_token);
    f.put("g", "s", &[(3, "d")]).await;
    assert_eq!(messages(&f.get(end.next_forward_token, true, 2).await), ["d"]);
    assert_eq!(messages(&f.get(end.next_backward_token, true, 2).await), ["b", "c"]);
}

#[tokio::test]
async fn without_start_from_head_the_latest_come_first() {
    let f = Fixture::new();
    f.group("g").await;
    f.stream("g", "s").await;
    let nothing = f.get(None, false, 2).await;
    f.put("g", "s", &[(1, "a"), (2, "b"), (3, "c")]).await;
    let latest = f.get(None, false, 2).await;
    assert_eq!(messages(&latest), ["b", "c"]);
    let before = f.get(latest.next_backward_token, false, 2).await;
    assert_eq!(messages(&before), ["a"]);
    let head = f.get(before.next_backward_token.clone(), false, 2).await;
    assert_eq!((messages(&head), &head.next_backward_token), (vec![], &before.next_backward_token));
    assert_eq!(messages(&f.get(nothing.next_forward_token, false, 9).await), ["a", "b", "c"], "what came later");
}

#[tokio::test]
async fn a_range_has_its_start_and_not_its_end() {
    let f = Fixture::new();
    f.group("g").await;
    f.stream("g", "s").await;
    f.put("g", "s", &[(1, "a"), (2, "b"), (3, "c")]).await;
    let request = GetLogEventsRequest {
        log_group_name: Some("g".to_owned()),
        log_stream_name: "s".to_owned(),
        start_time: Some(NOW + 2),
        end_time: Some(NOW + 3),
        ..Default::default()
    };
    assert_eq!(messages(&f.service.get_log_events(&f.cx(), request).await.unwrap()), ["b"]);
    let range = |request: &mut FilterLogEventsRequest| {
        request.start_time = Some(NOW + 2);
        request.end_time = Some(NOW + 3);
    };
    assert_eq!(f.filtered(range).await, ["b", "c"], "FilterLogEvents includes its end");
}

#[tokio::test]
async fn a_group_is_filtered_over_its_streams_in_order_of_time_page_by_page() {
    let f = Fixture::new();
    f.group("g").await;
    for (stream, events) in
        [("s1", &[(1, "a ERROR"), (4, "d")][..]), ("s2", &[(2, "b"), (3, "c ERROR")]), ("x", &[(9, "z")])]
    {
        f.stream("g", stream).await;
        f.put("g", stream, events).await;
    }
    assert_eq!(f.filtered(|_| {}).await, ["a ERROR", "b", "c ERROR", "d", "z"]);
    assert_eq!(f.filtered(|r| r.filter_pattern = Some("ERROR".to_owned())).await, ["a ERROR", "c ERROR"]);
    assert_eq!(f.filtered(|r| r.log_stream_name_prefix = Some("s".to_owned())).await.len(), 4);
    assert_eq!(f.filtered(|r| r.log_stream_names = Some(vec!["s2".to_owned()])).await, ["b", "c ERROR"]);
    let newest = |r: &mut FilterLogEventsRequest| {
        r.start_from_head = Some(false);
        r.start_time = Some(NOW);
        r.limit = Some(2);
    };
    assert_eq!(f.filtered(newest).await, ["z", "d"]);

    let (mut found, mut token) = (Vec::new(), None);
    loop {
        let page = f.filter(|r| (r.limit, r.next_token) = (Some(2), token)).await.unwrap();
        found.extend(page.events.unwrap().into_iter().map(|event| (event.message.unwrap(), event.event_id.unwrap())));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    let text: Vec<&str> = found.iter().map(|(message, _)| message.as_str()).collect();
    assert_eq!(text, ["a ERROR", "b", "c ERROR", "d", "z"]);
    assert!(found.iter().all(|(_, id)| id.len() == 56));

    for (wrong, code) in [
        (f.filter(|r| r.log_stream_names = Some(vec!["none".to_owned()])).await, "ResourceNotFoundException"),
        (f.filter(|r| r.filter_pattern = Some("[a, b]".to_owned())).await, "InvalidParameterException"),
        (f.filter(|r| r.next_token = Some("x".to_owned())).await, "InvalidParameterException"),
        (f.filter(|r| r.log_group_name = Some("none".to_owned())).await, "ResourceNotFoundException"),
        (f.filter(|r| r.start_from_head = Some(false)).await, "InvalidParameterException"),
    ] {
        assert!(wrong.is_err_and(|error| error.is(code)));
    }
}

#[tokio::test]
async fn streams_are_listed_by_name_and_by_last_event() {
    let f = Fixture::new();
    f.group("g").await;
    for (stream, at) in [("a", 3), ("b", 1), ("c", 2)] {
        f.stream("g", stream).await;
        f.put("g", stream, &[(at, "m")]).await;
    }
    f.stream("g", "empty").await;
    for (by, descending, want) in [
        (OrderBy::LogStreamName, false, ["a", "b", "c", "empty"]),
        (OrderBy::LogStreamName, true, ["empty", "c", "b", "a"]),
        (OrderBy::LastEventTime, true, ["a", "c", "b", "empty"]),
        (OrderBy::LastEventTime, false, ["empty", "b", "c", "a"]),
    ] {
        let (mut names, mut token) = (Vec::new(), None);
        loop {
            let request = DescribeLogStreamsRequest {
                log_group_name: Some("g".to_owned()),
                order_by: Some(by),
                descending: Some(descending),
                limit: Some(3),
                next_token: token,
                ..Default::default()
            };
            let page = f.service.describe_log_streams(&f.cx(), request).await.unwrap();
            names.extend(page.log_streams.unwrap().into_iter().filter_map(|stream| stream.log_stream_name));
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(names, want);
    }
}

#[tokio::test]
async fn groups_are_listed_by_prefix_pattern_and_page() {
    let f = Fixture::new();
    for name in ["/a/1", "/a/2", "/b/1"] {
        f.group(name).await;
    }
    let list = async |change: &dyn Fn(&mut DescribeLogGroupsRequest)| {
        let mut request = DescribeLogGroupsRequest::default();
        change(&mut request);
        let page = f.service.describe_log_groups(&f.cx(), request).await.unwrap();
        let names: Vec<String> =
            page.log_groups.unwrap().into_iter().filter_map(|group| group.log_group_name).collect();
        (names, page.next_token)
    };
    assert_eq!(list(&|r| r.log_group_name_prefix = Some("/a".to_owned())).await.0, ["/a/1", "/a/2"]);
    assert_eq!(list(&|r| r.log_group_name_pattern = Some("/1".to_owned())).await.0, ["/a/1", "/b/1"]);
    let (names, token) = list(&|r| r.limit = Some(2)).await;
    assert_eq!(names, ["/a/1", "/a/2"]);
    assert_eq!(list(&|r| r.next_token.clone_from(&token)).await, (vec!["/b/1".to_owned()], None));
}

#[tokio::test]
async fn retention_removes_and_protection_keeps() {
    let f = Fixture::new();
    f.group("g").await;
    f.stream("g", "s").await;
    f.put("g", "s", &[(0, "old")]).await;
    let retention = |days| PutRetentionPolicyRequest { log_group_name: "g".to_owned(), retention_in_days: days };
    assert!(f.service.put_retention_policy(&f.cx(), retention(2)).await.unwrap_err().is("InvalidParameterException"));
    f.service.put_retention_policy(&f.cx(), retention(1)).await.unwrap();
    f.clock.advance(Duration::from_hours(25));
    f.put("g", "s", &[(25 * 3_600_000, "new")]).await;
    assert_eq!(f.service.sweep().await, Ok(1));
    assert_eq!(f.filtered(|_| {}).await, ["new"]);
    let described = f.service.describe_log_groups(&f.cx(), DescribeLogGroupsRequest::default()).await.unwrap();
    assert_eq!(described.log_groups.unwrap()[0].stored_bytes, Some(29));

    let protect = |on| PutLogGroupDeletionProtectionRequest {
        log_group_identifier: "g".to_owned(),
        deletion_protection_enabled: on,
    };
    let delete = || DeleteLogGroupRequest { log_group_name: "g".to_owned() };
    f.service.put_log_group_deletion_protection(&f.cx(), protect(true)).await.unwrap();
    assert!(f.service.delete_log_group(&f.cx(), delete()).await.is_err());
    f.service.put_log_group_deletion_protection(&f.cx(), protect(false)).await.unwrap();
    f.service.delete_log_group(&f.cx(), delete()).await.unwrap();
    assert_eq!(f.service.sweep().await, Ok(1), "events of what was deleted");
    assert!(f.service.delete_log_group(&f.cx(), delete()).await.unwrap_err().is("ResourceNotFoundException"));
}

#[tokio::test]
async fn a_source_that_is_read_again_is_stored_once() {
    let f = Fixture::new();
    let target = LogTarget { scope: Scope::default(), group: "g".to_owned(), stream: "s".to_owned() };
    let line = |message: &str| LogLine { timestamp: Timestamp::from_millis(NOW), message: message.to_owned() };
    let missing = f.service.append(&target, vec![line("a")], None).await.unwrap_err();
    assert!(missing.is("ResourceNotFoundException"));
    f.service.ensure_group(&target.scope, "g").await.unwrap();
    f.service.ensure_group(&target.scope, "g").await.unwrap();
    assert_eq!(f.service.position(&target).await, Ok(0));
    f.service.append(&target, vec![line("a"), line(""), line("b")], Some(4)).await.unwrap();
    f.service.append(&target, vec![line("a"), line("b")], Some(4)).await.unwrap();
    f.service.append(&target, vec![line("c")], Some(6)).await.unwrap();
    assert_eq!(f.service.position(&target).await, Ok(6));
    assert_eq!(f.filtered(|_| {}).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn names_in_use_and_names_that_are_not_there() {
    let f = Fixture::new();
    f.group("g").await;
    f.stream("g", "s").await;
    let group = CreateLogGroupRequest { log_group_name: "g".to_owned(), ..Default::default() };
    let twice = f.service.create_log_group(&f.cx(), group).await.unwrap_err();
    assert_eq!(twice.to_string(), "ResourceAlreadyExistsException: The specified log group already exists");
    let stream =
        |group: &str| CreateLogStreamRequest { log_group_name: group.to_owned(), log_stream_name: "s".to_owned() };
    assert!(f.service.create_log_stream(&f.cx(), stream("g")).await.unwrap_err().is("ResourceAlreadyExistsException"));
    let missing = f.service.create_log_stream(&f.cx(), stream("none")).await.unwrap_err();
    assert_eq!(missing.to_string(), "ResourceNotFoundException: The specified log group does not exist.");
}

#[tokio::test]
async fn templates_make_groups_and_streams() {
    let f = Fixture::new();
    let [group, stream, ..] = &crate::resources::resources(&f.service)[..] else { panic!("two types") };
    let creation = |token: &str, properties: Document| Creation {
        properties,
        logical_id: "Logs".to_owned(),
        stack_name: "stack".to_owned(),
        stack_id: "id".to_owned(),
        token: token.to_owned(),
        tags: BTreeMap::from([("team".to_owned(), "data".to_owned())]),
    };
    let first = creation(
        "t1",
        Document::map([("LogGroupName", "/aws/batch/job".into()), ("RetentionInDays", Document::from("7"))]),
    );
    let made = group.create(&f.cx(), &first).await.unwrap();
    assert_eq!(group.create(&f.cx(), &first).await.unwrap(), made);
    let arn = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/batch/job:*";
    assert_eq!(made.attributes["Arn"], arn.into());
    let stranger = creation("t2", first.properties.clone());
    assert!(group.create(&f.cx(), &stranger).await.unwrap_err().is("ResourceAlreadyExistsException"));
    let tags = ListTagsForResourceRequest { resource_arn: arn.to_owned() };
    let tags = f.service.list_tags_for_resource(&f.cx(), tags).await.unwrap().tags.unwrap();
    assert_eq!(tags["team"], "data");

    let named = creation("t3", Document::map([("LogGroupName", Document::from("/aws/batch/job"))]));
    let child = stream.create(&f.cx(), &named).await.unwrap();
    assert_eq!(stream.create(&f.cx(), &named).await.unwrap(), child);
    assert!(stream.read(&f.cx(), &child.physical_id, &named.properties).await.unwrap().is_some());
    stream.delete(&f.cx(), &child.physical_id, &named.properties).await.unwrap();
    assert_eq!(stream.read(&f.cx(), &child.physical_id, &named.properties).await.unwrap(), None);
    group.update(&f.cx(), "/aws/batch/job", &first.properties, &named).await.unwrap();
    assert_eq!(f.service.group_state(&f.cx(), "/aws/batch/job").await.unwrap().unwrap().0.retention, None);
    group.delete(&f.cx(), "/aws/batch/job", &named.properties).await.unwrap();
    group.delete(&f.cx(), "/aws/batch/job", &named.properties).await.unwrap();
}
