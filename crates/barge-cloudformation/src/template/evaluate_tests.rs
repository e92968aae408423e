//! Every function with its value, and what has none.

use super::*;

const TEMPLATE: &str = r"
Parameters:
  Env: {Type: String}
  Zones: {Type: CommaDelimitedList}
  Later: {Type: String}
Mappings:
  Sizes: {prod: {cpu: 2, names: [x, y]}}
Conditions:
  Both: !And [!Condition IsProd, !Not [!Equals [!Ref Env, dev]]]
  IsProd: !Equals [!Ref Env, prod]
  IsDev: !Or [!Equals [!Ref Env, dev], !Equals [1, 2]]
  Waits: !Equals [!Ref Later, x]
Resources:
  Queue: {Type: X::Queue}
  Unmade: {Type: X::Queue}
";

fn evaluate(yaml: &str) -> Result<Option<Document>, EvalError> {
    let body =
        format!("Transform: AWS::LanguageExtensions\n{TEMPLATE}\n  Probe: {{Type: X, Properties: {{P: {yaml}}}}}\n");
    let template = Template::parse(&body).unwrap_or_else(|error| panic!("{yaml}: {error}"));
    let parameters = BTreeMap::from([
        ("Env".to_owned(), "prod".into()),
        ("Zones".to_owned(), Document::List(vec!["z1".into(), "z2".into()])),
    ]);
    let queue = Resource {
        physical_id: "queue-1".into(),
        attributes: BTreeMap::from([("Arn".to_owned(), "arn:q".into()), ("A.B".to_owned(), Document::Integer(7))]),
    };
    let resources = BTreeMap::from([("Queue".to_owned(), queue)]);
    let pseudo = Pseudo { stack_name: Some("s".into()), ..Pseudo::default() };
    let exports = BTreeMap::from([("net-Vpc".to_owned(), "vpc-7".to_owned())]);
    let (none, budget) = (BTreeMap::new(), Budget::default());
    let environment = Environment {
        template: &template,
        parameters: &parameters,
        conditions: &none,
        pseudo: &pseudo,
        resources: &resources,
        exports: Some(&exports),
        budget: &budget,
    };
    let conditions = environment.conditions().map_err(|(_, error)| error)?;
    Environment { conditions: &conditions, ..environment }.value(&template.resources["Probe"].properties["P"])
}

