"""Lifecycle rules and encryption settings of S3 buckets, from boto3 and from templates.

What becomes due with time is tested beside the code, with a clock of the test's own; here rules act that are due at once.
"""

import datetime
import json

import pytest
from botocore.config import Config

from conftest import ACCOUNT, REGION, wait_for
from test_s3 import body, bucket, refused, s3  # noqa: F401 (fixtures)
from test_s3_versions import listed, put, versioned, versioning  # noqa: F401 (fixtures)

# botocore would refuse some of these itself.
UNCHECKED = Config(parameter_validation=False, retries={"total_max_attempts": 1})
PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)


def rule(id="r", status="Enabled", **members):
    return {"ID": id, "Status": status, "Filter": {}, **members}


def configure(s3, bucket, *rules):
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": list(rules)})


def keys(s3, bucket):
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


# Rules


def test_rules_come_back_as_they_were_put(s3, bucket):
    refused("NoSuchLifecycleConfiguration", s3.get_bucket_lifecycle_configuration, Bucket=bucket)
    tag = {"Key": "a", "Value": "1"}
    future = datetime.datetime(2090, 1, 1, tzinfo=datetime.timezone.utc)
    rules = [
        rule("days", Expiration={"Days": 30}),
        rule("date", Filter={"Prefix": "logs/"}, Expiration={"Date": future}),
        rule("markers", Expiration={"ExpiredObjectDeleteMarker": True}),
        rule("noncurrent", Filter={"Tag": tag}, NoncurrentVersionExpiration={
            "NoncurrentDays": 7, "NewerNoncurrentVersions": 3,
        }),
        rule("abort", Filter={"Prefix": ""}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1}),
        rule("size", "Disabled", Filter={"ObjectSizeGreaterThan": 5}, Expiration={"Days": 1}),
        rule("and", Filter={"And": {
            "Prefix": "x/", "Tags": [tag, {"Key": "b", "Value": ""}], "ObjectSizeGreaterThan": 1, "ObjectSizeLessThan": 9,
        }}, Expiration={"Days": 1}),
        {"ID": "older", "Status": "Enabled", "Prefix": "old/", "Expiration": {"Days": 1}},
    ]
    configure(s3, bucket, *rules)
    answer = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert answer["Rules"] == rules
    assert answer["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    configure(s3, bucket, {"Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}})
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]["ID"]
    s3.delete_bucket_lifecycle(Bucket=bucket)
    refused("NoSuchLifecycleConfiguration", s3.get_bucket_lifecycle_configuration, Bucket=bucket)


def test_objects_go_whose_date_is_past(s3, bucket):
    tagged = dict(Tagging="keep=no")
    for key, more in (("a", tagged), ("logs/1", {}), ("logs/2", tagged), ("logs/large", tagged)):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x" * (100 if "large" in key else 1), **more)
    only = {"And": {"Prefix": "logs/", "Tags": [{"Key": "keep", "Value": "no"}], "ObjectSizeLessThan": 50}}
    configure(s3, bucket, rule(Filter=only, Expiration={"Date": PAST}))
    wait_for(lambda: "logs/2" not in keys(s3, bucket))
    assert keys(s3, bucket) == ["a", "logs/1", "logs/large"]
    configure(s3, bucket, rule(Filter={"Prefix": "logs/l"}, Expiration={"Date": PAST}), rule("off", "Disabled", Expiration={
        "Date": PAST,
    }))
    wait_for(lambda: "logs/large" not in keys(s3, bucket))
    assert keys(s3, bucket) == ["a", "logs/1"]


def test_a_version_is_hidden_and_a_marker_that_hides_nothing_goes(s3, versioned):
    version = put(s3, versioned, "k", "x")
    s3.delete_object(Bucket=versioned, Key="nothing")
    configure(s3, versioned, rule(Expiration={"ExpiredObjectDeleteMarker": True}))
    wait_for(lambda: listed(s3, versioned)[1] == [])
    assert keys(s3, versioned) == ["k"]
    configure(s3, versioned, rule(Expiration={"Date": PAST}))
    wait_for(lambda: keys(s3, versioned) == [])
    versions, [(_, marker, latest)] = listed(s3, versioned)
    assert versions == [("k", version, False)] and latest
    assert body(s3, versioned, "k", VersionId=version) == b"x"
    s3.delete_bucket_lifecycle(Bucket=versioned)
    s3.delete_object(Bucket=versioned, Key="k", VersionId=marker)
    assert body(s3, versioned, "k") == b"x"


