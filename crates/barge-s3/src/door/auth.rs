//! Who may come in: signatures are s3s's to verify; keys, session tokens and what s3s lets pass are checked here
//! (AWS Signature Version 4 for API requests; IAM User Guide, "Use temporary credentials with AWS resources").

use crate::error::{
    ACCESS_DENIED, EXPIRED_TOKEN, Error, INVALID_ACCESS_KEY, INVALID_REQUEST, INVALID_TOKEN, QUERY_PARAMETERS, Result,
    not_implemented,
};
use barge_core::ports::{AccessKey, KeyDirectory};
use barge_core::{AccountId, Ambient, Principal, Timestamp};
use http::{HeaderMap, Method, Uri};
use s3s::S3Result;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::path::S3Path;
use std::sync::Arc;

const LONGEST_PRESIGNED: u64 = 604_800;

/// Checks requests against the key directory.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) keys: Arc<dyn KeyDirectory>,
    pub(crate) ambient: Ambient,
}

/// Whom a request's key stands for; goes with the request.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) principal: Principal,
    pub(crate) account: AccountId,
}

#[async_trait::async_trait]
impl S3Auth for Guard {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let key = self.keys.access_key(access_key).ok_or(Error::from(INVALID_ACCESS_KEY))?;
        Ok(key.secret_access_key.into())
    }
}

#[async_trait::async_trait]
impl S3Access for Guard {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(credentials) = cx.credentials() else { return Err(Error::from(ACCESS_DENIED).into()) };
        let key = self.keys.access_key(&credentials.access_key).ok_or(Error::from(INVALID_ACCESS_KEY))?;
        let query = query(cx.uri());
        check_scheme(cx.headers(), &query)?;
        check_token(&key, token(cx.headers(), &query), self.ambient.clock.now())?;
        check_operation(cx.method(), cx.s3_path(), &query)?;
        let identity = Identity { principal: key.principal, account: key.account };
        cx.extensions_mut().insert(identity);
        Ok(())
    }
}

type Query = Vec<(String, String)>;

fn query(uri: &Uri) -> Query {
    let decode =
        |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    };
    uri.query().into_iter().flat_map(|query| query.split('&')).map(pair).collect()
}

fn value<'q>(query: &'q Query, name: &str) -> Option<&'q str> {
    query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

fn token<'r>(headers: &'r HeaderMap, query: &'r Query) -> Option<&'r str> {
    let header = headers.get("x-amz-security-token").and_then(|header| header.to_str().ok());
    header.or_else(|| value(query, "X-Amz-Security-Token")).or_else(|| value(query, "x-amz-security-token"))
}

/// Signature Version 2 is taken in presigned URLs and forms, where boto3 still uses it, and not in headers, where it
/// doesn't say when a request was made. A presigned URL may live for a week.
fn check_scheme(headers: &HeaderMap, query: &Query) -> Result<()> {
    if headers.get("authorization").is_some_and(|header| header.as_bytes().starts_with(b"AWS ")) {
        return Err(INVALID_REQUEST
            .because("The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."));
    }
    match value(query, "X-Amz-Expires").map(str::parse::<u64>) {
        Some(Ok(seconds)) if seconds > LONGEST_PRESIGNED => Err(QUERY_PARAMETERS
            .because("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")),
        _ => Ok(()),
    }
}

fn check_token(key: &AccessKey, token: Option<&str>, now: Timestamp) -> Result<()> {
    if key.session_token.as_deref() != token {
        return Err(INVALID_TOKEN.into());
    }
    if key.expiration.is_some_and(|expiration| expiration <= now) {
        return Err(EXPIRED_TOKEN.into());
    }
    Ok(())
}

