//! What S3 refuses, with AWS's codes, HTTP status and wording (Amazon S3 API Reference, "Error responses").

use barge_core::{AwsError, Timestamp};
use barge_store::{StoreError, rusqlite};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use s3s::{S3Error, S3ErrorCode};
use std::borrow::Cow;

/// A refusal as the client sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Refusal {
    code: &'static str,
    status: u16,
    message: Cow<'static, str>,
}

impl Refusal {
    const fn new(code: &'static str, status: u16, message: &'static str) -> Self {
        Self { code, status, message: Cow::Borrowed(message) }
    }

    /// The same refusal in other words.
    pub(crate) fn because(self, message: impl Into<Cow<'static, str>>) -> Error {
        Error::Refused(Self { message: message.into(), ..self })
    }
}

/// Anything that ends an operation without success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The client's doing.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The request was signed for another region than the bucket's.
    #[error("The authorization header is malformed; the region '{given}' is wrong; expecting '{expected}'")]
    WrongRegion {
        /// Where the bucket is.
        expected: String,
        /// What the signature's scope says.
        given: String,
    },
    /// The client has the object already.
    #[error("Not Modified")]
    NotModified {
        /// Without quotes.
        etag: String,
        /// The object's time.
        modified: Timestamp,
    },
    /// The object's newest version is a delete marker.
    #[error("The specified key does not exist.")]
    Deleted {
        /// The marker's version id.
        marker: String,
    },
    /// The version that was asked for is a delete marker.
    #[error("The specified method is not allowed against this resource.")]
    IsMarker {
        /// Its version id.
        marker: String,
        /// Its time.
        modified: Timestamp,
    },
    /// The range lies outside of the object.
    #[error("The requested range is not satisfiable")]
    InvalidRange {
        /// The object's size in bytes.
        size: u64,
    },
    /// Another service's answer.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database refused a statement.
    #[error("database: {0}")]
    Sql(#[from] rusqlite::Error),
    /// The disk failed.
    #[error("disk: {0}")]
    Io(#[from] std::io::Error),
    /// A stored document can't be read.
    #[error("stored document: {0}")]
    Json(#[from] serde_json::Error),
    /// A task of ours died.
    #[error("task: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// A result of this crate.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether this refusal has the code of `refusal`.
    pub(crate) fn is(&self, refusal: &Refusal) -> bool {
        matches!(self, Self::Refused(found) if found.code == refusal.code)
    }

    fn code(&self) -> Cow<'static, str> {
        match self {
            Self::Refused(refusal) => refusal.code.into(),
            Self::WrongRegion { .. } => "AuthorizationHeaderMalformed".into(),
            Self::NotModified { .. } => "NotModified".into(),
            Self::Deleted { .. } => NO_SUCH_KEY.code.into(),
            Self::IsMarker { .. } => "MethodNotAllowed".into(),
            Self::InvalidRange { .. } => "InvalidRange".into(),
            Self::Aws(error) => error.code.clone(),
            _ => "InternalError".into(),
        }
    }

    fn status(&self) -> u16 {
        match self {
            Self::Refused(refusal) => refusal.status,
            Self::WrongRegion { .. } => 400,
            Self::NotModified { .. } => 304,
            Self::Deleted { .. } => NO_SUCH_KEY.status,
            Self::IsMarker { .. } => 405,
            Self::InvalidRange { .. } => 416,
            Self::Aws(error) => error.status,
            _ => 500,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.message.to_string(),
            Self::Aws(error) => error.message.clone(),
            _ => self.to_string(),
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut add = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        match self {
            Self::WrongRegion { expected, .. } => add("x-amz-bucket-region", expected.clone()),
            Self::InvalidRange { size } => add("content-range", format!("bytes */{size}")),
            Self::NotModified { etag, modified } => {
                add("etag", format!("\"{etag}\""));
                add("last-modified", modified.http_date());
            }
            Self::Deleted { marker } => {
                add("x-amz-delete-marker", "true".to_owned());
                add("x-amz-version-id", marker.clone());
            }
            Self::IsMarker { marker, modified } => {
                add("allow", "DELETE".to_owned());
                add("last-modified", modified.http_date());
                add("x-amz-delete-marker", "true".to_owned());
                add("x-amz-version-id", marker.clone());
            }
            _ => {}
        }
        headers
    }
}

impl From<Error> for AwsError {
    fn from(error: Error) -> Self {
        AwsError::new(error.code(), error.status(), error.message())
    }
}

impl From<Error> for S3Error {
    fn from(error: Error) -> Self {
        if error.status() >= 500 {
            tracing::error!(%error, "S3 failed");
        }
        let code = error.code();
        let code = code.parse().unwrap_or(S3ErrorCode::InternalError);
        let mut answer = S3Error::with_message(code, error.message());
        if let Ok(status) = StatusCode::from_u16(error.status()) {
            answer.set_status_code(status);
        }
        let headers = error.headers();
        if !headers.is_empty() {
            // s3s puts these in the place of its own, so the body's type has to come along.
            let mut headers = headers;
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
            answer.set_headers(headers);
        }
        answer
    }
}

/// A request for something that Barge does not have, named `what`.
pub(crate) fn not_implemented(what: impl std::fmt::Display) -> Error {
    NOT_IMPLEMENTED.because(format!("Barge does not implement {what} of S3."))
}

macro_rules! refusals {
    ($($name:ident = $code:literal, $status:literal, $message:literal;)*) => {
        $(pub(crate) const $name: Refusal = Refusal::new($code, $status, $message);)*
    };
}

refusals! {
    ACCESS_DENIED = "AccessDenied", 403, "Access Denied";
    ACLS_NOT_SUPPORTED = "AccessControlListNotSupported", 400, "The bucket does not allow ACLs";
    BAD_DIGEST = "BadDigest", 400, "The Content-MD5 you specified did not match what we received.";
    BAD_REQUEST = "BadRequest", 400, "An error occurred when parsing the HTTP request.";
    BUCKET_ALREADY_EXISTS = "BucketAlreadyExists", 409, "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.";
    BUCKET_ALREADY_OWNED = "BucketAlreadyOwnedByYou", 409, "Your previous request to create the named bucket succeeded and you already own it.";
    BUCKET_NOT_EMPTY = "BucketNotEmpty", 409, "The bucket you tried to delete is not empty";
    CORS_FORBIDDEN = "AccessForbidden", 403, "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.";
    ENTITY_TOO_LARGE = "EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size";
    ENTITY_TOO_SMALL = "EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size";
    EXPIRED_TOKEN = "ExpiredToken", 400, "The provided token has expired.";
    ILLEGAL_VERSIONING = "IllegalVersioningConfigurationException", 400, "The Versioning element must be specified";
    ILLEGAL_LOCATION = "IllegalLocationConstraintException", 400, "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to.";
    INCOMPLETE_BODY = "IncompleteBody", 400, "You did not provide the number of bytes specified by the Content-Length HTTP header";
    INVALID_ACCESS_KEY = "InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records.";
    INVALID_ARGUMENT = "InvalidArgument", 400, "Invalid Argument";
    INVALID_BUCKET_NAME = "InvalidBucketName", 400, "The specified bucket is not valid.";
    INVALID_DIGEST = "InvalidDigest", 400, "The Content-MD5 you specified was invalid.";
    INVALID_LOCATION = "InvalidLocationConstraint", 400, "The specified location-constraint is not valid";
    INVALID_PART = "InvalidPart", 400, "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.";
    INVALID_PART_NUMBER = "InvalidPartNumber", 416, "The requested partnumber is not satisfiable";
    INVALID_PART_ORDER = "InvalidPartOrder", 400, "The list of parts was not in ascending order. Parts must be ordered by part number.";
    INVALID_REQUEST = "InvalidRequest", 400, "Invalid Request";
    INVALID_STORAGE_CLASS = "InvalidStorageClass", 400, "The storage class you specified is not valid";
    INVALID_TAG = "InvalidTag", 400, "The tag provided was not a valid tag.";
    INVALID_TOKEN = "InvalidToken", 400, "The provided token is malformed or otherwise invalid.";
    MALFORMED_POLICY = "MalformedPolicy", 400, "Policies must be valid JSON and the first byte must be '{'";
    MALFORMED_TRAILER = "MalformedTrailerError", 400, "The request contained trailing data that was not well-formed or did not conform to our published schema.";
    MALFORMED_XML = "MalformedXML", 400, "The XML you provided was not well-formed or did not validate against our published schema";
    METADATA_TOO_LARGE = "MetadataTooLarge", 400, "Your metadata headers exceed the maximum allowed metadata size";
    NO_SUCH_BUCKET = "NoSuchBucket", 404, "The specified bucket does not exist";
    NO_SUCH_BUCKET_POLICY = "NoSuchBucketPolicy", 404, "The bucket policy does not exist";
    NO_SUCH_CORS = "NoSuchCORSConfiguration", 404, "The CORS configuration does not exist";
    NO_SUCH_KEY = "NoSuchKey", 404, "The specified key does not exist.";
    NO_SUCH_LIFECYCLE = "NoSuchLifecycleConfiguration", 404, "The lifecycle configuration does not exist";
    NO_SUCH_OWNERSHIP_CONTROLS = "OwnershipControlsNotFoundError", 404, "The bucket ownership controls were not found";
    NO_SUCH_PUBLIC_ACCESS_BLOCK = "NoSuchPublicAccessBlockConfiguration", 404, "The public access block configuration was not found";
    NO_SUCH_TAG_SET = "NoSuchTagSet", 404, "The TagSet does not exist";
    NO_SUCH_UPLOAD = "NoSuchUpload", 404, "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
    NO_SUCH_VERSION = "NoSuchVersion", 404, "The specified version does not exist.";
    NOT_IMPLEMENTED = "NotImplemented", 501, "A header you provided implies functionality that is not implemented";
    PRECONDITION_FAILED = "PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold";
    QUERY_PARAMETERS = "AuthorizationQueryParametersError", 400, "Query-string authentication parameters are not valid.";
    SHA256_MISMATCH = "XAmzContentSHA256Mismatch", 400, "The provided 'x-amz-content-sha256' header does not match what was computed.";
    SIGNATURE_MISMATCH = "SignatureDoesNotMatch", 403, "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
}
