//! What a request hears that is not let through: the same refusal has another code in each protocol
//! (IAM User Guide, "Troubleshoot AWS API request signing"; EC2 API Reference, "Error codes").

use barge_core::AwsError;
use barge_wire::Protocol;

/// Why a request is not let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is not signed.
    Unsigned,
    /// The signature's parts can't be read.
    Malformed(String),
    /// Nobody has this access key.
    UnknownKey,
    /// The session token does not belong to the key.
    WrongToken,
    /// The temporary key has ended.
    ExpiredKey,
    /// The signature is not what the key gives.
    WrongSignature,
    /// Signed too long ago, or in the future.
    Skewed(String),
    /// A presigned URL has ended.
    ExpiredUrl,
    /// The body is not the one that was signed.
    WrongBody,
    /// More bytes than any operation takes.
    TooLarge,
    /// The body broke off.
    Broken(String),
}

impl Refusal {
    pub(crate) fn error(&self, protocol: Protocol) -> AwsError {
        let [json, query, ec2] = self.codes();
        let (code, status) = match protocol {
            Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => json,
            Protocol::Query | Protocol::RestXml => query,
            Protocol::Ec2 => ec2,
        };
        // DynamoDB, alone on json 1.0, answers 400 where others answer 403.
        let status = if protocol == Protocol::Json10 && status == 403 { 400 } else { status };
        AwsError::new(code, status, self.message())
    }

    /// Code and status in the JSON protocols, in query, and in EC2's.
    fn codes(&self) -> [(&'static str, u16); 3] {
        match self {
            Self::Unsigned => [
                ("MissingAuthenticationTokenException", 403),
                ("MissingAuthenticationToken", 403),
                ("MissingAuthenticationToken", 403),
            ],
            Self::Malformed(_) => {
                [("IncompleteSignatureException", 400), ("IncompleteSignature", 400), ("AuthFailure", 401)]
            }
            Self::UnknownKey | Self::WrongToken => {
                [("UnrecognizedClientException", 403), ("InvalidClientTokenId", 403), ("AuthFailure", 401)]
            }
            Self::ExpiredKey => [("ExpiredTokenException", 403), ("ExpiredToken", 403), ("RequestExpired", 400)],
            Self::WrongSignature | Self::WrongBody => {
                [("InvalidSignatureException", 403), ("SignatureDoesNotMatch", 403), ("AuthFailure", 401)]
            }
            Self::Skewed(_) | Self::ExpiredUrl => {
                [("InvalidSignatureException", 403), ("SignatureDoesNotMatch", 403), ("RequestExpired", 400)]
            }
            Self::TooLarge => [
                ("RequestEntityTooLargeException", 413),
                ("RequestEntityTooLarge", 413),
                ("RequestEntityTooLarge", 413),
            ],
            Self::Broken(_) => [("SerializationException", 400), ("MalformedInput", 400), ("MalformedInput", 400)],
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Unsigned => "Missing Authentication Token".to_owned(),
            Self::Malformed(what) | Self::Skewed(what) => what.clone(),
            Self::UnknownKey | Self::WrongToken => "The security token included in the request is invalid.".to_owned(),
            Self::ExpiredKey => "The security token included in the request is expired".to_owned(),
            Self::WrongSignature => "The request signature we calculated does not match the signature you provided. \
                 Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
                .to_owned(),
            Self::ExpiredUrl => "The presigned URL has expired.".to_owned(),
            Self::WrongBody => "The body does not match the x-amz-content-sha256 header that was signed.".to_owned(),
            Self::TooLarge => "Request must be smaller than the largest that any operation takes.".to_owned(),
            Self::Broken(why) => format!("The body could not be read: {why}"),
        }
    }
}
