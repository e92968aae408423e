//! BucketEncryption of a template.

use super::super::properties::Members;
use super::given;
use crate::encryption::Encryption;
use barge_core::{AwsError, Document};

pub(super) fn read(mut members: Members<'_>) -> Result<Encryption, AwsError> {
    let path = members.path("ServerSideEncryptionConfiguration");
    let [rule] = members.list("ServerSideEncryptionConfiguration")? else {
        return Err(AwsError::validation(format!("Property {path} must have exactly one rule")));
    };
    let mut rule = Members::of(&format!("{path}/0"), rule)?;
    let (algorithm, key) = match rule.members("ServerSideEncryptionByDefault")? {
        Some(mut default) => {
            let said = (default.required_text("SSEAlgorithm")?, default.text("KMSMasterKeyID")?);
            default.finish()?;
            said
        }
        None => ("AES256".to_owned(), None),
    };
    let bucket_key = rule.boolean("BucketKeyEnabled")?;
    rule.finish()?;
    members.finish()?;
    Ok(Encryption::new(&algorithm, key, bucket_key)?)
}

pub(super) fn shown(encryption: &Encryption) -> Document {
    let default = given([
        ("SSEAlgorithm", Some(encryption.algorithm.name().into())),
        ("KMSMasterKeyID", encryption.key.as_deref().map(Into::into)),
    ]);
    let rule = given([
        ("ServerSideEncryptionByDefault", Some(default)),
        ("BucketKeyEnabled", encryption.bucket_key.map(Into::into)),
    ]);
    Document::map([("ServerSideEncryptionConfiguration", Document::List(vec![rule]))])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(json: &str) -> Result<Encryption, AwsError> {
        let document = Document::from_json(json.as_bytes()).unwrap();
        read(Members::of("BucketEncryption", &document).unwrap())
    }

    #[test]
    fn what_a_template_says_of_encryption() {
        let rule = |rule: &str| said(&format!(r#"{{"ServerSideEncryptionConfiguration":[{rule}]}}"#));
        for (text, algorithm) in [
            (r#"{"ServerSideEncryptionByDefault":{"SSEAlgorithm":"aws:kms"}}"#, "aws:kms"),
            (r#"{"ServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"},"BucketKeyEnabled":"false"}"#, "AES256"),
            (r#"{"BucketKeyEnabled":true}"#, "AES256"),
        ] {
            assert_eq!(rule(text).unwrap().algorithm.name(), algorithm, "{text}");
        }
        for (text, word) in [
            (
                r#"{"ServerSideEncryptionByDefault":{"SSEAlgorithm":"aws:kms","KMSMasterKeyID":"mine"}}"#,
                "KMSMasterKeyID",
            ),
            (r#"{"ServerSideEncryptionByDefault":{}}"#, "SSEAlgorithm"),
            (r#"{"ServerSideEncryptionByDefault":{"SSEAlgorithm":"rot13"}}"#, "encryption method"),
            (r#"{"BlockedEncryptionTypes":{}}"#, "BlockedEncryptionTypes"),
            ("{},{}", "exactly one"),
        ] {
            let error = rule(text).unwrap_err();
            assert!(error.message.contains(word), "{error}");
        }
    }
}
