//! An instance's environment (Lambda Developer Guide, "Working with Lambda environment variables", defined runtime
//! environment variables). Pure.

use crate::function::Function;
use crate::runtimes::{RUNTIME_DIR, TASK_ROOT};
use barge_core::ports::{Credentials, LogTarget};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What an instance is given beside its function's own settings.
pub(crate) struct Surroundings<'a> {
    pub log: &'a LogTarget,
    pub credentials: &'a Credentials,
    pub endpoint: &'a str,
    pub runtime_api: SocketAddr,
    /// The runtime's own variables.
    pub runtime: &'a [(String, String)],
}

/// Names and values: what the function may override, its own variables, and what it may not.
pub(crate) fn environment(function: &Function, around: &Surroundings<'_>) -> Vec<(String, String)> {
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |name: &str, value: &str| {
        env.insert(name.to_owned(), value.to_owned());
    };
    set("LANG", "en_US.UTF-8");
    set("TZ", ":UTC");
    set("PATH", "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin");
    set("LD_LIBRARY_PATH", "/var/task:/var/task/lib:/opt/lib");
    set("AWS_ENDPOINT_URL", around.endpoint);
    for (name, value) in around.runtime {
        match (name.as_str(), env.get_mut(name)) {
            ("LD_LIBRARY_PATH", Some(path)) => *path = format!("{value}:{path}"),
            _ => drop(env.insert(name.clone(), value.clone())),
        }
    }
    env.extend(function.settings.environment.clone());
    let mut set = |name: &str, value: &str| {
        env.insert(name.to_owned(), value.to_owned());
    };
    let scope = &function.key.scope;
    set("_HANDLER", &function.settings.handler);
    set("AWS_REGION", scope.region.as_str());
    set("AWS_DEFAULT_REGION", scope.region.as_str());
    set("AWS_EXECUTION_ENV", &format!("AWS_Lambda_{}", function.settings.runtime.as_str()));
    set("AWS_LAMBDA_FUNCTION_NAME", &function.key.name);
    set("AWS_LAMBDA_FUNCTION_VERSION", &function.key.version_name());
    set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &function.settings.memory_mib.to_string());
    set("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand");
    for (name, value) in function.settings.log_format.variables() {
        set(name, value);
    }
    set("AWS_LAMBDA_LOG_GROUP_NAME", &around.log.group);
    set("AWS_LAMBDA_LOG_STREAM_NAME", &around.log.stream);
    set("AWS_ACCESS_KEY_ID", &around.credentials.access_key_id);
    set("AWS_SECRET_ACCESS_KEY", &around.credentials.secret_access_key);
    set("AWS_SESSION_TOKEN", &around.credentials.session_token);
    set("AWS_LAMBDA_RUNTIME_API", &around.runtime_api.to_string());
    set("LAMBDA_TASK_ROOT", TASK_ROOT);
    set("LAMBDA_RUNTIME_DIR", RUNTIME_DIR);
    env.into_iter().collect()
}
