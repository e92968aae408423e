"""Lambda with real clients: functions in sandboxes, their failures, their logs, their events."""

import base64
import concurrent.futures
import io
import json
import pathlib
import urllib.request
import zipfile

import pytest
from botocore.exceptions import ClientError

from conftest import ACCOUNT, REGION, wait_for

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


def zipped(code, name="index.py", mode=0o644):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = (0o100000 | mode) << 16
        archive.writestr(entry, code)
    return buffer.getvalue()


class Functions:
    """Makes functions on a server and removes them."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.client = server.client("lambda")
        self.logs = server.client("logs")
        self.iam = server.client("iam")
        self.made = []
        self.role = self.iam.create_role(RoleName=f"{name}-role", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]

    def create(self, code, suffix="f", **settings):
        function = f"{self.name}-{suffix}"
        options = {
            "Runtime": "python3.12",
            "Handler": "index.handler",
            "Code": {"ZipFile": zipped(code)},
            "Timeout": 30,
            "Role": self.role,
            **settings,
        }
        self.client.create_function(FunctionName=function, **options)
        self.made.append(function)
        return function

    def invoke(self, function, payload=None, **options):
        answer = self.client.invoke(FunctionName=function, Payload=json.dumps(payload), **options)
        return answer, json.loads(answer["Payload"].read() or "null")

    def lines(self, function):
        """Every line in the function's log."""
        group = f"/aws/lambda/{function}"
        pages = self.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        try:
            return [event["message"].rstrip("\n") for page in pages for event in page["events"]]
        except self.logs.exceptions.ResourceNotFoundException:
            return []

    def line(self, function, word):
        """Waits for a log line with `word` in it."""
        return wait_for(lambda: [line for line in self.lines(function) if word in line], what=f"a log line with {word}")

    def clean(self):
        for function in self.made:
            self.client.delete_function(FunctionName=function)
            try:
                self.logs.delete_log_group(logGroupName=f"/aws/lambda/{function}")
            except self.logs.exceptions.ResourceNotFoundException:
                pass
        self.iam.delete_role(RoleName=f"{self.name}-role")


@pytest.fixture
def functions(server, name):
    made = Functions(server, name)
    yield made
    made.clean()


def test_a_function_answers_with_its_environment(functions):
    function = functions.create(
        """
import os
def handler(event, context):
    names = ['AWS_REGION', 'AWS_LAMBDA_FUNCTION_NAME', 'AWS_LAMBDA_FUNCTION_MEMORY_SIZE', 'AWS_ENDPOINT_URL', 'TZ', 'OWN']
    return {'event': event, 'env': {name: os.environ[name] for name in names}, 'arn': context.invoked_function_arn}
""",
        Environment={"Variables": {"OWN": "value"}},
        MemorySize=256,
    )
    answer, result = functions.invoke(function, {"text": "é", "n": [1, 2.5]})
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST" and "FunctionError" not in answer
    assert result["event"] == {"text": "é", "n": [1, 2.5]}
    assert result["arn"] == f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"
    assert result["env"] == {
        "AWS_REGION": REGION,
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_ENDPOINT_URL": functions.server.endpoint,
        "TZ": ":UTC",
        "OWN": "value",
    }


def test_the_sandbox_holds(functions):
    function = functions.create(
        """
import os
def attempt(do):
    try:
        do()
        return 'did'
    except OSError as error:
        return type(error).__name__
def handler(event, context):
    open('/tmp/own', 'w').write('x')
    return {
        'uid': os.getuid(),
        'task': attempt(lambda: open('/var/task/new', 'w')),
        'usr': attempt(lambda: open('/usr/new', 'w')),
        'etc': attempt(lambda: open('/etc/new', 'w')),
        'shadow': attempt(lambda: open('/etc/shadow')),
        'data': attempt(lambda: os.listdir(event['data'])),
        'tmp': os.listdir('/tmp'),
        'processes': len([entry for entry in os.listdir('/proc') if entry.isdigit()]),
    }
"""
    )
    _, result = functions.invoke(function, {"data": str(functions.server.data_dir)})
    assert result["uid"] != 0
    assert all(result[place] != "did" for place in ("task", "usr", "etc", "shadow", "data")), result
    assert result["tmp"] == ["own"]
    assert result["processes"] < 10


