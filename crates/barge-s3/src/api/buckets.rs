//! CreateBucket, DeleteBucket, HeadBucket, ListBuckets, GetBucketLocation.

use super::members::check_acl;
use super::{Request, timestamp};
use crate::caller::{Caller, canonical_id};
use crate::core::{Changes, Core};
use crate::error::{
    BUCKET_ALREADY_EXISTS, BUCKET_ALREADY_OWNED, BUCKET_NOT_EMPTY, ILLEGAL_LOCATION, INVALID_ARGUMENT,
    INVALID_LOCATION, Result, not_implemented,
};
use crate::meta::{Bucket, PublicAccessBlock, Settings, buckets, objects, uploads};
use crate::names::check_bucket;
use barge_core::{Region, Scope};
use barge_store::rusqlite::Transaction;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use s3s::dto::{
    self, BucketCannedACL, BucketLocationConstraint, CreateBucketConfiguration, CreateBucketInput, CreateBucketOutput,
    DeleteBucketInput, DeleteBucketOutput, GetBucketLocationInput, GetBucketLocationOutput, HeadBucketInput,
    HeadBucketOutput, ListBucketsInput, ListBucketsOutput, ObjectOwnership, Owner,
};
use std::ops::ControlFlow;
use std::sync::Arc;

/// The region whose buckets have no location constraint.
const CLASSIC: &str = "us-east-1";
/// Buckets that one page of ListBuckets may have.
const MOST_BUCKETS: i32 = 10_000;

/// A bucket to be made.
pub(crate) struct NewBucket {
    pub(crate) name: String,
    pub(crate) scope: Scope,
    pub(crate) settings: Settings,
}

impl NewBucket {
    /// A bucket as AWS makes it today: closed to the public, without ACLs.
    pub(crate) fn new(name: String, scope: Scope) -> Self {
        let settings = Settings { public_access_block: Some(PublicAccessBlock::ALL), ..Settings::default() };
        Self { name, scope, settings }
    }
}

/// Makes a bucket. `BucketAlreadyExists` where it is another account's, `BucketAlreadyOwnedByYou` where it is there.
pub(crate) async fn create(core: &Arc<Core>, new: NewBucket) -> Result<()> {
    check_bucket(&new.name)?;
    let created = super::to_the_second(core.now());
    core.commit(move |tx, _| {
        match buckets::find(tx, &new.name)? {
            Some(bucket) if bucket.scope.account == new.scope.account => return Err(BUCKET_ALREADY_OWNED.into()),
            Some(_) => return Err(BUCKET_ALREADY_EXISTS.into()),
            None => {}
        }
        let bucket = Bucket { id: 0, name: new.name, scope: new.scope, created, settings: new.settings };
        buckets::insert(tx, &bucket)
    })
    .await
}

pub(super) async fn create_bucket(core: &Arc<Core>, request: Request<CreateBucketInput>) -> Result<CreateBucketOutput> {
    let Request { caller, input, .. } = request;
    let grants = [
        &input.grant_full_control,
        &input.grant_read,
        &input.grant_read_acp,
        &input.grant_write,
        &input.grant_write_acp,
    ];
    check_acl(input.acl.as_ref().map(BucketCannedACL::as_str), grants.iter().any(|grant| grant.is_some()))?;
    if input.object_lock_enabled_for_bucket == Some(true) {
        return Err(not_implemented("the parameter ObjectLockEnabledForBucket"));
    }
    if input
        .object_ownership
        .as_ref()
        .is_some_and(|ownership| ownership.as_str() != ObjectOwnership::BUCKET_OWNER_ENFORCED)
    {
        return Err(not_implemented("an ObjectOwnership other than BucketOwnerEnforced"));
    }
    let constraint = match input.create_bucket_configuration {
        Some(
            CreateBucketConfiguration { bucket: Some(_), .. } | CreateBucketConfiguration { location: Some(_), .. },
        ) => {
            return Err(not_implemented("directory buckets"));
        }
        Some(configuration) => configuration.location_constraint,
        None => None,
    };
    let region = location(constraint.as_ref().map(BucketLocationConstraint::as_str), &caller.scope.region)?;
    let classic = region.as_str() == CLASSIC;
    let path = format!("/{}", input.bucket);
    let scope = Scope { region, account: caller.scope.account };
    match create(core, NewBucket::new(input.bucket, scope)).await {
        // "For legacy compatibility, if you re-create an existing bucket that you already own in us-east-1, Amazon S3
        // returns 200 OK" (API Reference, "CreateBucket").
        Err(error) if error.is(&BUCKET_ALREADY_OWNED) && classic => {}
        result => result?,
    }
    Ok(CreateBucketOutput { location: Some(path) })
}

/// The region that a location constraint means in a request that was signed for `region`.
fn location(constraint: Option<&str>, region: &Region) -> Result<Region> {
    let classic = region.as_str() == CLASSIC;
    match constraint.filter(|constraint| !constraint.is_empty()) {
        None if classic => Ok(region.clone()),
        None => Err(ILLEGAL_LOCATION.into()),
        Some(CLASSIC) => Err(INVALID_LOCATION.into()),
        Some(constraint) => {
            let wanted = if constraint == "EU" { "eu-west-1" } else { constraint };
            let wanted = Region::new(wanted).ok_or(INVALID_LOCATION)?;
            if classic || wanted == *region {
                return Ok(wanted);
            }
            Err(ILLEGAL_LOCATION.because(format!(
                "The {constraint} location constraint is incompatible for the region specific endpoint this request was sent to."
            )))
        }
    }
}

