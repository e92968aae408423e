//! S3's operations as s3s hands them over: what each member means, and what is refused. One file for each family.

mod attributes;
mod buckets;
mod conditions;
mod copy;
mod cors;
mod delete;
mod encryption;
mod get;
mod lifecycle;
mod listing;
mod members;
mod multipart;
mod parts;
mod put;
mod settings;
mod tagging;
mod uploads;
mod versions;

pub(crate) use buckets::{NewBucket, create as create_bucket, delete as delete_bucket};
pub(crate) use delete::{destroy, hide};
pub(crate) use get::{Place, open as open_object};
pub(crate) use settings::{check_policy, check_targets, reconfigure};
pub(crate) use tagging::{BUCKET_TAGS, check_tags};

use crate::caller::{Aim, Caller};
use crate::core::Core;
use crate::door::auth::Identity;
use crate::error::{ACCESS_DENIED, Result};
use barge_core::{Region, Scope, Timestamp};
use http::{HeaderMap, Method};
#[allow(clippy::wildcard_imports)] // the shapes of every operation below
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, TrailingHeaders};
use std::net::SocketAddr;
use std::sync::Arc;
use time::OffsetDateTime;

/// The largest body of one request, and the largest object that one request can copy.
pub(crate) const LARGEST_BODY: u64 = 5 * 1024 * 1024 * 1024;

/// A request's id; goes with the request.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) String);

/// A request whose sender is known.
struct Request<T> {
    caller: Caller,
    input: T,
    method: Method,
    headers: HeaderMap,
    trailers: Option<TrailingHeaders>,
}

impl<T> Request<T> {
    fn of(request: S3Request<T>) -> Result<Self> {
        let identity = request.extensions.get::<Identity>().ok_or(ACCESS_DENIED)?.clone();
        let region = match &request.region {
            Some(region) => Some(Region::new(region.as_str()).ok_or(ACCESS_DENIED)?),
            None => None,
        };
        let address = request.extensions.get::<SocketAddr>();
        let caller = Caller {
            principal: identity.principal,
            aim: if region.is_some() { Aim::Region } else { Aim::Anywhere },
            scope: Scope { account: identity.account, region: region.unwrap_or_default() },
            request_id: request.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default(),
            address: address.map_or_else(|| "127.0.0.1".to_owned(), |address| address.ip().to_string()),
        };
        Ok(Self {
            caller,
            input: request.input,
            method: request.method,
            headers: request.headers,
            trailers: request.trailing_headers,
        })
    }
}

/// The operations.
pub(crate) struct Api {
    pub(crate) core: Arc<Core>,
}

macro_rules! operations {
    ($($name:ident: $input:ident -> $output:ident = $function:path;)*) => {
        #[async_trait::async_trait]
        impl S3 for Api {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                let output = $function(&self.core, Request::of(request)?).await?;
                Ok(S3Response::new(output))
            })*
        }
    };
}

