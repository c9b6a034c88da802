//! Images from real registries: Debian's `docker-registry`, and Sampan's own; with `skopeo` as another's client.

mod accounts;
mod own;
mod pulling;
mod signatures;
mod workers;

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::sampan::{Sampan, command, guest, succeed, wait_for};

pub(crate) use own::put_image;

/// `docker-registry` with its data in a folder. Killed when dropped.
pub(crate) struct Peer {
    child: Child,
    pub(crate) address: String,
}

impl Peer {
    /// Open to all, without TLS.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, "", "")
    }

    /// With further settings: lines below `http`, and sections of their own.
    fn start_with(folder: &Path, http: &str, sections: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket").to_string();
        drop(listener);
        let (config, data) = (folder.join("registry.yml"), folder.join("registry"));
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n{http}{sections}",
            data.display()
        );
        fs::write(&config, text).expect("a configuration");
        let mut serve = Command::new("docker-registry");
        serve.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let child = serve.spawn().expect("docker-registry starts: run `scripts/setup test`");
        wait_for("the registry listens", || TcpStream::connect(&address).ok());
        Self { child, address }
    }

    /// With TLS of an authority of its own, and one account: `cook` with the password `s3cret`. Its `ca.pem` is in `folder`.
    fn start_private(folder: &Path) -> Self {
        // `s3cret` as bcrypt has it.
        const ACCOUNT: &str = "cook:$2b$04$UOUIEgh0YoaTHPp0rdQ8T.j/a2QB8HWLTVG2kvuboBn8FkmYSjJXG\n";
        let accounts = folder.join("accounts");
        fs::write(&accounts, ACCOUNT).expect("accounts");
        let (certificate, key) = certificate(folder);
        let tls = format!("  tls:\n    certificate: {}\n    key: {}\n", certificate.display(), key.display());
        let auth = format!("auth:\n  htpasswd:\n    realm: kitchen\n    path: {}\n", accounts.display());
        Self::start_with(folder, &tls, &auth)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A certificate for 127.0.0.1 and its key, signed by an authority in `ca.pem`.
fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    let key = || KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "a private authority");
    let authority_key = key();
    let pem = authority.self_signed(&authority_key).expect("a certificate").pem();
    fs::write(folder.join("ca.pem"), pem).expect("a file");
    let (own_key, issuer) = (key(), Issuer::new(authority, authority_key));
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
    let signed = params.signed_by(&own_key, &issuer).expect("a certificate");
    let (certificate, key) = (folder.join("tls.pem"), folder.join("tls.key"));
    fs::write(&certificate, signed.pem()).expect("a file");
    fs::write(&key, own_key.serialize_pem()).expect("a file");
    (certificate, key)
}

/// `sampan push` of the guest `hello`, from the data directory in `folder`.
pub(crate) fn push(folder: &Path, image: &str) -> String {
    let component = guest("hello");
    let pushed = command(&["push", component.to_str().expect("UTF-8"), image]).arg("--data-dir").arg(folder).output();
    succeed("sampan push", pushed.expect("the sampan program starts"))
}

/// A Deployment and a Service `hello` of this image.
pub(crate) fn deploy(sampan: &Sampan, image: &str) {
    deploy_as(sampan, image, "default", "");
}

/// As [`deploy`], in a namespace, with lines for the pod's `spec`.
fn deploy_as(sampan: &Sampan, image: &str, namespace: &str, lines: &str) {
    let manifest = sampan.data_dir.join("hello.yaml");
    let probe = include_str!("../probe.yaml").replace("probe:test", image).replace("probe", "hello");
    let probe = probe.replace("      containers:", &format!("{lines}      containers:"));
    fs::write(&manifest, probe).expect("a manifest");
    sampan.cli_ok(&["apply", "-n", namespace, "-f", manifest.to_str().expect("UTF-8")]);
}

/// Writes what `--registries` takes.
pub(crate) fn settings(folder: &Path, text: &str) -> String {
    let path = folder.join("registries.toml");
    fs::write(&path, text).expect("a file");
    path.to_str().expect("UTF-8").to_owned()
}
