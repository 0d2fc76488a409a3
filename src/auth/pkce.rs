//! Random text and PKCE (RFC 7636).

use secrecy::SecretString;

/// Random text of 43 characters that a URL takes as it is: 256 bits.
pub fn random() -> SecretString {
    todo!()
}

/// The S256 challenge of a verifier.
pub fn challenge(verifier: &SecretString) -> String {
    let _ = verifier;
    todo!()
}
