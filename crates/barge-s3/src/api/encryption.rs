//! PutBucketEncryption, GetBucketEncryption, DeleteBucketEncryption.

use super::Request;
use super::settings::{change, look};
use crate::core::Core;
use crate::encryption::Encryption;
use crate::error::{MALFORMED_XML, Result};
use s3s::dto::{
    DeleteBucketEncryptionInput, DeleteBucketEncryptionOutput, GetBucketEncryptionInput, GetBucketEncryptionOutput,
    PutBucketEncryptionInput, PutBucketEncryptionOutput, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
};
use std::sync::Arc;

pub(super) async fn put_encryption(
    core: &Arc<Core>,
    request: Request<PutBucketEncryptionInput>,
) -> Result<PutBucketEncryptionOutput> {
    let Request { caller, input, .. } = request;
    let [rule] = <[ServerSideEncryptionRule; 1]>::try_from(input.server_side_encryption_configuration.rules)
        .map_err(|_| MALFORMED_XML)?;
    let default = rule.apply_server_side_encryption_by_default;
    let (algorithm, key) = default.map_or_else(
        || (ServerSideEncryption::from_static(ServerSideEncryption::AES256), None),
        |default| (default.sse_algorithm, default.kms_master_key_id),
    );
    let encryption = Encryption::new(algorithm.as_str(), key, rule.bucket_key_enabled)?;
    let owner = input.expected_bucket_owner;
    change(core, caller, input.bucket, owner, |settings| settings.encryption = Some(encryption)).await?;
    Ok(PutBucketEncryptionOutput::default())
}

/// A bucket that was told nothing has S3's own keys, as every bucket since 2023.
pub(super) async fn get_encryption(
    core: &Arc<Core>,
    request: Request<GetBucketEncryptionInput>,
) -> Result<GetBucketEncryptionOutput> {
    let Request { caller, input, .. } = request;
    let settings = look(core, caller, input.bucket, input.expected_bucket_owner).await?;
    let encryption = settings.encryption.unwrap_or_default();
    let rule = ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(ServerSideEncryptionByDefault {
            sse_algorithm: ServerSideEncryption::from_static(encryption.algorithm.name()),
            kms_master_key_id: encryption.key,
        }),
        bucket_key_enabled: Some(encryption.bucket_key.unwrap_or(false)),
    };
    Ok(GetBucketEncryptionOutput {
        server_side_encryption_configuration: Some(ServerSideEncryptionConfiguration { rules: vec![rule] }),
    })
}

pub(super) async fn delete_encryption(
    core: &Arc<Core>,
    request: Request<DeleteBucketEncryptionInput>,
) -> Result<DeleteBucketEncryptionOutput> {
    let Request { caller, input, .. } = request;
    change(core, caller, input.bucket, input.expected_bucket_owner, |settings| settings.encryption = None).await?;
    Ok(DeleteBucketEncryptionOutput::default())
}
