//! What a bucket or client wants bodies encrypted with (Amazon S3 User Guide, "Protecting data with server-side
//! encryption"). It is kept and reported as AWS does; bodies are as safe as the disk that they lie on, whatever it says.

use crate::error::{INVALID_ARGUMENT, Result, not_implemented};
use serde::{Deserialize, Serialize};

/// The name of the key that AWS manages for S3 in every account.
const MANAGED: &str = "alias/aws/s3";

/// Who holds the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    /// S3.
    #[default]
    Aes256,
    /// KMS.
    Kms,
    /// KMS, and twice.
    KmsDsse,
}

/// ServerSideEncryptionByDefault of a bucket, or an object's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Encryption {
    pub(crate) algorithm: Algorithm,
    /// [`MANAGED`], as the client wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bucket_key: Option<bool>,
}

impl Algorithm {
    fn parse(name: &str) -> Result<Self> {
        match name {
            "AES256" => Ok(Self::Aes256),
            "aws:kms" => Ok(Self::Kms),
            "aws:kms:dsse" => Ok(Self::KmsDsse),
            _ => Err(INVALID_ARGUMENT.because("The encryption method specified is not supported")),
        }
    }

    /// As in SSEAlgorithm.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Aes256 => "AES256",
            Self::Kms => "aws:kms",
            Self::KmsDsse => "aws:kms:dsse",
        }
    }
}

impl Encryption {
    /// What a client names. A key of the client's own is refused: there is no KMS to hold it.
    pub(crate) fn new(algorithm: &str, key: Option<String>, bucket_key: Option<bool>) -> Result<Self> {
        let algorithm = Algorithm::parse(algorithm)?;
        match &key {
            Some(_) if algorithm == Algorithm::Aes256 => Err(INVALID_ARGUMENT.because(
                "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
            )),
            Some(key) if !is_managed(key) => {
                Err(not_implemented("a KMSMasterKeyID (SSEKMSKeyId) other than alias/aws/s3"))
            }
            _ => Ok(Self { algorithm, key, bucket_key }),
        }
    }

    /// Whether answers say that a bucket key is used.
    pub(crate) fn bucket_key_shown(&self) -> Option<bool> {
        self.bucket_key.filter(|enabled| *enabled && self.algorithm != Algorithm::Aes256)
    }
}

fn is_managed(key: &str) -> bool {
    key == MANAGED || (key.starts_with("arn:aws:kms:") && key.ends_with(&format!(":{MANAGED}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::NOT_IMPLEMENTED;

    #[test]
    fn keys_are_s3s_or_those_that_aws_manages() {
        for (algorithm, key, taken) in [
            ("AES256", None, true),
            ("aws:kms", None, true),
            ("aws:kms:dsse", None, true),
            ("aws:kms", Some("alias/aws/s3"), true),
            ("aws:kms", Some("arn:aws:kms:us-east-1:000000000000:alias/aws/s3"), true),
            ("aws:kms", Some("arn:aws:kms:us-east-1:000000000000:key/1234abcd"), false),
            ("aws:kms", Some("alias/mine"), false),
            ("AES256", Some("alias/aws/s3"), false),
            ("rot13", None, false),
        ] {
            let result = Encryption::new(algorithm, key.map(str::to_owned), None);
            assert_eq!(result.is_ok(), taken, "{algorithm} {key:?}");
            if let Ok(encryption) = result {
                assert_eq!(encryption.algorithm.name(), algorithm);
            }
        }
        assert!(Encryption::new("aws:kms", Some("mine".into()), None).unwrap_err().is(&NOT_IMPLEMENTED));
    }

    #[test]
    fn bucket_keys_are_an_economy_of_kms() {
        let shown = |algorithm, enabled| Encryption::new(algorithm, None, Some(enabled)).unwrap().bucket_key_shown();
        assert_eq!((shown("aws:kms", true), shown("aws:kms", false), shown("AES256", true)), (Some(true), None, None));
    }
}
