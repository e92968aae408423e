"""CloudWatch Logs as boto3 sees it, and as `aws logs tail` asks."""

import time

import pytest
from botocore.exceptions import ClientError

from conftest import ACCOUNT, REGION
from test_cloudformation import Stacks


@pytest.fixture
def logs(aws):
    return aws("logs")


@pytest.fixture
def group(logs, name):
    logs.create_log_group(logGroupName=f"/test/{name}")
    return f"/test/{name}"


def refused(code, operation, **arguments):
    with pytest.raises(ClientError) as refusal:
        operation(**arguments)
    assert refusal.value.response["Error"]["Code"] == code, refusal.value
    return refusal.value.response["Error"]["Message"]


def now():
    return int(time.time() * 1000)


def put(logs, group, stream, *messages, at=None):
    """Puts messages a millisecond apart, into a stream that is made where it isn't there."""
    try:
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    except logs.exceptions.ResourceAlreadyExistsException:
        pass
    start = at or now() - 60_000
    events = [{"timestamp": start + n, "message": message} for n, message in enumerate(messages)]
    return logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def found(logs, group, **arguments):
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, **arguments)
    return [event["message"] for page in pages for event in page["events"]]


def test_groups_are_listed_with_retention_and_tags(logs, group):
    refused("ResourceAlreadyExistsException", logs.create_log_group, logGroupName=group)
    logs.put_retention_policy(logGroupName=group, retentionInDays=7)
    refused("InvalidParameterException", logs.put_retention_policy, logGroupName=group, retentionInDays=2)
    listed = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}"
    assert [(g["arn"], g["retentionInDays"]) for g in listed] == [(f"{arn}:*", 7)]
    logs.delete_retention_policy(logGroupName=group)
    assert "retentionInDays" not in logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]
    logs.tag_resource(resourceArn=arn, tags={"team": "data", "old": "x"})
    logs.untag_resource(resourceArn=arn, tagKeys=["old"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "data"}
    logs.delete_log_group(logGroupName=group)
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"] == []
    assert refused("ResourceNotFoundException", logs.delete_log_group, logGroupName=group) == \
        "The specified log group does not exist."


def test_a_stream_forwards_and_backwards(logs, group):
    put(logs, group, "s", *[f"line {n}" for n in range(10)])

    def get(**more):
        page = logs.get_log_events(logGroupName=group, logStreamName="s", limit=4, **more)
        return [event["message"] for event in page["events"]], page

    lines, page = get(startFromHead=True)
    assert lines == ["line 0", "line 1", "line 2", "line 3"]
    lines, page = get(nextToken=page["nextForwardToken"], startFromHead=True)
    assert lines == ["line 4", "line 5", "line 6", "line 7"]
    lines, page = get(nextToken=page["nextForwardToken"], startFromHead=True)
    assert lines == ["line 8", "line 9"]
    end = page["nextForwardToken"]
    lines, page = get(nextToken=end, startFromHead=True)
    assert (lines, page["nextForwardToken"]) == ([], end)
    lines, page = get()
    assert lines == ["line 6", "line 7", "line 8", "line 9"]
    assert get(nextToken=page["nextBackwardToken"])[0] == ["line 2", "line 3", "line 4", "line 5"]


def test_a_group_is_searched_over_its_streams(logs, group):
    start = now() - 60_000
    put(logs, group, "a/1", "GET 200", "ERROR disk full", at=start)
    put(logs, group, "a/2", '{"level":"error","code":500}', '{"level":"info"}', at=start + 10)
    put(logs, group, "b", "ERROR retry", at=start + 20)
    assert len(found(logs, group)) == 5
    assert found(logs, group, PaginationConfig={"PageSize": 2})[0] == "GET 200"
    assert found(logs, group, filterPattern="ERROR") == ["ERROR disk full", "ERROR retry"]
    assert found(logs, group, filterPattern="ERROR -retry") == ["ERROR disk full"]
    assert found(logs, group, filterPattern='"disk full"') == ["ERROR disk full"]
    assert found(logs, group, filterPattern="{ $.level = error && $.code >= 500 }") == ['{"level":"error","code":500}']
    assert len(found(logs, group, logStreamNamePrefix="a/")) == 4
    assert found(logs, group, logStreamNames=["b"]) == ["ERROR retry"]
    assert found(logs, group, startTime=start + 20) == ["ERROR retry"]
    refused("InvalidParameterException", logs.filter_log_events, logGroupName=group, filterPattern="[a, b]")
    refused("ResourceNotFoundException", logs.filter_log_events, logGroupName=group, logStreamNames=["none"])


def test_streams_by_name_and_by_last_event(logs, group):
    for offset, stream in enumerate(["c", "a", "b"]):
        put(logs, group, stream, "x", at=now() - 60_000 + offset)
    pages = logs.get_paginator("describe_log_streams")

    def names(**arguments):
        found = pages.paginate(logGroupName=group, PaginationConfig={"PageSize": 2}, **arguments)
        return [stream["logStreamName"] for page in found for stream in page["logStreams"]]

    assert names() == ["a", "b", "c"]
    assert names(orderBy="LastEventTime", descending=True) == ["b", "a", "c"]
    assert names(logStreamNamePrefix="b") == ["b"]
    logs.delete_log_stream(logGroupName=group, logStreamName="b")
    assert names() == ["a", "c"]


def test_what_a_batch_must_be(logs, group):
    put(logs, group, "s", "first")

    def events(*offsets):
        return {"logGroupName": group, "logStreamName": "s",
                "logEvents": [{"timestamp": now() + offset, "message": "x"} for offset in offsets]}

    hour = 3_600_000
    refused("InvalidParameterException", logs.put_log_events, **events(1000, 0))
    refused("InvalidParameterException", logs.put_log_events, **events(-25 * hour, 0))
    rejected = logs.put_log_events(**events(-15 * 24 * hour, 0, 3 * hour))["rejectedLogEventsInfo"]
    assert rejected == {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 2}
    assert found(logs, group) == ["first", "x"]
    large = {"timestamp": now(), "message": "x" * 600_000}
    refused("InvalidParameterException", logs.put_log_events, logGroupName=group, logStreamName="s",
            logEvents=[large, large])
    refused("ResourceNotFoundException", logs.put_log_events, logGroupName=group, logStreamName="none",
            logEvents=[{"timestamp": now(), "message": "x"}])
    refused("NotImplemented", logs.start_query, logGroupName=group, startTime=0, endTime=1, queryString="fields @message")


def tail(logs, group, since):
    """Yields messages as `aws logs tail --follow` (version 2 of the CLI, which is not on PyPI) asks for them: pages until
    there is no token, then again from the time of the last event, each event's id once."""
    arguments, seen = {"logGroupName": group, "interleaved": True, "startTime": since}, set()
    while True:
        page = logs.filter_log_events(**arguments)
        for event in page["events"]:
            arguments["startTime"] = max(arguments["startTime"], event["timestamp"])
            if event["eventId"] not in seen:
                seen.add(event["eventId"])
                yield event["message"]
        if "nextToken" in page:
            arguments["nextToken"] = page["nextToken"]
        else:
            arguments.pop("nextToken", None)
            time.sleep(0.02)


def test_tail_follows(logs, group):
    put(logs, group, "s", "before")
    following = tail(logs, group, now() - 600_000)
    assert next(following) == "before"
    put(logs, group, "s", "while it follows", "and again", at=now())
    put(logs, group, "other", "on another stream", at=now() + 5)
    assert {next(following) for _ in range(3)} == {"while it follows", "and again", "on another stream"}


def test_lines_are_there_after_a_kill(own_server):
    logs = own_server.client("logs")
    logs.create_log_group(logGroupName="g")
    put(logs, "g", "s", "kept")
    own_server.kill()
    own_server.start()
    assert found(own_server.client("logs"), "g") == ["kept"]


def test_metric_filters_are_kept_with_their_group(logs, group):
    metric = {"metricName": "errors", "metricNamespace": "app", "metricValue": "1", "defaultValue": 0.0}
    logs.put_metric_filter(logGroupName=group, filterName="f", filterPattern="ERROR", metricTransformations=[metric])
    found = logs.describe_metric_filters(logGroupName=group)["metricFilters"]
    assert [(f["filterName"], f["metricTransformations"]) for f in found] == [("f", [metric])]
    assert logs.describe_metric_filters(metricName="errors", metricNamespace="app", logGroupName=group)["metricFilters"]
    assert not logs.describe_metric_filters(metricName="other", metricNamespace="app", logGroupName=group)["metricFilters"]
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["metricFilterCount"] == 1
    refused("InvalidParameterException", logs.put_metric_filter, logGroupName=group, filterName="g",
            filterPattern="[a, b", metricTransformations=[metric])
    logs.delete_metric_filter(logGroupName=group, filterName="f")
    refused("ResourceNotFoundException", logs.delete_metric_filter, logGroupName=group, filterName="f")


# Classes


def test_a_group_of_infrequent_access_takes_events_and_gives_none(logs, name):
    group = f"/test/{name}"
    logs.create_log_group(logGroupName=group, logGroupClass="INFREQUENT_ACCESS")
    logs.create_log_group(logGroupName=f"{group}/standard")
    put(logs, group, "s", "one")
    of_class = {
        kind: [g["logGroupName"] for g in logs.describe_log_groups(logGroupNamePrefix=group, logGroupClass=kind)["logGroups"]]
        for kind in ("STANDARD", "INFREQUENT_ACCESS")
    }
    assert of_class == {"STANDARD": [f"{group}/standard"], "INFREQUENT_ACCESS": [group]}
    metric = {"metricName": "m", "metricNamespace": "n", "metricValue": "1"}
    for call, more in [
        (logs.get_log_events, {"logStreamName": "s"}),
        (logs.filter_log_events, {}),
        (logs.put_metric_filter, {"filterName": "f", "filterPattern": "", "metricTransformations": [metric]}),
    ]:
        assert "INFREQUENT_ACCESS" in refused("InvalidParameterException", call, logGroupName=group, **more)
    assert "DELIVERY" in refused("InvalidParameterException", logs.create_log_group, logGroupName=f"{group}/d", logGroupClass="DELIVERY")
    logs.delete_log_group(logGroupName=group)


def test_a_templates_group_has_its_class(server, logs, name):
    stacks = Stacks(server)
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name, "LogGroupClass": "INFREQUENT_ACCESS"}}
    assert stacks.made(name, {"Resources": {"Group": group}})["StackStatus"] == "CREATE_COMPLETE", stacks.events(name)
    assert logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["logGroupClass"] == "INFREQUENT_ACCESS"
    stacks.removed(name)
