//! Who is behind a request, and what of S3 is theirs.

use crate::error::{ACCESS_DENIED, Error, NO_SUCH_BUCKET, Result};
use crate::meta::{Bucket, buckets};
use crate::notify::bucket_arn;
use barge_core::{Arn, Context, Principal, Scope};
use barge_store::rusqlite::Connection;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// Whether a request must meet a bucket in its own region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// It was signed for one region.
    Region,
    /// Its signature names no region (Signature Version 2, which boto3 still uses to presign).
    Anywhere,
}

/// The one who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    /// The key's account, and the region that the request speaks to.
    pub(crate) scope: Scope,
    /// What is known of the region.
    pub(crate) aim: Aim,
    pub(crate) request_id: String,
    /// IP address.
    pub(crate) address: String,
}

impl Caller {
    /// The one behind a call that did not come through S3's own door.
    pub(crate) fn of(cx: &Context) -> Self {
        Self {
            principal: cx.principal.clone(),
            scope: cx.scope.clone(),
            aim: Aim::Region,
            request_id: cx.request_id.clone(),
            address: "127.0.0.1".to_owned(),
        }
    }

    /// The second request id, `x-amz-id-2`: it follows from the first.
    pub(crate) fn host_id(&self) -> String {
        host_id(&self.request_id)
    }

    /// The bucket of this name, where it is the caller's and in the caller's region.
    pub(crate) fn bucket(&self, connection: &Connection, name: &str) -> Result<Bucket> {
        let bucket = self.bucket_anywhere(connection, name)?;
        if self.aim == Aim::Region && bucket.scope.region != self.scope.region {
            return Err(Error::WrongRegion {
                expected: bucket.scope.region.to_string(),
                given: self.scope.region.to_string(),
            });
        }
        Ok(bucket)
    }

    /// The bucket of this name, where it is the caller's, in any region.
    pub(crate) fn bucket_anywhere(&self, connection: &Connection, name: &str) -> Result<Bucket> {
        let bucket = buckets::find(connection, name)?.ok_or(NO_SUCH_BUCKET)?;
        if bucket.scope.account != self.scope.account {
            return Err(ACCESS_DENIED.into());
        }
        Ok(bucket)
    }
}

impl Bucket {
    pub(crate) fn arn(&self) -> Arn {
        bucket_arn(&self.name)
    }

    /// `AccessDenied` where the client expects another owner (API parameter ExpectedBucketOwner).
    pub(crate) fn check_owner(&self, expected: Option<&str>) -> Result<()> {
        match expected {
            Some(expected) if expected != self.scope.account.as_str() => Err(ACCESS_DENIED.into()),
            _ => Ok(()),
        }
    }
}

/// `x-amz-id-2` of a request.
pub(crate) fn host_id(request_id: &str) -> String {
    STANDARD.encode(Sha256::digest(request_id.as_bytes()))
}

/// An account's canonical user id: 64 hexadecimal digits.
pub(crate) fn canonical_id(scope: &Scope) -> String {
    hex::encode(Sha256::digest(format!("canonical user {}", scope.account)))
}
