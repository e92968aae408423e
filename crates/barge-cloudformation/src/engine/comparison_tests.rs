use super::DifferenceKind::{Add, NotEqual, Remove};
use super::*;
use PropertyType::{Integer, Json, List, Map, String as Text};
use barge_core::resource::property;

const SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "Test::Thing",
    properties: &[
        property("Text", Text),
        property("Number", Integer),
        property("List", List),
        property("Map", Map),
        property("Environment", Map).open(&["Variables"]),
        property("Policies", List).open(&["PolicyDocument"]),
        property("Document", Json),
        property("Tags", List),
        property("Labels", Map).open(&["Tags"]),
        property("Secret", Text).write_only(),
    ],
    attributes: &[],
};

fn document(json: &str) -> Document {
    Document::from_json(json.as_bytes()).unwrap()
}

fn compared(expected: &str, actual: &str) -> Compared {
    let expected = document(expected);
    compare(&SCHEMA, &expected, &expected, &document(actual), &Company::default())
}

fn told(compared: &Compared) -> Vec<(&str, &str, &str, DifferenceKind)> {
    compared
        .differences
        .iter()
        .map(|found| (found.path.as_str(), found.expected.as_str(), found.actual.as_str(), found.kind))
        .collect()
}

#[test]
fn what_is_no_drift() {
    for (expected, actual) in [
        ("{}", r#"{"Text": "a", "Tags": [{"Key": "k", "Value": "v"}]}"#),
        (r#"{"Secret": "s"}"#, "{}"),
        (r#"{"Number": 1}"#, r#"{"Number": "1"}"#),
        (r#"{"Number": "0.25"}"#, r#"{"Number": 0.25}"#),
        (r#"{"Number": "10.0"}"#, r#"{"Number": 10}"#),
        (r#"{"Text": "True"}"#, r#"{"Text": true}"#),
        (r#"{"Text": "role"}"#, r#"{"Text": "arn:aws:iam::000000000000:role/path/role"}"#),
        (r#"{"Text": "arn:aws:lambda:us-east-1:000000000000:function:f"}"#, r#"{"Text": "f"}"#),
        (r#"{"Map": {"A": 1}}"#, r#"{"Map": {"A": 1, "Default": 2}}"#),
        (r#"{"Map": {"A": {}, "B": [], "C": ""}}"#, "{}"),
        (r#"{"List": ["a", "b"]}"#, r#"{"List": ["b", "a"]}"#),
        (r#"{"List": [{"A": 1}, {"A": 2}]}"#, r#"{"List": [{"A": "2", "B": 1}, {"A": "1", "B": 1}]}"#),
        (r#"{"List": ["a"]}"#, r#"{"List": "a"}"#),
        (r#"{"List": ["a", "b", "a"]}"#, r#"{"List": ["b", "a"]}"#),
        (
            r#"{"Document": {"Statement": {"Action": "a"}}}"#,
            r#"{"Document": "{\"Statement\":[{\"Action\":[\"a\"]}]}"}"#,
        ),
        (r#"{"Document": "{ \"A\": 1 }"}"#, r#"{"Document": "{\"A\":1}"}"#),
        (
            r#"{"Policies": [{"PolicyName": "p", "PolicyDocument": {"A": 1}}]}"#,
            r#"{"Policies": [{"PolicyName": "p", "PolicyDocument": "{\"A\":1}"}]}"#,
        ),
        (r#"{"Environment": {"Variables": {"A": 1}}}"#, r#"{"Environment": {"Variables": {"A": "1"}, "Other": 2}}"#),
        (
            r#"{"Tags": [{"Key": "a", "Value": 1}]}"#,
            r#"{"Tags": [{"Key": "aws:x", "Value": "y"}, {"Key": "a", "Value": "1"}]}"#,
        ),
    ] {
        assert_eq!(told(&compared(expected, actual)), [], "{expected} {actual}");
    }
}

#[test]
fn what_is_drift() {
    for (expected, actual, differences) in [
        (r#"{"Text": "a"}"#, r#"{"Text": "b"}"#, [("/Text", "a", "b", NotEqual)].as_slice()),
        (r#"{"Text": "a"}"#, r#"{"Text": ""}"#, &[("/Text", "a", "", NotEqual)]),
        (r#"{"Text": ""}"#, r#"{"Text": "a"}"#, &[("/Text", "", "a", NotEqual)]),
        (r#"{"Text": "a"}"#, "{}", &[("/Text", "a", "null", Remove)]),
        (r#"{"Text": "0123"}"#, r#"{"Text": "123"}"#, &[("/Text", "0123", "123", NotEqual)]),
        (
            r#"{"Text": "{ \"a\": 1 }"}"#,
            r#"{"Text": "{\"a\":1}"}"#,
            &[("/Text", "{ \"a\": 1 }", "{\"a\":1}", NotEqual)],
        ),
        (r#"{"Map": {"A": {"B": 1}}}"#, r#"{"Map": {"A": {"B": 2}}}"#, &[("/Map/A/B", "1", "2", NotEqual)]),
        (r#"{"Map": {"A": {"B": 1}}}"#, r#"{"Map": {}}"#, &[("/Map", r#"{"A":{"B":1}}"#, "null", Remove)]),
        (r#"{"List": ["a", "b"]}"#, r#"{"List": ["b", "c"]}"#, &[("/List/0", "a", "c", NotEqual)]),
        (r#"{"List": ["a", "b", "b"]}"#, r#"{"List": ["b"]}"#, &[("/List/0", "a", "null", Remove)]),
        (r#"{"List": []}"#, r#"{"List": ["x"]}"#, &[("/List/0", "null", "x", Add)]),
        (
            r#"{"List": [{"Port": 80, "Cidr": "a"}, {"Port": 443, "Cidr": "b"}]}"#,
            r#"{"List": [{"Port": 22, "Cidr": "z"}, {"Port": 443, "Cidr": "c"}, {"Port": 80, "Cidr": "a"}]}"#,
            &[("/List/1/Cidr", "b", "c", NotEqual), ("/List/2", "null", r#"{"Port":22,"Cidr":"z"}"#, Add)],
        ),
        (
            r#"{"Environment": {"Variables": {"A": 1, "B": 2}}}"#,
            r#"{"Environment": {"Variables": {"A": "2", "C": "3"}}}"#,
            &[
                ("/Environment/Variables/A", "1", "2", NotEqual),
                ("/Environment/Variables/B", "2", "null", Remove),
                ("/Environment/Variables/C", "null", "3", Add),
            ],
        ),
        (
            r#"{"Document": {"Statement": [{"Action": "a"}]}}"#,
            r#"{"Document": "{\"Statement\":[{\"Action\":[\"a\",\"b\"],\"Condition\":{\"C\":1}}]}"}"#,
            &[
                ("/Document/Statement/0/Action/1", "null", "b", Add),
                ("/Document/Statement/0/Condition", "null", r#"{"C":1}"#, Add),
            ],
        ),
        (
            r#"{"Document": {"Principal": "root"}}"#,
            r#"{"Document": {"Principal": "arn:aws:iam::000000000000:root"}}"#,
            &[("/Document/Principal", "root", "arn:aws:iam::000000000000:root", NotEqual)],
        ),
        (
            r#"{"Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]}"#,
            r#"{"Tags": [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "2"}, {"Key": "c", "Value": "3"}]}"#,
            &[("/Tags/0/Value", "1", "2", NotEqual), ("/Tags/2", "null", r#"{"Key":"c","Value":"3"}"#, Add)],
        ),
    ] {
        assert_eq!(told(&compared(expected, actual)), differences, "{expected} {actual}");
    }
}

#[test]
fn what_the_stack_itself_puts_there_is_no_drift() {
    let rule = document(r#"{"GroupId": "sg-1", "Port": 22}"#);
    let policy = document(r#"{"Roles": ["r"], "PolicyName": "p", "PolicyDocument": {"A": [1]}}"#);
    let addition = document(r#"{"Users": ["u"], "GroupName": "g"}"#);
    let company = Company {
        tags: BTreeMap::from([("team".to_owned(), "data".to_owned())]),
        attached: vec![("rule-1", &rule), ("arn:policy", &policy), ("x", &addition)],
    };
    let against = |expected: &str, actual: &str| {
        let expected = document(expected);
        let compared = compare(&SCHEMA, &expected, &expected, &document(actual), &company);
        compared.differences.into_iter().map(|found| found.path).collect::<Vec<_>>()
    };
    for (expected, actual, paths) in [
        (r#"{"List": [{"Port": 80}]}"#, r#"{"List": [{"Port": 22}, {"Port": 80}]}"#, [].as_slice()),
        (r#"{"List": [{"Port": 80}]}"#, r#"{"List": [{"Port": 22}, {"Port": 81}]}"#, &["/List/0/Port"]),
        (r#"{"List": [{"Port": 80}]}"#, r#"{"List": [{"Port": 22}]}"#, &["/List/0"]),
        (r#"{"List": ["a"]}"#, r#"{"List": ["a", "arn:policy", "g"]}"#, &[]),
        (r#"{"Policies": []}"#, r#"{"Policies": [{"PolicyName": "p", "PolicyDocument": "{\"A\":1}"}]}"#, &[]),
        (
            r#"{"Policies": []}"#,
            r#"{"Policies": [{"PolicyName": "p", "PolicyDocument": "{\"A\":2}"}]}"#,
            &["/Policies/0"],
        ),
        (r#"{"Tags": []}"#, r#"{"Tags": [{"Key": "team", "Value": "data"}]}"#, &[]),
        (r#"{"Tags": []}"#, r#"{"Tags": [{"Key": "team", "Value": "other"}]}"#, &["/Tags/0"]),
        (
            r#"{"Tags": [{"Key": "team", "Value": "data"}]}"#,
            r#"{"Tags": [{"Key": "aws:x", "Value": "y"}]}"#,
            &["/Tags/0"],
        ),
        (
            r#"{"Labels": {"Tags": {"a": "b"}}}"#,
            r#"{"Labels": {"Tags": {"a": "b", "team": "data", "aws:x": "y"}}}"#,
            &[],
        ),
    ] {
        assert_eq!(against(expected, actual), paths, "{expected} {actual}");
    }
}

#[test]
fn hidden_values_stay_hidden() {
    let expected = document(
        r#"{"Text": "secret", "Environment": {"Variables": {"A": "x-secret", "B": "b"}}, "List": ["secret", "c"],
            "Document": "{\"K\":\"secret\",\"L\":1}", "Number": 1}"#,
    );
    let shown = document(
        r#"{"Text": "****", "Environment": {"Variables": {"A": "x-****", "B": "b"}}, "List": "****",
            "Document": "{\"K\":\"****\",\"L\":1}", "Number": 1}"#,
    );
    let now = |actual: &str| compare(&SCHEMA, &expected, &shown, &document(actual), &Company::default());
    let same = now(&expected.to_json());
    assert_eq!(same.differences, []);
    assert_eq!(
        same.actual.to_json(),
        r#"{"Text":"****","Environment":{"Variables":{"A":"****","B":"b"}},"List":["****","****"],"Document":{"K":"****","L":1},"Number":1}"#
    );
    let other = now(r#"{"Text": "new", "Environment": {"Variables": {"A": "new", "B": "c"}}, "List": ["c", "new"],
            "Document": {"K": "new", "L": 2}}"#);
    assert_eq!(
        told(&other),
        [
            ("/Text", "****", "****", NotEqual),
            ("/Environment/Variables/A", "x-****", "****", NotEqual),
            ("/Environment/Variables/B", "b", "c", NotEqual),
            ("/List/0", "****", "****", NotEqual),
            ("/Document/K", "****", "****", NotEqual),
            ("/Document/L", "1", "2", NotEqual),
            ("/Number", "1", "null", Remove),
        ]
    );
    assert!(!format!("{other:?}").contains("new"));
}

#[test]
fn present_values_are_shown_as_the_template_orders_them() {
    let compared = compared(
        r#"{"List": ["a", "b"], "Text": "x", "Secret": "s", "Map": {"B": 1, "A": 2}}"#,
        r#"{"Text": "y", "Map": {"A": 2, "B": 1, "C": 3}, "List": ["c", "b", "a"], "Number": 1}"#,
    );
    assert_eq!(compared.actual.to_json(), r#"{"List":["a","b","c"],"Text":"y","Map":{"B":1,"A":2}}"#);
}

#[test]
fn what_was_stored_of_attributes_can_still_be_read() {
    let old: Vec<Difference> = serde_json::from_str(r#"[["Value","a","b"]]"#).unwrap();
    assert_eq!(old, [Difference { path: "/Value".into(), expected: "a".into(), actual: "b".into(), kind: NotEqual }]);
    let json = serde_json::to_string(&old).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Difference>>(&json).unwrap(), old);
}