def test_a_warm_instance_is_used_again_and_two_do_not_share_tmp(functions):
    code = "import os\ndef handler(e, c):\n    open('/tmp/' + c.aws_request_id, 'w')\n    return [len(os.listdir('/tmp'))]"
    function, other = functions.create(code), functions.create(code, "other")
    assert [functions.invoke(function)[1] for _ in range(3)] == [[1], [2], [3]]
    assert functions.invoke(other)[1] == [1]


@pytest.mark.parametrize(
    "code, kind, message",
    [
        ("def handler(e, c): raise ValueError('boom')", "ValueError", "boom"),
        ("import os\ndef handler(e, c): os._exit(1)", "Runtime.ExitError", "exit status 1"),
        ("import missing_module", "Runtime.ImportModuleError", "missing_module"),
        ("def handler(e, c): return {1, 2}", "Runtime.MarshalError", "not JSON serializable"),
        ("def other(): pass", "Runtime.HandlerNotFound", "'handler' missing"),
        ("def handler(e, c): x = bytearray(1 << 30); return len(x)", "Runtime.ExitError", "signal: killed"),
    ],
)
def test_failures_reach_the_client(functions, code, kind, message):
    function = functions.create(code)
    answer, error = functions.invoke(function, {})
    assert answer["FunctionError"] == "Unhandled"
    assert error["errorType"] == kind, error
    assert message in error["errorMessage"]


def test_an_error_has_its_stack_trace(functions):
    function = functions.create("def handler(e, c):\n    return deeper()\ndef deeper():\n    return {}['key']")
    _, error = functions.invoke(function, {})
    assert error["errorType"] == "KeyError" and error["requestId"]
    assert "deeper" in error["stackTrace"][-1]
    assert functions.line(function, "[ERROR] KeyError: 'key'")