def test_answers_say_when_an_object_expires(s3, versioned):
    configure(
        s3, versioned,
        rule("far away", Filter={"Prefix": "tmp/"}, Expiration={"Date": datetime.datetime(2090, 1, 1)}),
        rule("abort", Filter={"Prefix": "tmp/"}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 3}),
    )
    expected = 'expiry-date="Sun, 01 Jan 2090 00:00:00 GMT", rule-id="far%20away"'
    assert s3.put_object(Bucket=versioned, Key="tmp/k", Body=b"x")["Expiration"] == expected
    assert s3.head_object(Bucket=versioned, Key="tmp/k")["Expiration"] == expected
    assert s3.get_object(Bucket=versioned, Key="tmp/k")["Expiration"] == expected
    assert s3.copy_object(Bucket=versioned, Key="tmp/c", CopySource=f"{versioned}/tmp/k")["Expiration"] == expected
    assert "Expiration" not in s3.put_object(Bucket=versioned, Key="k", Body=b"x")
    upload = s3.create_multipart_upload(Bucket=versioned, Key="tmp/k")
    assert upload["AbortRuleId"] == "abort" and upload["AbortDate"].hour == 0
    assert "AbortDate" not in s3.create_multipart_upload(Bucket=versioned, Key="k")


def test_rules_that_are_refused(aws, bucket):
    s3 = aws("s3", config=UNCHECKED)
    days = {"Expiration": {"Days": 1}}
    tag = {"Tag": {"Key": "a", "Value": "1"}}
    cases = [
        ("MalformedXML", []),
        ("MalformedXML", [rule(**days)] * 1001),
        ("MalformedXML", [{"ID": "r", "Status": "Enabled", **days}]),
        ("MalformedXML", [rule(status="Perhaps", **days)]),
        ("MalformedXML", [rule(Prefix="p", **days)]),
        ("MalformedXML", [rule(Filter={"Prefix": "p", **tag}, **days)]),
        ("MalformedXML", [rule(Filter={"And": {"Prefix": "p"}}, **days)]),
        ("MalformedXML", [rule(Expiration={})]),
        ("MalformedXML", [rule(Expiration={"Days": 1, "ExpiredObjectDeleteMarker": True})]),
        ("MalformedXML", [rule(Expiration={"Days": "many"})]),
        ("MalformedXML", [rule(NoncurrentVersionExpiration={"NewerNoncurrentVersions": 3})]),
        ("InvalidRequest", [rule()]),
        ("InvalidRequest", [rule(Filter=tag, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})]),
        ("InvalidRequest", [rule(Filter={"And": {"ObjectSizeGreaterThan": 9, "ObjectSizeLessThan": 9}}, **days)]),
        ("InvalidArgument", [rule(Expiration={"Days": 0})]),
        ("InvalidArgument", [rule(Expiration={"Days": -5})]),
        ("InvalidArgument", [rule(Expiration={"Date": "2030-01-01T12:00:00Z"})]),
        ("InvalidArgument", [rule(NoncurrentVersionExpiration={"NoncurrentDays": 0})]),
        ("InvalidArgument", [rule("same", **days), rule("same", **days)]),
        ("InvalidArgument", [rule("i" * 256, **days)]),
        ("NotImplemented", [rule(Transitions=[{"Days": 1, "StorageClass": "GLACIER"}])]),
        ("NotImplemented", [rule(NoncurrentVersionTransitions=[{"NoncurrentDays": 1, "StorageClass": "GLACIER"}])]),
    ]
    for code, rules in cases:
        configuration = {"Rules": rules}
        refused(code, s3.put_bucket_lifecycle_configuration, Bucket=bucket, LifecycleConfiguration=configuration)
    refused(
        "NotImplemented", s3.put_bucket_lifecycle_configuration, Bucket=bucket,
        LifecycleConfiguration={"Rules": [rule(**days)]}, TransitionDefaultMinimumObjectSize="varies_by_storage_class",
    )
    refused("NoSuchLifecycleConfiguration", s3.get_bucket_lifecycle_configuration, Bucket=bucket)
    refused("NoSuchBucket", s3.get_bucket_lifecycle_configuration, Bucket="no-such-bucket-anywhere")


