"""IAM and STS as boto3 and the aws CLI see them."""

import json

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import ACCESS_KEY, ACCOUNT

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "batch.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/ä*"}],
}
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


@pytest.fixture
def iam(aws):
    return aws("iam")


@pytest.fixture
def role(iam, name):
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]


# Sends what the client itself would refuse.
UNCHECKED = Config(parameter_validation=False, retries={"total_max_attempts": 1})


def refused(code, operation, **arguments):
    with pytest.raises(ClientError) as refusal:
        operation(**arguments)
    assert refusal.value.response["Error"]["Code"] == code, refusal.value
    return refusal.value.response


def names(client, operation, key, member, **arguments):
    pages = client.get_paginator(operation).paginate(PaginationConfig={"PageSize": 2}, **arguments)
    return [item[member] for page in pages for item in page[key]]


def test_a_role_from_creation_to_deletion(iam, name):
    made = iam.create_role(
        RoleName=name, Path="/jobs/", AssumeRolePolicyDocument=json.dumps(TRUST), Description="d",
        MaxSessionDuration=7200, Tags=[{"Key": "team", "Value": "data"}],
    )["Role"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/jobs/{name}"
    assert made["RoleId"].startswith("AROA")
    found = iam.get_role(RoleName=name)["Role"]
    assert found == made
    assert found["AssumeRolePolicyDocument"] == TRUST
    assert found["Tags"] == [{"Key": "team", "Value": "data"}]
    assert name in names(iam, "list_roles", "Roles", "RoleName", PathPrefix="/jobs/")
    iam.update_role(RoleName=name, Description="e", MaxSessionDuration=3600)
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps({**TRUST, "Id": "new"}))
    found = iam.get_role(RoleName=name)["Role"]
    assert (found["Description"], found["MaxSessionDuration"]) == ("e", 3600)
    assert found["AssumeRolePolicyDocument"]["Id"] == "new"
    iam.delete_role(RoleName=name)
    answer = refused("NoSuchEntity", iam.get_role, RoleName=name)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert answer["Error"]["Message"] == f"The role with name {name} cannot be found."


def test_bad_roles_are_refused(aws, name, role):
    iam = aws("iam", config=UNCHECKED)
    trust = json.dumps(TRUST)
    refused("EntityAlreadyExists", iam.create_role, RoleName=name.upper(), AssumeRolePolicyDocument=trust)
    other = f"{name}-2"
    for document in ["{", "[]", json.dumps(POLICY), json.dumps({**TRUST, "Version": "1"})]:
        refused("MalformedPolicyDocument", iam.create_role, RoleName=other, AssumeRolePolicyDocument=document)
    refused("ValidationError", iam.create_role, RoleName="a b", AssumeRolePolicyDocument=trust)
    refused("ValidationError", iam.create_role, RoleName="x" * 65, AssumeRolePolicyDocument=trust)
    refused("ValidationError", iam.create_role, RoleName=other, AssumeRolePolicyDocument=trust, MaxSessionDuration=60)
    refused("ValidationError", iam.create_role, RoleName=other)
    refused("NoSuchEntity", iam.get_role, RoleName=other)


def test_inline_policies(iam, name, role):
    for policy in ["c", "a", "b"]:
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(POLICY))
    pages = iam.get_paginator("list_role_policies").paginate(RoleName=name, PaginationConfig={"PageSize": 2})
    assert [policy for page in pages for policy in page["PolicyNames"]] == ["a", "b", "c"]
    assert iam.get_role_policy(RoleName=name, PolicyName="a")["PolicyDocument"] == POLICY
    refused("NoSuchEntity", iam.get_role_policy, RoleName=name, PolicyName="d")
    refused("MalformedPolicyDocument", iam.put_role_policy, RoleName=name, PolicyName="d",
            PolicyDocument=json.dumps(TRUST))
    refused("DeleteConflict", iam.delete_role, RoleName=name)
    for policy in "abc":
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)


