//! Templates without stacks.

use super::*;

const BODY: &str = "
AWSTemplateFormatVersion: '2010-09-09'
Description: d
Metadata: {M: 1}
Parameters:
  P: {Type: Number, Default: 1, Description: p, NoEcho: true}
  Q: {Type: String, AllowedValues: [a, b]}
Conditions: {C: !Equals [!Ref Q, a]}
Resources:
  R: {Type: 'AWS::IAM::Role', Properties: {Name: !If [C, !Ref P, x]}}
  S: {Type: 'Fake::Thing::One', Condition: C}
";

#[tokio::test]
async fn a_template_is_validated_without_its_parameters() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let input = ValidateTemplateInput { template_body: Some(BODY.into()), ..ValidateTemplateInput::default() };
    let valid = house.service.validate_template(&house.cx, input).await.unwrap();
    let parameters = valid.parameters.unwrap();
    assert_eq!(parameters[0].default_value.as_deref(), Some("1"));
    assert_eq!((parameters[0].no_echo, parameters[1].no_echo), (Some(true), Some(false)));
    assert_eq!(valid.capabilities, Some(vec![Capability::CapabilityIam]));
    assert_eq!(
        valid.capabilities_reason.as_deref(),
        Some("The following resource(s) require capabilities: [AWS::IAM::Role]")
    );
    let bad = ValidateTemplateInput {
        template_body: Some(BODY.replace("!Ref P, x", "!Ref Z, x")),
        ..ValidateTemplateInput::default()
    };
    let error = house.service.validate_template(&house.cx, bad).await.unwrap_err();
    assert_eq!(error.code, "ValidationError");
    assert!(error.message.starts_with("Template format error: Unresolved resource dependencies [Z]"));
    let none = house.service.validate_template(&house.cx, ValidateTemplateInput::default()).await.unwrap_err();
    assert_eq!(none.message, "Either Template URL or Template Body must be specified.");
}

#[tokio::test]
async fn a_summary_lists_what_a_template_declares() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let input = GetTemplateSummaryInput { template_body: Some(BODY.into()), ..GetTemplateSummaryInput::default() };
    let summary = house.service.get_template_summary(&house.cx, input).await.unwrap();
    assert_eq!(summary.resource_types.unwrap(), ["AWS::IAM::Role", THING]);
    assert_eq!(summary.version.as_deref(), Some("2010-09-09"));
    assert_eq!(summary.metadata.as_deref(), Some(r#"{"M":1}"#));
    let parameters = summary.parameters.unwrap();
    assert_eq!(parameters[0].parameter_type.as_deref(), Some("Number"));
    let constraints = parameters[1].parameter_constraints.clone().unwrap();
    assert_eq!(constraints.allowed_values.unwrap(), ["a", "b"]);

    let unknown = |lenient| GetTemplateSummaryInput {
        template_body: Some("Resources: {R: {Type: 'X::Y::Z'}}".into()),
        template_summary_config: Some(TemplateSummaryConfig {
            treat_unrecognized_resource_types_as_warnings: Some(lenient),
        }),
        ..GetTemplateSummaryInput::default()
    };
    assert!(house.service.get_template_summary(&house.cx, unknown(false)).await.is_err());
    let warned = house.service.get_template_summary(&house.cx, unknown(true)).await.unwrap().warnings.unwrap();
    assert_eq!(warned.unrecognized_resource_types.unwrap(), ["X::Y::Z"]);

    house.made("one", template(&["A: Properties: {}"])).await;
    let stored = GetTemplateSummaryInput { stack_name: Some("one".into()), ..GetTemplateSummaryInput::default() };
    let summary = house.service.get_template_summary(&house.cx, stored).await.unwrap();
    assert_eq!(summary.resource_types.unwrap(), [THING]);
}

#[tokio::test]
async fn a_repeated_key_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let house = house(&dir);
    let body = format!("Resources: {{A: {{Type: '{THING}'}}, A: {{Type: '{THING}', Properties: {{Value: last}}}}}}");
    let input = ValidateTemplateInput { template_body: Some(body.clone()), ..ValidateTemplateInput::default() };
    let reason = house.service.validate_template(&house.cx, input).await.unwrap().capabilities_reason.unwrap();
    assert!(reason.contains("Warning: [/Resources] The key 'A' is repeated; the last one counts"), "{reason}");
    house.made("one", body).await;
    let events = house.events("one").await;
    assert!(
        events.iter().any(|event| event.starts_with("one CREATE_IN_PROGRESS: Warning: [/Resources]")),
        "{events:?}"
    );
    assert_eq!(house.world.values().into_values().collect::<Vec<_>>(), ["last"]);
}
