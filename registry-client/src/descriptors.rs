//! What is read of a manifest, also of one that a stranger wrote: these fields, where they are in its bytes. What else is in it is passed
//! over, and takes no memory.

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};

/// A manifest of one of the two kinds that hold components.
pub(crate) enum Manifest<'a> {
    Image(ImageManifest<'a>),
    Index(Index<'a>),
}

/// A manifest of one image.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImageManifest<'a> {
    #[serde(rename = "schemaVersion")]
    _schema_version: u8,
    #[serde(borrow)]
    pub(crate) config: Descriptor<'a>,
    pub(crate) layers: Vec<Descriptor<'a>>,
    pub(crate) subject: Option<Descriptor<'a>>,
}

/// A manifest of several images.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index<'a> {
    #[serde(rename = "schemaVersion")]
    _schema_version: u8,
    #[serde(borrow)]
    pub(crate) manifests: Vec<Entry<'a>>,
}

/// One of several images.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry<'a> {
    #[serde(borrow)]
    pub(crate) digest: Cow<'a, str>,
    pub(crate) platform: Option<Platform<'a>>,
}

/// What an image is for.
#[derive(Deserialize)]
pub(crate) struct Platform<'a> {
    #[serde(borrow)]
    pub(crate) architecture: Cow<'a, str>,
}

/// Where something is, and what.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor<'a> {
    #[serde(borrow)]
    pub(crate) media_type: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) digest: Cow<'a, str>,
    pub(crate) size: i64,
}

/// What is in the place of a manifest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Other<'a> {
    pub(crate) schema_version: Option<i64>,
    #[serde(borrow)]
    pub(crate) media_type: Option<Cow<'a, str>>,
    pub(crate) config: Option<IgnoredAny>,
    pub(crate) layers: Option<Vec<IgnoredAny>>,
}

impl<'a> Manifest<'a> {
    /// Reads a manifest. If it is neither, what is wrong with it as one of an image.
    pub(crate) fn read(json: &'a [u8]) -> Result<Self, serde_json::Error> {
        let error = match serde_json::from_slice(json) {
            Ok(image) => return Ok(Self::Image(image)),
            Err(error) => error,
        };
        serde_json::from_slice(json).map(Self::Index).map_err(|_| error)
    }
}