# Encryption


def default_encryption(s3, bucket):
    [rule] = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    return rule["ApplyServerSideEncryptionByDefault"], rule["BucketKeyEnabled"]


def encrypt(s3, bucket, bucket_key=None, **default):
    rule = {"ApplyServerSideEncryptionByDefault": default}
    if bucket_key is not None:
        rule["BucketKeyEnabled"] = bucket_key
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


def test_a_bucket_says_what_it_is_told_of_encryption(s3, bucket):
    assert default_encryption(s3, bucket) == ({"SSEAlgorithm": "AES256"}, False)
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ServerSideEncryption"] == "AES256"
    kms = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/aws/s3"}
    encrypt(s3, bucket, True, **kms)
    assert default_encryption(s3, bucket) == (kms, True)
    answer = s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert (answer["ServerSideEncryption"], answer["BucketKeyEnabled"]) == ("aws:kms", True)
    answer = s3.head_object(Bucket=bucket, Key="k")
    assert (answer["ServerSideEncryption"], answer["BucketKeyEnabled"]) == ("aws:kms", True)
    encrypt(s3, bucket, SSEAlgorithm="aws:kms:dsse")
    assert default_encryption(s3, bucket) == ({"SSEAlgorithm": "aws:kms:dsse"}, False)
    s3.delete_bucket_encryption(Bucket=bucket)
    assert default_encryption(s3, bucket) == ({"SSEAlgorithm": "AES256"}, False)
    # What was made keeps what it was made with.
    assert s3.get_object(Bucket=bucket, Key="k")["ServerSideEncryption"] == "aws:kms"


