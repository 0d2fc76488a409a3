//! Random text and PKCE (RFC 7636).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};

/// Random text of 43 characters that a URL takes as it is: 256 bits.
///
/// That is the verifier that RFC 7636 recommends (section 4.1: 32 octets, base64url).
pub fn random() -> SecretString {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).expect("the system has a source of random numbers");
    URL_SAFE_NO_PAD.encode(bytes).into()
}

/// The S256 challenge of a verifier.
pub fn challenge(verifier: &SecretString) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, verifier.expose_secret().as_bytes());
    URL_SAFE_NO_PAD.encode(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    #[test]
    fn the_challenge_is_that_of_the_standard() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into();
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn random_text_is_a_verifier_and_never_the_same() {
        let (one, two) = (random(), random());
        assert_ne!(one.expose_secret(), two.expose_secret());
        for text in [one, two] {
            let text = text.expose_secret();
            assert_eq!(text.len(), 43, "RFC 7636 wants 43 to 128 characters");
            assert!(crate::config::values::is_token(text), "a URL takes it as it is");
            assert!(!format!("{:?}", SecretString::from(text)).contains(text));
        }
    }
}
