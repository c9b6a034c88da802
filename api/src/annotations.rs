//! The `sampan.dev/` annotations: what Kubernetes has no field for. This is the one table of them.

/// One annotation that Sampan reads.
#[derive(Debug, Clone, Copy)]
pub struct Annotation {
    /// The full key.
    pub key: &'static str,
    /// Where it may stand: `A or B`.
    pub on: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it means, in one sentence for users.
    pub meaning: &'static str,
}

impl Annotation {
    /// Whether it may stand on an object of this kind, or on a pod template.
    pub fn is_for(&self, place: &str) -> bool {
        self.on.split(" or ").any(|known| known.starts_with(place))
    }
}

macro_rules! annotations {
    ($($(#[$doc:meta])* $name:ident = $key:literal, on $on:literal, default $default:literal, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: &str = concat!("sampan.dev/", $key);)*
        /// Every annotation that a user may set, in the order of the documentation.
        pub const ALL: &[Annotation] = &[
            $(Annotation { key: $name, on: $on, default: $default, meaning: $meaning },)*
        ];
    };
}

annotations! {
    CONCURRENCY = "concurrency", on "pod template", default "100",
        "How many requests a replica works on at the same time.";
    ISOLATION = "isolation", on "pod template", default "request",
        "`request`: each request gets a fresh instance. `replica`: instances are reused, but for those of \
         JavaScript, whose engine answers once: an event says so.";
    MAX_REUSE = "max-reuse", on "pod template", default "1000",
        "With isolation `replica`: after how many requests an instance is replaced.";
    REQUEST_DEADLINE = "request-deadline", on "pod template", default "30s",
        "How long a request may take until it is stopped and answered with 504.";
    OUTBOUND = "outbound", on "pod template", default "none",
        "Comma-separated hosts that the guest may send HTTP requests to: Service names, `api.example.com`, `*.example.com`, `host:port`.";
    KEY_VALUE = "key-value", on "pod template", default "none",
        "Comma-separated `wasi:keyvalue` stores that the guest may open; they are shared within the namespace.";
    SCALE = "scale", on "Deployment", default "none",
        "`MIN..MAX`, such as `0..50`: the number of replicas follows the traffic, within these bounds. Without a HorizontalPodAutoscaler.";
    AUTOSCALER = "autoscaler", on "Deployment or HorizontalPodAutoscaler", default "sqrt-staffing",
        "Which policy decides the number of replicas: `sqrt-staffing`, `kpa` (Knative's) or `hpa` (Kubernetes').";
    SCALE_TO_ZERO_AFTER = "scale-to-zero-after", on "Deployment or HorizontalPodAutoscaler", default "300ms",
        "After how long without a request no replica is left, where the minimum is 0.";
    SIGNED_BY = "signed-by", on "Namespace", default "none",
        "Public keys in PEM: images in the namespace must have a cosign signature by one of them.";
    IMAGE_DIGEST = "image-digest", on "ReplicaSet (set by Sampan)", default "-",
        "The digest that the revision's image reference was resolved to.";
    AUTOSCALED = "autoscaled-generation", on "Deployment (set by Sampan)", default "-",
        "The generation that the autoscaler's last number made: while it is the Deployment's, that number is not a user's.";
    PRIORITY = "priority", on "ReplicaSet (set by Sampan)", default "-",
        "The priority that the revision was made with: its PriorityClass may have changed since.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_is_for_each_of_the_places_that_it_names() {
        let autoscaler = ALL.iter().find(|annotation| annotation.key == AUTOSCALER).expect("it is there");
        assert!(autoscaler.is_for("Deployment") && autoscaler.is_for("HorizontalPodAutoscaler"));
        assert!(!autoscaler.is_for("pod template"));
    }
}
