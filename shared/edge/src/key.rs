//! API keys: made, hashed, recognised.
//!
//! A key is `sk_live_` or `sk_test_` and 256 random bits in hex. It is shown once, when it is issued; what is stored is its
//! SHA-256, which needs no salt because nobody guesses 256 bits.

use billing_core::access::Mode;
use billing_core::id::KeyId;
use sha2::{Digest, Sha256};

use crate::secret::Secret;

/// A key that was just made.
#[derive(Debug)]
pub struct NewKey {
    /// By which it is listed and revoked.
    pub id: KeyId,
    /// What its owner is shown, once.
    pub secret: Secret,
    /// What is stored.
    pub hash: String,
}

/// The random source of the system failed; no key is made without it.
#[derive(Debug, thiserror::Error)]
#[error("the system's random source failed: {0}")]
pub struct NoRandomness(String);

impl NewKey {
    /// Makes a key of that mode.
    pub fn generate(mode: Mode) -> Result<Self, NoRandomness> {
        let secret = format!("sk_{mode}_{}", hex::encode(random::<32>()?));
        let id = format!("key_{}", hex::encode(random::<8>()?));
        let id = id
            .parse()
            .map_err(|error: billing_core::id::NotAnId| NoRandomness(error.to_string()))?;
        Ok(Self {
            id,
            hash: hash(&secret),
            secret: Secret::new(secret),
        })
    }
}

/// The hash under which a key is stored: SHA-256 in lower-case hex.
#[must_use]
pub fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// Whether a text can be a key at all: nothing else is looked up.
#[must_use]
pub fn is_well_formed(text: &str) -> bool {
    let digits = text
        .strip_prefix("sk_live_")
        .or_else(|| text.strip_prefix("sk_test_"));
    digits.is_some_and(|digits| {
        digits.len() == 64
            && digits
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

/// A new UUID of version 4.
pub fn uuid<T: std::str::FromStr<Err = billing_core::id::NotAnId>>() -> Result<T, NoRandomness> {
    let mut bytes = random::<16>()?;
    // Source: RFC 9562, 5.4: version and variant.
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let digits = hex::encode(bytes);
    let text = format!(
        "{}-{}-{}-{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..]
    );
    text.parse()
        .map_err(|error: billing_core::id::NotAnId| NoRandomness(error.to_string()))
}

/// Random bytes of the operating system's, good enough for keys. Fails where it has none.
pub fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that makes ids and keys"
    )]
    getrandom::fill(&mut bytes).map_err(|error| NoRandomness(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_made_is_recognised() {
        let key = NewKey::generate(Mode::Test).unwrap();
        assert!(is_well_formed(key.secret.expose()) && key.secret.expose().starts_with("sk_test_"));
        assert_eq!(key.hash, hash(key.secret.expose()));
        assert!(!format!("{key:?}").contains(key.secret.expose()));
    }

    #[test]
    fn nothing_else_is_looked_up() {
        let digits = "0".repeat(64);
        for text in [
            "",
            "sk_test_",
            &digits,
            &format!("sk_prod_{digits}"),
            &format!("sk_test_{digits}0"),
            &format!("sk_test_{}", "A".repeat(64)),
            &format!("sk_test_{digits},sk_test_{digits}"),
        ] {
            assert!(!is_well_formed(text), "{text}");
        }
    }
}
