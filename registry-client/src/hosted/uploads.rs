use std::{
    collections::HashMap,
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::{ContentDigest, Repository, content_digest::Hasher};
use crate::{
    ImageError,
    blobs::{io_error, settle},
};

/// Uploads whose digest is computed while they come. Others are read again at their end.
const MAX_RUNNING: usize = 1024;

/// Bytes that are read at a time of an upload whose digest was not computed while it came.
const PIECE_BYTES: usize = 1 << 16;

/// Digests of uploads until now, by upload, with the bytes that they cover.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<HashMap<String, (u64, Sha256)>>);

/// A blob that a client sends, in one or more parts. It outlives connections and this process.
#[derive(Debug)]
pub struct Upload {
    id: String,
    path: PathBuf,
    file: File,
    len: u64,
    hasher: Option<Sha256>,
    /// Where it is to go.
    repository: Repository,
}

/// Why an upload could not go on.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// There is none of this name in the repository.
    #[error("there is no such upload here: it has ended or expired, so begin a new one")]
    Unknown,
    /// Another request writes to it.
    #[error("another request is sending to this upload")]
    Busy,
    /// The bytes are not those of the digest.
    #[error("the {len} bytes that were sent have the digest {found}")]
    WrongDigest {
        /// How many were sent.
        len: u64,
        /// Their digest.
        found: ContentDigest,
    },
    /// The disk said no.
    #[error(transparent)]
    Store(#[from] ImageError),
}

impl Repository {
    /// Begins an upload.
    pub fn begin_upload(&self) -> Result<Upload, UploadError> {
        let id = uuid();
        let path = self.upload_path(&id);
        self.store.blobs().reserve().check(0).map_err(ImageError::from)?;
        self.accounts.begin(&self.name)?;
        self.make_dir_of(&path)?;
        let file = File::options().create_new(true).append(true).read(true).open(&path);
        let file = file.map_err(io_error("create", &path))?;
        let _ = file.try_lock();
        Ok(Upload { id, path, file, len: 0, hasher: Some(Sha256::new()), repository: self.clone() })
    }

    /// Goes on with an upload. One request at a time may.
    pub fn upload(&self, id: &str) -> Result<Upload, UploadError> {
        let path = self.upload_path(&checked(id)?);
        let file = match File::options().append(true).read(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(UploadError::Unknown),
            file => file.map_err(io_error("open", &path))?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(UploadError::Busy),
            Err(TryLockError::Error(error)) => return Err(io_error("lock", &path)(error).into()),
        }
        let len = file.metadata().map_err(io_error("read", &path))?.len();
        let known = self.running.0.lock().remove(id).filter(|(covered, _)| *covered == len);
        let hasher = match (known, len) {
            (Some((_, hasher)), _) => Some(hasher),
            (None, 0) => Some(Sha256::new()),
            (None, _) => None,
        };
        Ok(Upload { id: id.to_owned(), path, file, len, hasher, repository: self.clone() })
    }

    /// How many bytes of an upload are here.
    pub fn upload_len(&self, id: &str) -> Result<u64, UploadError> {
        let path = self.upload_path(&checked(id)?);
        fs::metadata(&path).map(|metadata| metadata.len()).map_err(|_| UploadError::Unknown)
    }

    /// Gives an upload up.
    pub fn cancel_upload(&self, id: &str) -> Result<(), UploadError> {
        self.running.0.lock().remove(id);
        let path = self.upload_path(&checked(id)?);
        let len = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        fs::remove_file(path).map_err(|_| UploadError::Unknown)?;
        self.accounts.end(&self.name, len, false);
        Ok(())
    }

    /// Checks all that was sent, and makes it a blob of the repository, durably.
    pub fn finish_upload(&self, mut upload: Upload, digest: &ContentDigest) -> Result<(), UploadError> {
        let hasher = upload.hasher.take().filter(|_| digest.algorithm() == "sha256");
        let found = match hasher {
            Some(hasher) => Hasher::Sha256(hasher).finish(),
            None => upload.read_again(digest)?,
        };
        if found != *digest {
            upload.discard();
            return Err(UploadError::WrongDigest { len: upload.len, found });
        }
        let (target, blobs) = (self.blob_path(digest), self.links("_blobs"));
        self.make_dir_of(&target)?;
        let is_new = !blobs.contains(digest);
        settle(&upload.file, &upload.path, &target)?;
        self.accounts.end(&self.name, upload.len, is_new);
        blobs.put(digest, b"")?;
        Ok(())
    }

    pub(super) fn make_dir_of(&self, path: &Path) -> Result<(), ImageError> {
        let dir = path.parent().unwrap_or(Path::new("."));
        private_files::create_dir(dir).map_err(io_error("create", dir))
    }

    fn upload_path(&self, id: &str) -> PathBuf {
        self.dir.join("_uploads").join(id)
    }
}

impl Upload {
    /// Its name in URLs.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Bytes that are here.
    pub fn bytes(&self) -> u64 {
        self.len
    }

    /// Whether so many bytes may be added.
    pub fn check_room(&self, bytes: u64) -> Result<(), UploadError> {
        self.repository.store.blobs().reserve().check(bytes).map_err(ImageError::from)?;
        Ok(self.repository.accounts.check(&self.repository.name, bytes)?)
    }

    /// Adds bytes at the end. It blocks on the disk. An upload that goes beyond the quota is given up, so that it takes nothing
    /// of it.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        let (accounts, name, more) = (&self.repository.accounts, &self.repository.name, bytes.len() as u64);
        self.repository.store.blobs().reserve().check(more).map_err(ImageError::from)?;
        if let Err(refused) = accounts.receive(name, more) {
            self.discard();
            return Err(refused.into());
        }
        if let Err(error) = self.file.write_all(bytes) {
            accounts.lost(name, more);
            // A part of them may be there: what follows must not come after it.
            let _ = self.file.set_len(self.len);
            return Err(io_error("write", &self.path)(error).into());
        }
        self.len += bytes.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        Ok(())
    }

    /// Removes what has come.
    fn discard(&self) {
        if fs::remove_file(&self.path).is_ok() {
            self.repository.accounts.end(&self.repository.name, self.len, false);
        }
    }

    fn read_again(&self, digest: &ContentDigest) -> Result<ContentDigest, ImageError> {
        let mut hasher = Hasher::like(digest);
        let read = File::open(&self.path).and_then(|mut file| each_piece(&mut file, |piece| hasher.update(piece)));
        read.map_err(io_error("read", &self.path))?;
        Ok(hasher.finish())
    }
}

impl Drop for Upload {
    /// What was computed serves the next part.
    fn drop(&mut self) {
        let Some(hasher) = self.hasher.take() else { return };
        let mut running = self.repository.running.0.lock();
        if running.len() < MAX_RUNNING {
            running.insert(self.id.clone(), (self.len, hasher));
        }
    }
}

fn checked(id: &str) -> Result<String, UploadError> {
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { Ok(id.to_owned()) } else { Err(UploadError::Unknown) }
}

fn uuid() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Feeds a whole file to `each`, in pieces.
fn each_piece(file: &mut impl Read, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(()),
            read => each(&piece[..read]),
        }
    }
}