def test_managed_policies(iam, name, role):
    arn = iam.create_policy(PolicyName=name, Path="/p/", PolicyDocument=json.dumps(POLICY))["Policy"]["Arn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:policy/p/{name}"
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    iam.attach_role_policy(RoleName=name, PolicyArn=READ_ONLY)
    attached = names(iam, "list_attached_role_policies", "AttachedPolicies", "PolicyArn", RoleName=name)
    assert sorted(attached) == sorted([arn, READ_ONLY])
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    assert iam.list_entities_for_policy(PolicyArn=arn)["PolicyRoles"][0]["RoleName"] == name
    assert arn in names(iam, "list_policies", "Policies", "Arn", Scope="Local", OnlyAttached=True)
    newer = {**POLICY, "Id": "newer"}
    assert iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(newer), SetAsDefault=True)[
        "PolicyVersion"]["VersionId"] == "v2"
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"] == newer
    refused("DeleteConflict", iam.delete_policy_version, PolicyArn=arn, VersionId="v2")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    refused("DeleteConflict", iam.delete_policy, PolicyArn=arn)
    refused("DeleteConflict", iam.delete_role, RoleName=name)
    iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    iam.detach_role_policy(RoleName=name, PolicyArn=READ_ONLY)
    refused("NoSuchEntity", iam.detach_role_policy, RoleName=name, PolicyArn=arn)
    iam.delete_policy(PolicyArn=arn)
    refused("NoSuchEntity", iam.attach_role_policy, RoleName=name, PolicyArn=arn)
    refused("NotImplemented", iam.get_policy_version, PolicyArn=READ_ONLY, VersionId="v1")


def test_instance_profiles(iam, name, role):
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    refused("LimitExceeded", iam.add_role_to_instance_profile, InstanceProfileName=name, RoleName=name)
    found = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    assert found["Arn"] == f"arn:aws:iam::{ACCOUNT}:instance-profile/{name}"
    assert found["Roles"][0]["AssumeRolePolicyDocument"] == TRUST
    listed = iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"]
    assert [profile["InstanceProfileName"] for profile in listed] == [name]
    refused("DeleteConflict", iam.delete_instance_profile, InstanceProfileName=name)
    iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
    iam.delete_instance_profile(InstanceProfileName=name)


