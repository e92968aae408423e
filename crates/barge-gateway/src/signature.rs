//! AWS Signature Version 4, verified (IAM User Guide, "Create a signed AWS API request"): in the Authorization header or
//! in the query string of a presigned URL. S3's own variants are verified by its crate.

use crate::refusal::Refusal;
use barge_core::Timestamp;
use barge_core::ports::AccessKey;
use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use subtle::ConstantTimeEq;
use time::PrimitiveDateTime;
use time::macros::format_description;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far a client's clock may be off.
const SKEW_MINUTES: i64 = 15;
/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What a request is signed with.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The key's id.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// For temporary keys.
    pub session_token: Option<String>,
    /// e.g. `us-east-1`.
    pub region: String,
    /// The service's signing name, e.g. `ecr`.
    pub service: String,
}

impl Signer {
    /// Signs a request that has a `Host` header: adds `X-Amz-Date`, the session token and `Authorization`.
    ///
    /// # Errors
    /// Where a part is not legal in a header.
    pub fn sign(&self, parts: &mut Parts, body: &[u8], now: Timestamp) -> Result<(), http::header::InvalidHeaderValue> {
        let moment: String = now.iso8601().chars().filter(|c| !"-:".contains(*c)).take(15).chain(['Z']).collect();
        parts.headers.insert("x-amz-date", moment.parse()?);
        let mut signed_headers = vec!["host".to_owned(), "x-amz-date".to_owned()];
        if let Some(token) = &self.session_token {
            parts.headers.insert("x-amz-security-token", token.parse()?);
            signed_headers.push("x-amz-security-token".to_owned());
        }
        let signature = Signature {
            access_key_id: self.access_key_id.clone(),
            region: self.region.clone(),
            service: self.service.clone(),
            session_token: self.session_token.clone(),
            date: moment[..8].to_owned(),
            moment,
            signed_headers,
            claimed: String::new(),
            place: Place::Header,
        };
        let canonical = signature.canonical_request(parts, &hex::encode(Sha256::digest(body)));
        let claimed = hex::encode(signature.expected(&canonical, &self.secret_access_key));
        let authorization = format!(
            "{ALGORITHM} Credential={}/{}/{}/{}/aws4_request, SignedHeaders={}, Signature={claimed}",
            self.access_key_id,
            signature.date,
            self.region,
            self.service,
            signature.signed_headers.join(";")
        );
        parts.headers.insert("authorization", authorization.parse()?);
        Ok(())
    }
}

/// Where a signature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Header,
    Url { expires_seconds: i64 },
}

/// A request's signature, read but not verified.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) access_key_id: String,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(crate) session_token: Option<String>,
    date: String,
    moment: String,
    signed_headers: Vec<String>,
    claimed: String,
    place: Place,
}

impl Signature {
    /// Reads the signature of a request; [`Refusal::Unsigned`] where it has none.
    pub(crate) fn read(parts: &Parts) -> Result<Self, Refusal> {
        match header(parts, "authorization") {
            Some(authorization) => Self::from_header(parts, authorization),
            None if query_value(parts, "X-Amz-Algorithm").is_some() => Self::from_url(parts),
            None => Err(Refusal::Unsigned),
        }
    }

    fn from_header(parts: &Parts, authorization: &str) -> Result<Self, Refusal> {
        let fields = authorization.strip_prefix(ALGORITHM).ok_or(Refusal::Unsigned)?;
        let field = |name: &str| {
            fields
                .split(',')
                .find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
                .ok_or_else(|| Refusal::Malformed(format!("Authorization header requires '{name}' parameter.")))
        };
        let moment = header(parts, "x-amz-date").ok_or_else(|| {
            Refusal::Malformed("Authorization header requires existence of a 'X-Amz-Date' header.".into())
        })?;
        Self::assemble(
            field("Credential")?,
            field("SignedHeaders")?,
            field("Signature")?,
            moment,
            header(parts, "x-amz-security-token").map(str::to_owned),
            Place::Header,
        )
    }

    fn from_url(parts: &Parts) -> Result<Self, Refusal> {
        let required = |name: &str| {
            query_value(parts, name).ok_or_else(|| Refusal::Malformed(format!("The query string lacks {name}.")))
        };
        let expires_seconds =
            required("X-Amz-Expires")?.parse().map_err(|_| Refusal::Malformed("X-Amz-Expires is no number.".into()))?;
        Self::assemble(
            &required("X-Amz-Credential")?,
            &required("X-Amz-SignedHeaders")?,
            &required("X-Amz-Signature")?,
            &required("X-Amz-Date")?,
            query_value(parts, "X-Amz-Security-Token"),
            Place::Url { expires_seconds },
        )
    }

