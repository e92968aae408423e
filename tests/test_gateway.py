"""The front door: signatures, protocols, bad input. Each refusal is AWS's, and the server stays up."""

import datetime
import http.client
import json
import subprocess
import urllib.error
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from botocore.exceptions import ClientError

from conftest import ACCESS_KEY, BARGE, REGION, SECRET_KEY, Server


def send(server, method="POST", path="/", body=b"", headers=None):
    """Sends a request as it stands and gives status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(method, path, body=body, headers=headers or {})
    answer = connection.getresponse()
    result = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return result


def signed(server, service, method="POST", path="/", body=b"", headers=None, keys=(ACCESS_KEY, SECRET_KEY), at=None):
    """Signs a request with botocore's signer, as of `at`, and sends it."""
    request = botocore.awsrequest.AWSRequest(method, f"{server.endpoint}{path}", data=body, headers=headers or {})
    signer = botocore.auth.SigV4Auth(botocore.credentials.Credentials(*keys), service, REGION)
    if at is None:
        signer.add_auth(request)
    else:
        import unittest.mock

        with unittest.mock.patch("botocore.auth.get_current_datetime", return_value=at):
            signer.add_auth(request)
    return send(server, method, path, body, dict(request.headers))


def target(name, version="1.1"):
    return {"X-Amz-Target": name, "Content-Type": f"application/x-amz-json-{version}"}


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_health_needs_no_signature(server):
    with urllib.request.urlopen(f"{server.endpoint}/_barge/health") as answer:
        assert json.load(answer)["status"] == "ok"


@pytest.mark.parametrize(
    "headers, path, body, status, code",
    [
        (target("Logs_20140328.DescribeLogGroups"), "/", b"{}", 403, b"MissingAuthenticationTokenException"),
        (target("DynamoDB_20120810.ListTables", "1.0"), "/", b"{}", 400, b"MissingAuthenticationTokenException"),
        (FORM, "/", b"Action=ListStacks&Version=2010-05-15", 403, b"<Code>MissingAuthenticationToken</Code>"),
        ({}, "/v1/describejobs", b"{}", 403, b"Missing Authentication Token"),
        ({}, "/a-bucket/a-key", b"", 403, b"<Code>AccessDenied</Code>"),
    ],
    ids=["json", "dynamodb", "query", "rest-json", "s3"],
)
def test_an_unsigned_request_gets_the_refusal_of_its_protocol(server, headers, path, body, status, code):
    got, _, text = send(server, "PUT" if path.startswith("/a-") else "POST", path, body, headers)
    assert (got, code in text) == (status, True), text


@pytest.mark.parametrize(
    "service, code",
    [
        ("batch", "UnrecognizedClientException"),
        ("logs", "UnrecognizedClientException"),
        ("cloudformation", "InvalidClientTokenId"),
        ("ec2", "AuthFailure"),
        ("s3", "InvalidAccessKeyId"),
    ],
)
def test_an_unknown_access_key_is_refused(server, service, code):
    client = server.client(service, aws_access_key_id="AKIANOBODY0000000000")
    call = {
        "batch": "describe_job_queues",
        "logs": "describe_log_groups",
        "cloudformation": "list_stacks",
        "ec2": "describe_vpcs",
        "s3": "list_buckets",
    }[service]
    with pytest.raises(ClientError) as refused:
        getattr(client, call)()
    assert refused.value.response["Error"]["Code"] == code


@pytest.mark.parametrize(
    "service, call, code",
    [
        ("batch", "describe_job_queues", "InvalidSignatureException"),
        ("lambda", "list_functions", "InvalidSignatureException"),
        ("iam", "list_roles", "SignatureDoesNotMatch"),
        ("s3", "list_buckets", "SignatureDoesNotMatch"),
    ],
)
def test_a_wrong_secret_is_refused(server, service, call, code):
    with pytest.raises(ClientError) as refused:
        getattr(server.client(service, aws_secret_access_key="wrong"), call)()
    assert refused.value.response["Error"]["Code"] == code


@pytest.mark.parametrize("minutes, status", [(-14, 200), (14, 200), (-16, 403), (16, 403)])
def test_a_clock_may_be_fifteen_minutes_off(server, minutes, status):
    at = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) + datetime.timedelta(minutes=minutes)
    got, _, text = signed(server, "logs", body=b"{}", headers=target("Logs_20140328.DescribeLogGroups"), at=at)
    assert got == status, text
    if status == 403:
        assert b"InvalidSignatureException" in text and b"15 min" in text


def test_a_body_that_was_changed_on_the_way_is_refused(server):
    request = botocore.awsrequest.AWSRequest("POST", server.endpoint + "/", data=b"{}", headers=target("Logs_20140328.DescribeLogGroups"))
    credentials = botocore.credentials.Credentials(ACCESS_KEY, SECRET_KEY)
    botocore.auth.SigV4Auth(credentials, "logs", REGION).add_auth(request)
    status, _, text = send(server, body=b'{"limit": 1}', headers=dict(request.headers))
    assert (status, b"InvalidSignatureException" in text) == (403, True)


def test_an_unknown_service_is_not_implemented_by_name(server):
    status, _, text = signed(server, "sqs", body=b"{}", headers=target("AmazonSQS.ListQueues", "1.0"))
    assert (status, b"'sqs'" in text, b"NotImplemented" in text) == (501, True, True)


