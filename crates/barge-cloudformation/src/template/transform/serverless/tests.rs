//! SAM templates and what they become.

use super::super::super::Template;
use super::super::Inputs;
use barge_core::Document;

fn resources(body: &str) -> Result<Document, String> {
    let text = format!("Transform: AWS::Serverless-2016-10-31\n{body}");
    let processed = Template::process(&text, &Inputs::default()).map_err(|error| error.to_string())?;
    let body = Document::from_json(processed.body.unwrap_or_default().as_bytes()).unwrap();
    Ok(body.get("Resources").cloned().unwrap())
}

#[test]
fn a_function_becomes_a_function_and_a_role() {
    let made = resources(
        "Globals: {Function: {Timeout: 5, Environment: {Variables: {A: 1}}}}\n\
         Resources:\n\
         \x20 F:\n\
         \x20   Type: AWS::Serverless::Function\n\
         \x20   Properties:\n\
         \x20     Runtime: python3.12\n\
         \x20     Handler: index.handler\n\
         \x20     InlineCode: 'def handler(e, c): pass'\n\
         \x20     Environment: {Variables: {B: 2}}\n\
         \x20     Policies: [AmazonS3ReadOnlyAccess, {S3ReadPolicy: {BucketName: !Ref B}}, {Statement: [{Effect: Allow, Action: '*', Resource: '*'}]}]\n",
    )
    .unwrap();
    let function = made.get("F").and_then(|f| f.get("Properties")).unwrap();
    assert_eq!(made.get("F").unwrap().get("Type").unwrap().as_str(), Some("AWS::Lambda::Function"));
    assert_eq!(function.get("Timeout"), Some(&Document::Integer(5)));
    assert_eq!(function.get("Environment").unwrap().to_json(), r#"{"Variables":{"A":1,"B":2}}"#);
    assert_eq!(function.get("Code").unwrap().to_json(), r#"{"ZipFile":"def handler(e, c): pass"}"#);
    assert_eq!(function.get("Role").unwrap().to_json(), r#"{"Fn::GetAtt":["FRole","Arn"]}"#);
    let role = made.get("FRole").and_then(|role| role.get("Properties")).unwrap();
    assert_eq!(
        role.get("ManagedPolicyArns").unwrap().to_json(),
        r#"[{"Fn::Sub":"arn:${AWS::Partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"},{"Fn::Sub":"arn:${AWS::Partition}:iam::aws:policy/AmazonS3ReadOnlyAccess"}]"#
    );
    assert_eq!(role.get("Policies").and_then(Document::as_list).map(<[_]>::len), Some(2));
}

#[test]
fn events_and_aliases_are_wired() {
    let made = resources(
        "Resources:\n\
         \x20 B: {Type: 'AWS::S3::Bucket'}\n\
         \x20 F:\n\
         \x20   Type: AWS::Serverless::Function\n\
         \x20   Properties:\n\
         \x20     CodeUri: s3://code/f.zip\n\
         \x20     Role: arn:r\n\
         \x20     AutoPublishAlias: live\n\
         \x20     Events:\n\
         \x20       Up: {Type: S3, Properties: {Bucket: !Ref B, Events: 's3:ObjectCreated:*', Filter: {S3Key: {Rules: []}}}}\n\
         \x20       Daily: {Type: Schedule, Properties: {Schedule: rate(1 day), Enabled: false}}\n\
         \x20 G: {Type: X, Properties: {P: !Ref F.Alias}}\n",
    )
    .unwrap();
    let names: Vec<&str> = made.as_map().unwrap().keys().map(String::as_str).collect();
    assert!(names[2].starts_with("FVersion"), "{names:?}");
    assert_eq!(
        [&names[..2], &names[3..]].concat(),
        ["B", "F", "FAliaslive", "FUpPermission", "FDaily", "FDailyPermission", "G"]
    );
    let bucket = made.get("B").unwrap();
    assert_eq!(
        bucket.to_json(),
        r#"{"Type":"AWS::S3::Bucket","Properties":{"NotificationConfiguration":{"LambdaConfigurations":[{"Event":"s3:ObjectCreated:*","Function":{"Ref":"FAliaslive"},"Filter":{"S3Key":{"Rules":[]}}}]}},"DependsOn":["FUpPermission"]}"#
    );
    assert_eq!(made.get("G").unwrap().get("Properties").unwrap().to_json(), r#"{"P":{"Ref":"FAliaslive"}}"#);
    let rule = made.get("FDaily").unwrap().get("Properties").unwrap();
    assert_eq!(rule.get("State").unwrap().as_str(), Some("DISABLED"));
}

#[test]
fn what_is_not_there_is_refused_by_name() {
    let function = |properties: &str| {
        format!("Resources: {{F: {{Type: 'AWS::Serverless::Function', Properties: {{{properties}}}}}}}")
    };
    for (body, part) in [
        ("Resources: {A: {Type: 'AWS::Serverless::Api'}}".to_owned(), "does not support the type AWS::Serverless::Api"),
        ("Globals: {Api: {}}\nResources: {A: {Type: X}}".to_owned(), "Globals of Api"),
        (function("Handler: x"), "'InlineCode', 'CodeUri' or 'ImageUri' must be set"),
        (function("CodeUri: ./src"), "is not a valid S3 Uri"),
        (function("InlineCode: x, DeploymentPreference: {}"), "the property DeploymentPreference"),
        (
            function("InlineCode: x, Events: {E: {Type: Api}}"),
            "the event source Api (at /Resources/F/Properties/Events/E/Type)",
        ),
        (
            function("InlineCode: x, Policies: [{SQSPollerPolicy: {QueueName: q}}]"),
            "the policy template SQSPollerPolicy",
        ),
        (
            function("InlineCode: x, Events: {E: {Type: S3, Properties: {Bucket: !Ref Gone, Events: x}}}"),
            "must be a bucket of this template, and Gone is none",
        ),
    ] {
        let found = resources(&body).unwrap_err();
        assert!(found.contains(part), "{body}: {found}");
    }
}

#[test]
fn what_is_known_may_be_given_by_functions() {
    let made = resources(
        "Parameters: {Stage: {Type: String, Default: live}}\n\
         Globals: {Function: {Timeout: 9, MemorySize: 256}}\n\
         Resources:\n\
         \x20 F:\n\
         \x20   Type: AWS::Serverless::Function\n\
         \x20   IgnoreGlobals: [Timeout]\n\
         \x20   Properties: {CodeUri: !Sub 's3://code-${AWS::Region}/f.zip', Role: arn:r, AutoPublishAlias: !Ref Stage}\n",
    )
    .unwrap();
    let function = made.get("F").and_then(|f| f.get("Properties")).unwrap();
    assert_eq!(function.get("Code").unwrap().to_json(), r#"{"S3Bucket":"code-us-east-1","S3Key":"f.zip"}"#);
    assert_eq!((function.get("Timeout"), function.get("MemorySize")), (None, Some(&Document::Integer(256))));
    assert!(made.get("FAliaslive").is_some());
}