    fn assemble(
        credential: &str,
        signed_headers: &str,
        signature: &str,
        moment: &str,
        session_token: Option<String>,
        place: Place,
    ) -> Result<Self, Refusal> {
        let scope: Vec<&str> = credential.split('/').collect();
        let [access_key_id, date, region, service, "aws4_request"] = scope[..] else {
            return Err(Refusal::Malformed(format!(
                "Credential must have exactly 5 slash-delimited elements, got '{credential}'."
            )));
        };
        Ok(Self {
            access_key_id: access_key_id.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            session_token,
            date: date.to_owned(),
            moment: moment.to_owned(),
            signed_headers: signed_headers.split(';').map(str::to_owned).collect(),
            claimed: signature.to_owned(),
            place,
        })
    }

    /// Whether `key` made this signature for this request, lately.
    pub(crate) fn verify(&self, parts: &Parts, body: &[u8], key: &AccessKey, now: Timestamp) -> Result<(), Refusal> {
        self.check_time(now)?;
        if key.expiration.is_some_and(|end| end <= now) {
            return Err(Refusal::ExpiredKey);
        }
        if key.session_token != self.session_token {
            return Err(Refusal::WrongToken);
        }
        let body_hash = body_hash(parts, body)?;
        if !self.signed_headers.iter().any(|name| name == "host" || name == ":authority") {
            return Err(Refusal::Malformed("'Host' must be a 'SignedHeader' in the AWS Authorization.".into()));
        }
        let canonical = self.canonical_request(parts, &body_hash);
        let expected = self.expected(&canonical, &key.secret_access_key);
        let given = hex::decode(&self.claimed).unwrap_or_default();
        if bool::from(expected.as_slice().ct_eq(&given)) { Ok(()) } else { Err(Refusal::WrongSignature) }
    }

    fn check_time(&self, now: Timestamp) -> Result<(), Refusal> {
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        let signed = PrimitiveDateTime::parse(&self.moment, format)
            .map(|moment| Timestamp::from(moment.assume_utc()))
            .map_err(|_| Refusal::Malformed("Date must be in ISO-8601 'basic format'.".into()))?;
        if !self.moment.starts_with(&self.date) {
            return Err(Refusal::Malformed(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP".into(),
            ));
        }
        let age = now.seconds() - signed.seconds();
        let (oldest, expired) = match self.place {
            Place::Header => (SKEW_MINUTES * 60, None),
            Place::Url { expires_seconds } => (expires_seconds.clamp(0, 604_800), Some(Refusal::ExpiredUrl)),
        };
        if age > oldest {
            let (moment, now) = (&self.moment, now.iso8601());
            return Err(expired.unwrap_or_else(|| {
                Refusal::Skewed(format!("Signature expired: {moment} is now earlier than {now} - {SKEW_MINUTES} min.)"))
            }));
        }
        if age < -SKEW_MINUTES * 60 {
            let (moment, now) = (&self.moment, now.iso8601());
            return Err(Refusal::Skewed(format!(
                "Signature not yet current: {moment} is still later than {now} + {SKEW_MINUTES} min.)"
            )));
        }
        Ok(())
    }

    fn canonical_request(&self, parts: &Parts, body_hash: &str) -> String {
        let mut out = format!("{}\n{}\n{}\n", parts.method, canonical_path(parts.uri.path()), canonical_query(parts));
        for name in &self.signed_headers {
            let values: Vec<String> = match name.as_str() {
                "host" if !parts.headers.contains_key("host") => {
                    parts.uri.authority().map(ToString::to_string).into_iter().collect()
                }
                _ => parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).map(folded).collect(),
            };
            let _ = writeln!(out, "{name}:{}", values.join(","));
        }
        let _ = write!(out, "\n{}\n{body_hash}", self.signed_headers.join(";"));
        out
    }

    fn expected(&self, canonical_request: &str, secret: &str) -> Vec<u8> {
        let Self { date, region, service, moment, .. } = self;
        let hash = hex::encode(Sha256::digest(canonical_request));
        let to_sign = format!("{ALGORITHM}\n{moment}\n{date}/{region}/{service}/aws4_request\n{hash}");
        let start = format!("AWS4{secret}").into_bytes();
        let key = [date.as_str(), region, service, "aws4_request"].iter().fold(start, |key, part| mac(&key, part));
        mac(&key, &to_sign)
    }
}

/// The hash of the body, which must be the one that the client says it signed, where it says so.
fn body_hash(parts: &Parts, body: &[u8]) -> Result<String, Refusal> {
    let hash = hex::encode(Sha256::digest(body));
    match header(parts, "x-amz-content-sha256") {
        Some("UNSIGNED-PAYLOAD") => Ok("UNSIGNED-PAYLOAD".to_owned()),
        Some(claimed) if claimed != hash => Err(Refusal::WrongBody),
        _ => Ok(hash),
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes a key of any length; the error type exists for other MACs.
    Hmac::<Sha256>::new_from_slice(key)
        .map_or_else(|_| Vec::new(), |mac| mac.chain_update(text).finalize().into_bytes().to_vec())
}

fn header<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name)?.to_str().ok()
}

