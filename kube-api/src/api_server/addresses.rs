//! Addresses of Services: given with the Service, kept as long as it lives.

use api::ObjectKey;
use serde_json::{Value, json};

use crate::{
    cluster_ip::{self, Address, NoAddress},
    resources::{FieldError, Subresource},
};

use super::{error::ApiError, objects::Objects, path::Target};

/// What a Service says that is to have no address.
const HEADLESS: &str = "None";

impl Objects {
    /// Gives an object an address if it is of a kind that has one, and has none yet that is stored: the one that it asks for,
    /// or a free one. What is answered makes it its own in the transaction that stores the object.
    pub(super) async fn give_address(
        &self,
        target: &Target,
        object: &mut Value,
        old: Option<&Value>,
    ) -> Result<Option<Address>, ApiError> {
        let has_one = old.is_some_and(|old| old["spec"]["clusterIP"].is_string());
        if !target.resource.has_cluster_ip || target.subresource == Some(Subresource::Status) || has_one {
            return Ok(None);
        }
        let listed = object["spec"]["clusterIPs"][0].as_str();
        let wanted = object["spec"]["clusterIP"].as_str().or(listed).filter(|ip| !ip.is_empty());
        if wanted == Some(HEADLESS) {
            set(object, HEADLESS);
            return Ok(None);
        }
        let service = ObjectKey::new(target.namespace.as_deref().unwrap_or_default(), target.name());
        let wanted = wanted.and_then(|ip| ip.parse().ok());
        match cluster_ip::find(&*self.durable, &service, wanted).await {
            Ok(address) => {
                set(object, &address.ip.to_string());
                Ok(Some(address))
            }
            Err(NoAddress::Store(error)) => Err(error.into()),
            Err(why) => {
                let errors = vec![FieldError::invalid("spec.clusterIP", why.to_string())];
                Err(target.invalid(errors))
            }
        }
    }
}

fn set(object: &mut Value, ip: &str) {
    if object["spec"].is_object() {
        object["spec"]["clusterIP"] = json!(ip);
        object["spec"]["clusterIPs"] = json!([ip]);
    }
}

/// Puts back the address of a stored object where a change leaves it away.
pub(super) fn keep_address(new: &mut Value, old: &Value) {
    for field in ["clusterIP", "clusterIPs"] {
        let unset = matches!(&new["spec"][field], Value::Null) || new["spec"][field] == "";
        if unset && !old["spec"][field].is_null() && new["spec"].is_object() {
            new["spec"][field] = old["spec"][field].clone();
        }
    }
}