def test_a_function_that_hangs_times_out_and_the_next_event_runs(functions):
    function = functions.create(
        "import time\ndef handler(e, c):\n    print('before')\n    if e: time.sleep(600)\n    return 'fine'", Timeout=1
    )
    answer, error = functions.invoke(function, {"hang": True}, LogType="Tail")
    assert error["errorType"] == "Sandbox.Timedout"
    assert error["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert "before\n" in tail and "Task timed out after 1.00 seconds" in tail
    assert functions.invoke(function, {})[1] == "fine"


def test_a_gigabyte_of_output_hurts_nobody(functions):
    loud = functions.create(
        "def handler(e, c):\n    line = 'x' * 1023\n    for _ in range(1 << 20): print(line)\n    return 'done'", "loud", Timeout=2
    )
    quiet = functions.create("def handler(e, c): return 'fine'", "quiet")
    functions.invoke(quiet, {})
    with concurrent.futures.ThreadPoolExecutor() as pool:
        shouting = pool.submit(lambda: Functions.invoke(functions, loud, {}, LogType="Tail"))
        for _ in range(20):
            assert functions.invoke(quiet, {})[1] == "fine"
        answer, error = shouting.result()
    assert error["errorType"] == "Sandbox.Timedout"
    assert len(base64.b64decode(answer["LogResult"])) <= 4096


def test_the_log_reads_as_on_aws(functions):
    function = functions.create("def handler(e, c):\n    print('first')\n    print('second')")
    answer, _ = functions.invoke(function, {}, LogType="Tail")
    request = answer["ResponseMetadata"]["RequestId"]
    tail = base64.b64decode(answer["LogResult"]).decode().splitlines()
    assert tail[0] == f"START RequestId: {request} Version: $LATEST"
    assert tail[1:3] == ["first", "second"]
    assert tail[3] == f"END RequestId: {request}"
    assert tail[4].startswith(f"REPORT RequestId: {request}\tDuration: ") and "\tMemory Size: 128 MB" in tail[4]
    functions.line(function, "REPORT")
    assert [line for line in functions.lines(function) if "INIT_START" not in line] == tail
    streams = functions.logs.describe_log_streams(logGroupName=f"/aws/lambda/{function}")["logStreams"]
    assert "/[$LATEST]" in streams[0]["logStreamName"]


def test_credentials_are_the_roles(functions):
    function = functions.create(
        """
def handler(event, context):
    try:
        import boto3
    except ImportError:
        return 'no boto3'
    return boto3.client('sts').get_caller_identity()['Arn']
""",
        Timeout=60,
        MemorySize=256,
    )
    _, arn = functions.invoke(function, {})
    # Without a package index at hand functions run without boto3, and say so when they start.
    if arn == "no boto3":
        assert functions.line(function, "without boto3")
    else:
        assert arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/{functions.name}-role/{function}"


def test_a_script_is_a_custom_runtime(functions):
    bootstrap = """#!/usr/bin/env python3
import json, os, urllib.request
base = 'http://' + os.environ['AWS_LAMBDA_RUNTIME_API'] + '/2018-06-01/runtime/invocation/'
while True:
    with urllib.request.urlopen(base + 'next') as event:
        identity, payload = event.headers['Lambda-Runtime-Aws-Request-Id'], json.load(event)
    answer = json.dumps({'got': payload, 'cwd': os.getcwd()}).encode()
    urllib.request.urlopen(urllib.request.Request(base + identity + '/response', answer)).read()
"""
    if not pathlib.Path("/usr/bin/python3").exists():
        pytest.skip("the sandbox sees no python3 in the system's directories")
    code = {"ZipFile": zipped(bootstrap, "bootstrap", 0o755)}
    function = functions.create("", Runtime="provided.al2023", Handler="bootstrap", Code=code)
    assert functions.invoke(function, [1])[1] == {"got": [1], "cwd": "/var/task"}


def test_events_run_once_each_and_survive_a_kill(own_server, name):
    functions = Functions(own_server, name)
    function = functions.create("import time\ndef handler(e, c):\n    time.sleep(0.05)\n    print('event', e['n'])")
    for n in range(10):
        answer, payload = functions.invoke(function, {"n": n}, InvocationType="Event")
        assert (answer["StatusCode"], payload) == (202, None)
    own_server.kill()
    own_server.start()
    for n in range(10):
        assert functions.line(function, f"event {n}")


def test_concurrency_is_limited(functions):
    function = functions.create("def handler(e, c): return 1")
    functions.client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    with pytest.raises(functions.client.exceptions.TooManyRequestsException) as refused:
        functions.invoke(function)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    functions.client.delete_function_concurrency(FunctionName=function)
    assert functions.invoke(function)[1] == 1


def test_invocations_at_the_same_time(functions):
    function = functions.create("import os, time\ndef handler(e, c):\n    time.sleep(1)\n    return os.environ['AWS_LAMBDA_LOG_STREAM_NAME']")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        streams = set(pool.map(lambda _: functions.invoke(function)[1], range(4)))
    assert len(streams) > 1


def test_permissions(functions):
    function = functions.create("def handler(e, c): pass")
    client = functions.client
    granted = client.add_permission(
        FunctionName=function, StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com",
        SourceArn="arn:aws:s3:::bucket", SourceAccount=ACCOUNT,
    )
    statement = json.loads(granted["Statement"])
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert json.loads(client.get_policy(FunctionName=function)["Policy"])["Statement"] == [statement]
    with pytest.raises(client.exceptions.ResourceConflictException):
        client.add_permission(
            FunctionName=function, StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
        )
    client.remove_permission(FunctionName=function, StatementId="s3")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_policy(FunctionName=function)


def test_tags_code_and_configuration(functions):
    function = functions.create("def handler(e, c): return 'one'", Tags={"team": "a"})
    client = functions.client
    client.get_waiter("function_active_v2").wait(FunctionName=function)
    shown = client.get_function(FunctionName=function)
    assert shown["Tags"] == {"team": "a"}
    assert shown["Configuration"]["State"] == "Active"
    with urllib.request.urlopen(shown["Code"]["Location"]) as code:
        archive = zipfile.ZipFile(io.BytesIO(code.read()))
    assert archive.read("index.py") == b"def handler(e, c): return 'one'"
    client.tag_resource(Resource=shown["Configuration"]["FunctionArn"], Tags={"stage": "test"})
    client.untag_resource(Resource=shown["Configuration"]["FunctionArn"], TagKeys=["team"])
    assert client.list_tags(Resource=shown["Configuration"]["FunctionArn"])["Tags"] == {"stage": "test"}
    assert functions.invoke(function)[1] == "one"
    client.update_function_code(FunctionName=function, ZipFile=zipped("def handler(e, c): return 'two'"))
    client.get_waiter("function_updated_v2").wait(FunctionName=function)
    assert functions.invoke(function)[1] == "two"
    changed = client.update_function_configuration(FunctionName=function, Timeout=7, Description="d")
    assert (changed["Timeout"], changed["Description"], changed["LastUpdateStatus"]) == (7, "d", "Successful")
    with pytest.raises(client.exceptions.PreconditionFailedException):
        client.update_function_configuration(FunctionName=function, Timeout=8, RevisionId=shown["Configuration"]["RevisionId"])


def test_code_from_s3(functions):
    s3, bucket = functions.server.client("s3"), functions.name
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="code.zip", Body=zipped("def handler(e, c): return 'from s3'"))
    function = functions.create("", Code={"S3Bucket": bucket, "S3Key": "code.zip"})
    assert functions.invoke(function)[1] == "from s3"
    with pytest.raises(functions.client.exceptions.InvalidParameterValueException, match="NoSuchKey"):
        functions.create("", "missing", Code={"S3Bucket": bucket, "S3Key": "missing.zip"})


