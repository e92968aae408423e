//! The service: runs each operation in the store, and keeps the key ring in step with it.

use crate::account::{Account, TABLES, db};
use crate::key_ring::KeyRing;
use crate::records::{GroupRecord, PolicyRecord, ProfileRecord, RoleRecord, UserRecord};
use crate::{
    access_keys, grants, groups, managed_policies, policy_versions, profiles, roles, root_key::RootKey, sessions, tags,
    users,
};
use barge_core::ids::SeededIds;
use barge_core::ports::{AccessKey, KeyDirectory};
use barge_core::{AccountId, Ambient, AwsError, Context, Principal, Region, Scope};
use barge_store::Store;
#[allow(clippy::wildcard_imports)] // nearly every request and response of the model stands in the table below
use barge_wire::iam::*;
use std::sync::Arc;

/// IAM and STS of every account, on one store.
///
/// Implements the services ([`IAM`], [`barge_wire::sts::STS`]) and the ports [`KeyDirectory`] and
/// [`barge_core::ports::CredentialIssuer`].
pub struct IamService {
    pub(crate) store: Store,
    pub(crate) ambient: Ambient,
    pub(crate) keys: KeyRing,
    /// Held while an access key changes: two changes of one key reach the ring in the order of their commits.
    changing_keys: tokio::sync::Mutex<()>,
}

impl IamService {
    /// Opens the service: makes its tables and reads all keys into memory. `root` becomes the key pair of the default
    /// account's root.
    pub fn open(store: Store, ambient: Ambient, root: RootKey) -> Result<Self, AwsError> {
        store.migrate("iam", TABLES)?;
        let service = Self { store, ambient, keys: KeyRing::default(), changing_keys: tokio::sync::Mutex::default() };
        service.load_keys()?;
        let account = AccountId::default();
        let key = AccessKey {
            secret_access_key: root.secret_access_key,
            session_token: None,
            principal: Principal::Root { account: account.clone() },
            account,
            expiration: None,
        };
        service.keys.set(&root.access_key_id, Some(key));
        Ok(service)
    }

    fn load_keys(&self) -> Result<(), AwsError> {
        let keys = self.store.read_blocking(|conn| -> Result<_, AwsError> {
            let mut keys: Vec<(String, Option<AccessKey>)> =
                sessions::load(conn)?.into_iter().map(|(id, key)| (id, Some(key))).collect();
            for (account, id) in db(access_keys::all_ids(conn))? {
                let cx = self.ambient.context(Scope { account, region: Region::default() }, "iam.amazonaws.com");
                let account = Account::new(conn, &cx, &*self.ambient.ids);
                if let Some(record) = access_keys::find(&account, &id)? {
                    keys.push((id, record.usable(&account)?));
                }
            }
            Ok(keys)
        })?;
        for (id, key) in keys {
            self.keys.set(&id, key);
        }
        Ok(())
    }

