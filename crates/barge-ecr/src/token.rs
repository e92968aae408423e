//! Authorization tokens: who may push and pull, for twelve hours. A token says so itself and is signed, so that none is
//! kept (ECR API Reference, "GetAuthorizationToken").

use barge_core::{AccountId, Region, Scope, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// How long a token works.
pub(crate) const LIFETIME: Duration = Duration::from_hours(12);

/// What tokens are signed with; the same over restarts.
pub(crate) struct TokenKey(Vec<u8>);

impl TokenKey {
    pub(crate) fn new(key: impl Into<Vec<u8>>) -> Self {
        Self(key.into())
    }

    /// The password for `scope` until `end`.
    pub(crate) fn issue(&self, scope: &Scope, end: Timestamp) -> String {
        let claim = format!("{}/{}/{}", scope.account, scope.region, end.millis());
        let text = format!("{claim}/{}", hex::encode(self.sign(&claim)));
        URL_SAFE_NO_PAD.encode(text)
    }

    /// Whom the `Authorization: Basic …` header of a request lets in.
    pub(crate) fn verify(&self, authorization: &str, now: Timestamp) -> Option<Scope> {
        let pair = STANDARD.decode(authorization.strip_prefix("Basic ")?.trim()).ok()?;
        let password = String::from_utf8(pair).ok()?.strip_prefix("AWS:")?.to_owned();
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(password).ok()?).ok()?;
        let (claim, signature) = text.rsplit_once('/')?;
        if !bool::from(self.sign(claim).ct_eq(&hex::decode(signature).ok()?)) {
            return None;
        }
        let mut parts = claim.split('/');
        let scope = Scope { account: AccountId::new(parts.next()?)?, region: Region::new(parts.next()?)? };
        let end = Timestamp::from_millis(parts.next()?.parse().ok()?);
        (now < end).then_some(scope)
    }

    fn sign(&self, claim: &str) -> Vec<u8> {
        // HMAC takes a key of any length; the error type exists for other MACs.
        Hmac::<Sha256>::new_from_slice(&self.0)
            .map_or_else(|_| Vec::new(), |mac| mac.chain_update(claim).finalize().into_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user: &str, password: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
    }

    #[test]
    fn a_token_lets_its_account_in_until_it_ends() {
        let (key, scope) = (TokenKey::new("k"), Scope::default());
        let end = Timestamp::from_millis(1000);
        let header = basic("AWS", &key.issue(&scope, end));
        assert_eq!(key.verify(&header, Timestamp::from_millis(999)), Some(scope));
        assert_eq!(key.verify(&header, end), None);
    }

    #[test]
    fn anything_else_is_refused() {
        let now = Timestamp::from_millis(0);
        let (key, end) = (TokenKey::new("k"), Timestamp::from_millis(1000));
        let token = TokenKey::new("other").issue(&Scope::default(), end);
        let forged = URL_SAFE_NO_PAD.encode("000000000000/us-east-1/9999/00");
        for header in
            [basic("AWS", &token), basic("AWS", &forged), basic("me", &key.issue(&Scope::default(), end)), "x".into()]
        {
            assert_eq!(key.verify(&header, now), None, "{header}");
        }
    }
}