def test_an_object_says_what_it_was_made_with(s3, bucket):
    answer = s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms")
    assert answer["ServerSideEncryption"] == "aws:kms" and "BucketKeyEnabled" not in answer
    copied = s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/k")
    assert copied["ServerSideEncryption"] == "AES256"
    # Another encryption is a change that an object may be copied onto itself for.
    s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/k", ServerSideEncryption="AES256")
    assert s3.head_object(Bucket=bucket, Key="k")["ServerSideEncryption"] == "AES256"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m", ServerSideEncryption="aws:kms")
    where = dict(Bucket=bucket, Key="m", UploadId=upload["UploadId"])
    part = s3.upload_part(**where, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    done = s3.complete_multipart_upload(**where, MultipartUpload=parts)
    assert {upload["ServerSideEncryption"], part["ServerSideEncryption"], done["ServerSideEncryption"]} == {"aws:kms"}


def test_encryption_that_is_refused(aws, bucket):
    s3 = aws("s3", config=UNCHECKED)
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    rules = lambda *rules: dict(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": list(rules)})
    default = lambda **default: rules({"ApplyServerSideEncryptionByDefault": default})
    answer = refused("NotImplemented", s3.put_bucket_encryption, **default(SSEAlgorithm="aws:kms", KMSMasterKeyID=key))
    assert "KMSMasterKeyID" in answer["Error"]["Message"]
    refused("InvalidArgument", s3.put_bucket_encryption, **default(SSEAlgorithm="AES256", KMSMasterKeyID=key))
    refused("InvalidArgument", s3.put_bucket_encryption, **default(SSEAlgorithm="rot13"))
    refused("MalformedXML", s3.put_bucket_encryption, **default())
    refused("MalformedXML", s3.put_bucket_encryption, **rules())
    refused("MalformedXML", s3.put_bucket_encryption, **rules({}, {}))
    put_object = dict(Bucket=bucket, Key="k", Body=b"x")
    refused("NotImplemented", s3.put_object, **put_object, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    refused("InvalidArgument", s3.put_object, **put_object, SSEKMSKeyId="alias/aws/s3")
    refused("InvalidArgument", s3.put_object, **put_object, ServerSideEncryption="rot13")
    customer = dict(SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)
    assert "SSECustomer" in refused("NotImplemented", s3.put_object, **put_object, **customer)["Error"]["Message"]
    assert default_encryption(s3, bucket) == ({"SSEAlgorithm": "AES256"}, False)


# Templates


def test_the_bucket_of_cdks_bootstrap(aws, s3, name):
    """As AWS CDK's bootstrap template declares it."""
    cloudformation = aws("cloudformation")
    template = {
        "Parameters": {"KeyId": {"Type": "String", "Default": "AWS_MANAGED_KEY"}},
        "Conditions": {"OwnKey": {"Fn::Not": [{"Fn::Equals": ["AWS_MANAGED_KEY", {"Ref": "KeyId"}]}]}},
        "Resources": {"StagingBucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "BucketName": f"{name}-staging",
                "AccessControl": "Private",
                "BucketEncryption": {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {
                    "SSEAlgorithm": "aws:kms",
                    "KMSMasterKeyID": {"Fn::If": ["OwnKey", {"Ref": "KeyId"}, {"Ref": "AWS::NoValue"}]},
                }}]},
                "PublicAccessBlockConfiguration": {
                    "BlockPublicAcls": True, "BlockPublicPolicy": True,
                    "IgnorePublicAcls": True, "RestrictPublicBuckets": True,
                },
                "VersioningConfiguration": {"Status": "Enabled"},
                "LifecycleConfiguration": {"Rules": [
                    {"Id": "CleanupOldVersions", "Status": "Enabled",
                     "NoncurrentVersionExpiration": {"NoncurrentDays": 30}},
                    {"Id": "AbortIncompleteMultipartUploads", "Status": "Enabled",
                     "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
                ]},
            },
            "UpdateReplacePolicy": "Retain",
        }},
    }
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name)
    staging = f"{name}-staging"
    assert s3.get_bucket_versioning(Bucket=staging)["Status"] == "Enabled"
    assert default_encryption(s3, staging) == ({"SSEAlgorithm": "aws:kms"}, False)
    rules = s3.get_bucket_lifecycle_configuration(Bucket=staging)["Rules"]
    assert [rule["ID"] for rule in rules] == ["CleanupOldVersions", "AbortIncompleteMultipartUploads"]
    assert rules[0]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    version = put(s3, staging, "asset.zip", "x")

    def update():
        cloudformation.update_stack(StackName=name, TemplateBody=json.dumps(template))
        cloudformation.get_waiter("stack_update_complete").wait(StackName=name)

    properties = template["Resources"]["StagingBucket"]["Properties"]
    past = {"Id": "Past", "Status": "Enabled", "Prefix": "asset", "ExpirationDate": "2020-01-01T00:00:00.000Z"}
    properties["LifecycleConfiguration"] = {"Rules": [past]}
    update()
    wait_for(lambda: keys(s3, staging) == [])
    [(_, marker, _)] = listed(s3, staging)[1]
    s3.delete_object(Bucket=staging, Key="asset.zip", VersionId=marker)

    # What the template no longer says is undone; versions stay, and are no longer made.
    del properties["VersioningConfiguration"], properties["LifecycleConfiguration"]
    update()
    assert s3.get_bucket_versioning(Bucket=staging)["Status"] == "Suspended"
    refused("NoSuchLifecycleConfiguration", s3.get_bucket_lifecycle_configuration, Bucket=staging)
    assert body(s3, staging, "asset.zip", VersionId=version) == b"x"
    s3.delete_object(Bucket=staging, Key="asset.zip", VersionId=version)
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=name)


@pytest.mark.parametrize("properties, word", [
    ({"LifecycleConfiguration": {"Rules": [
        {"Status": "Enabled", "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 1}]}]}}, "Transitions"),
    ({"LifecycleConfiguration": {"Rules": [{"Status": "Enabled"}]}}, "At least one action"),
    ({"BucketEncryption": {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {
        "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/mine"}}]}}, "KMSMasterKeyID"),
    ({"VersioningConfiguration": {"Status": "Perhaps"}}, "VersioningConfiguration"),
    ({"WebsiteConfiguration": {"IndexDocument": "index.html"}}, "WebsiteConfiguration"),
])
def test_what_a_template_may_not_say(aws, name, properties, word):
    cloudformation = aws("cloudformation")
    template = {"Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}}}
    try:
        cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template), OnFailure="DO_NOTHING")
    except cloudformation.exceptions.ClientError as refusal:
        assert word in str(refusal)
        return
    wait_for(lambda: cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "CREATE_FAILED")
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    assert any(word in event.get("ResourceStatusReason", "") for event in events)
    cloudformation.delete_stack(StackName=name)