/// Operations that are younger than s3s's model: it would take them for others at the same path.
fn check_operation(method: &Method, path: &S3Path, query: &Query) -> Result<()> {
    let verb = match *method {
        Method::GET => "Get",
        Method::DELETE => "Delete",
        _ => "Put",
    };
    let names: &[(&str, &str)] = if path.as_object().is_some() {
        &[("annotation", "ObjectAnnotation"), ("encryption", "ObjectEncryption"), ("renameObject", "RenamedObject")]
    } else {
        &[
            ("abac", "BucketAbac"),
            ("metadataConfiguration", "BucketMetadataConfiguration"),
            ("metadataAnnotationTable", "BucketMetadataAnnotationTableConfiguration"),
            ("metadataInventoryTable", "BucketMetadataInventoryTableConfiguration"),
            ("metadataJournalTable", "BucketMetadataJournalTableConfiguration"),
        ]
    };
    match names.iter().find(|(parameter, _)| value(query, parameter).is_some()) {
        Some(("renameObject", _)) => Err(not_implemented("RenameObject")),
        Some(("encryption", _)) => Err(not_implemented("UpdateObjectEncryption")),
        Some((_, name)) => Err(not_implemented(format!("{verb}{name}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Refusal;

    fn key(token: Option<&str>, expiration: Option<i64>) -> AccessKey {
        AccessKey {
            secret_access_key: "s".into(),
            session_token: token.map(str::to_owned),
            principal: Principal::Root { account: AccountId::default() },
            account: AccountId::default(),
            expiration: expiration.map(Timestamp::from_millis),
        }
    }

    #[test]
    fn tokens_belong_to_temporary_keys_and_end_with_them() {
        let now = Timestamp::from_millis(100);
        let cases: [(AccessKey, Option<&str>, Option<Refusal>); 6] = [
            (key(None, None), None, None),
            (key(Some("t"), Some(101)), Some("t"), None),
            (key(None, None), Some("t"), Some(INVALID_TOKEN)),
            (key(Some("t"), None), None, Some(INVALID_TOKEN)),
            (key(Some("t"), None), Some("u"), Some(INVALID_TOKEN)),
            (key(Some("t"), Some(100)), Some("t"), Some(EXPIRED_TOKEN)),
        ];
        for (key, token, refusal) in cases {
            match (check_token(&key, token, now), refusal) {
                (Ok(()), None) => {}
                (Err(error), Some(refusal)) => assert!(error.is(&refusal), "{error}"),
                (result, refusal) => panic!("{result:?} {refusal:?}"),
            }
        }
    }

    #[test]
    fn schemes_that_are_refused() {
        let headers = |value: &'static str| {
            HeaderMap::from_iter([(http::header::AUTHORIZATION, http::HeaderValue::from_static(value))])
        };
        let uri = |text: &'static str| query(&Uri::from_static(text));
        assert!(check_scheme(&headers("AWS4-HMAC-SHA256 Credential=x"), &uri("/")).is_ok());
        assert!(check_scheme(&headers("AWS key:signature"), &uri("/")).is_err());
        assert!(check_scheme(&HeaderMap::new(), &uri("/?AWSAccessKeyId=a&Expires=1&Signature=b")).is_ok());
        assert!(check_scheme(&HeaderMap::new(), &uri("/?X-Amz-Expires=604800")).is_ok());
        assert!(check_scheme(&HeaderMap::new(), &uri("/?X-Amz-Expires=604801")).is_err());
    }

    #[test]
    fn young_operations_are_refused_by_name() {
        let refusal = |method, path: S3Path, text: &'static str| {
            check_operation(&method, &path, &query(&Uri::from_static(text))).map_err(|error| error.to_string())
        };
        assert!(refusal(Method::PUT, S3Path::bucket("b"), "/b?abac").unwrap_err().contains("PutBucketAbac"));
        assert!(
            refusal(Method::PUT, S3Path::object("b", "k"), "/b/k?renameObject").unwrap_err().contains("RenameObject")
        );
        assert!(refusal(Method::PUT, S3Path::bucket("b"), "/b?encryption").is_ok());
        assert!(refusal(Method::GET, S3Path::object("b", "k"), "/b/k?versionId=null").is_ok());
    }
}
