//! How is a secret encrypted for whoever acts, and read again? With age, for public keys that the catalog names.

use std::io::{Read, Write};

use ::age::{Decryptor, Encryptor, IdentityFile, Recipient, x25519};
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::domain::{Secret, SecretRef};

/// Why a secret cannot be encrypted or read. Nothing of it is repeated.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Nobody could read it.
    #[error("there is no public key to encrypt for")]
    NoRecipient,
    /// A public key is none.
    #[error("`{0}` is no public key of age")]
    BadRecipient(String),
    /// It would be too long for a request.
    #[error("the secret is longer than {LONGEST} bytes")]
    TooLong,
    /// What is read was not encrypted.
    #[error("it is not encrypted with age")]
    NotEncrypted,
    /// The file of identities cannot be used.
    #[error("the file of age identities cannot be used: {0}")]
    BadIdentity(String),
    /// None of the identities opens it.
    #[error("it was encrypted for others: {0}")]
    NotForUs(String),
}

/// More is a file, not a secret; in base64 it must fit into a reference.
const LONGEST: usize = 12_000;

/// Encrypts a secret for these public keys.
///
/// # Errors
/// When a key is none, or nobody could read it.
pub fn seal(recipients: &[String], secret: &Secret) -> Result<SecretRef, SealError> {
    if secret.expose().len() > LONGEST {
        return Err(SealError::TooLong);
    }
    let keys = recipients
        .iter()
        .map(|text| text.parse::<x25519::Recipient>().map_err(|_| SealError::BadRecipient(text.clone())))
        .collect::<Result<Vec<_>, _>>()?;
    let encryptor = Encryptor::with_recipients(keys.iter().map(|key| key as &dyn Recipient))
        .map_err(|_| SealError::NoRecipient)?;
    let mut sealed = Vec::new();
    let mut writer = encryptor.wrap_output(&mut sealed).expect("memory can be written to");
    writer.write_all(secret.expose().as_bytes()).expect("memory can be written to");
    writer.finish().expect("memory can be written to");
    Ok(format!("age:{}", STANDARD.encode(sealed)).parse().expect("base64 makes a reference"))
}

/// Reads what was encrypted for one of the identities in this text, as `age-keygen` writes them.
///
/// # Errors
/// When it was encrypted for others, or not at all.
pub fn open(sealed: &SecretRef, identities: &Secret) -> Result<Secret, SealError> {
    let bytes =
        sealed.encrypted().and_then(|text| STANDARD.decode(text).ok()).ok_or(SealError::NotEncrypted)?;
    let bad = |why: &dyn std::fmt::Display| SealError::BadIdentity(why.to_string());
    let file =
        IdentityFile::from_buffer(identities.expose().as_bytes()).map_err(|_| bad(&"it holds none"))?;
    let keys = file.into_identities().map_err(|error| bad(&error))?;
    let decryptor = Decryptor::new(&bytes[..]).map_err(|_| SealError::NotEncrypted)?;
    let mut reader = decryptor
        .decrypt(keys.iter().map(|key| &**key as &dyn ::age::Identity))
        .map_err(|error| SealError::NotForUs(error.to_string()))?;
    let mut text = String::new();
    reader.read_to_string(&mut text).map_err(|_| SealError::NotEncrypted)?;
    Ok(Secret::new(&text))
}

#[cfg(test)]
mod tests {
    use ::age::secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn only_those_it_was_encrypted_for_read_a_secret() {
        let (ours, others) = (x25519::Identity::generate(), x25519::Identity::generate());
        let secret = Secret::new("correct horse battery staple");
        let sealed = seal(&[ours.to_public().to_string()], &secret).unwrap();
        assert!(!sealed.as_str().contains("horse") && sealed.shown() == "age:… (encrypted)");
        let key = |identity: &x25519::Identity| {
            Secret::new(&format!("# created\n{}\n", identity.to_string().expose_secret()))
        };
        assert_eq!(open(&sealed, &key(&ours)).unwrap(), secret);
        assert!(matches!(open(&sealed, &key(&others)), Err(SealError::NotForUs(_))));
        let broken: SecretRef = sealed.as_str().replacen("YWdl", "YWdm", 1).parse().unwrap();
        assert!(matches!(open(&broken, &key(&ours)), Err(SealError::NotEncrypted)));
        assert!(matches!(seal(&[], &secret), Err(SealError::NoRecipient)));
        assert!(matches!(open(&"env:NAME".parse().unwrap(), &key(&ours)), Err(SealError::NotEncrypted)));
    }
}