#[test]
fn every_function_has_its_value() {
    for (yaml, expected) in [
        ("x", r#""x""#),
        ("0.25", "0.25"),
        ("!Ref Env", r#""prod""#),
        ("!Ref Zones", r#"["z1","z2"]"#),
        ("!Ref Queue", r#""queue-1""#),
        ("!Ref AWS::Region", r#""us-east-1""#),
        ("!Ref AWS::AccountId", r#""000000000000""#),
        ("!Ref AWS::Partition", r#""aws""#),
        ("!Ref AWS::URLSuffix", r#""amazonaws.com""#),
        ("!Ref AWS::StackName", r#""s""#),
        ("!GetAtt Queue.Arn", r#""arn:q""#),
        ("!GetAtt Queue.A.B", "7"),
        ("!Sub ['${Env}/${v}/${Zones}', {v: !Ref Queue}]", r#""prod/queue-1/z1,z2""#),
        ("!Join ['-', [a, 1, !Ref Env]]", r#""a-1-prod""#),
        ("!Join ['', !Ref Zones]", r#""z1z2""#),
        ("!Join [',', [a, !Ref 'AWS::NoValue', b]]", r#""a,b""#),
        ("!Select [1, [a, b]]", r#""b""#),
        ("!Select ['0', !Ref Zones]", r#""z1""#),
        ("!Select [0, !GetAZs '']", r#""us-east-1a""#),
        ("!GetAZs eu-west-1", r#"["eu-west-1a","eu-west-1b","eu-west-1c"]"#),
        ("!Split ['/', a/b//c]", r#"["a","b","","c"]"#),
        ("!If [IsProd, a, b]", r#""a""#),
        ("!If [IsDev, a, b]", r#""b""#),
        ("!If [Both, a, b]", r#""a""#),
        ("{k: !If [IsProd, !Ref 'AWS::NoValue', b], l: [!Ref 'AWS::NoValue', 1]}", r#"{"l":[1]}"#),
        ("!FindInMap [Sizes, !Ref Env, cpu]", "2"),
        ("!FindInMap [Sizes, prod, names]", r#"["x","y"]"#),
        ("!ImportValue net-Vpc", r#""vpc-7""#),
        ("!ImportValue {'Fn::Join': ['-', [net, Vpc]]}", r#""vpc-7""#),
        ("!Length [a, !Ref Queue, c]", "3"),
        ("!Length {Ref: Zones}", "2"),
        ("!ToJsonString {a: !Ref Queue, b: [1, true]}", r#""{\"a\":\"queue-1\",\"b\":[1,true]}""#),
        ("!FindInMap [Sizes, dev, cpu, {DefaultValue: 9}]", "9"),
        ("!FindInMap [Sizes, prod, cpu, {DefaultValue: 9}]", "2"),
        ("!Base64 hello", r#""aGVsbG8=""#),
        ("!Select [1, !Cidr [10.0.0.0/16, 2, 8]]", r#""10.0.1.0/24""#),
        ("!Select [0, !Cidr [10.0.0.0/16, 2]]", r#""10.0.0.0/24""#),
    ] {
        assert_eq!(evaluate(yaml).unwrap().unwrap().to_json(), expected, "{yaml}");
    }
    assert_eq!(evaluate("!Ref AWS::NoValue"), Ok(None));
}

#[test]
fn what_is_not_known_yet_is_not_wrong() {
    for yaml in [
        "!Ref Later",
        "!Ref Unmade",
        "!GetAtt Unmade.Arn",
        "!Sub '${Unmade}'",
        "!If [Waits, a, b]",
        "!Ref AWS::StackId",
        "!Length [!If [Waits, a, b]]",
    ] {
        assert_eq!(evaluate(yaml), Err(EvalError::Unknown), "{yaml}");
    }
    assert_eq!(evaluate("!Select [0, [a, !GetAtt Unmade.Arn]]"), Ok(Some("a".into())));
}

#[test]
fn text_that_doubles_without_end_is_refused() {
    let mut doubled = "x".repeat(1000);
    for _ in 0..30 {
        doubled = format!("!Sub ['${{v}}${{v}}', {{v: {doubled}}}]");
    }
    assert!(matches!(evaluate(&doubled), Err(EvalError::Template(text)) if text.contains("too large")));
    let joined = format!("!Join ['{}', !Split ['x', '{}']]", "-".repeat(10_000), "x".repeat(10_000));
    assert!(matches!(evaluate(&joined), Err(EvalError::Template(text)) if text.contains("too large")));
}

#[test]
fn an_export_that_nobody_makes_is_named() {
    assert_eq!(evaluate("!ImportValue gone"), Err(EvalError::NoExport("gone".into())));
}

#[test]
fn what_has_no_value_says_why() {
    for (yaml, part) in [
        ("!GetAtt Queue.Nope", "resource Queue does not support attribute type Nope in Fn::GetAtt"),
        ("!Select [2, [a, b]]", "Fn::Select cannot select nonexistent value at index 2"),
        ("!Select [x, [a, b]]", "nonexistent value at index x"),
        ("!FindInMap [Sizes, dev, cpu]", "Unable to get mapping for Sizes::dev::cpu"),
        ("!FindInMap [Nope, dev, cpu]", "Mapping named 'Nope' is not present"),
        ("!Join ['-', x]", "Fn::Join takes a list of strings, found a string"),
        ("!Join ['-', [{a: b}]]", "found a map in it"),
        ("!Sub ['${v}', {v: [a]}]", "the variable v of Fn::Sub must be a string, found a list"),
        ("!Cidr [10.0.0.0/24, 2, 8]", "Fn::Cidr can not take 2 blocks"),
        ("!Base64 [a]", "Fn::Base64 must be a string"),
        ("!Length x", "Fn::Length expects a list"),
    ] {
        match evaluate(yaml) {
            Err(EvalError::Template(text)) => assert!(text.contains(part), "{yaml}: {text}"),
            other => panic!("{yaml}: {other:?}"),
        }
    }
}