/// Removes a bucket without objects and versions, and with it its unfinished uploads.
pub(crate) async fn delete(core: &Arc<Core>, caller: Caller, name: String, owner: Option<String>) -> Result<()> {
    core.commit(move |tx, changes| {
        let bucket = caller.bucket(tx, &name)?;
        bucket.check_owner(owner.as_deref())?;
        if objects::any(tx, bucket.id)? {
            return Err(BUCKET_NOT_EMPTY.into());
        }
        abort_uploads(tx, changes, bucket.id)?;
        buckets::delete(tx, bucket.id)
    })
    .await
}

fn abort_uploads(tx: &Transaction<'_>, changes: &mut Changes, bucket: i64) -> Result<()> {
    let mut ids = Vec::new();
    uploads::each(tx, bucket, ("", ""), |upload| {
        ids.push(upload.id);
        ControlFlow::Continue(())
    })?;
    for id in ids {
        changes.discard(uploads::parts(tx, &id, 0, usize::MAX)?.into_iter().map(|part| part.blob));
        uploads::delete(tx, &id)?;
    }
    Ok(())
}

pub(super) async fn delete_bucket(core: &Arc<Core>, request: Request<DeleteBucketInput>) -> Result<DeleteBucketOutput> {
    delete(core, request.caller, request.input.bucket, request.input.expected_bucket_owner).await?;
    Ok(DeleteBucketOutput::default())
}

pub(super) async fn head_bucket(core: &Arc<Core>, request: Request<HeadBucketInput>) -> Result<HeadBucketOutput> {
    let Request { caller, input, .. } = request;
    let bucket = core
        .read(move |connection| {
            let bucket = caller.bucket(connection, &input.bucket)?;
            bucket.check_owner(input.expected_bucket_owner.as_deref())?;
            Ok(bucket)
        })
        .await?;
    Ok(HeadBucketOutput {
        bucket_region: Some(bucket.scope.region.to_string()),
        access_point_alias: Some(false),
        ..HeadBucketOutput::default()
    })
}

pub(super) async fn list_buckets(core: &Arc<Core>, request: Request<ListBucketsInput>) -> Result<ListBucketsOutput> {
    let Request { caller, input, .. } = request;
    let most = input.max_buckets.unwrap_or(MOST_BUCKETS);
    if !(1..=MOST_BUCKETS).contains(&most) {
        return Err(INVALID_ARGUMENT.because("Argument max-buckets must be an integer between 1 and 10000"));
    }
    let limit = usize::try_from(most).unwrap_or(1);
    let region = match &input.bucket_region {
        Some(name) => {
            Some(Region::new(name).ok_or_else(|| INVALID_ARGUMENT.because("Argument value bucket-region is invalid"))?)
        }
        None => None,
    };
    let after = match &input.continuation_token {
        Some(token) => BASE64
            .decode(token)
            .ok()
            .and_then(|raw| String::from_utf8(raw).ok())
            .ok_or_else(|| INVALID_ARGUMENT.because("The continuation token provided is incorrect"))?,
        None => String::new(),
    };
    let prefix = input.prefix.clone().unwrap_or_default();
    let owner = canonical_id(&caller.scope);
    let mut found = core
        .read(move |connection| {
            buckets::list(connection, &caller.scope.account, region.as_ref(), &prefix, &after, limit + 1)
        })
        .await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let token = found.last().filter(|_| more).map(|bucket| BASE64.encode(&bucket.name));
    let paged = input.max_buckets.is_some() || input.continuation_token.is_some() || input.bucket_region.is_some();
    let entry = |bucket: Bucket| dto::Bucket {
        name: Some(bucket.name),
        creation_date: Some(timestamp(bucket.created)),
        bucket_region: paged.then(|| bucket.scope.region.to_string()),
    };
    Ok(ListBucketsOutput {
        buckets: Some(found.into_iter().map(entry).collect()),
        continuation_token: token,
        owner: Some(Owner { id: Some(owner), display_name: None }),
        prefix: input.prefix,
    })
}

pub(super) async fn get_bucket_location(
    core: &Arc<Core>,
    request: Request<GetBucketLocationInput>,
) -> Result<GetBucketLocationOutput> {
    let Request { caller, input, .. } = request;
    let bucket = core
        .read(move |connection| {
            // Clients ask this because they don't know the region.
            let bucket = caller.bucket_anywhere(connection, &input.bucket)?;
            bucket.check_owner(input.expected_bucket_owner.as_deref())?;
            Ok(bucket)
        })
        .await?;
    let region = bucket.scope.region.to_string();
    Ok(GetBucketLocationOutput { location_constraint: (region != CLASSIC).then(|| region.into()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_constraints() {
        let region = |name: &str| Region::new(name).unwrap();
        for (constraint, endpoint, made) in [
            (None, "us-east-1", Some("us-east-1")),
            (Some("eu-west-1"), "us-east-1", Some("eu-west-1")),
            (Some("EU"), "us-east-1", Some("eu-west-1")),
            (Some("us-east-1"), "us-east-1", None),
            (Some("no region"), "us-east-1", None),
            (None, "eu-west-1", None),
            (Some("eu-west-1"), "eu-west-1", Some("eu-west-1")),
            (Some("eu-west-2"), "eu-west-1", None),
        ] {
            assert_eq!(location(constraint, &region(endpoint)).ok(), made.map(region), "{constraint:?} {endpoint}");
        }
    }
}