def test_everything_survives_a_restart(own_server, name):
    functions = Functions(own_server, name)
    function = functions.create("def handler(e, c): return 'still here'", Tags={"a": "b"})
    before = functions.client.get_function(FunctionName=function)["Configuration"]
    own_server.restart()
    after = functions.client.get_function(FunctionName=function)
    before.pop("ResponseMetadata", None)
    assert after["Configuration"] == before and after["Tags"] == {"a": "b"}
    assert functions.invoke(function)[1] == "still here"


@pytest.mark.parametrize(
    "settings, code",
    [
        ({"Role": f"arn:aws:iam::{ACCOUNT}:role/there-is-none"}, "InvalidParameterValueException"),
        ({"Code": {"ZipFile": b"not a zip file"}}, "InvalidParameterValueException"),
        ({"Code": {"ZipFile": zipped("x", "../../escape.py")}}, "InvalidParameterValueException"),
        ({"Runtime": "java21"}, "InvalidParameterValueException"),
        ({"Layers": [f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:l:1"]}, "InvalidParameterValueException"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "InvalidParameterValueException"),
        ({"MemorySize": 10241}, "ValidationException"),
        ({"Timeout": 901}, "ValidationException"),
        ({"Handler": "with space"}, "ValidationException"),
    ],
)
def test_bad_functions_are_refused(functions, settings, code):
    with pytest.raises(ClientError) as refused:
        functions.create("def handler(e, c): pass", **settings)
    assert refused.value.response["Error"]["Code"] == code, refused.value


def test_bad_invocations_are_refused(functions):
    client = functions.client
    function = functions.create("def handler(e, c): pass")
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="Function not found: arn:aws:lambda"):
        client.invoke(FunctionName="there-is-none")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke(FunctionName=function, Qualifier="7")
    with pytest.raises(client.exceptions.InvalidRequestContentException):
        client.invoke(FunctionName=function, Payload=b"{not json")
    with pytest.raises(client.exceptions.RequestTooLargeException):
        client.invoke(FunctionName=function, Payload=b'"' + b"x" * 1_048_576 + b'"', InvocationType="Event")
    with pytest.raises(ClientError) as refused:
        client.create_function_url_config(FunctionName=function, AuthType="NONE")
    assert refused.value.response["Error"]["Code"] == "NotImplemented"
    assert "CreateFunctionUrlConfig" in refused.value.response["Error"]["Message"]


def test_functions_are_listed_in_pages(functions):
    made = sorted(functions.create("def handler(e, c): pass", suffix) for suffix in ("a", "b", "c"))
    pages = functions.client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2})
    listed = [function["FunctionName"] for page in pages for function in page["Functions"]]
    assert [function for function in listed if function in made] == made


