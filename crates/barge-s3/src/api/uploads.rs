//! CreateMultipartUpload, AbortMultipartUpload, ListMultipartUploads.

use super::listing::{Encoding, common_prefixes, limit};
use super::members::{attributes, checksum_algorithm, checksum_type, say_encryption};
use super::{Request, moment, timestamp, to_the_second};
use crate::caller::canonical_id;
use crate::checksum::{Algorithm, Coverage};
use crate::core::Core;
use crate::error::{NO_SUCH_UPLOAD, PRECONDITION_FAILED, Result};
use crate::lifecycle::abortion;
use crate::meta::listing::common_prefix;
use crate::meta::{Upload, UploadPlan, uploads};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    Initiator, ListMultipartUploadsInput, ListMultipartUploadsOutput, MultipartUpload, Owner,
};
use std::ops::ControlFlow;
use std::sync::Arc;

pub(super) async fn create(
    core: &Arc<Core>,
    request: Request<CreateMultipartUploadInput>,
) -> Result<CreateMultipartUploadOutput> {
    let Request { caller, mut input, .. } = request;
    let attributes = attributes!(input);
    let algorithm = input.checksum_algorithm.as_ref().map(|name| Algorithm::parse(name.as_str())).transpose()?;
    let covering = algorithm.unwrap_or(Algorithm::DEFAULT);
    let coverage = match &input.checksum_type {
        Some(kind) => Coverage::parse(kind.as_str())?,
        None => covering.default_coverage(),
    };
    covering.check_coverage(coverage)?;
    let mut upload = Upload {
        id: core.ambient.ids.hex(64),
        key: input.key.clone(),
        initiated: to_the_second(core.now()),
        plan: UploadPlan { attributes, algorithm, coverage },
    };
    let mut output = CreateMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key),
        upload_id: Some(upload.id.clone()),
        checksum_algorithm: algorithm.map(checksum_algorithm),
        checksum_type: algorithm.map(|_| checksum_type(coverage)),
        ..CreateMultipartUploadOutput::default()
    };
    core.commit(move |tx, _| {
        let bucket = caller.bucket(tx, &input.bucket)?;
        bucket.check_owner(input.expected_bucket_owner.as_deref())?;
        // What holds now holds for the object, whatever the bucket is told meanwhile.
        let encryption = &mut upload.plan.attributes.encryption;
        encryption.get_or_insert_with(|| bucket.settings.encryption.clone().unwrap_or_default());
        say_encryption!(output, upload.plan.attributes);
        uploads::insert(tx, bucket.id, &upload)?;
        let due = abortion(&bucket.settings.lifecycle, &upload.key, upload.initiated);
        output.abort_date = due.map(|due| timestamp(due.at));
        output.abort_rule_id = due.map(|due| due.rule.id.clone());
        Ok(output)
    })
    .await
}

pub(super) async fn abort(
    core: &Arc<Core>,
    request: Request<AbortMultipartUploadInput>,
) -> Result<AbortMultipartUploadOutput> {
    let Request { caller, input, .. } = request;
    core.commit(move |tx, changes| {
        let bucket = caller.bucket(tx, &input.bucket)?;
        bucket.check_owner(input.expected_bucket_owner.as_deref())?;
        let upload = uploads::find(tx, bucket.id, &input.key, &input.upload_id)?.ok_or(NO_SUCH_UPLOAD)?;
        if input.if_match_initiated_time.is_some_and(|time| to_the_second(moment(&time)) != upload.initiated) {
            return Err(PRECONDITION_FAILED.into());
        }
        let parts = uploads::parts(tx, &upload.id, 0, usize::MAX)?;
        uploads::delete(tx, &upload.id)?;
        changes.discard(parts.into_iter().map(|part| part.blob));
        Ok(())
    })
    .await?;
    Ok(AbortMultipartUploadOutput::default())
}

/// A page of uploads.
#[derive(Default)]
struct Page {
    uploads: Vec<Upload>,
    prefixes: Vec<String>,
    /// The last entry's key and id, where there are more.
    next: Option<(String, String)>,
}

