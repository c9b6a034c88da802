"""Typical operations of the Python client `kubernetes`."""

import datetime
import time

from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.exceptions import ApiException

from report import DEPLOYMENT, Report, must

PATIENCE_S = 60
config.load_kube_config()
api = client.ApiClient()
core, apps, autoscaling = client.CoreV1Api(), client.AppsV1Api(), client.AutoscalingV2Api()
networking, coordination, rbac = client.NetworkingV1Api(), client.CoordinationV1Api(), client.RbacAuthorizationV1Api()
DEFAULT = "default"


def ready(replicas: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while (apps.read_namespaced_deployment_status("web", DEFAULT).status.ready_replicas or 0) != replicas:
        must(time.monotonic() < deadline, f"{replicas} ready replicas in time")
        time.sleep(0.05)


def watched() -> None:
    for event in watch.Watch().stream(core.list_namespaced_config_map, DEFAULT, timeout_seconds=5):
        if event["object"].metadata.name == "settings":
            return
    must(False, "an event of the ConfigMap")


def refused(status: int, action) -> None:
    try:
        action()
    except ApiException as failure:
        must(failure.status == status, failure)
        return
    must(False, f"an answer {status}")


def config_map(name: str, **data: str) -> client.V1ConfigMap:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"made": "here"}), data=data)


def dynamic_get() -> None:
    deployments = dynamic.DynamicClient(api).resources.get(api_version="apps/v1", kind="Deployment")
    must(deployments.get(name="web", namespace=DEFAULT).spec.replicas is not None, "a Deployment")


def server_side_apply() -> None:
    config_maps = dynamic.DynamicClient(api).resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"a": "b"}}
    applied = config_maps.server_side_apply(body=body, name="applied", namespace=DEFAULT, field_manager="me")
    must(applied.metadata.managedFields, "managedFields")


def lease() -> None:
    now = datetime.datetime.now(datetime.timezone.utc)
    spec = client.V1LeaseSpec(holder_identity="me", lease_duration_seconds=10, renew_time=now)
    coordination.create_namespaced_lease(DEFAULT, client.V1Lease(metadata=client.V1ObjectMeta(name="leader"), spec=spec))


def pod_name() -> str:
    return core.list_namespaced_pod(DEFAULT, label_selector="app=web").items[0].metadata.name


def pages() -> None:
    first = core.list_namespaced_config_map(DEFAULT, limit=1)
    must(first.metadata._continue, "a token for the next page")
    core.list_namespaced_config_map(DEFAULT, limit=1, _continue=first.metadata._continue)


report = Report()
report.attempt("version", lambda: client.VersionApi().get_code())
report.attempt("API groups", lambda: client.ApisApi().get_api_versions())
report.attempt("resources of a group", lambda: apps.get_api_resources())
report.attempt("list namespaces", lambda: core.list_namespace())
report.attempt("create a namespace", lambda: core.create_namespace(client.V1Namespace(metadata={"name": "team"})))
report.attempt("create from YAML's objects", lambda: utils.create_from_dict(api, DEPLOYMENT))
report.attempt("ready replicas", lambda: ready(1))
report.attempt("a second create is a conflict", lambda: refused(409, lambda: apps.create_namespaced_deployment(DEFAULT, DEPLOYMENT)))
report.attempt("what is not there", lambda: refused(404, lambda: apps.read_namespaced_deployment("none", DEFAULT)))
report.attempt("patch", lambda: apps.patch_namespaced_deployment("web", DEFAULT, {"metadata": {"annotations": {"a": "b"}}}))
report.attempt("patch the scale", lambda: apps.patch_namespaced_deployment_scale("web", DEFAULT, {"spec": {"replicas": 2}}))
report.attempt("ready replicas after scaling", lambda: ready(2))
report.attempt("replace", lambda: apps.replace_namespaced_deployment("web", DEFAULT, apps.read_namespaced_deployment("web", DEFAULT)))
report.attempt("list in all namespaces", lambda: must(apps.list_deployment_for_all_namespaces().items, "a Deployment"))
report.attempt("list pods", lambda: must(len(core.list_namespaced_pod(DEFAULT, label_selector="app=web").items) == 2, "two Pods"))
report.attempt("log of a pod", lambda: core.read_namespaced_pod_log(pod_name(), DEFAULT))
report.attempt("list nodes", lambda: must(core.list_node().items, "a node"))
report.attempt("list events", lambda: must(core.list_namespaced_event(DEFAULT).items, "an event"))
report.attempt("create a ConfigMap", lambda: core.create_namespaced_config_map(DEFAULT, config_map("settings", a="b")))
report.attempt("create another ConfigMap", lambda: core.create_namespaced_config_map(DEFAULT, config_map("others", a="b")))
report.attempt("watch", watched)
report.attempt("list by pages", pages)
report.attempt("create a Secret", lambda: core.create_namespaced_secret(DEFAULT, {"metadata": {"name": "s"}, "stringData": {"a": "b"}}))
report.attempt("create a Service", lambda: core.create_namespaced_service(
    DEFAULT, {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}))
report.attempt("clusterIP of a Service", lambda: must(core.read_namespaced_service("web", DEFAULT).spec.cluster_ip, "a clusterIP"))
report.attempt("create an Ingress", lambda: networking.create_namespaced_ingress(DEFAULT, {
    "metadata": {"name": "web"}, "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}}))
report.attempt("create an autoscaler", lambda: autoscaling.create_namespaced_horizontal_pod_autoscaler(DEFAULT, {
    "metadata": {"name": "web"}, "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 1, "maxReplicas": 3}}))
report.attempt("create a ServiceAccount", lambda: core.create_namespaced_service_account(DEFAULT, {"metadata": {"name": "builder"}}))
report.attempt("create a Role", lambda: rbac.create_namespaced_role(DEFAULT, {
    "metadata": {"name": "reader"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}))
report.attempt("create a Lease", lease)
report.attempt("dynamic client", dynamic_get)
report.attempt("server-side apply", server_side_apply)
report.attempt("evict a pod", lambda: core.create_namespaced_pod_eviction(
    pod_name(), DEFAULT, {"metadata": {"name": pod_name(), "namespace": DEFAULT}}))
report.attempt("delete a collection", lambda: core.delete_collection_namespaced_config_map(DEFAULT, label_selector="made=here"))
report.attempt("delete in the foreground", lambda: apps.delete_namespaced_deployment("web", DEFAULT, propagation_policy="Foreground"))
report.attempt("delete a namespace", lambda: core.delete_namespace("team"))
report.print()
