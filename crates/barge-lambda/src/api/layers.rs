//! Layers and their versions.

use super::functions::CodeSource;
use crate::LambdaService;
use crate::layers::{LayerRef, LayerVersion, arn, parse};
use barge_core::{AwsError, Context, Scope};
use barge_wire::lambda::{
    Architecture, DeleteLayerVersionRequest, GetLayerVersionByArnRequest, GetLayerVersionRequest,
    GetLayerVersionResponse, LayerVersionContentOutput, LayerVersionsListItem, LayersListItem,
    ListLayerVersionsRequest, ListLayerVersionsResponse, ListLayersRequest, ListLayersResponse,
    PublishLayerVersionRequest, PublishLayerVersionResponse, Runtime, error,
};

/// Layers of a function, at most (Lambda Developer Guide, "Lambda quotas").
const MOST_LAYERS: usize = 5;
/// Entries of a page where the client asks for no number.
const PAGE: i64 = 50;

fn created(version: &LayerVersion) -> String {
    version.created.iso8601().replace('Z', "+0000")
}

/// An empty list is shown as none.
fn listed<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn item(scope: &Scope, name: &str, version: &LayerVersion) -> LayerVersionsListItem {
    LayerVersionsListItem {
        layer_version_arn: Some(format!("{}:{}", arn(scope, name), version.number)),
        version: Some(version.number),
        description: version.description.clone(),
        created_date: Some(created(version)),
        compatible_architectures: listed(&version.architectures),
        compatible_runtimes: listed(&version.runtimes),
        license_info: version.license.clone(),
    }
}

fn fits(version: &LayerVersion, runtime: Option<Runtime>, architecture: Option<Architecture>) -> bool {
    runtime.is_none_or(|wanted| version.runtimes.contains(&wanted))
        && architecture.is_none_or(|wanted| version.architectures.contains(&wanted))
}

/// A page of `items`, each with its key, after the one that `marker` names.
fn page<T>(items: Vec<(String, T)>, marker: Option<&str>, most: Option<i64>) -> (Vec<T>, Option<String>) {
    let start = marker.map_or(0, |marker| items.iter().position(|(key, _)| key == marker).map_or(0, |at| at + 1));
    let limit = usize::try_from(most.unwrap_or(PAGE)).unwrap_or(1);
    let more = items.len() > start + limit;
    let chosen: Vec<(String, T)> = items.into_iter().skip(start).take(limit).collect();
    let next = chosen.last().filter(|_| more).map(|(key, _)| key.clone());
    (chosen.into_iter().map(|(_, item)| item).collect(), next)
}

impl LambdaService {
    /// The layer versions that a function asks for.
    pub(crate) fn layers(&self, cx: &Context, arns: &[String]) -> Result<Vec<LayerRef>, AwsError> {
        if arns.len() > MOST_LAYERS {
            return Err(error::invalid_parameter_value_exception(format!(
                "Cannot reference more than {MOST_LAYERS} layers."
            )));
        }
        let missing = |arn: &str| {
            error::invalid_parameter_value_exception(format!(
                "Layer version {arn} does not exist. (Barge has the layers of this account and region only.)"
            ))
        };
        let one = |text: &String| {
            let Some((name, Some(number))) = parse(&cx.scope, text) else { return Err(missing(text)) };
            let version = self.shared.registry.layers.version(&cx.scope, &name, number).map_err(|_| missing(text))?;
            Ok(LayerRef { arn: text.clone(), code: version.code })
        };
        arns.iter().map(one).collect()
    }

    /// Publishes a layer version; the creation of a template that did it before gets the same again.
    pub(crate) async fn publish_layer(
        &self,
        cx: &Context,
        request: PublishLayerVersionRequest,
        token: Option<String>,
    ) -> Result<(String, LayerVersion), AwsError> {
        let name = parse(&cx.scope, &request.layer_name).filter(|(_, version)| version.is_none());
        let (name, _) = name.ok_or_else(|| {
            error::invalid_parameter_value_exception(format!("{} is no layer of this account.", request.layer_name))
        })?;
        let content = request.content;
        let refused = [
            ("S3ObjectVersion", content.s3_object_version.is_some()),
            ("S3ObjectStorageMode", content.s3_object_storage_mode.is_some()),
        ];
        let source = CodeSource::new(content.zip_file, content.s3_bucket, content.s3_key, &refused)?;
        let before = self.shared.registry.layers.get(&cx.scope, &name);
        let same = |version: &&LayerVersion| token.is_some() && version.creation_token == token;
        if let Some(made) = before.and_then(|layer| layer.versions.iter().find(same).cloned()) {
            return Ok((name, made));
        }
        let (code, _pin) = self.store_code(cx, &cx.scope, source).await?;
        let published = self
            .shared
            .registry
            .layers
            .change(&cx.scope, &name, |layer| {
                layer.last += 1;
                let version = LayerVersion {
                    number: layer.last,
                    description: request.description,
                    code,
                    runtimes: request.compatible_runtimes.unwrap_or_default(),
                    architectures: request.compatible_architectures.unwrap_or_default(),
                    license: request.license_info,
                    created: cx.now,
                    creation_token: token.clone(),
                };
                layer.versions.push(version.clone());
                Ok(version)
            })
            .await?;
        Ok((name, published))
    }

