"""Node.js functions with what AWS's runtime brings: the AWS SDK for JavaScript, layers, and a way to CloudFormation."""

import io
import zipfile

import pytest

from conftest import needs
from test_cloudformation import Stacks, outputs
from test_cloudformation_updates import updated
from test_lambda import functions, zipped  # noqa: F401 (functions is a fixture)

NODE = {"Runtime": "nodejs22.x", "MemorySize": 512}


@pytest.fixture(autouse=True, scope="module")
def node():
    needs("node", "nodejs")
    needs("npm", "npm")


@pytest.fixture
def stacks(server):
    return Stacks(server)


def run(functions, name, code, payload=None, **settings):
    """The answer of a function with this code; the first waits until the SDK is there."""
    function = functions.create("", name.replace(".", "-"), Code={"ZipFile": zipped(code, name)}, **{**NODE, **settings})
    answer, result = functions.invoke(function, payload)
    assert "FunctionError" not in answer, result
    return result


# The SDK


WORK = """
export_handler(async (event) => {
  const s3 = new S3Client({});
  await s3.send(new PutObjectCommand({ Bucket: event.bucket, Key: "a b.txt", Body: "text" }));
  const object = await s3.send(new GetObjectCommand({ Bucket: event.bucket, Key: "a b.txt" }));
  return object.Body.transformToString();
});
"""
NAMES = "{ S3Client, PutObjectCommand, GetObjectCommand }"


@pytest.mark.parametrize("file, head", [
    ("index.js", f'const {NAMES} = require("@aws-sdk/client-s3");\nconst export_handler = (f) => (exports.handler = f);'),
    ("index.mjs", f'import {NAMES} from "@aws-sdk/client-s3";\nexport let handler;\nconst export_handler = (f) => (handler = f);'),
])
def test_the_sdk_is_there(functions, aws, name, file, head):
    aws("s3").create_bucket(Bucket=name)
    assert run(functions, file, head + WORK, {"bucket": name}) == "text"
    assert aws("s3").get_object(Bucket=name, Key="a b.txt")["Body"].read() == b"text"


def test_every_client_that_belongs_to_a_service_here_is_there(functions):
    clients = ["batch", "cloudformation", "cloudwatch-logs", "dynamodb", "ec2", "ecr", "iam", "lambda", "s3", "sfn", "ssm", "sts"]
    packages = [f"client-{client}" for client in clients] + ["credential-providers", "lib-dynamodb", "lib-storage", "util-dynamodb"]
    code = "exports.handler = async (names) => names.filter((name) => !Object.keys(require('@aws-sdk/' + name)).length)"
    assert run(functions, "index.js", code, packages) == []


def test_modules_come_from_the_code_then_the_layers_then_the_runtime(functions, name):
    def layer(suffix, **files):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for module, text in files.items():
                archive.writestr(f"nodejs/node_modules/{module}/index.js", f"module.exports = '{text}';")
        return functions.client.publish_layer_version(LayerName=f"{name}-{suffix}", Content={"ZipFile": packed.getvalue()})

    layers = [layer("one", shared="of the layer", tslib="of the layer")["LayerVersionArn"]]
    by_import = "import shared from 'shared'; import tslib from 'tslib'; export const handler = async () => [shared, tslib];"
    assert run(functions, "index.mjs", by_import, Layers=layers) == ["of the layer"] * 2
    by_require = "exports.handler = async () => [require('shared'), require('tslib')]"
    assert run(functions, "index.js", by_require, Layers=layers) == ["of the layer"] * 2


# CloudFormation's answers


