//! Repositories, and the token that lets a client into the registry.

use super::{own_registry, page, refuse};
use crate::mutability::Mutability;
use crate::{EcrService, rows, token};
use barge_core::{AwsError, Context, Scope};
use barge_wire::ecr::{
    AuthorizationData, CreateRepositoryRequest, CreateRepositoryResponse, DeleteRepositoryRequest,
    DeleteRepositoryResponse, DescribeRepositoriesRequest, DescribeRepositoriesResponse, EncryptionConfiguration,
    EncryptionType, GetAuthorizationTokenRequest, GetAuthorizationTokenResponse, ImageScanningConfiguration,
    PutImageScanningConfigurationRequest, PutImageScanningConfigurationResponse, PutImageTagMutabilityRequest,
    PutImageTagMutabilityResponse, Repository, error,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A repository as clients see it.
fn shown(scope: &Scope, endpoint: &str, repository: &rows::Repository) -> Repository {
    Repository {
        repository_arn: Some(arn(scope, &repository.name)),
        registry_id: Some(scope.account.to_string()),
        repository_name: Some(repository.name.clone()),
        repository_uri: Some(EcrService::uri(endpoint, &repository.name)),
        created_at: Some(repository.created_at),
        image_tag_mutability: Some(repository.mutability.mode()),
        image_tag_mutability_exclusion_filters: repository.mutability.filters(),
        image_scanning_configuration: Some(ImageScanningConfiguration { scan_on_push: Some(repository.scan_on_push) }),
        encryption_configuration: Some(EncryptionConfiguration {
            encryption_type: EncryptionType::Aes256,
            kms_key: None,
        }),
    }
}

/// A repository's ARN.
pub(crate) fn arn(scope: &Scope, name: &str) -> String {
    scope.arn("ecr", format!("repository/{name}")).to_string()
}

impl EcrService {
    pub(super) async fn create(
        &self,
        cx: &Context,
        input: CreateRepositoryRequest,
    ) -> Result<CreateRepositoryResponse, AwsError> {
        let repository = self.create_as(cx, input, None).await?;
        Ok(CreateRepositoryResponse { repository: Some(shown(&cx.scope, &cx.endpoint, &repository)) })
    }

    /// Creates a repository. One that the same creation `token` made before is given again.
    pub(crate) async fn create_as(
        &self,
        cx: &Context,
        input: CreateRepositoryRequest,
        token: Option<String>,
    ) -> Result<rows::Repository, AwsError> {
        own_registry(&cx.scope, input.registry_id.as_deref())?;
        let kms = input.encryption_configuration.is_some_and(|given| given.encryption_type != EncryptionType::Aes256);
        refuse("encryptionConfiguration with KMS", kms)?;
        let repository = rows::Repository {
            name: input.repository_name,
            created_at: cx.now,
            mutability: Mutability::of(input.image_tag_mutability, input.image_tag_mutability_exclusion_filters)?,
            scan_on_push: input.image_scanning_configuration.and_then(|given| given.scan_on_push).unwrap_or(false),
            policy: None,
            lifecycle: None,
            tags: input.tags.into_iter().flatten().map(|tag| (tag.key, tag.value)).collect(),
            token,
        };
        let scope = cx.scope.clone();
        self.store
            .write(move |tx| match rows::repository(tx, &scope, &repository.name)? {
                Some(held) if held.token.is_some() && held.token == repository.token => Ok(held),
                Some(_) => Err(error::repository_already_exists_exception(format!(
                    "The repository with name '{}' already exists in the registry with id '{}'",
                    repository.name, scope.account
                ))),
                None => rows::put_repository(tx, &scope, &repository).map(|()| repository),
            })
            .await
    }

    pub(super) async fn describe(
        &self,
        cx: &Context,
        input: DescribeRepositoriesRequest,
    ) -> Result<DescribeRepositoriesResponse, AwsError> {
        own_registry(&cx.scope, input.registry_id.as_deref())?;
        let (scope, names) = (cx.scope.clone(), input.repository_names);
        let found = self
            .store
            .read(move |db| match names {
                Some(names) => names.iter().map(|name| rows::existing_repository(db, &scope, name)).collect(),
                None => rows::repositories(db, &scope, "", usize::MAX >> 1),
            })
            .await?;
        let (found, next_token) = page(found, input.next_token.as_deref(), input.max_results)?;
        let repositories = found.iter().map(|repository| shown(&cx.scope, &cx.endpoint, repository)).collect();
        Ok(DescribeRepositoriesResponse { repositories: Some(repositories), next_token })
    }

    pub(super) async fn delete(
        &self,
        cx: &Context,
        input: DeleteRepositoryRequest,
    ) -> Result<DeleteRepositoryResponse, AwsError> {
        own_registry(&cx.scope, input.registry_id.as_deref())?;
        let contents = if input.force == Some(true) { Contents::Discard } else { Contents::Refuse };
        let repository = self.remove_repository(&cx.scope, input.repository_name, contents).await?;
        Ok(DeleteRepositoryResponse { repository: Some(shown(&cx.scope, &cx.endpoint, &repository)) })
    }

    /// Removes a repository; what it holds decides whether that is refused.
    pub(crate) async fn remove_repository(
        &self,
        scope: &Scope,
        name: String,
        contents: Contents,
    ) -> Result<rows::Repository, AwsError> {
        let scope = scope.clone();
        self.store
            .write(move |tx| {
                let repository = rows::existing_repository(tx, &scope, &name)?;
                if contents == Contents::Refuse && !rows::images(tx, &scope, &name)?.is_empty() {
                    return Err(error::repository_not_empty_exception(format!(
                        "The repository with name '{name}' in registry with id '{}' cannot be deleted because it still contains images",
                        scope.account
                    )));
                }
                rows::delete_repository(tx, &scope, &name)?;
                Ok(repository)
            })
            .await
    }

    pub(super) async fn set_mutability(
        &self,
        cx: &Context,
        input: PutImageTagMutabilityRequest,
    ) -> Result<PutImageTagMutabilityResponse, AwsError> {
        own_registry(&cx.scope, input.registry_id.as_deref())?;
        let filters = input.image_tag_mutability_exclusion_filters;
        let wanted = Mutability::of(Some(input.image_tag_mutability), filters)?;
        let changed = self.change(cx, &input.repository_name, move |held| held.mutability = wanted).await?;
        Ok(PutImageTagMutabilityResponse {
            registry_id: Some(cx.scope.account.to_string()),
            repository_name: Some(changed.name),
            image_tag_mutability: Some(changed.mutability.mode()),
            image_tag_mutability_exclusion_filters: changed.mutability.filters(),
        })
    }

    pub(super) async fn set_scanning(
        &self,
        cx: &Context,
        input: PutImageScanningConfigurationRequest,
    ) -> Result<PutImageScanningConfigurationResponse, AwsError> {
        own_registry(&cx.scope, input.registry_id.as_deref())?;
        let scan = input.image_scanning_configuration.scan_on_push.unwrap_or(false);
        let changed = self.change(cx, &input.repository_name, move |held| held.scan_on_push = scan).await?;
        Ok(PutImageScanningConfigurationResponse {
            registry_id: Some(cx.scope.account.to_string()),
            repository_name: Some(changed.name),
            image_scanning_configuration: Some(ImageScanningConfiguration { scan_on_push: Some(changed.scan_on_push) }),
        })
    }

    /// Changes a repository durably.
    pub(crate) async fn change(
        &self,
        cx: &Context,
        name: &str,
        change: impl FnOnce(&mut rows::Repository) + Send + 'static,
    ) -> Result<rows::Repository, AwsError> {
        let (scope, name) = (cx.scope.clone(), name.to_owned());
        self.store.write(move |tx| rows::change_repository(tx, &scope, &name, change)).await
    }

    pub(super) fn authorize(
        &self,
        cx: &Context,
        input: &GetAuthorizationTokenRequest,
    ) -> Result<GetAuthorizationTokenResponse, AwsError> {
        for id in input.registry_ids.iter().flatten() {
            own_registry(&cx.scope, Some(id))?;
        }
        let end = cx.now + token::LIFETIME;
        let pair = format!("AWS:{}", self.token_key.issue(&cx.scope, end));
        let data = AuthorizationData {
            authorization_token: Some(STANDARD.encode(pair)),
            expires_at: Some(end),
            proxy_endpoint: Some(cx.endpoint.clone()),
        };
        Ok(GetAuthorizationTokenResponse { authorization_data: Some(vec![data]) })
    }
}

/// What becomes of the images in a repository that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// They go with it.
    Discard,
    /// They keep it.
    Refuse,
}
