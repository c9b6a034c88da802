use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use ring::{
    digest, hmac,
    rand::{SecureRandom, SystemRandom},
};

const KEY_FILE: &str = "key";
const KEY_BYTES: usize = 32;

/// Tells what this installation compiled from what anybody else put there.
pub(super) struct Seal(hmac::Key);

impl Seal {
    /// With the key in `dir`, which is made if there is none.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(KEY_FILE);
        let key = match read_key(&path) {
            Ok(key) => key,
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(&path)?,
            // Half a key is none. Nothing is lost with it but the time to compile again.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                fs::remove_file(&path)?;
                make_key(&path)?
            }
            Err(error) => return Err(error),
        };
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// The seal of an artifact under the name that says what it is.
    pub(super) fn of(&self, name: &str, artifact: &[u8]) -> Vec<u8> {
        hmac::sign(&self.0, &sealed(name, artifact)).as_ref().to_vec()
    }

    /// Whether the seal belongs to this artifact under this name.
    pub(super) fn fits(&self, name: &str, artifact: &[u8], seal: &[u8]) -> bool {
        hmac::verify(&self.0, &sealed(name, artifact), seal).is_ok()
    }
}

/// What is sealed: the artifact's digest, which has a fixed length, and the name.
fn sealed(name: &str, artifact: &[u8]) -> Vec<u8> {
    [digest::digest(&digest::SHA256, artifact).as_ref(), name.as_bytes()].concat()
}

fn read_key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    fs::File::open(path)?.read_exact(&mut key)?;
    Ok(key)
}

/// Makes a key. If another process was faster, its key holds.
fn make_key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    SystemRandom::new().fill(&mut key).map_err(|_| io::Error::other("the system gives no random numbers"))?;
    match private_files::write_new(path, &key) {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read_key(path),
        Err(error) => Err(error),
    }
}