WITH_MODULE = """
const response = require("cfn-response");
exports.handler = (event, context) => {
  const size = Number(event.ResourceProperties.Size);
  if (size === 0 && event.RequestType !== "Delete") return response.send(event, context, response.FAILED, {});
  response.send(event, context, response.SUCCESS, { Double: String(2 * size) }, "thing");
};
"""
# As older copies of AWS's module and the CDK's handlers do it.
WITH_HTTPS = """
const https = require("https");
const url = require("url");
exports.handler = async (event) => {
  const size = Number(event.ResourceProperties.Size);
  const answer = {
    Status: size === 0 && event.RequestType !== "Delete" ? "FAILED" : "SUCCESS", Reason: "See the details", PhysicalResourceId: "thing",
    StackId: event.StackId, RequestId: event.RequestId, LogicalResourceId: event.LogicalResourceId,
    Data: { Double: String(2 * size) },
  };
  const body = JSON.stringify(answer);
  const { hostname, path } = url.parse(event.ResponseURL);
  const headers = { "content-type": "", "content-length": Buffer.byteLength(body) };
  await new Promise((resolve, reject) => {
    const request = https.request({ hostname, PORT path, method: "PUT", headers }, (response) => {
      response.resume();
      response.statusCode < 400 ? resolve() : reject(new Error(response.statusCode));
    });
    request.on("error", reject);
    request.write(body);
    request.end();
  });
};
"""
PYTHON = """
import cfnresponse
def handler(event, context):
    size = int(event["ResourceProperties"]["Size"])
    if size == 0 and event["RequestType"] != "Delete":
        cfnresponse.send(event, context, cfnresponse.FAILED, {})
    else:
        cfnresponse.send(event, context, cfnresponse.SUCCESS, {"Double": str(2 * size)}, "thing")
"""


def with_thing(code, runtime, size):
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    return {"Resources": {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}},
        "Maker": {"Type": "AWS::Lambda::Function", "Properties": {
            "Runtime": runtime, "Handler": "index.handler", "Code": {"ZipFile": code}, "MemorySize": 256,
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        }},
        "Thing": {"Type": "Custom::Thing", "Properties": {"ServiceToken": {"Fn::GetAtt": ["Maker", "Arn"]}, "Size": size}},
    }, "Outputs": {"Double": {"Value": {"Fn::GetAtt": ["Thing", "Double"]}}}}


@pytest.mark.parametrize("code, runtime", [
    pytest.param(WITH_MODULE, "nodejs22.x", id="cfn-response"),
    pytest.param(WITH_HTTPS.replace("PORT", "port: 443,"), "nodejs20.x", id="https-443"),
    pytest.param(WITH_HTTPS.replace("PORT", ""), "nodejs22.x", id="https"),
    pytest.param(PYTHON, "python3.13", id="cfnresponse"),
])
def test_an_inline_function_makes_a_custom_resource(stacks, name, code, runtime):
    capabilities = {"Capabilities": ["CAPABILITY_IAM"]}
    stack = stacks.settled(stacks.create(name, with_thing(code, runtime, 3), **capabilities), 120)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stacks.events(name)
    assert outputs(stack) == {"Double": "6"} and stacks.resources(name)["Thing"] == "thing"
    stack = updated(stacks, name, with_thing(code, runtime, 4), **capabilities)
    assert (stack["StackStatus"], outputs(stack)) == ("UPDATE_COMPLETE", {"Double": "8"}), stacks.events(name)
    stack = updated(stacks, name, with_thing(code, runtime, 0), **capabilities)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", stacks.events(name)
    reasons = [reason for thing, status, reason in stacks.events(name) if (thing, status) == ("Thing", "UPDATE_FAILED")]
    assert "See the details" in reasons[0]
    assert stacks.removed(name)["StackStatus"] == "DELETE_COMPLETE", stacks.events(name)


def test_only_what_is_meant_for_cloudformation_is_carried_to_it(functions, server):
    code = """
const https = require("https");
exports.handler = async (event) => Promise.all(event.paths.map((path) => new Promise((resolve) => {
  const { hostname, port } = new URL(event.ResponseURL);
  const request = https.request({ hostname, port, path, method: "PUT" }, (response) => resolve(response.statusCode));
  request.on("error", (error) => resolve(error.code));
  request.end();
})));
"""
    paths = ["/_barge/cloudformation/nowhere", "/_barge/health", "/bucket/key"]
    event = {"ResponseURL": f"{server.endpoint}/_barge/cloudformation/x", "paths": paths}
    assert run(functions, "index.js", code, event) == [400, "EPROTO", "EPROTO"]