def test_versions_and_aliases(functions):
    client = functions.client
    function = functions.create("def handler(e, c): return ['one', c.function_version]", Publish=True)
    client.update_function_code(FunctionName=function, ZipFile=zipped("def handler(e, c): return ['two', c.function_version]"))
    assert client.publish_version(FunctionName=function, Description="second")["Version"] == "2"
    assert client.publish_version(FunctionName=function)["Version"] == "2"
    alias = client.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
    assert functions.invoke(f"{function}:live")[1] == ["one", "1"]
    assert functions.invoke(function, Qualifier="2")[1] == ["two", "2"]
    client.update_alias(FunctionName=function, Name="live", FunctionVersion="2", RevisionId=alias["RevisionId"])
    answer, payload = functions.invoke(alias["AliasArn"])
    assert (answer["ExecutedVersion"], payload) == ("2", ["two", "2"])
    assert [v["Version"] for v in client.list_versions_by_function(FunctionName=function)["Versions"]] == ["$LATEST", "1", "2"]
    assert [a["Name"] for a in client.list_aliases(FunctionName=function)["Aliases"]] == ["live"]
    assert client.get_function(FunctionName=function, Qualifier="live")["Configuration"]["Description"] == "second"
    client.add_permission(FunctionName=function, Qualifier="live", StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com")
    policy = json.loads(client.get_policy(FunctionName=function, Qualifier="live")["Policy"])
    assert policy["Statement"][0]["Resource"] == alias["AliasArn"]
    with pytest.raises(client.exceptions.ResourceConflictException):
        client.delete_function(FunctionName=function, Qualifier="2")
    with pytest.raises(client.exceptions.InvalidParameterValueException):
        client.update_function_configuration(FunctionName=f"{function}:live", Timeout=5)
    client.put_function_event_invoke_config(FunctionName=function, Qualifier="live", MaximumRetryAttempts=0)
    found = client.list_function_event_invoke_configs(FunctionName=function)["FunctionEventInvokeConfigs"]
    assert [c["MaximumRetryAttempts"] for c in found] == [0]
    client.delete_alias(FunctionName=function, Name="live")
    client.delete_function(FunctionName=function, Qualifier="2")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        functions.invoke(f"{function}:2")


def test_layers_are_under_opt(functions):
    client, layer = functions.client, f"{functions.name}-layer"
    publish = lambda path, text: client.publish_layer_version(
        LayerName=layer, Content={"ZipFile": zipped(text, path)}, CompatibleRuntimes=["python3.12"])
    first = publish("python/shared.py", "word = 'first'")
    second = publish("data/note.txt", "hello")
    assert (first["Version"], second["Version"]) == (1, 2)
    function = functions.create(
        "import shared\ndef handler(e, c): return [shared.word, open('/opt/data/note.txt').read()]",
        Layers=[first["LayerVersionArn"], second["LayerVersionArn"]],
    )
    assert functions.invoke(function)[1] == ["first", "hello"]
    third = publish("python/shared.py", "word = 'third'")
    client.update_function_configuration(FunctionName=function, Layers=[first["LayerVersionArn"], second["LayerVersionArn"], third["LayerVersionArn"]])
    assert functions.invoke(function)[1] == ["third", "hello"]
    shown = client.get_function_configuration(FunctionName=function)["Layers"]
    assert [l["Arn"] for l in shown] == [first["LayerVersionArn"], second["LayerVersionArn"], third["LayerVersionArn"]]
    client.delete_layer_version(LayerName=layer, VersionNumber=1)
    assert [v["Version"] for v in client.list_layer_versions(LayerName=layer)["LayerVersions"]] == [3, 2]
    found = client.list_layers(CompatibleRuntime="python3.12")["Layers"]
    assert client.get_layer_version_by_arn(Arn=third["LayerVersionArn"])["Version"] == 3
    assert third["LayerVersionArn"] in [l["LatestMatchingVersion"]["LayerVersionArn"] for l in found]
    with urllib.request.urlopen(client.get_layer_version(LayerName=layer, VersionNumber=2)["Content"]["Location"]) as zip_file:
        assert zipfile.ZipFile(io.BytesIO(zip_file.read())).namelist() == ["data/note.txt"]
    assert functions.invoke(function)[1] == ["third", "hello"]