    fn content(&self, cx: &Context, version: &LayerVersion) -> LayerVersionContentOutput {
        let token = self.downloads.issue(&version.code.sha256, &self.shared.ambient);
        LayerVersionContentOutput {
            location: Some(format!("{}/_barge/lambda/code/{token}", cx.endpoint)),
            code_sha256: Some(version.code.base64()),
            code_size: i64::try_from(version.code.size).ok(),
            ..LayerVersionContentOutput::default()
        }
    }

    pub(super) async fn publish_layer_answer(
        &self,
        cx: &Context,
        request: PublishLayerVersionRequest,
    ) -> Result<PublishLayerVersionResponse, AwsError> {
        let (name, version) = self.publish_layer(cx, request, None).await?;
        let layer = arn(&cx.scope, &name);
        Ok(PublishLayerVersionResponse {
            content: Some(self.content(cx, &version)),
            layer_version_arn: Some(format!("{layer}:{}", version.number)),
            layer_arn: Some(layer),
            created_date: Some(created(&version)),
            version: Some(version.number),
            compatible_architectures: listed(&version.architectures),
            compatible_runtimes: listed(&version.runtimes),
            description: version.description,
            license_info: version.license,
        })
    }

    pub(super) fn layer_version(
        &self,
        cx: &Context,
        request: &GetLayerVersionRequest,
    ) -> Result<GetLayerVersionResponse, AwsError> {
        let name = parse(&cx.scope, &request.layer_name).map(|(name, _)| name).unwrap_or_default();
        let version = self.shared.registry.layers.version(&cx.scope, &name, request.version_number)?;
        let layer = arn(&cx.scope, &name);
        Ok(GetLayerVersionResponse {
            content: Some(self.content(cx, &version)),
            layer_version_arn: Some(format!("{layer}:{}", version.number)),
            layer_arn: Some(layer),
            created_date: Some(created(&version)),
            version: Some(version.number),
            compatible_architectures: listed(&version.architectures),
            compatible_runtimes: listed(&version.runtimes),
            description: version.description,
            license_info: version.license,
        })
    }

    pub(super) fn layer_version_by_arn(
        &self,
        cx: &Context,
        request: &GetLayerVersionByArnRequest,
    ) -> Result<GetLayerVersionResponse, AwsError> {
        let Some((layer_name, Some(version_number))) = parse(&cx.scope, &request.arn) else {
            return Err(error::resource_not_found_exception("The resource you requested does not exist."));
        };
        self.layer_version(cx, &GetLayerVersionRequest { layer_name, version_number })
    }

    pub(super) fn list_all_layers(&self, cx: &Context, request: &ListLayersRequest) -> ListLayersResponse {
        let matching = |name: String, versions: &[LayerVersion]| {
            let fit =
                |version: &&LayerVersion| fits(version, request.compatible_runtime, request.compatible_architecture);
            let newest = versions.iter().rev().find(fit)?;
            let shown = LayersListItem {
                layer_arn: Some(arn(&cx.scope, &name)),
                latest_matching_version: Some(item(&cx.scope, &name, newest)),
                layer_name: Some(name.clone()),
            };
            Some((name, shown))
        };
        let layers = self.shared.registry.layers.all(&cx.scope).into_iter();
        let items = layers.filter_map(|(name, layer)| matching(name, &layer.versions)).collect();
        let (layers, next_marker) = page(items, request.marker.as_deref(), request.max_items);
        ListLayersResponse { next_marker, layers: Some(layers) }
    }

    pub(super) fn versions_of_layer(
        &self,
        cx: &Context,
        request: &ListLayerVersionsRequest,
    ) -> ListLayerVersionsResponse {
        let name = parse(&cx.scope, &request.layer_name).map(|(name, _)| name).unwrap_or_default();
        let layer = self.shared.registry.layers.get(&cx.scope, &name);
        // The newest comes first.
        let versions = layer.iter().flat_map(|layer| layer.versions.iter().rev());
        let versions =
            versions.filter(|version| fits(version, request.compatible_runtime, request.compatible_architecture));
        let items = versions.map(|version| (version.number.to_string(), item(&cx.scope, &name, version))).collect();
        let (versions, next_marker) = page(items, request.marker.as_deref(), request.max_items);
        ListLayerVersionsResponse { next_marker, layer_versions: Some(versions) }
    }

    /// Removes a layer version; functions that have it keep it.
    pub(crate) async fn remove_layer_version(
        &self,
        cx: &Context,
        request: &DeleteLayerVersionRequest,
    ) -> Result<(), AwsError> {
        let name = parse(&cx.scope, &request.layer_name).map(|(name, _)| name).unwrap_or_default();
        let number = request.version_number;
        if self.shared.registry.layers.version(&cx.scope, &name, number).is_ok() {
            let change = |layer: &mut crate::layers::LayerRecord| {
                layer.versions.retain(|version| version.number != number);
                Ok(())
            };
            self.shared.registry.layers.change(&cx.scope, &name, change).await?;
            self.shared.collect_code().await;
        }
        // AWS answers the same where there was none.
        Ok(())
    }
}