/// Takes uploads in order until the page is full.
struct Pager<'q> {
    prefix: &'q str,
    delimiter: &'q str,
    marker: &'q str,
    limit: usize,
    page: Page,
    last: (String, String),
}

impl Pager<'_> {
    fn take(&mut self, upload: Upload) -> ControlFlow<()> {
        if !upload.key.starts_with(self.prefix) {
            return if upload.key.as_str() > self.prefix { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        }
        let common = common_prefix(&upload.key, self.prefix, self.delimiter).map(str::to_owned);
        if common.is_some() && (common == self.page.prefixes.last().cloned() || common.as_deref() == Some(self.marker))
        {
            return ControlFlow::Continue(());
        }
        if self.page.uploads.len() + self.page.prefixes.len() == self.limit {
            self.page.next = Some(std::mem::take(&mut self.last));
            return ControlFlow::Break(());
        }
        if let Some(prefix) = common {
            self.last = (prefix.clone(), String::new());
            self.page.prefixes.push(prefix);
        } else {
            self.last = (upload.key.clone(), upload.id.clone());
            self.page.uploads.push(upload);
        }
        ControlFlow::Continue(())
    }
}

pub(super) async fn list(
    core: &Arc<Core>,
    request: Request<ListMultipartUploadsInput>,
) -> Result<ListMultipartUploadsOutput> {
    let Request { caller, input, .. } = request;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let max_uploads = limit(input.max_uploads, "max-uploads")?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let delimiter = input.delimiter.clone().unwrap_or_default();
    let marker = input.key_marker.clone().unwrap_or_default();
    // Without an upload id, the marker's own uploads are behind us: ids are hexadecimal and sort before this.
    let id_marker = input.upload_id_marker.clone().filter(|_| !marker.is_empty()).unwrap_or_else(|| "~".to_owned());
    let owner = canonical_id(&caller.scope);
    let (bucket, expected) = (input.bucket.clone(), input.expected_bucket_owner.clone());
    let page = core
        .read(move |connection| {
            let bucket = caller.bucket(connection, &bucket)?;
            bucket.check_owner(expected.as_deref())?;
            let limit = usize::try_from(max_uploads).unwrap_or(0);
            let mut pager = Pager {
                prefix: &prefix,
                delimiter: &delimiter,
                marker: &marker,
                limit,
                page: Page::default(),
                last: Default::default(),
            };
            if limit > 0 {
                uploads::each(connection, bucket.id, (&marker, &id_marker), |upload| pager.take(upload))?;
            }
            Ok(pager.page)
        })
        .await?;
    let entry = |upload: Upload| MultipartUpload {
        key: Some(encoding.write(&upload.key)),
        upload_id: Some(upload.id),
        initiated: Some(timestamp(upload.initiated)),
        storage_class: Some(upload.plan.attributes.storage_class().to_owned().into()),
        owner: Some(Owner { id: Some(owner.clone()), display_name: None }),
        initiator: Some(Initiator { id: Some(owner.clone()), display_name: None }),
        checksum_algorithm: upload.plan.algorithm.map(checksum_algorithm),
        checksum_type: upload.plan.algorithm.map(|_| checksum_type(upload.plan.coverage)),
    };
    let (next_key, next_id) = page.next.clone().unzip();
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        key_marker: Some(encoding.write(&input.key_marker.unwrap_or_default())),
        upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
        next_key_marker: next_key.map(|key| encoding.write(&key)),
        next_upload_id_marker: next_id.filter(|id| !id.is_empty()),
        max_uploads: Some(max_uploads),
        is_truncated: Some(page.next.is_some()),
        prefix: Some(encoding.write(&input.prefix.unwrap_or_default())),
        delimiter: input.delimiter.filter(|text| !text.is_empty()).map(|text| encoding.write(&text)),
        common_prefixes: common_prefixes(&page.prefixes, encoding),
        uploads: Some(page.uploads.into_iter().map(entry).collect()),
        encoding_type: input.encoding_type,
        request_charged: None,
    })
}