/// A header's value with runs of spaces folded into one.
fn folded(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn query_pairs(parts: &Parts) -> impl Iterator<Item = (String, String)> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

fn query_value(parts: &Parts, name: &str) -> Option<String> {
    query_pairs(parts).find(|(key, _)| key == name).map(|(_, value)| value)
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The path as it was sent, without dot segments, each segment encoded once more: so do all services but S3.
fn canonical_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    let mut out = String::new();
    for segment in &segments {
        out.push('/');
        out.push_str(&encoded(segment));
    }
    if out.is_empty() || path.ends_with('/') {
        out.push('/');
    }
    out
}

fn canonical_query(parts: &Parts) -> String {
    let mut pairs: Vec<(String, String)> = query_pairs(parts)
        .filter(|(name, _)| name != "X-Amz-Signature")
        .map(|(name, value)| (encoded(&name), encoded(&value)))
        .collect();
    pairs.sort();
    pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use barge_core::{AccountId, Principal};
    use http::Request;

    fn parts(request: http::request::Builder) -> Parts {
        request.body(()).unwrap().into_parts().0
    }

    fn key() -> AccessKey {
        AccessKey {
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: None,
            principal: Principal::Root { account: AccountId::default() },
            account: AccountId::default(),
            expiration: None,
        }
    }

    /// The request and signature of "get-vanilla-query-order-key" in AWS's published Signature Version 4 test suite.
    fn published() -> Parts {
        parts(
            Request::get("/?Param1=value2&Param1=Value1")
                .header("host", "example.amazonaws.com")
                .header("x-amz-date", "20150830T123600Z")
                .header(
                    "authorization",
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                     SignedHeaders=host;x-amz-date, \
                     Signature=eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1",
                ),
        )
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_iso8601(text).unwrap()
    }

    #[test]
    fn a_published_signature_is_accepted() {
        let request = published();
        let signature = Signature::read(&request).unwrap();
        assert_eq!((signature.region.as_str(), signature.service.as_str()), ("us-east-1", "service"));
        assert_eq!(signature.verify(&request, b"", &key(), at("2015-08-30T12:40:00Z")), Ok(()));
    }

    #[test]
    fn anything_changed_is_refused() {
        let now = at("2015-08-30T12:40:00Z");
        let request = published();
        let signature = Signature::read(&request).unwrap();
        assert_eq!(signature.verify(&request, b"x", &key(), now), Err(Refusal::WrongSignature));
        let other = AccessKey { secret_access_key: "other".into(), ..key() };
        assert_eq!(signature.verify(&request, b"", &other, now), Err(Refusal::WrongSignature));
        let token = AccessKey { session_token: Some("t".into()), ..key() };
        assert_eq!(signature.verify(&request, b"", &token, now), Err(Refusal::WrongToken));
        let ended = AccessKey { expiration: Some(now), ..key() };
        assert_eq!(signature.verify(&request, b"", &ended, now), Err(Refusal::ExpiredKey));
    }

    #[test]
    fn a_clock_may_be_fifteen_minutes_off() {
        let request = published();
        let signature = Signature::read(&request).unwrap();
        for (now, accepted) in [
            ("2015-08-30T12:21:00Z", true),
            ("2015-08-30T12:20:59Z", false),
            ("2015-08-30T12:51:00Z", true),
            ("2015-08-30T12:51:01Z", false),
        ] {
            assert_eq!(signature.verify(&request, b"", &key(), at(now)).is_ok(), accepted, "{now}");
        }
    }

    #[test]
    fn what_is_signed_here_is_accepted_here() {
        let mut request = parts(Request::post("/v1/x%2Fy?b=2&a=1").header("host", "127.0.0.1:4566"));
        let now = at("2026-11-23T06:00:51.123Z");
        let signer = Signer {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: key().secret_access_key,
            session_token: Some("token".into()),
            region: "eu-west-1".into(),
            service: "batch".into(),
        };
        signer.sign(&mut request, b"body", now).unwrap();
        let key = AccessKey { session_token: Some("token".into()), ..key() };
        let signature = Signature::read(&request).unwrap();
        assert_eq!(signature.verify(&request, b"body", &key, now), Ok(()));
        assert_eq!(signature.verify(&request, b"other", &key, now), Err(Refusal::WrongSignature));
    }

    #[test]
    fn what_can_not_be_read_is_refused() {
        assert_eq!(Signature::read(&parts(Request::get("/"))), Err(Refusal::Unsigned));
        assert_eq!(
            Signature::read(&parts(Request::get("/").header("authorization", "Basic x"))),
            Err(Refusal::Unsigned)
        );
        let half = "AWS4-HMAC-SHA256 Credential=a/b/c";
        let request = parts(Request::get("/").header("authorization", half).header("x-amz-date", "20150830T123600Z"));
        assert!(matches!(Signature::read(&request), Err(Refusal::Malformed(_))));
    }

    #[test]
    fn paths_are_encoded_once_more() {
        for (path, canonical) in [("/", "/"), ("/a%2Fb/c", "/a%252Fb/c"), ("/a/../b//c/", "/b/c/"), ("", "/")] {
            assert_eq!(canonical_path(path), canonical, "{path}");
        }
    }
}