    pub(crate) async fn read<T, F>(&self, cx: &Context, query: F) -> Result<T, AwsError>
    where
        T: Send + 'static,
        F: FnOnce(&Account<'_>) -> Result<T, AwsError> + Send + 'static,
    {
        let (cx, ids) = (cx.clone(), Arc::clone(&self.ambient.ids));
        self.store.read(move |conn| query(&Account::new(conn, &cx, &*ids))).await
    }

    pub(crate) async fn write<T, F>(&self, cx: &Context, change: F) -> Result<T, AwsError>
    where
        T: Send + 'static,
        F: FnOnce(&Account<'_>) -> Result<T, AwsError> + Send + 'static,
    {
        let (cx, ids) = (cx.clone(), Arc::clone(&self.ambient.ids));
        self.store.write(move |tx| change(&Account::new(tx, &cx, &*ids))).await
    }

    /// [`Self::write`] whose ids follow from `token`: the same change again makes the same ids.
    pub(crate) async fn write_seeded<T, F>(&self, cx: &Context, token: &str, change: F) -> Result<T, AwsError>
    where
        T: Send + 'static,
        F: FnOnce(&Account<'_>) -> Result<T, AwsError> + Send + 'static,
    {
        let (cx, ids) = (cx.clone(), SeededIds::new(token.as_bytes()));
        self.store.write(move |tx| change(&Account::new(tx, &cx, &ids))).await
    }

    /// Changes the access key called `id`, and the ring with it.
    pub(crate) async fn change_key<T, F>(&self, cx: &Context, id: String, change: F) -> Result<T, AwsError>
    where
        T: Send + 'static,
        F: FnOnce(&Account<'_>) -> Result<T, AwsError> + Send + 'static,
    {
        let _changing = self.changing_keys.lock().await;
        let value = self.write(cx, change).await?;
        self.follow_key(cx, id).await?;
        Ok(value)
    }

    /// Makes the ring's key what the store says.
    async fn follow_key(&self, cx: &Context, id: String) -> Result<(), AwsError> {
        let wanted = id.clone();
        let key = self
            .read(cx, move |account| {
                access_keys::find(account, &wanted)?.map_or(Ok(None), |record| record.usable(account))
            })
            .await?;
        self.keys.set(&id, key);
        Ok(())
    }
}

impl KeyDirectory for IamService {
    fn access_key(&self, access_key_id: &str) -> Option<AccessKey> {
        self.keys.get(access_key_id)
    }
}

/// Operations that are one call of a function in a room: the request's members become its arguments.
macro_rules! operations {
    ($($how:ident $method:ident($input:ident: $request:ty) -> $output:ty = |$account:ident| $body:expr;)*) => {
        $(async fn $method(&self, cx: &Context, $input: $request) -> Result<$output, AwsError> {
            self.$how(cx, move |$account| $body).await
        })*
    };
}

impl IAM for IamService {
    operations! {
        // Roles.
        write create_role(input: CreateRoleRequest) -> CreateRoleResponse = |account| {
            Ok(CreateRoleResponse { role: roles::create(account, input)?.show(account) })
        };
        read get_role(input: GetRoleRequest) -> GetRoleResponse = |account| {
            Ok(GetRoleResponse { role: account.get::<RoleRecord>(&input.role_name)?.show(account) })
        };
        read list_roles(input: ListRolesRequest) -> ListRolesResponse = |account| roles::list(account, &input);
        write delete_role(input: DeleteRoleRequest) -> () = |account| roles::delete(account, &input.role_name);
        write update_role(input: UpdateRoleRequest) -> UpdateRoleResponse = |account| {
            roles::update(account, input)?;
            Ok(UpdateRoleResponse {})
        };
        write update_role_description(input: UpdateRoleDescriptionRequest) -> UpdateRoleDescriptionResponse = |account| {
            let role = roles::set_description(account, &input.role_name, input.description)?;
            Ok(UpdateRoleDescriptionResponse { role: Some(role.show(account)) })
        };
        write update_assume_role_policy(input: UpdateAssumeRolePolicyRequest) -> () = |account| {
            roles::set_trust(account, &input.role_name, input.policy_document)
        };
        write put_role_policy(input: PutRolePolicyRequest) -> () = |account| {
            grants::put::<RoleRecord>(account, &input.role_name, input.policy_name, input.policy_document)
        };
        read get_role_policy(input: GetRolePolicyRequest) -> GetRolePolicyResponse = |account| {
            let document = grants::get::<RoleRecord>(account, &input.role_name, &input.policy_name)?;
            Ok(GetRolePolicyResponse {
                role_name: input.role_name,
                policy_name: input.policy_name,
                policy_document: crate::records::url_encoded(&document),
            })
        };
        write delete_role_policy(input: DeleteRolePolicyRequest) -> () = |account| {
            grants::delete::<RoleRecord>(account, &input.role_name, &input.policy_name)
        };
        read list_role_policies(input: ListRolePoliciesRequest) -> ListRolePoliciesResponse = |account| {
            let page =
                grants::list::<RoleRecord>(account, &input.role_name, input.marker.as_deref(), input.max_items)?;
            Ok(ListRolePoliciesResponse {
                policy_names: page.items,
                is_truncated: page.is_truncated,
                marker: page.marker,
            })
        };
        write attach_role_policy(input: AttachRolePolicyRequest) -> () = |account| {
            grants::attach::<RoleRecord>(account, &input.role_name, input.policy_arn)
        };
        write detach_role_policy(input: DetachRolePolicyRequest) -> () = |account| {
            grants::detach::<RoleRecord>(account, &input.role_name, &input.policy_arn)
        };
        read list_attached_role_policies(input: ListAttachedRolePoliciesRequest)
            -> ListAttachedRolePoliciesResponse = |account| {
            let page = grants::list_attached::<RoleRecord>(
                account,
                &input.role_name,
                input.path_prefix.as_deref(),
                input.marker.as_deref(),
                input.max_items,
            )?;
            Ok(ListAttachedRolePoliciesResponse {
                attached_policies: Some(page.items),
                is_truncated: page.is_truncated,
                marker: page.marker,
            })
        };
        write tag_role(input: TagRoleRequest) -> () = |account| {
            tags::add::<RoleRecord>(account, &input.role_name, input.tags)
        };
        write untag_role(input: UntagRoleRequest) -> () = |account| {
            tags::remove::<RoleRecord>(account, &input.role_name, &input.tag_keys)
        };
        read list_role_tags(input: ListRoleTagsRequest) -> ListRoleTagsResponse = |account| {
            let page = tags::list::<RoleRecord>(account, &input.role_name, input.marker.as_deref(), input.max_items)?;
            Ok(ListRoleTagsResponse { tags: page.items, is_truncated: page.is_truncated, marker: page.marker })
        };

        // Managed policies.
        write create_policy(input: CreatePolicyRequest) -> CreatePolicyResponse = |account| {
            Ok(CreatePolicyResponse { policy: Some(managed_policies::create(account, input)?.show(account)?) })
        };
        read get_policy(input: GetPolicyRequest) -> GetPolicyResponse = |account| {
            Ok(GetPolicyResponse { policy: Some(managed_policies::get(account, &input.policy_arn)?) })
        };
        read list_policies(input: ListPoliciesRequest) -> ListPoliciesResponse = |account| {
            managed_policies::list(account, &input)
        };
        write delete_policy(input: DeletePolicyRequest) -> () = |account| {
            managed_policies::delete(account, &input.policy_arn)
        };
        read list_entities_for_policy(input: ListEntitiesForPolicyRequest) -> ListEntitiesForPolicyResponse = |account| {
            managed_policies::list_entities(account, &input)
        };
        write create_policy_version(input: CreatePolicyVersionRequest) -> CreatePolicyVersionResponse = |account| {
            Ok(CreatePolicyVersionResponse { policy_version: Some(policy_versions::create(account, input)?) })
        };
        read get_policy_version(input: GetPolicyVersionRequest) -> GetPolicyVersionResponse = |account| {
            let version = policy_versions::get(account, &input.policy_arn, &input.version_id)?;
            Ok(GetPolicyVersionResponse { policy_version: Some(version) })
        };
        write delete_policy_version(input: DeletePolicyVersionRequest) -> () = |account| {
            policy_versions::delete(account, &input.policy_arn, &input.version_id)
        };
        write set_default_policy_version(input: SetDefaultPolicyVersionRequest) -> () = |account| {
            policy_versions::set_default(account, &input.policy_arn, &input.version_id)
        };
        read list_policy_versions(input: ListPolicyVersionsRequest) -> ListPolicyVersionsResponse = |account| {
            policy_versions::list(account, &input)
        };
        write tag_policy(input: TagPolicyRequest) -> () = |account| {
            let name = managed_policies::local(account, &input.policy_arn)?.name;
            tags::add::<PolicyRecord>(account, &name, input.tags)
        };
        write untag_policy(input: UntagPolicyRequest) -> () = |account| {
            let name = managed_policies::local(account, &input.policy_arn)?.name;
            tags::remove::<PolicyRecord>(account, &name, &input.tag_keys)
        };
        read list_policy_tags(input: ListPolicyTagsRequest) -> ListPolicyTagsResponse = |account| {
            let name = managed_policies::local(account, &input.policy_arn)?.name;
            let page = tags::list::<PolicyRecord>(account, &name, input.marker.as_deref(), input.max_items)?;
            Ok(ListPolicyTagsResponse { tags: page.items, is_truncated: page.is_truncated, marker: page.marker })
        };

        // Instance profiles.
        write create_instance_profile(input: CreateInstanceProfileRequest) -> CreateInstanceProfileResponse = |account| {
            Ok(CreateInstanceProfileResponse { instance_profile: profiles::create(account, input)?.show(account)? })
        };
        read get_instance_profile(input: GetInstanceProfileRequest) -> GetInstanceProfileResponse = |account| {
            let profile = account.get::<ProfileRecord>(&input.instance_profile_name)?;
            Ok(GetInstanceProfileResponse { instance_profile: profile.show(account)? })
        };
        read list_instance_profiles(input: ListInstanceProfilesRequest) -> ListInstanceProfilesResponse = |account| {
            profiles::list(account, &input)
        };
        read list_instance_profiles_for_role(input: ListInstanceProfilesForRoleRequest)
            -> ListInstanceProfilesForRoleResponse = |account| profiles::list_for_role(account, &input);
        write delete_instance_profile(input: DeleteInstanceProfileRequest) -> () = |account| {
            profiles::delete(account, &input.instance_profile_name)
        };
        write add_role_to_instance_profile(input: AddRoleToInstanceProfileRequest) -> () = |account| {
            profiles::add_role(account, &input.instance_profile_name, &input.role_name)
        };
        write remove_role_from_instance_profile(input: RemoveRoleFromInstanceProfileRequest) -> () = |account| {
            profiles::remove_role(account, &input.instance_profile_name, &input.role_name)
        };
        write tag_instance_profile(input: TagInstanceProfileRequest) -> () = |account| {
            tags::add::<ProfileRecord>(account, &input.instance_profile_name, input.tags)
        };
        write untag_instance_profile(input: UntagInstanceProfileRequest) -> () = |account| {
            tags::remove::<ProfileRecord>(account, &input.instance_profile_name, &input.tag_keys)
        };
        read list_instance_profile_tags(input: ListInstanceProfileTagsRequest)
            -> ListInstanceProfileTagsResponse = |account| {
            let (marker, max) = (input.marker.as_deref(), input.max_items);
            let page = tags::list::<ProfileRecord>(account, &input.instance_profile_name, marker, max)?;
            Ok(ListInstanceProfileTagsResponse { tags: page.items, is_truncated: page.is_truncated, marker: page.marker })
        };

        // Users.
        write create_user(input: CreateUserRequest) -> CreateUserResponse = |account| {
            Ok(CreateUserResponse { user: Some(users::create(account, input)?.show(account)) })
        };
        read get_user(input: GetUserRequest) -> GetUserResponse = |account| {
            let name = account.user_name(input.user_name)?;
            Ok(GetUserResponse { user: account.get::<UserRecord>(&name)?.show(account) })
        };
        read list_users(input: ListUsersRequest) -> ListUsersResponse = |account| users::list(account, &input);
        write delete_user(input: DeleteUserRequest) -> () = |account| users::delete(account, &input.user_name);
        write put_user_policy(input: PutUserPolicyRequest) -> () = |account| {
            grants::put::<UserRecord>(account, &input.user_name, input.policy_name, input.policy_document)
        };
        read get_user_policy(input: GetUserPolicyRequest) -> GetUserPolicyResponse = |account| {
            let document = grants::get::<UserRecord>(account, &input.user_name, &input.policy_name)?;
            Ok(GetUserPolicyResponse {
                user_name: input.user_name,
                policy_name: input.policy_name,
                policy_document: crate::records::url_encoded(&document),
            })
        };
        write delete_user_policy(input: DeleteUserPolicyRequest) -> () = |account| {
            grants::delete::<UserRecord>(account, &input.user_name, &input.policy_name)
        };
        read list_user_policies(input: ListUserPoliciesRequest) -> ListUserPoliciesResponse = |account| {
            let page =
                grants::list::<UserRecord>(account, &input.user_name, input.marker.as_deref(), input.max_items)?;
            Ok(ListUserPoliciesResponse {
                policy_names: page.items,
                is_truncated: page.is_truncated,
                marker: page.marker,
            })
        };
        write attach_user_policy(input: AttachUserPolicyRequest) -> () = |account| {
            grants::attach::<UserRecord>(account, &input.user_name, input.policy_arn)
        };
        write detach_user_policy(input: DetachUserPolicyRequest) -> () = |account| {
            grants::detach::<UserRecord>(account, &input.user_name, &input.policy_arn)
        };
        read list_attached_user_policies(input: ListAttachedUserPoliciesRequest)
            -> ListAttachedUserPoliciesResponse = |account| {
            let page = grants::list_attached::<UserRecord>(
                account,
                &input.user_name,
                input.path_prefix.as_deref(),
                input.marker.as_deref(),
                input.max_items,
            )?;
            Ok(ListAttachedUserPoliciesResponse {
                attached_policies: Some(page.items),
                is_truncated: page.is_truncated,
                marker: page.marker,
            })
        };
        write tag_user(input: TagUserRequest) -> () = |account| {
            tags::add::<UserRecord>(account, &input.user_name, input.tags)
        };
        write untag_user(input: UntagUserRequest) -> () = |account| {
            tags::remove::<UserRecord>(account, &input.user_name, &input.tag_keys)
        };
        read list_user_tags(input: ListUserTagsRequest) -> ListUserTagsResponse = |account| {
            let page = tags::list::<UserRecord>(account, &input.user_name, input.marker.as_deref(), input.max_items)?;
            Ok(ListUserTagsResponse { tags: page.items, is_truncated: page.is_truncated, marker: page.marker })
        };

        // Groups.
        write create_group(input: CreateGroupRequest) -> CreateGroupResponse = |account| {
            Ok(CreateGroupResponse { group: groups::create(account, input)?.show(account) })
        };
        read get_group(input: GetGroupRequest) -> GetGroupResponse = |account| groups::get(account, &input);
        read list_groups(input: ListGroupsRequest) -> ListGroupsResponse = |account| groups::list(account, &input);
        write update_group(input: UpdateGroupRequest) -> () = |account| groups::update(account, input);
        write delete_group(input: DeleteGroupRequest) -> () = |account| groups::delete(account, &input.group_name);
        write add_user_to_group(input: AddUserToGroupRequest) -> () = |account| {
            groups::add_user(account, &input.group_name, &input.user_name)
        };
        write remove_user_from_group(input: RemoveUserFromGroupRequest) -> () = |account| {
            groups::remove_user(account, &input.group_name, &input.user_name)
        };
        read list_groups_for_user(input: ListGroupsForUserRequest) -> ListGroupsForUserResponse = |account| {
            let page = groups::list_for_user(account, &input.user_name, input.marker.as_deref(), input.max_items)?;
            Ok(ListGroupsForUserResponse {
                groups: page.items.iter().map(|group| group.show(account)).collect(),
                is_truncated: page.is_truncated,
                marker: page.marker,
            })
        };
        write put_group_policy(input: PutGroupPolicyRequest) -> () = |account| {
            grants::put::<GroupRecord>(account, &input.group_name, input.policy_name, input.policy_document)
        };
        read get_group_policy(input: GetGroupPolicyRequest) -> GetGroupPolicyResponse = |account| {
            let document = grants::get::<GroupRecord>(account, &input.group_name, &input.policy_name)?;
            Ok(GetGroupPolicyResponse {
                group_name: input.group_name,
                policy_name: input.policy_name,
                policy_document: crate::records::url_encoded(&document),
            })
        };
        write delete_group_policy(input: DeleteGroupPolicyRequest) -> () = |account| {
            grants::delete::<GroupRecord>(account, &input.group_name, &input.policy_name)
        };
        read list_group_policies(input: ListGroupPoliciesRequest) -> ListGroupPoliciesResponse = |account| {
            let page =
                grants::list::<GroupRecord>(account, &input.group_name, input.marker.as_deref(), input.max_items)?;
            Ok(ListGroupPoliciesResponse {
                policy_names: page.items,
                is_truncated: page.is_truncated,
                marker: page.marker,
            })
        };
        write attach_group_policy(input: AttachGroupPolicyRequest) -> () = |account| {
            grants::attach::<GroupRecord>(account, &input.group_name, input.policy_arn)
        };
        write detach_group_policy(input: DetachGroupPolicyRequest) -> () = |account| {
            grants::detach::<GroupRecord>(account, &input.group_name, &input.policy_arn)
        };
        read list_attached_group_policies(input: ListAttachedGroupPoliciesRequest)
            -> ListAttachedGroupPoliciesResponse = |account| {
            let page = grants::list_attached::<GroupRecord>(
                account,
                &input.group_name,
                input.path_prefix.as_deref(),
                input.marker.as_deref(),
                input.max_items,
            )?;
            Ok(ListAttachedGroupPoliciesResponse {
                attached_policies: Some(page.items),
                is_truncated: page.is_truncated,
                marker: page.marker,
            })
        };

        // Access keys.
        read list_access_keys(input: ListAccessKeysRequest) -> ListAccessKeysResponse = |account| {
            let user = account.get::<UserRecord>(&account.user_name(input.user_name)?)?.name;
            let keys = access_keys::of_user(account, &user)?;
            let page = crate::paging::page(keys, |key| key.id.clone(), input.marker.as_deref(), input.max_items)?;
            Ok(ListAccessKeysResponse {
                access_key_metadata: page.items.iter().map(access_keys::KeyRecord::show).collect(),
                is_truncated: page.is_truncated,
                marker: page.marker,
            })
        };
    }

    async fn create_access_key(
        &self,
        cx: &Context,
        input: CreateAccessKeyRequest,
    ) -> Result<CreateAccessKeyResponse, AwsError> {
        let _changing = self.changing_keys.lock().await;
        let access_key = self.write(cx, move |account| access_keys::create(account, input.user_name)).await?;
        self.follow_key(cx, access_key.access_key_id.clone()).await?;
        Ok(CreateAccessKeyResponse { access_key })
    }

    async fn update_access_key(&self, cx: &Context, input: UpdateAccessKeyRequest) -> Result<(), AwsError> {
        let id = input.access_key_id.clone();
        self.change_key(cx, id, move |account| {
            access_keys::set_status(account, input.user_name, &input.access_key_id, input.status)
        })
        .await
    }

    async fn delete_access_key(&self, cx: &Context, input: DeleteAccessKeyRequest) -> Result<(), AwsError> {
        let id = input.access_key_id.clone();
        self.change_key(cx, id, move |account| access_keys::delete(account, input.user_name, &input.access_key_id))
            .await
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod service_tests;
