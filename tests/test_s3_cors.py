"""Cross-origin rules of S3 buckets: kept, and answered to browsers before and beside their requests."""

import json

from botocore.config import Config

from test_s3 import bucket, fetch, refused, s3  # noqa: F401 (fixtures)

# botocore would refuse some of these itself.
UNCHECKED = Config(parameter_validation=False, retries={"total_max_attempts": 1})
PAGE = "https://page.example"
RULES = [
    {
        "ID": "page", "AllowedOrigins": ["https://*.example"], "AllowedMethods": ["PUT", "POST"],
        "AllowedHeaders": ["content-type", "x-amz-*"], "ExposeHeaders": ["ETag", "x-amz-version-id"], "MaxAgeSeconds": 300,
    },
    {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]},
]


def configure(s3, bucket, rules=RULES):
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})


def preflight(url, origin=PAGE, method="PUT", headers=None):
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        asked["Access-Control-Request-Headers"] = headers
    status, answer, text = fetch(url, "OPTIONS", headers={k: v for k, v in asked.items() if v})
    return status, {k.lower(): v for k, v in answer.items()}, text


def test_rules_come_back_as_they_were_put(s3, bucket):
    refused("NoSuchCORSConfiguration", s3.get_bucket_cors, Bucket=bucket)
    configure(s3, bucket)
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == RULES
    s3.delete_bucket_cors(Bucket=bucket)
    refused("NoSuchCORSConfiguration", s3.get_bucket_cors, Bucket=bucket)


def test_a_browser_asks_before_it_puts(server, s3, bucket):
    url = f"{server.endpoint}/{bucket}/some/key"
    status, _, text = preflight(url)
    assert status == 403 and b"CORS is not enabled for this bucket" in text
    configure(s3, bucket)
    status, headers, _ = preflight(url, headers="X-Amz-Date, Content-Type")
    assert status == 200
    assert headers["access-control-allow-origin"] == PAGE
    assert headers["access-control-allow-methods"] == "PUT, POST"
    assert headers["access-control-allow-headers"] == "x-amz-date, content-type"
    assert headers["access-control-expose-headers"] == "ETag, x-amz-version-id"
    assert headers["access-control-max-age"] == "300"
    assert headers["access-control-allow-credentials"] == "true"
    assert "Origin" in headers["vary"] and headers["x-amz-request-id"]
    status, headers, _ = preflight(url, "http://anyone.test", "GET")
    assert status == 200 and headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in headers
    for refusal in (dict(origin="http://anyone.test"), dict(method="DELETE"), dict(headers="authorization")):
        status, headers, text = preflight(url, **refusal)
        assert status == 403 and b"AccessForbidden" in text, refusal
        assert "access-control-allow-origin" not in headers
    assert preflight(url, origin=None)[0] == 400 and preflight(url, method=None)[0] == 400
    assert preflight(f"{server.endpoint}/no-such-bucket-anywhere/k")[0] == 404


def test_answers_to_a_page_say_who_may_read_them(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    get = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    put = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k"})
    assert "Access-Control-Allow-Origin" not in {name.title() for name in fetch(get, headers={"Origin": PAGE})[1]}
    configure(s3, bucket)
    answer = lambda *request, **more: {k.lower(): v for k, v in fetch(*request, **more)[1].items()}
    assert answer(get, headers={"Origin": PAGE})["access-control-allow-origin"] == "*"
    assert answer(put, "PUT", b"y", headers={"Origin": PAGE})["access-control-allow-origin"] == PAGE
    assert "access-control-allow-origin" not in answer(get)
    # A page may read why it was refused.
    missing = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "none"})
    assert answer(missing, headers={"Origin": PAGE})["access-control-allow-origin"] == "*"


def test_rules_that_are_refused(aws, bucket):
    s3 = aws("s3", config=UNCHECKED)
    rule = lambda **members: {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], **members}
    for code, rules in (
        ("MalformedXML", []),
        ("MalformedXML", [{"AllowedOrigins": ["*"]}]),
        ("MalformedXML", [rule()] * 101),
        ("InvalidRequest", [rule(AllowedMethods=["PATCH"])]),
        ("InvalidRequest", [rule(AllowedOrigins=["http://*.*"])]),
        ("InvalidRequest", [rule(AllowedHeaders=["*-*"])]),
        ("InvalidRequest", [rule(ExposeHeaders=["x-*"])]),
        ("InvalidRequest", [rule(MaxAgeSeconds=-1)]),
    ):
        refused(code, s3.put_bucket_cors, Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    refused("NoSuchCORSConfiguration", s3.get_bucket_cors, Bucket=bucket)


def test_a_template_says_them(aws, s3, name):
    cloudformation = aws("cloudformation")
    rules = [{"AllowedMethods": ["GET"], "AllowedOrigins": [PAGE], "ExposedHeaders": ["ETag"], "MaxAge": 60}]
    properties = {"BucketName": name, "CorsConfiguration": {"CorsRules": rules}}
    template = {"Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}}}
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name)
    assert s3.get_bucket_cors(Bucket=name)["CORSRules"] == [
        {"AllowedMethods": ["GET"], "AllowedOrigins": [PAGE], "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 60}
    ]
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=name)