def test_who_one_is(aws, server):
    identity = aws("sts").get_caller_identity()
    assert (identity["UserId"], identity["Account"], identity["Arn"]) == (
        ACCOUNT, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")
    shown = json.loads(server.cli("sts", "get-caller-identity").stdout)
    assert shown["Arn"] == identity["Arn"]


def test_a_users_key_signs_until_it_is_taken_away(iam, aws, name):
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    as_user = dict(aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    sts = aws("sts", **as_user)
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/{name}"
    assert aws("iam", **as_user).get_user()["User"]["UserName"] == name
    token = sts.get_session_token()["Credentials"]
    temporary = dict(aws_access_key_id=token["AccessKeyId"], aws_secret_access_key=token["SecretAccessKey"])
    assert aws("sts", aws_session_token=token["SessionToken"], **temporary).get_caller_identity()["Arn"].endswith(name)
    refused("InvalidClientTokenId", aws("sts", aws_session_token="other", **temporary).get_caller_identity)
    refused("DeleteConflict", iam.delete_user, UserName=name)
    iam.update_access_key(UserName=name, AccessKeyId=key["AccessKeyId"], Status="Inactive")
    refused("InvalidClientTokenId", sts.get_caller_identity)
    iam.update_access_key(UserName=name, AccessKeyId=key["AccessKeyId"], Status="Active")
    sts.get_caller_identity()
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    refused("InvalidClientTokenId", sts.get_caller_identity)
    iam.delete_user(UserName=name)


def test_assuming_a_role(aws, name, role):
    sts = aws("sts")
    answer = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="session")
    assert answer["AssumedRoleUser"] == {
        "AssumedRoleId": f"{role['RoleId']}:session",
        "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/session",
    }
    credentials = answer["Credentials"]
    assert credentials["AccessKeyId"].startswith("ASIA")
    as_role = aws(
        "sts", aws_access_key_id=credentials["AccessKeyId"], aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    assert as_role.get_caller_identity()["Arn"] == answer["AssumedRoleUser"]["Arn"]
    refused("AccessDenied", as_role.get_session_token)
    missing = f"arn:aws:iam::{ACCOUNT}:role/{name}-none"
    message = refused("AccessDenied", sts.assume_role, RoleArn=missing, RoleSessionName="session")["Error"]["Message"]
    assert message == (
        f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: sts:AssumeRole on resource: {missing}")
    sts = aws("sts", config=UNCHECKED)
    good = {"RoleArn": role["Arn"], "RoleSessionName": "session"}
    for wrong in [{"DurationSeconds": 7200}, {"DurationSeconds": 60}, {"RoleSessionName": "a b"}, {"RoleArn": "x" * 20}]:
        refused("ValidationError", sts.assume_role, **{**good, **wrong})
    refused("MalformedPolicyDocument", sts.assume_role, **good, Policy="{}")


def test_keys_and_roles_survive_a_restart(own_server):
    iam = own_server.client("iam")
    arn = iam.create_role(RoleName="job", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.create_user(UserName="ann")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    session = own_server.client("sts").assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]
    own_server.kill()
    own_server.start()
    as_ann = own_server.client(
        "sts", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    assert as_ann.get_caller_identity()["Arn"].endswith("user/ann")
    as_role = own_server.client(
        "sts", aws_access_key_id=session["AccessKeyId"], aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"])
    assert as_role.get_caller_identity()["Arn"].endswith("assumed-role/job/session")
    assert own_server.client("iam").get_role(RoleName="job")["Role"]["Arn"] == arn


def test_what_is_not_there_says_so(iam):
    message = refused("NotImplemented", iam.create_login_profile, UserName="u", Password="p")["Error"]["Message"]
    assert "CreateLoginProfile" in message
    assert ACCESS_KEY not in message


def test_groups_hold_users_and_policies(iam, name):
    group = iam.create_group(GroupName=name, Path="/team/")["Group"]
    assert group["Arn"] == f"arn:aws:iam::{ACCOUNT}:group/team/{name}"
    refused("EntityAlreadyExists", iam.create_group, GroupName=name)
    iam.create_user(UserName=name)
    iam.add_user_to_group(GroupName=name, UserName=name)
    assert [u["UserName"] for u in iam.get_group(GroupName=name)["Users"]] == [name]
    assert [g["GroupName"] for g in iam.list_groups_for_user(UserName=name)["Groups"]] == [name]
    document = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
    iam.put_group_policy(GroupName=name, PolicyName="p", PolicyDocument=document)
    assert iam.list_group_policies(GroupName=name)["PolicyNames"] == ["p"]
    iam.attach_group_policy(GroupName=name, PolicyArn=READ_ONLY)
    used = iam.list_entities_for_policy(PolicyArn=READ_ONLY, EntityFilter="Group")["PolicyGroups"]
    assert name in [g["GroupName"] for g in used]
    refused("DeleteConflict", iam.delete_group, GroupName=name)
    refused("DeleteConflict", iam.delete_user, UserName=name)
    iam.remove_user_from_group(GroupName=name, UserName=name)
    iam.delete_group_policy(GroupName=name, PolicyName="p")
    iam.detach_group_policy(GroupName=name, PolicyArn=READ_ONLY)
    iam.update_group(GroupName=name, NewGroupName=f"{name}-new")
    iam.delete_group(GroupName=f"{name}-new")
    refused("NoSuchEntity", iam.get_group, GroupName=f"{name}-new")
    iam.delete_user(UserName=name)
