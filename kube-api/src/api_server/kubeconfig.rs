use std::{io, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use http_server::Token;
use serde_json::json;

/// What the cluster, the user and the context are called.
const NAME: &str = "sampan";

/// Writes a kubeconfig with everything that a client needs: address, authority and token. Mode 0600, whole or not at all.
///
/// `server` is the address that clients dial, such as `127.0.0.1:7443`.
pub fn write_kubeconfig(path: &Path, server: &str, authority_pem: &str, token: &Token) -> io::Result<()> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": NAME, "cluster": {
            "server": format!("https://{server}"), "certificate-authority-data": STANDARD.encode(authority_pem) } }],
        "users": [{ "name": NAME, "user": { "token": token.as_str() } }],
        "contexts": [{ "name": NAME, "context": { "cluster": NAME, "user": NAME } }],
        "current-context": NAME,
    });
    let text = serde_norway::to_string(&config).map_err(io::Error::other)?;
    private_files::write(path, text.as_bytes())
}