operations! {
    abort_multipart_upload: AbortMultipartUploadInput -> AbortMultipartUploadOutput = uploads::abort;
    complete_multipart_upload: CompleteMultipartUploadInput -> CompleteMultipartUploadOutput = multipart::complete;
    copy_object: CopyObjectInput -> CopyObjectOutput = copy::copy_object;
    create_bucket: CreateBucketInput -> CreateBucketOutput = buckets::create_bucket;
    create_multipart_upload: CreateMultipartUploadInput -> CreateMultipartUploadOutput = uploads::create;
    delete_bucket: DeleteBucketInput -> DeleteBucketOutput = buckets::delete_bucket;
    delete_bucket_cors: DeleteBucketCorsInput -> DeleteBucketCorsOutput = cors::delete_cors;
    delete_bucket_encryption: DeleteBucketEncryptionInput -> DeleteBucketEncryptionOutput = encryption::delete_encryption;
    delete_bucket_lifecycle: DeleteBucketLifecycleInput -> DeleteBucketLifecycleOutput = lifecycle::delete_lifecycle;
    delete_bucket_ownership_controls: DeleteBucketOwnershipControlsInput -> DeleteBucketOwnershipControlsOutput = settings::delete_ownership_controls;
    delete_bucket_policy: DeleteBucketPolicyInput -> DeleteBucketPolicyOutput = settings::delete_policy;
    delete_bucket_tagging: DeleteBucketTaggingInput -> DeleteBucketTaggingOutput = tagging::delete_bucket_tagging;
    delete_object: DeleteObjectInput -> DeleteObjectOutput = delete::delete_object;
    delete_objects: DeleteObjectsInput -> DeleteObjectsOutput = delete::delete_objects;
    delete_object_tagging: DeleteObjectTaggingInput -> DeleteObjectTaggingOutput = tagging::delete_object_tagging;
    delete_public_access_block: DeletePublicAccessBlockInput -> DeletePublicAccessBlockOutput = settings::delete_public_access_block;
    get_bucket_cors: GetBucketCorsInput -> GetBucketCorsOutput = cors::get_cors;
    get_bucket_encryption: GetBucketEncryptionInput -> GetBucketEncryptionOutput = encryption::get_encryption;
    get_bucket_lifecycle_configuration: GetBucketLifecycleConfigurationInput -> GetBucketLifecycleConfigurationOutput = lifecycle::get_lifecycle;
    get_bucket_location: GetBucketLocationInput -> GetBucketLocationOutput = buckets::get_bucket_location;
    get_bucket_notification_configuration: GetBucketNotificationConfigurationInput -> GetBucketNotificationConfigurationOutput = settings::get_notification;
    get_bucket_ownership_controls: GetBucketOwnershipControlsInput -> GetBucketOwnershipControlsOutput = settings::get_ownership_controls;
    get_bucket_policy: GetBucketPolicyInput -> GetBucketPolicyOutput = settings::get_policy;
    get_bucket_tagging: GetBucketTaggingInput -> GetBucketTaggingOutput = tagging::get_bucket_tagging;
    get_bucket_versioning: GetBucketVersioningInput -> GetBucketVersioningOutput = versions::get_bucket_versioning;
    get_object: GetObjectInput -> GetObjectOutput = get::get_object;
    get_object_attributes: GetObjectAttributesInput -> GetObjectAttributesOutput = attributes::get_object_attributes;
    get_object_tagging: GetObjectTaggingInput -> GetObjectTaggingOutput = tagging::get_object_tagging;
    get_public_access_block: GetPublicAccessBlockInput -> GetPublicAccessBlockOutput = settings::get_public_access_block;
    head_bucket: HeadBucketInput -> HeadBucketOutput = buckets::head_bucket;
    head_object: HeadObjectInput -> HeadObjectOutput = get::head_object;
    list_buckets: ListBucketsInput -> ListBucketsOutput = buckets::list_buckets;
    list_multipart_uploads: ListMultipartUploadsInput -> ListMultipartUploadsOutput = uploads::list;
    list_object_versions: ListObjectVersionsInput -> ListObjectVersionsOutput = versions::list_object_versions;
    list_objects: ListObjectsInput -> ListObjectsOutput = listing::list_objects;
    list_objects_v2: ListObjectsV2Input -> ListObjectsV2Output = listing::list_objects_v2;
    list_parts: ListPartsInput -> ListPartsOutput = parts::list;
    put_bucket_cors: PutBucketCorsInput -> PutBucketCorsOutput = cors::put_cors;
    put_bucket_encryption: PutBucketEncryptionInput -> PutBucketEncryptionOutput = encryption::put_encryption;
    put_bucket_lifecycle_configuration: PutBucketLifecycleConfigurationInput -> PutBucketLifecycleConfigurationOutput = lifecycle::put_lifecycle;
    put_bucket_notification_configuration: PutBucketNotificationConfigurationInput -> PutBucketNotificationConfigurationOutput = settings::put_notification;
    put_bucket_ownership_controls: PutBucketOwnershipControlsInput -> PutBucketOwnershipControlsOutput = settings::put_ownership_controls;
    put_bucket_policy: PutBucketPolicyInput -> PutBucketPolicyOutput = settings::put_policy;
    put_bucket_tagging: PutBucketTaggingInput -> PutBucketTaggingOutput = tagging::put_bucket_tagging;
    put_bucket_versioning: PutBucketVersioningInput -> PutBucketVersioningOutput = versions::put_bucket_versioning;
    put_object: PutObjectInput -> PutObjectOutput = put::put_object;
    put_object_tagging: PutObjectTaggingInput -> PutObjectTaggingOutput = tagging::put_object_tagging;
    put_public_access_block: PutPublicAccessBlockInput -> PutPublicAccessBlockOutput = settings::put_public_access_block;
    upload_part: UploadPartInput -> UploadPartOutput = parts::upload;
    upload_part_copy: UploadPartCopyInput -> UploadPartCopyOutput = parts::copy;
}

/// A moment as s3s has it.
fn timestamp(moment: Timestamp) -> s3s::dto::Timestamp {
    let nanos = i128::from(moment.millis()) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH).into()
}

/// A moment from s3s.
fn moment(timestamp: &s3s::dto::Timestamp) -> Timestamp {
    OffsetDateTime::from(timestamp.clone()).into()
}

/// `moment` to the second: what HTTP dates can say.
fn to_the_second(moment: Timestamp) -> Timestamp {
    Timestamp::from_millis(moment.seconds() * 1000)
}

fn etag(value: &str) -> ETag {
    ETag::Strong(value.to_owned())
}

/// Counts in AWS's shapes are signed.
fn count(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