@pytest.mark.parametrize(
    "service, path, headers, body, status, code",
    [
        ("logs", "/", target("Logs_20140328.MakeCoffee"), b"{}", 404, b"UnknownOperationException"),
        ("batch", "/v1/makecoffee", {}, b"{}", 404, b"UnknownOperationException"),
        ("iam", "/", FORM, b"Action=MakeCoffee&Version=2010-05-08", 400, b"InvalidAction"),
        ("logs", "/", target("Logs_20140328.StartQuery"), b"{}", 501, b"StartQuery"),
        ("lambda", "/2020-04-22/code-signing-configs", {}, b"{}", 501, b"CreateCodeSigningConfig"),
        ("iam", "/", FORM, b"Action=CreateLoginProfile&UserName=u&Version=2010-05-08", 501, b"CreateLoginProfile"),
        ("ec2", "/", FORM, b"Action=RunInstances&Version=2016-11-15", 501, b"RunInstances"),
    ],
)
def test_an_operation_that_is_not_there_is_named(server, service, path, headers, body, status, code):
    got, _, text = signed(server, service, path=path, headers=headers, body=body)
    assert (got, code in text) == (status, True), text


@pytest.mark.parametrize(
    "service, path, headers, body, words",
    [
        ("logs", "/", target("Logs_20140328.CreateLogGroup"), b"{", [b"SerializationException"]),
        ("logs", "/", target("Logs_20140328.CreateLogGroup"), b"[]", [b"SerializationException"]),
        ("logs", "/", target("Logs_20140328.CreateLogGroup"), b"{}", [b"InvalidParameterException", b"logGroupName"]),
        ("logs", "/", target("Logs_20140328.CreateLogGroup"), b'{"logGroupName": 7}', [b"logGroupName", b"string"]),
        ("logs", "/", target("Logs_20140328.CreateLogGroup"), b'{"groupName": "x"}', [b"groupName"]),
        ("batch", "/v1/submitjob", {}, b'{"jobName": "x"}', [b"ClientException", b"jobQueue", b"jobDefinition"]),
        ("batch", "/v1/submitjob", {}, b'{"jobNam": "x"}', [b"ClientException", b"jobNam"]),
        ("cloudformation", "/", FORM, b"Action=CreateStack&Version=2010-05-15", [b"ValidationError", b"StackName"]),
        ("cloudformation", "/", FORM, b"Action=DescribeStacks&Coffee=1&Version=2010-05-15", [b"Coffee"]),
        ("logs", "/", target("Logs_20140328.CreateLogGroup"), b'{"logGroupName": "%s"}' % (b"x" * 513), [b"512"]),
    ],
    ids=["broken", "no-object", "missing", "type", "unknown", "two-missing", "unknown-rest", "query", "unknown-query", "long"],
)
def test_malformed_input_is_a_validation_error_that_names_the_member(server, service, path, headers, body, words):
    status, _, text = signed(server, service, path=path, headers=headers, body=body)
    assert status == 400 and all(word in text for word in words), text


def test_a_body_over_the_limit_is_refused(server):
    body = b" " * (73 << 20)
    try:
        status, _, text = signed(server, "lambda", path="/2015-03-31/functions", body=body)
        assert (status, b"RequestEntityTooLarge" in text) == (413, True)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server may close before it has read what it refuses
    with urllib.request.urlopen(f"{server.endpoint}/_barge/health") as answer:
        assert answer.status == 200


def test_every_answer_carries_a_request_id(server):
    answer = server.client("sts").get_caller_identity()
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36


def test_a_region_is_a_place_of_its_own(server, name):
    here, there = server.client("logs"), server.client("logs", region_name="eu-west-1")
    here.create_log_group(logGroupName=name)
    assert [g["arn"] for g in here.describe_log_groups(logGroupNamePrefix=name)["logGroups"]]
    assert there.describe_log_groups(logGroupNamePrefix=name)["logGroups"] == []


def test_a_second_server_on_the_same_directory_is_refused(own_server):
    second = subprocess.run(
        [BARGE, "serve", "--listen", "127.0.0.1:0", "--data-dir", own_server.data_dir],
        capture_output=True, text=True, timeout=30,
    )
    assert second.returncode != 0 and "another server uses" in second.stderr


def test_the_root_key_is_made_once_and_kept_private(tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    server = Server(tmp_path / "data")
    import os

    clean = {k: v for k, v in os.environ.items() if not k.startswith("BARGE_")}
    command = [BARGE, "serve", "--listen", f"127.0.0.1:{server.port}", "--data-dir", server.data_dir]
    for _ in range(2):
        with open(server.log, "ab") as log:
            process = subprocess.Popen(command, env={**clean, **environment}, stdout=log, stderr=log)
        try:
            from conftest import wait_for

            wait_for(lambda: _answers(server), what="start")
            exports = subprocess.run(
                [BARGE, "env", "--json", "--data-dir", server.data_dir], capture_output=True, text=True, check=True,
                env={**clean, **environment},
            )
            variables = json.loads(exports.stdout)
            keys = dict(aws_access_key_id=variables["AWS_ACCESS_KEY_ID"], aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"])
            assert variables["AWS_ENDPOINT_URL"] == server.endpoint
            identity = server.client("sts", **keys).get_caller_identity()
            assert identity["Arn"] == "arn:aws:iam::000000000000:root"
        finally:
            process.terminate()
            assert process.wait(timeout=30) == 0
    assert (server.data_dir / "root-key.json").stat().st_mode & 0o777 == 0o600


def _answers(server):
    try:
        with urllib.request.urlopen(f"{server.endpoint}/_barge/health", timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False
