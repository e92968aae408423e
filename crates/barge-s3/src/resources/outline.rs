//! What the structures within a bucket's properties hold: what `settings` reads (CloudFormation Template Reference,
//! "AWS::S3::Bucket" and the pages of its property types).

use barge_core::resource::PropertyType::{Boolean, Integer, List, Map, String as Text};
use barge_core::resource::{Structure, TAG, property};

pub(super) const ENCRYPTION: &Structure =
    &Structure(&[property("ServerSideEncryptionConfiguration", List).of(ENCRYPTION_RULE).required()]);

const ENCRYPTION_RULE: &Structure = &Structure(&[
    property("BucketKeyEnabled", Boolean),
    property("ServerSideEncryptionByDefault", Map).of(ENCRYPTION_BY_DEFAULT),
]);

const ENCRYPTION_BY_DEFAULT: &Structure =
    &Structure(&[property("KMSMasterKeyID", Text), property("SSEAlgorithm", Text).required()]);

pub(super) const CORS: &Structure = &Structure(&[property("CorsRules", List).of(CORS_RULE).required()]);

const CORS_RULE: &Structure = &Structure(&[
    property("AllowedHeaders", List),
    property("AllowedMethods", List).required(),
    property("AllowedOrigins", List).required(),
    property("ExposedHeaders", List),
    property("Id", Text),
    property("MaxAge", Integer),
]);

pub(super) const LIFECYCLE: &Structure = &Structure(&[
    property("Rules", List).of(LIFECYCLE_RULE).required(),
    property("TransitionDefaultMinimumObjectSize", Text),
]);

const LIFECYCLE_RULE: &Structure = &Structure(&[
    property("AbortIncompleteMultipartUpload", Map).of(ABORT),
    property("ExpirationDate", Text),
    property("ExpirationInDays", Integer),
    property("ExpiredObjectDeleteMarker", Boolean),
    property("Id", Text),
    property("NoncurrentVersionExpiration", Map).of(NONCURRENT),
    property("NoncurrentVersionExpirationInDays", Integer),
    property("ObjectSizeGreaterThan", Integer),
    property("ObjectSizeLessThan", Integer),
    property("Prefix", Text),
    property("Status", Text).required(),
    property("TagFilters", List).of(TAG),
]);

const ABORT: &Structure = &Structure(&[property("DaysAfterInitiation", Integer).required()]);

const NONCURRENT: &Structure =
    &Structure(&[property("NewerNoncurrentVersions", Integer), property("NoncurrentDays", Integer).required()]);

pub(super) const NOTIFICATION: &Structure = &Structure(&[
    property("EventBridgeConfiguration", Map).of(EVENT_BRIDGE),
    property("LambdaConfigurations", List).of(LAMBDA),
]);

const EVENT_BRIDGE: &Structure = &Structure(&[property("EventBridgeEnabled", Boolean)]);

const LAMBDA: &Structure = &Structure(&[
    property("Event", Text).required(),
    property("Filter", Map).of(FILTER),
    property("Function", Text).required(),
]);

const FILTER: &Structure = &Structure(&[property("S3Key", Map).of(KEY_FILTER).required()]);

const KEY_FILTER: &Structure = &Structure(&[property("Rules", List).of(FILTER_RULE).required()]);

const FILTER_RULE: &Structure = &Structure(&[property("Name", Text).required(), property("Value", Text).required()]);

pub(super) const OWNERSHIP: &Structure = &Structure(&[property("Rules", List).of(OWNERSHIP_RULE).required()]);

const OWNERSHIP_RULE: &Structure = &Structure(&[property("ObjectOwnership", Text).required()]);

pub(super) const PUBLIC_ACCESS_BLOCK: &Structure = &Structure(&[
    property("BlockPublicAcls", Boolean),
    property("BlockPublicPolicy", Boolean),
    property("IgnorePublicAcls", Boolean),
    property("RestrictPublicBuckets", Boolean),
]);

pub(super) const VERSIONING: &Structure = &Structure(&[property("Status", Text).required()]);
